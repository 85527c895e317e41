//! A delivery as it goes over the wire, and what keeps one from being sent.

use super::{MACROS, NUMBERS, Order, Problem, check_body, prepare};
use crate::body_template::BodyError;
use crate::url_template::TemplateError;
use crate::webhook_signature::SigningError;

const ORDER: Order = Order {
    method: "POST",
    url_template: "https://example.com/{click_id}?s={status}",
    body_template: Some("{\"payout\": {payout}}"),
    content_type: Some("application/json"),
    signing: "none",
    secrets: &[],
};

fn value(name: &str) -> Option<&'static str> {
    match name {
        "click_id" => Some("a/b\r\nc"),
        "payout" => Some("12.50"),
        _ => None,
    }
}

#[test]
fn templates_are_filled_in_and_the_id_is_always_sent() {
    let request = prepare(&ORDER, "d1", 0, value).expect("a request");
    assert_eq!(request.url, "https://example.com/a%2Fb%0D%0Ac?s=");
    assert_eq!(request.body.as_deref(), Some("{\"payout\": 12.50}"));
    assert_eq!(
        request.headers,
        [
            ("User-Agent", concat!("postback/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("Idempotency-Key", "d1".to_owned())
        ]
    );
    let bare = prepare(&Order { method: "GET", body_template: None, content_type: None, ..ORDER }, "d1", 0, value);
    assert_eq!(bare.expect("a request").body, None);
}

#[test]
fn the_url_is_the_one_that_goes_over_the_wire() {
    let order = Order { url_template: "HTTPS://EXAMPLE.com:443/a/../b?x='{click_id}'", ..ORDER };
    let request = prepare(&order, "d1", 0, value).expect("a request");
    assert_eq!(request.url, "https://example.com/b?x=%27a%2Fb%0D%0Ac%27");
}

#[test]
fn signed_deliveries_carry_the_proof() {
    let secret = ["0123456789abcdef"];
    let request = prepare(&Order { signing: "hmac_sha256", secrets: &secret, ..ORDER }, "d1", 5, value);
    let (name, proof) = request.expect("a request").headers.remove(2);
    assert_eq!(name, "X-Postback-Signature");
    assert!(proof.starts_with("t=5,v1="), "{proof}");
}

#[test]
fn what_cannot_be_rendered_is_told() {
    let long = "x".repeat(9000);
    for (order, problem) in [
        (Order { url_template: "ftp://example.com/", ..ORDER }, Problem::Url(TemplateError::NotHttp)),
        (Order { body_template: Some("{"), ..ORDER }, Problem::Body(BodyError::NotJson)),
        (Order { content_type: Some("text/xml"), ..ORDER }, Problem::ContentType),
        (Order { content_type: None, ..ORDER }, Problem::ContentType),
        (Order { signing: "rot13", ..ORDER }, Problem::Signing(SigningError::UnknownSigning)),
        (Order { signing: "hmac_sha256", ..ORDER }, Problem::Signing(SigningError::NoSecret)),
        (Order { url_template: "https://example.com/{network}", ..ORDER }, Problem::LongUrl),
    ] {
        let value = |name: &str| if name == "network" { Some(long.as_str()) } else { value(name) };
        assert_eq!(prepare(&order, "d1", 0, value), Err(problem));
    }
}

#[test]
fn numbers_are_macros() {
    assert!(NUMBERS.iter().all(|name| MACROS.contains(name)));
    assert!(check_body("{\"n\": {event_seq}}", Some("application/json")).is_ok());
}
