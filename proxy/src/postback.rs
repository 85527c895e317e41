//! `/postback`: a network's message, handed to the database as it came, answered as the database says.
//!
//! Nothing is interpreted here. Who may send, what a parameter means and what the network wants to hear is decided in
//! the extension, over the raw bytes, so that what was signed is what is read.

use crate::answer::{self, Answer};
use crate::batch::Queue;
use crate::redirect::{new_id, text_of};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode};
use postback_core::click_id::{BUCKETS, ClickIdText};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// The largest body that is read.
pub const MAX_BODY_LENGTH: usize = 64 * 1024;

const MAX_CONTENT_TYPE_LENGTH: usize = 256;
const MAX_NETWORK_LENGTH: usize = 64;

const PREFIX: &str = "/postback";

/// One message, as the database wants to know it.
pub struct Postback {
    /// Says when it came, and makes a second try harmless.
    pub id: ClickIdText,
    pub client: IpAddr,
    pub body: Option<Bytes>,
    pub(crate) target: PathAndQuery,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) is_post: bool,
}

/// What the network gets to hear.
pub struct PostbackAnswer {
    pub status: StatusCode,
    pub content_type: Option<HeaderValue>,
    pub body: Bytes,
}

impl Postback {
    pub fn network(&self) -> Option<&str> {
        address(self.path()).and_then(|address| address.network)
    }

    pub fn token(&self) -> Option<&str> {
        address(self.path()).and_then(|address| address.token)
    }

    pub fn method(&self) -> &'static str {
        if self.is_post { "POST" } else { "GET" }
    }

    pub fn path(&self) -> &str {
        self.target.path()
    }

    pub fn query(&self) -> Option<&[u8]> {
        self.target.query().map(str::as_bytes)
    }

    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.content_type.as_ref().map(|value| text_of(value, MAX_CONTENT_TYPE_LENGTH))
    }
}

/// The segments after `/postback`.
#[derive(Debug, PartialEq, Eq)]
pub struct Address<'a> {
    pub network: Option<&'a str>,
    pub token: Option<&'a str>,
}

/// Reads a path; `None` when it is not one of the three forms, with or without a slash at its end. A token may be anything: a wrong
/// one is recorded.
pub fn address(path: &str) -> Option<Address<'_>> {
    let rest = path.strip_suffix('/').unwrap_or(path).strip_prefix(PREFIX)?;
    if rest.is_empty() {
        return Some(Address { network: None, token: None });
    }
    let rest = rest.strip_prefix('/')?;
    let (network, token) = match rest.split_once('/') {
        Some((network, token)) => (network, Some(token)),
        None => (rest, None),
    };
    let is_network = !network.is_empty()
        && network.len() <= MAX_NETWORK_LENGTH
        && network.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
        && network.bytes().any(|byte| byte != b'.');
    let is_token = token.is_none_or(|token| !token.is_empty() && !token.contains('/'));
    (is_network && is_token).then_some(Address { network: Some(network), token })
}

/// `GET|POST /postback…`. The path is known to be one of the three forms.
pub async fn receive(
    queue: &Queue<Postback, PostbackAnswer>,
    client: IpAddr,
    deadline: Duration,
    request: Parts,
    body: Incoming,
) -> Answer {
    let is_post = request.method == Method::POST;
    let body = match is_post {
        true => match read_body(body, deadline).await {
            Ok(body) => Some(body),
            Err(refusal) => return refusal,
        },
        false => None,
    };
    let Some(target) = request.uri.path_and_query().cloned() else {
        return answer::not_found();
    };
    let content_type = if is_post { request.headers.get(CONTENT_TYPE).cloned() } else { None };
    let id = new_id(rand::random_range(0..BUCKETS));
    match queue.ask(Postback { id, client, body, target, content_type, is_post }).await {
        Some(PostbackAnswer { status, content_type, body }) => answer::with_body(status, content_type, body),
        None => answer::unavailable(),
    }
}

async fn read_body(body: Incoming, deadline: Duration) -> Result<Bytes, Answer> {
    const TOO_LARGE: &str = "the body is larger than 64 KiB\n";
    if body.size_hint().lower() > MAX_BODY_LENGTH as u64 {
        return Err(answer::closing(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE));
    }
    match timeout(deadline, Limited::new(body, MAX_BODY_LENGTH).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(answer::closing(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE))
        }
        Ok(Err(_)) => Err(answer::closing(StatusCode::BAD_REQUEST, "the body cannot be read\n")),
        Err(_) => Err(answer::closing(StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_of_address() {
        assert_eq!(address("/postback"), Some(Address { network: None, token: None }));
        assert_eq!(address("/postback/"), Some(Address { network: None, token: None }));
        assert_eq!(address("/postback/tune/"), Some(Address { network: Some("tune"), token: None }));
        assert_eq!(address("/postback/tune/s3/"), Some(Address { network: Some("tune"), token: Some("s3") }));
        assert_eq!(address("/postback/tune"), Some(Address { network: Some("tune"), token: None }));
        assert_eq!(address("/postback/tune/s3%00"), Some(Address { network: Some("tune"), token: Some("s3%00") }));
    }

    #[test]
    fn other_paths_are_no_address() {
        for path in [
            "/postbacks",
            "/Postback",
            "/postback//x",
            "/postback//",
            "/postback/tune//",
            "/postback/tune/a/b",
            "/postback/..",
            "/postback/%2e%2e",
            "/postback/a%20b",
        ] {
            assert_eq!(address(path), None, "{path}");
        }
    }
}
