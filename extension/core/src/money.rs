//! Amounts and currencies as networks write them: decimal text that is checked and passed on, never a float.
//!
//! An amount that is not plainly a number is refused with its reason and never read as 0. Not for: arithmetic, which
//! Postgres does with `numeric`.

use crate::query_string;
use std::fmt;

/// The most digits an amount may have on either side of its point.
pub const MAX_DIGITS: usize = 15;

/// Why an amount or a currency was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// There is nothing.
    Empty,
    /// A macro that the network did not fill in.
    Macro,
    /// A minus sign before a digit. What is taken back has a status of its own.
    Negative,
    /// Scientific notation.
    Exponent,
    /// A comma, which separates thousands here and decimals there.
    Comma,
    /// Anything else that is not `digits[.digits]`.
    NotANumber,
    /// More than [`MAX_DIGITS`] digits before or after the point.
    TooLong,
    /// Not a code of ISO 4217.
    UnknownCurrency,
    /// A code of ISO 4217 in which nobody is paid: no currency, testing, metals, units of account.
    NoCurrency,
    /// A fraction of a currency that has no minor unit.
    Fraction,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            MoneyError::Empty => "the amount is empty",
            MoneyError::Macro => "the amount is a macro that was not filled in",
            MoneyError::Negative => "the amount is negative",
            MoneyError::Exponent => "the amount has an exponent",
            MoneyError::Comma => "the amount has a comma",
            MoneyError::NotANumber => "the amount is not a number",
            MoneyError::TooLong => "the amount has more than 15 digits before or after its point",
            MoneyError::UnknownCurrency => "the currency is not a code of ISO 4217",
            MoneyError::NoCurrency => "the currency code stands for no currency",
            MoneyError::Fraction => "the amount has a fraction, but its currency has none",
        })
    }
}

impl std::error::Error for MoneyError {}

/// Checks that a text is `digits[.digits]` in ASCII and gives it back: no sign, exponent, space or comma, and digits
/// on both sides of a point.
pub fn parse_amount(text: &str) -> Result<&str, MoneyError> {
    if text.is_empty() {
        return Err(MoneyError::Empty);
    }
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return Err(complaint(text)),
        None => (text, ""),
    };
    if !is_digits(whole) {
        return Err(complaint(text));
    }
    if whole.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
        return Err(MoneyError::TooLong);
    }
    Ok(text)
}

/// The exact sum of amounts that are joined by commas, each as [`parse_amount`] takes it; a single one as it is.
pub fn sum_amounts(text: &str) -> Result<String, MoneyError> {
    if !text.contains(',') {
        return parse_amount(text).map(str::to_owned);
    }
    let mut total: i128 = 0;
    for amount in text.split(',') {
        let (whole, fraction) = parse_amount(amount)?.split_once('.').unwrap_or((amount, ""));
        // Digits alone, 15 and 15 at most: it fits, and so does the sum of as many as a message can hold.
        let units: i128 = format!("{whole}{fraction:0<MAX_DIGITS$}").parse().map_err(|_| MoneyError::NotANumber)?;
        total = total.checked_add(units).ok_or(MoneyError::TooLong)?;
    }
    let digits = format!("{total:0>width$}", width = MAX_DIGITS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - MAX_DIGITS);
    if whole.len() > MAX_DIGITS {
        return Err(MoneyError::TooLong);
    }
    Ok(format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is wrong with a text that is not an amount.
fn complaint(text: &str) -> MoneyError {
    if query_string::is_unresolved_macro(text) {
        return MoneyError::Macro;
    }
    let bytes = text.as_bytes();
    if bytes[0] == b'-' && bytes.get(1).is_some_and(u8::is_ascii_digit) {
        return MoneyError::Negative;
    }
    if let Some((number, exponent)) = text.split_once(['e', 'E'])
        && (parse_amount(number).is_ok() && is_digits(exponent.trim_start_matches(['+', '-'])))
    {
        return MoneyError::Exponent;
    }
    let only_separators = bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    if only_separators && bytes.contains(&b',') && bytes.iter().any(u8::is_ascii_digit) {
        return MoneyError::Comma;
    }
    MoneyError::NotANumber
}

/// A currency in which somebody can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three capital letters.
    pub fn as_str(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the smallest unit has: 2 for USD, 0 for JPY, 3 for KWD.
    pub fn minor_units(self) -> u8 {
        self.0.exponent().and_then(|exponent| u8::try_from(exponent).ok()).unwrap_or(0)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Reads a code of ISO 4217 in any case. Currencies that were replaced still count, old reports are in them.
pub fn currency(text: &str) -> Result<Currency, MoneyError> {
    match iso_currency::Currency::from_code(&text.to_ascii_uppercase()) {
        Some(found) if found.is_special() => Err(MoneyError::NoCurrency),
        Some(found) => Ok(Currency(found)),
        None => Err(MoneyError::UnknownCurrency),
    }
}

/// Whether an amount that [`parse_amount`] took can be one of this currency.
///
/// A currency without a minor unit has no fractions (zeros after the point do no harm). With one, all decimals are
/// kept, since networks pay fractions of a cent: `0.0125` USD is right.
pub fn check_scale(amount: &str, currency: Currency) -> Result<(), MoneyError> {
    let fraction = amount.split_once('.').map_or("", |(_, fraction)| fraction);
    if currency.minor_units() == 0 && fraction.bytes().any(|byte| byte != b'0') {
        return Err(MoneyError::Fraction);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_plain_decimals() {
        for text in ["12.50", "12.5", "0", "0.0", "007", "12.505", "999999999999999.999999999999999"] {
            assert_eq!(parse_amount(text), Ok(text));
        }
    }

    #[test]
    fn everything_else_has_its_reason() {
        use MoneyError::*;
        let digits = "9".repeat(400);
        let cases = [
            ("", Empty),
            ("{payout}", Macro),
            ("##CPA_AMOUNT##,##RS_AMOUNT##", Macro),
            ("xxpayoutxx", Macro),
            ("-5", Negative),
            ("-0.10", Negative),
            ("1e3", Exponent),
            ("1.5E-3", Exponent),
            ("12,50", Comma),
            ("1,250.00", Comma),
            ("1.250,00", Comma),
            (".5", NotANumber),
            ("5.", NotANumber),
            (".", NotANumber),
            (",", NotANumber),
            ("-", NotANumber),
            ("1.2.3", NotANumber),
            (" 12", NotANumber),
            ("12 ", NotANumber),
            ("12\n", NotANumber),
            ("+5", NotANumber),
            ("$5", NotANumber),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("0x10", NotANumber),
            ("1_000", NotANumber),
            ("e", NotANumber),
            ("١٢", NotANumber),
            ("１２", NotANumber),
            ("12\u{66b}5", NotANumber),
            (&digits, TooLong),
            ("1000000000000000", TooLong),
            ("0.1000000000000000", TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(parse_amount(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn currencies_are_those_that_pay() {
        assert_eq!(currency("usd").map(Currency::as_str), Ok("USD"));
        assert_eq!(currency("JPY").map(Currency::minor_units), Ok(0));
        assert_eq!(currency("KWD").map(Currency::minor_units), Ok(3));
        assert_eq!(currency("Eur").map(Currency::minor_units), Ok(2));
        for text in ["XXX", "xts", "XAU", "XDR"] {
            assert_eq!(currency(text), Err(MoneyError::NoCurrency), "{text}");
        }
        for text in ["", "US", "USDT", "US$", " USD", "{currency}", "ÄÖÜ", "ZZZ"] {
            assert_eq!(currency(text), Err(MoneyError::UnknownCurrency), "{text}");
        }
    }

    #[test]
    fn fractions_follow_the_currency() {
        let check = |amount, code| check_scale(amount, currency(code).unwrap());
        assert_eq!(check("100", "JPY"), Ok(()));
        assert_eq!(check("100.00", "JPY"), Ok(()));
        assert_eq!(check("100.50", "JPY"), Err(MoneyError::Fraction));
        assert_eq!(check("1.234", "KWD"), Ok(()));
        assert_eq!(check("0.0125", "USD"), Ok(()));
    }

    #[test]
    fn joined_amounts_are_added_exactly() {
        use MoneyError::*;
        let cases = [
            ("1.50,2.50", Ok("4")),
            ("0.1,0.2", Ok("0.3")),
            ("12.50", Ok("12.50")),
            ("0,0", Ok("0")),
            ("10,0.000000000000001", Ok("10.000000000000001")),
            ("999999999999999,0", Ok("999999999999999")),
            ("999999999999999,1", Err(TooLong)),
            ("1.50,", Err(Empty)),
            (",1.50", Err(Empty)),
            (",", Err(Empty)),
            ("1.50,{rs}", Err(Macro)),
            ("##CPA_AMOUNT##,##RS_AMOUNT##", Err(Macro)),
            ("5,-1", Err(Negative)),
            ("5, 1", Err(NotANumber)),
            ("1e3,1", Err(Exponent)),
        ];
        for (text, expected) in cases {
            assert_eq!(sum_amounts(text), expected.map(str::to_owned), "{text}");
        }
    }

    proptest! {
        #[test]
        fn joined_cents_are_the_sum_of_cents(cents in prop::collection::vec(0_u64..1_000_000_000, 2..9)) {
            let written = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
            let joined: Vec<String> = cents.iter().map(|&cents| written(cents)).collect();
            let sum = written(cents.iter().sum());
            prop_assert_eq!(sum_amounts(&joined.join(",")), Ok(sum.trim_end_matches('0').trim_end_matches('.').to_owned()));
        }

        #[test]
        fn amounts_are_exactly_the_decimals(text in "[0-9]{0,17}[.]?[0-9]{0,17}") {
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
            let legal = (1..=MAX_DIGITS).contains(&whole.len()) && (1..=MAX_DIGITS).contains(&fraction.len());
            prop_assert_eq!(parse_amount(&text).is_ok(), legal);
        }

        #[test]
        fn no_text_panics_and_none_but_digits_pass(text in any::<String>()) {
            if parse_amount(&text).is_ok() {
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
            }
            let _ = currency(&text);
        }
    }
}
