//! Query strings and form bodies: strict reading, one canonical form, and the words that mean "nobody filled this in".
//!
//! Strict because money hangs on it: what two programs read differently, an attacker can sign once and use twice. Not
//! for: deciding which parameter means what, that is the network's map.

use std::borrow::Cow;
use std::fmt;

/// The most parameters one query string may have.
pub const MAX_PARAMETERS: usize = 256;

/// One decoded `name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

/// Why a query string cannot be read. Carries no part of it: a value may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// A `%` without two hexadecimal digits after it.
    BadEscape,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// A NUL, raw or as `%00`: no text column can hold it.
    Nul,
    /// More than [`MAX_PARAMETERS`] parameters.
    TooMany,
}

impl fmt::Display for QueryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            QueryError::BadEscape => "a percent sign is not followed by two hexadecimal digits",
            QueryError::NotUtf8 => "a parameter is not UTF-8",
            QueryError::Nul => "a parameter contains a NUL",
            QueryError::TooMany => "there are more than 256 parameters",
        })
    }
}

impl std::error::Error for QueryError {}

/// Reads a query string: `&` separates (`;` does not), `+` is a space, empty segments mean nothing.
///
/// A name without `=` has the value "".
pub fn parse(raw: &[u8]) -> Result<Vec<Parameter>, QueryError> {
    let mut parameters = Vec::new();
    for segment in segments(raw) {
        if parameters.len() == MAX_PARAMETERS {
            return Err(QueryError::TooMany);
        }
        let (name, value) = split_name(segment);
        parameters.push(Parameter { name: decode(name)?, value: decode(value.unwrap_or_default())? });
    }
    Ok(parameters)
}

/// The one form that all equal parameter lists share: everything outside RFC 3986's unreserved set as upper-case
/// `%XX`, sorted by the bytes of the encoded name, `name=value` joined with `&`. Repeats of a name keep their order.
pub fn canonical(parameters: &[Parameter]) -> String {
    canonical_of(parameters.iter())
}

/// [`canonical`] over any selection of parameters.
pub(crate) fn canonical_of<'a>(parameters: impl Iterator<Item = &'a Parameter>) -> String {
    let mut encoded: Vec<(String, &str)> =
        parameters.map(|parameter| (encode(&parameter.name), parameter.value.as_str())).collect();
    encoded.sort_by(|left, right| left.0.cmp(&right.0));
    let length = encoded.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut text = String::with_capacity(length);
    for (name, value) in &encoded {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        encode_into(value, &mut text);
    }
    text
}

/// The value of the first parameter with this name.
pub fn first<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.value.as_str())
}

/// The first name that occurs again later.
pub fn duplicated(parameters: &[Parameter]) -> Option<&str> {
    // At most 256 names: sorting indexes is cheaper than hashing, and comparing all pairs is not.
    let mut order: Vec<usize> = (0..parameters.len()).collect();
    order.sort_by(|&left, &right| parameters[left].name.cmp(&parameters[right].name).then(left.cmp(&right)));
    order
        .windows(2)
        .filter(|pair| parameters[pair[0]].name == parameters[pair[1]].name)
        .map(|pair| pair[0])
        .min()
        .map(|index| parameters[index].name.as_str())
}

/// Replaces the values of the named parameters by `***`; every other byte stays as it came.
///
/// Made for what is about to be stored or logged, so it errs on the side of hiding: names are compared after
/// decoding and without regard to ASCII case, and bytes that [`parse`] would refuse are no way around it.
pub fn mask(raw: &[u8], names: &[&str]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(raw.len());
    for (position, segment) in raw.split(|&byte| byte == b'&').enumerate() {
        if position > 0 {
            masked.push(b'&');
        }
        let (name, value) = split_name(segment);
        let decoded = decode_leniently(name);
        if value.is_some() && names.iter().any(|secret| decoded.eq_ignore_ascii_case(secret.as_bytes())) {
            masked.extend_from_slice(name);
            masked.extend_from_slice(b"=***");
        } else {
            masked.extend_from_slice(segment);
        }
    }
    masked
}

/// How macros are written in the wild, longest opening first.
const MACRO_BRACKETS: [(&str, &str); 13] = [
    ("[[[", "]]]"),
    ("!!!", "!!!"),
    ("{{", "}}"),
    ("##", "##"),
    ("[[", "]]"),
    ("${", "}"),
    ("#{", "}"),
    ("{", "}"),
    ("[", "]"),
    ("#", "#"),
    ("%", "%"),
    ("<", ">"),
    ("(", ")"),
];

/// The words HitPath writes between `xx` and `xx`. A closed list: `xx…xx` could be somebody's id.
const HITPATH_WORDS: [&str; 4] = ["payout", "hitid", "transid", "offerid"];

/// Whether a value is a macro that the sender never filled in: `{click_id}`, `##ID##`, `xxc1xx`, `REPLACE` and so on,
/// or several in a row (`#s2##s3#`). Looks at the whole value, so no legal click id but the fixed words is mistaken.
pub fn is_unresolved_macro(value: &str) -> bool {
    if matches!(value, "REPLACE" | "OPTIONAL") || is_hitpath_macro(value) {
        return true;
    }
    let mut rest = value;
    while !rest.is_empty() {
        let Some(after) = MACRO_BRACKETS.iter().find_map(|(open, close)| after_macro(rest, open, close)) else {
            return false;
        };
        rest = match after.strip_prefix(',') {
            Some("") => return false,
            Some(next) => next,
            None => after,
        };
    }
    !value.is_empty()
}

fn is_hitpath_macro(value: &str) -> bool {
    value.strip_prefix("xx").and_then(|rest| rest.strip_suffix("xx")).is_some_and(|word| {
        HITPATH_WORDS.contains(&word) || matches!(word.as_bytes(), [b'c' | b'x', digit] if digit.is_ascii_digit())
    })
}

/// What follows the macro at the start of the text, if there is one in these brackets.
fn after_macro<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inside = text.strip_prefix(open)?;
    let (word, after) = inside.split_once(close)?;
    let word = word.trim_matches(' ');
    // Braces take arguments and expressions (`{status:sale=1}`, `${(name)!}`), the others just a name.
    let rich = close.starts_with('}');
    let first = word.bytes().next()?;
    let starts = first.is_ascii_alphabetic() || first == b'_' || (rich && first == b'(');
    let legal =
        |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) || (rich && b":=,/()! ".contains(&byte));
    (starts && word.bytes().all(legal)).then_some(after)
}

/// The segments between `&` that are not empty.
pub(crate) fn segments(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split(|&byte| byte == b'&').filter(|segment| !segment.is_empty())
}

/// Name and value of a segment, both as they came; no value when there is no `=`.
pub(crate) fn split_name(segment: &[u8]) -> (&[u8], Option<&[u8]>) {
    match segment.iter().position(|&byte| byte == b'=') {
        Some(position) => (&segment[..position], Some(&segment[position + 1..])),
        None => (segment, None),
    }
}

/// Decodes what can be decoded and keeps the rest: for comparing names, never for values that get used.
pub(crate) fn decode_leniently(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut position = 0;
    while position < raw.len() {
        let (byte, length) = match (raw[position], escape_at(raw, position)) {
            (b'%', Some(byte)) => (byte, 3),
            (b'+', _) => (b' ', 1),
            (byte, _) => (byte, 1),
        };
        bytes.push(byte);
        position += length;
    }
    Cow::Owned(bytes)
}

fn decode(raw: &[u8]) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut position = 0;
    while position < raw.len() {
        let byte = match raw[position] {
            b'%' => {
                let byte = escape_at(raw, position).ok_or(QueryError::BadEscape)?;
                position += 2;
                byte
            }
            b'+' => b' ',
            byte => byte,
        };
        if byte == 0 {
            return Err(QueryError::Nul);
        }
        bytes.push(byte);
        position += 1;
    }
    String::from_utf8(bytes).map_err(|_| QueryError::NotUtf8)
}

/// The byte of the `%XX` at a position.
fn escape_at(raw: &[u8], position: usize) -> Option<u8> {
    let high = hex_digit(*raw.get(position + 1)?)?;
    let low = hex_digit(*raw.get(position + 2)?)?;
    Some(high << 4 | low)
}

/// The value of a hexadecimal digit of either case.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode_into(text, &mut encoded);
    encoded
}

/// Appends a text with everything outside `[A-Za-z0-9-._~]` percent-encoded in upper case.
pub(crate) fn encode_into(text: &str, target: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_unreserved(byte) {
            target.push(char::from(byte));
        } else {
            target.push('%');
            target.push(char::from(DIGITS[usize::from(byte >> 4)]));
            target.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
    }
}

/// RFC 3986's unreserved set, the characters that are never encoded.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests;
