//! Amounts are exactly the decimals they look like, sums are exact, and nothing else is a number.

use postback_core::money::{MAX_DIGITS, check_scale, currency, parse_amount, sum_amounts};

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (amount, code) = text.split_once('\n').unwrap_or((&text, "USD"));
    assert_eq!(parse_amount(amount).is_ok(), is_decimal(amount));
    if parse_amount(amount).is_ok() {
        assert_eq!(parse_amount(amount), Ok(amount));
    }
    sums(amount);
    if let Ok(found) = currency(code) {
        assert!(found.as_str().eq_ignore_ascii_case(code));
        assert_eq!(currency(&code.to_ascii_lowercase()), Ok(found));
        if parse_amount(amount).is_ok() {
            let (_, fraction) = amount.split_once('.').unwrap_or((amount, ""));
            let is_whole = fraction.bytes().all(|byte| byte == b'0');
            assert_eq!(check_scale(amount, found).is_ok(), is_whole || found.minor_units() > 0);
        }
    }
}

fn is_decimal(text: &str) -> bool {
    let is_part = |part: &str| (1..=MAX_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => is_part(whole) && is_part(fraction),
        None => is_part(text),
    }
}

/// A sum is one exactly when its parts are amounts, does not depend on their order, and is what whole numbers say.
fn sums(text: &str) {
    let parts: Vec<&str> = text.split(',').collect();
    let sum = sum_amounts(text);
    let Some(expected) = parts.iter().map(|part| units(part)).sum::<Option<u128>>() else {
        assert!(sum.is_err());
        return;
    };
    let too_large = expected >= 10_u128.pow(2 * MAX_DIGITS as u32);
    assert_eq!(sum.is_err(), too_large);
    if let Ok(sum) = sum {
        assert_eq!(units(&sum), Some(expected));
        let turned = parts.into_iter().rev().collect::<Vec<_>>().join(",");
        assert_eq!(sum_amounts(&turned), Ok(sum));
    }
}

fn units(amount: &str) -> Option<u128> {
    if !is_decimal(amount) {
        return None;
    }
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<MAX_DIGITS$}").parse().ok()
}
