//! What must hold for any bytes that come from outside: one module per target, `check(data)` panics when it does not.
//!
//! `make fuzz` runs each under libFuzzer, `tests/corpus.rs` runs each over its corpus in `make test`. An input is text where it can
//! be, so that the corpus can be read: parts are lines. Errors are fine here; what must not be is said in each module.

pub mod body_template;
pub mod client_address;
pub mod http;
pub mod money;
pub mod proxy_protocol;
pub mod query_string;
pub mod short_code;
pub mod spool_record;
pub mod url_template;

/// The input up to the first line feed as text, and the lines behind it.
pub(crate) fn lines(data: &[u8]) -> (String, Vec<&[u8]>) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    (String::from_utf8_lossy(first).into_owned(), lines.collect())
}

/// The value for a macro: each name has a line, the same in every run; none when there are no lines.
pub(crate) fn value_of(name: &str, values: &[String]) -> Option<usize> {
    let place = name.bytes().fold(0_usize, |sum, byte| sum * 31 % 65_521 + usize::from(byte));
    (!values.is_empty()).then(|| place % values.len())
}
