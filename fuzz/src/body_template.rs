//! A value cannot leave its place in a body: JSON stays JSON of the same shape, a form keeps its parameters.
//!
//! Input: `json` or `form`, the values one a line up to an empty line, then the template.

use crate::value_of;
use postback_core::body_template::{BodyTemplate, Format};
use serde_json::Value;

const NAMES: [&str; 5] = ["click_id", "transaction_id", "payout", "status", "sub1"];
const NUMBERS: [&str; 1] = ["payout"];

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some((format, rest)) = text.split_once('\n') else { return };
    let (values, template) = rest.split_once("\n\n").unwrap_or(("", rest));
    let values: Vec<String> = values.split('\n').map(str::to_owned).collect();
    let format = if format == "json" { Format::Json } else { Format::Form };
    let Ok(template) = BodyTemplate::parse(template, format, &NAMES, &NUMBERS) else { return };
    let value = |name: &str| match NUMBERS.contains(&name) {
        true => Some("12.50"),
        false => value_of(name, &values).map(|place| values[place].as_str()),
    };
    let (sample, real) = (template.render(|_| Some("0")), template.render(value));
    match format {
        Format::Json => match (serde_json::from_str(&sample), serde_json::from_str(&real)) {
            (Ok(sample), Ok(real)) => is_alike(&sample, &real),
            _ => panic!("{real:?} is not JSON"),
        },
        Format::Form => {
            assert_eq!(separators(&real), separators(&sample));
            let count = |body: &str| url::form_urlencoded::parse(body.as_bytes()).count();
            assert_eq!(count(&template.render(|_| Some("a&b=c"))), count(&sample));
        }
    }
}

fn separators(body: &str) -> Vec<char> {
    body.chars().filter(|character| "&=;#?".contains(*character)).collect()
}

/// Lists keep their length and objects their keys, unless a macro stands in a key and makes two alike.
fn is_alike(one: &Value, other: &Value) {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len());
            one.iter().zip(other).for_each(|(one, other)| is_alike(one, other));
        }
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                if let Some(found) = other.get(key) {
                    is_alike(value, found);
                }
            }
            assert!(one.is_empty() == other.is_empty());
        }
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            panic!("{one} has become {other}")
        }
        _ => {}
    }
}
