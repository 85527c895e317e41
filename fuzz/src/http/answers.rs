//! Answers, read strictly, and what holds for each of them.

use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use url::Url;

/// All that the proxy ever says.
const STATUSES: [u16; 12] = [100, 200, 302, 400, 403, 404, 405, 408, 413, 414, 431, 503];

pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
}

/// The answers in a stream, to its last byte. One to a HEAD has a length and no body: the next answer follows, or nothing.
pub fn read_all(stream: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
            panic!("an answer breaks off: {:?}", rest.escape_ascii().to_string());
        };
        let answer = Answer::read(&rest[..end]);
        rest = &rest[end + 4..];
        if !rest.is_empty() && !rest.starts_with(b"HTTP/1.") {
            assert!(rest.len() >= answer.length(), "a body breaks off");
            rest = &rest[answer.length()..];
        }
        answers.push(answer);
    }
    answers
}

impl Answer {
    fn read(head: &[u8]) -> Self {
        let Ok(head) = std::str::from_utf8(head) else { panic!("a head is not text") };
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        assert!(status_line.starts_with("HTTP/1.0 ") || status_line.starts_with("HTTP/1.1 "), "{status_line:?}");
        let Some(Ok(status)) = status_line.get(9..12).map(str::parse) else { panic!("no status in {status_line:?}") };
        let mut headers = HeaderMap::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else { panic!("{line:?} is no header") };
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
                panic!("{line:?} is no header");
            };
            assert!(headers.insert(name, value).is_none(), "{line:?} comes twice");
        }
        Answer { status, headers }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn length(&self) -> usize {
        self.text("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    /// Ours all forbid guessing of types.
    pub fn is_from_hyper(&self) -> bool {
        self.status.is_client_error() && self.text("x-content-type-options").is_none()
    }

    pub fn check(&self) {
        let status = self.status.as_u16();
        assert!(STATUSES.contains(&status), "{status}");
        if status == 100 {
            return;
        }
        assert_eq!(self.text("cache-control"), Some("no-store"), "{status}");
        assert!(self.text("content-length").is_some_and(|length| length.parse::<usize>().is_ok()), "{status}");
        assert_eq!(self.text("location").is_some(), status == 302);
        assert_eq!(self.text("allow").is_some(), status == 405);
        assert_eq!(self.text("retry-after").is_some(), status == 503);
        if let Some(location) = self.text("location") {
            let Ok(url) = Url::parse(location) else { panic!("{location:?} is no URL") };
            assert_eq!(
                (url.scheme(), url.host_str(), url.path()),
                ("https", Some("network.example.com"), "/offer/789")
            );
            assert_eq!((url.query_pairs().count(), url.fragment()), (1, None));
        }
    }
}
