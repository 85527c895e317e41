//! The answers themselves: every header a response may carry, and the uniform ones in full.
//!
//! All of them say `no-store`: a cached redirect is a lost click, a cached 404 is a dead link after activation.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

pub type Answer = Response<Full<Bytes>>;

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// The tap's way on; nothing of it may be kept, passed on or indexed.
pub fn redirect(location: HeaderValue) -> Answer {
    // As many as there are: hyper keeps the last answer's map with an idle connection.
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_ROBOTS_TAG, HeaderValue::from_static("noindex"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::FOUND;
    *answer.headers_mut() = headers;
    answer
}

/// Any status with a body of any type; a body without a type is sent without one.
pub fn with_body(status: StatusCode, content_type: Option<HeaderValue>, body: Bytes) -> Answer {
    let mut headers = HeaderMap::with_capacity(8);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// One line of plain text.
pub fn plain(status: StatusCode, line: &'static str) -> Answer {
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    with_body(status, Some(content_type), Bytes::from_static(line.as_bytes()))
}

/// The one answer to everything that is not there: unknown, expired, mistyped, never routed.
pub fn not_found() -> Answer {
    plain(StatusCode::NOT_FOUND, "not found\n")
}

pub fn bad_request(reason: &'static str) -> Answer {
    plain(StatusCode::BAD_REQUEST, reason)
}

pub fn method_not_allowed(allow: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

/// For whoever guesses codes.
pub fn too_many_misses() -> Answer {
    let mut answer = plain(StatusCode::TOO_MANY_REQUESTS, "too many unknown links\n");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    answer
}

/// Not recorded: the sender shall come again.
pub fn unavailable() -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, "try again\n");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// For a request that was not read to its end or cannot be trusted to have one: the connection is not used again.
pub fn closing(status: StatusCode, line: &'static str) -> Answer {
    let mut answer = plain(status, line);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The built-in page loads nothing from anywhere; a page of the operator's own may.
pub fn page(html: Bytes, is_built_in: bool) -> Answer {
    let mut answer = with_body(StatusCode::OK, Some(HeaderValue::from_static("text/html; charset=utf-8")), html);
    answer.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_built_in {
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
