//! A query that is read says what every browser reads in it; its canonical form says the same and is the only one; what is
//! signed verifies, and not otherwise.

use postback_core::query_string::{
    MAX_PARAMETERS, Parameter, QueryError, canonical, duplicated, is_unresolved_macro, mask, parse,
};
use postback_core::signature::{Scheme, sign, to_hex, verify};
use std::collections::HashSet;

const SECRET: &[u8] = b"sixteen bytes or more";

pub fn check(data: &[u8]) {
    let parsed = parse(data);
    agrees_with_browsers(data, &parsed);
    if let Ok(parameters) = &parsed {
        is_canonical(parameters);
        names_are_compared(parameters);
        for parameter in parameters {
            let _ = is_unresolved_macro(&parameter.value);
        }
    }
    masked(data, parsed.ok());
    for scheme in [Scheme::Raw1, Scheme::Sorted1] {
        signed(scheme, data);
    }
    let _ = verify(Scheme::Raw1, None, data, &[SECRET]);
    let _ = verify(Scheme::Sorted1, None, data, &[SECRET]);
}

/// Against the reader of the URL standard, which takes anything: what ours refuses shows there as damage.
fn agrees_with_browsers(data: &[u8], parsed: &Result<Vec<Parameter>, QueryError>) {
    let standard: Vec<(String, String)> =
        url::form_urlencoded::parse(data).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let any_has =
        |character| standard.iter().any(|(name, value)| name.contains(character) || value.contains(character));
    match parsed {
        Ok(parameters) => {
            let ours: Vec<(String, String)> = pairs(parameters);
            assert_eq!(ours, standard);
        }
        Err(QueryError::BadEscape) => assert!(data.contains(&b'%')),
        Err(QueryError::NotUtf8) => assert!(any_has('\u{fffd}')),
        Err(QueryError::Nul) => assert!(any_has('\0')),
        Err(QueryError::TooMany) => assert!(standard.len() > MAX_PARAMETERS),
    }
}

fn pairs(parameters: &[Parameter]) -> Vec<(String, String)> {
    parameters.iter().map(|parameter| (parameter.name.clone(), parameter.value.clone())).collect()
}

fn is_canonical(parameters: &[Parameter]) {
    let text = canonical(parameters);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%&=".contains(&byte)));
    let Ok(back) = parse(text.as_bytes()) else { panic!("the canonical form cannot be read") };
    assert_eq!(canonical(&back), text);
    // The same parameters, and those of one name in their order.
    let mut expected = pairs(parameters);
    let mut found = pairs(&back);
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    found.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(found, expected);
    if duplicated(parameters).is_none() {
        let turned: Vec<Parameter> = parameters.iter().rev().cloned().collect();
        assert_eq!(canonical(&turned), text);
    }
}

fn names_are_compared(parameters: &[Parameter]) {
    let mut seen = HashSet::new();
    let repeats: HashSet<&str> =
        parameters.iter().map(|parameter| parameter.name.as_str()).filter(|name| !seen.insert(*name)).collect();
    let first = parameters.iter().map(|parameter| parameter.name.as_str()).find(|name| repeats.contains(name));
    assert_eq!(duplicated(parameters), first);
}

/// What is masked is gone, and the rest stays byte for byte.
fn masked(data: &[u8], parsed: Option<Vec<Parameter>>) {
    let masked = mask(data, &["sig", "token"]);
    assert_eq!(mask(&masked, &["sig", "token"]), masked);
    assert_eq!(mask(data, &[]), data);
    if let Some(parameters) = parsed {
        let Ok(left) = parse(&masked) else { panic!("the masked query cannot be read") };
        assert_eq!(left.len(), parameters.len());
        for (before, after) in parameters.iter().zip(&left) {
            let is_secret = ["sig", "token"].iter().any(|name| before.name.eq_ignore_ascii_case(name));
            assert_eq!(after.name, before.name);
            assert!(if is_secret { matches!(after.value.as_str(), "***" | "") } else { after.value == before.value });
        }
    }
}

fn signed(scheme: Scheme, data: &[u8]) {
    let Ok(signature) = sign(scheme, None, data, SECRET) else { return };
    let whole = |signature: &[u8]| [data, if data.is_empty() { b"" } else { b"&" }, b"sig=", signature].concat();
    let digits = to_hex(&signature);
    let verified = verify(scheme, None, &whole(&digits), &[b"another secret of 16", SECRET]);
    // A query at its limit has no room for one more.
    if parse(data).is_ok_and(|parameters| parameters.len() == MAX_PARAMETERS) && scheme == Scheme::Sorted1 {
        assert!(verified.is_err());
        return;
    }
    assert_eq!(verified, Ok(()));
    let mut changed = digits;
    let place = data.len() % 64;
    changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
    assert!(verify(scheme, None, &whole(&changed), &[SECRET]).is_err());
    assert!(verify(scheme, None, &whole(&digits), &[]).is_err());
}
