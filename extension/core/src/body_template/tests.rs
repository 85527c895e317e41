//! A value stays in its place, whatever it is, and a template that could not keep it there is refused.

use super::{BodyError, BodyTemplate, Format};
use crate::query_string;
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(text: &str, format: Format) -> Result<BodyTemplate, BodyError> {
    BodyTemplate::parse(text, format, &["click_id", "payout"], &["payout"])
}

fn render(text: &str, format: Format, click_id: Option<&str>, payout: Option<&str>) -> String {
    parse(text, format).expect(text).render(|name| if name == "click_id" { click_id } else { payout })
}

#[test]
fn values_take_the_form_of_their_place() {
    let template = r#"{"a": "x-{click_id}", "b": {click_id}, "c": {payout}, "d": {}, "e": "\"{payout}", "f": "{A b}"}"#;
    assert_eq!(
        render(template, Format::Json, Some("a\"b\\\n"), Some("12.50")),
        r#"{"a": "x-a\"b\\\n", "b": "a\"b\\\n", "c": 12.50, "d": {}, "e": "\"12.50", "f": "{A b}"}"#
    );
    assert_eq!(
        render(template, Format::Json, None, None),
        r#"{"a": "x-", "b": null, "c": null, "d": {}, "e": "\"", "f": "{A b}"}"#
    );
    assert_eq!(render("c={click_id}&p={payout}", Format::Form, Some("a&b=c d"), None), "c=a%26b%3Dc%20d&p=");
}

#[test]
fn unsafe_templates_are_refused() {
    for (text, error) in [
        ("{\"a\": {clickid}}", BodyError::UnknownMacro("clickid".to_owned())),
        ("{\"a\": \"{clickid}\"}", BodyError::UnknownMacro("clickid".to_owned())),
        ("{\"a\": {click_id}", BodyError::NotJson),
        ("{\"a\": 1{payout}}", BodyError::NotJson),
        ("{\"a\": \"\\{click_id}\"}", BodyError::NotJson),
        ("{\"a\": \"\\u00{payout}\"}", BodyError::NotJson),
        ("", BodyError::NotJson),
        ("c={click_id}", BodyError::NotJson),
    ] {
        assert_eq!(parse(text, Format::Json).err(), Some(error), "{text}");
    }
    for (text, error) in [
        ("c={click_id} ", BodyError::BadCharacter(' ')),
        ("c={click_id}\n", BodyError::BadCharacter('\n')),
        ("c={click_id", BodyError::BadCharacter('{')),
        ("c={clickid}", BodyError::UnknownMacro("clickid".to_owned())),
        ("c=%{payout}", BodyError::BrokenEscape),
    ] {
        assert_eq!(parse(text, Format::Form).err(), Some(error), "{text}");
    }
    assert_eq!(parse(&" ".repeat(65_537), Format::Json).err(), Some(BodyError::TooLong));
}

#[test]
fn other_content_types_have_no_format() {
    assert_eq!(Format::of("application/json"), Some(Format::Json));
    assert_eq!(Format::of("application/x-www-form-urlencoded"), Some(Format::Form));
    assert_eq!(Format::of("text/xml"), None);
}

proptest! {
    #[test]
    fn a_json_value_arrives_as_it_was(value: String) {
        let body = render(r#"{"inside": "<{click_id}>", "alone": {click_id}}"#, Format::Json, Some(&value), None);
        let read: Value = serde_json::from_str(&body).expect("JSON");
        prop_assert_eq!(read, json!({"inside": format!("<{value}>"), "alone": value}));
    }

    #[test]
    fn a_form_value_arrives_as_it_was(value in "[^\\x00]*") {
        let body = render("a=1&c={click_id}&z=2", Format::Form, Some(&value), None);
        let read = query_string::parse(body.as_bytes()).expect("a form");
        let values: Vec<&str> = read.iter().map(|parameter| parameter.value.as_str()).collect();
        prop_assert_eq!(values, ["1", value.as_str(), "2"]);
    }
}
