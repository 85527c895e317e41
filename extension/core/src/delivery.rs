//! One delivery made ready to send: URL, body and headers from the templates of its destination.
//!
//! Not for: sending it, or deciding when.

use crate::body_template::{BodyError, BodyTemplate, Format};
use crate::url_template::{TemplateError, UrlTemplate};
use crate::webhook_signature::{self, Message, Signing, SigningError};
use serde_json::Value;
use std::fmt;
use url::Url;

/// The longest URL that is sent, in bytes. Many servers refuse longer ones.
pub const MAX_URL_LENGTH: usize = 8192;

/// The macros of a destination's URL and body.
pub const MACROS: &[&str] = &[
    "delivery_id",
    "conversion_id",
    "event_seq",
    "click_id",
    "transaction_id",
    "network",
    "offer_id",
    "campaign_id",
    "segment_id",
    "variant_id",
    "send_id",
    "subscriber_id",
    "status",
    "event",
    "payout",
    "payout_delta",
    "currency",
    "clicked_at",
    "converted_at",
    "converted_at_unix",
    "event_at",
    "event_at_unix",
    "alert_id",
    "alert",
    "subject",
    "severity",
    "message",
];

/// Those of them that stand for a number.
pub const NUMBERS: &[&str] = &[
    "event_seq",
    "offer_id",
    "campaign_id",
    "segment_id",
    "variant_id",
    "send_id",
    "subscriber_id",
    "payout",
    "payout_delta",
    "converted_at_unix",
    "event_at_unix",
    "alert_id",
];

/// What a destination wants to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub method: &'a str,
    pub url_template: &'a str,
    pub body_template: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub signing: &'a str,
    pub secrets: &'a [&'a str],
}

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub url: String,
    pub body: Option<String>,
    pub headers: Vec<(&'static str, String)>,
}

impl Request {
    /// The headers as a JSON object.
    pub fn headers_json(&self) -> Value {
        self.headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect()
    }
}

/// Why a delivery cannot be sent. Holds neither a URL nor a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    Url(TemplateError),
    Body(BodyError),
    Signing(SigningError),
    /// A body without a content type whose escaping is known.
    ContentType,
    /// The URL became longer than [`MAX_URL_LENGTH`].
    LongUrl,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Url(error) => error.fmt(formatter),
            Problem::Body(error) => error.fmt(formatter),
            Problem::Signing(error) => error.fmt(formatter),
            Problem::ContentType => formatter
                .write_str("the content type is neither application/json nor application/x-www-form-urlencoded"),
            Problem::LongUrl => write!(formatter, "the URL became longer than {MAX_URL_LENGTH} bytes"),
        }
    }
}

impl std::error::Error for Problem {}

/// Checks the template of a body.
pub fn check_body(body_template: &str, content_type: Option<&str>) -> Result<BodyTemplate, Problem> {
    let format = content_type.and_then(Format::of).ok_or(Problem::ContentType)?;
    BodyTemplate::parse(body_template, format, MACROS, NUMBERS).map_err(Problem::Body)
}

/// Fills in the templates and signs the result as sent at `unix_seconds`.
pub fn prepare<'a>(
    order: &Order,
    delivery_id: &str,
    unix_seconds: i64,
    value: impl Fn(&str) -> Option<&'a str>,
) -> Result<Request, Problem> {
    let url = UrlTemplate::parse(order.url_template, MACROS).map_err(Problem::Url)?.render(&value);
    // As it goes over the wire, so that a receiver can verify what it sees: HTTP clients rewrite some characters.
    let url = String::from(Url::parse(&url).map_err(|_| Problem::Url(TemplateError::BadHost))?);
    if url.len() > MAX_URL_LENGTH {
        return Err(Problem::LongUrl);
    }
    let body = match order.body_template {
        Some(template) => Some(check_body(template, order.content_type)?.render(&value)),
        None => None,
    };
    let message = Message {
        id: delivery_id,
        unix_seconds,
        method: order.method,
        url: &url,
        body: body.as_deref().unwrap_or_default(),
    };
    let mut headers = vec![
        ("User-Agent", concat!("postback/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("Idempotency-Key", delivery_id.to_owned()),
    ];
    let signing: Signing = order.signing.parse().map_err(Problem::Signing)?;
    headers.extend(webhook_signature::headers(signing, message, order.secrets).map_err(Problem::Signing)?);
    Ok(Request { url, body, headers })
}

#[cfg(test)]
mod tests;
