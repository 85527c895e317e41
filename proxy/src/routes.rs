//! The route table of the public listener.
//!
//! | path | methods | answered by |
//! |---|---|---|
//! | `/` | GET, HEAD | `page.rs` |
//! | `/click` | GET, HEAD | `redirect.rs`: a tap on a link minted elsewhere |
//! | `/postback`, `/postback/{network}`, `/postback/{network}/{token}` | GET, POST | `postback.rs` |
//! | `/{code}` | GET, HEAD | `redirect.rs`: a tap on a link of ours |
//! | anything else | any | one and the same 404 |
//!
//! A client that taps unknown links again and again gets 429 for further ones, and is redirected all the same by those that exist.
//! Checked before the table, in this order: Host (400), length of path and query (414). A known path with another
//! method is 405. Paths are compared as they came: no decoding, no `..`, no second slash. Of an absolute-form target
//! only path and query count; no answer depends on the host.

use crate::answer::{self, Answer};
use crate::batch::Queue;
use crate::client_address::client_address;
use crate::directory::Directory;
use crate::host;
use crate::metrics::{Metrics, RouteLabel};
use crate::misses::Misses;
use crate::page::Page;
use crate::postback::{self, Postback, PostbackAnswer};
use crate::redirect::{self, KnownKey, Tap, TapAnswer};
use crate::server::Handler;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest path and query together.
const MAX_TARGET_LENGTH: usize = 8 * 1024;

/// Everything the routes need.
pub struct Routes {
    pub trusted_proxies: Vec<IpNet>,
    pub page: Page,
    pub metrics: Arc<Metrics>,
    pub body_deadline: Duration,
    /// `None`: anybody may miss as often as they like.
    pub misses: Option<Misses>,
    pub backend: Backend,
}

/// What stands behind the routes.
pub enum Backend {
    /// The database, through its queues.
    Recording {
        clicks: Queue<Tap, TapAnswer>,
        foreign_clicks: Queue<Tap, TapAnswer>,
        postbacks: Queue<Postback, PostbackAnswer>,
        key: Arc<KnownKey>,
        directory: Option<Arc<Directory>>,
    },
    /// Load tests: every GET goes there, nothing is recorded.
    Fixed(HeaderValue),
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Page,
    Click,
    Postback,
    /// With the length of the code.
    Code(usize),
    Unknown,
}

fn route(path: &str) -> Route {
    match path {
        "/" => Route::Page,
        "/click" | "/click/" => Route::Click,
        _ if postback::address(path).is_some() => Route::Postback,
        _ => match path.strip_prefix('/').and_then(redirect::code_in) {
            Some(code) => Route::Code(code.len()),
            None => Route::Unknown,
        },
    }
}

impl Route {
    fn label(&self) -> RouteLabel {
        match self {
            Route::Page => RouteLabel::Page,
            Route::Click => RouteLabel::Click,
            Route::Postback => RouteLabel::Postback,
            Route::Code(_) => RouteLabel::Code,
            Route::Unknown => RouteLabel::Other,
        }
    }

    /// The methods in the words of the Allow header, when this one is not among them.
    fn refuses(&self, method: &Method) -> Option<&'static str> {
        match self {
            Route::Page | Route::Click | Route::Code(_) => {
                (!matches!(*method, Method::GET | Method::HEAD)).then_some("GET, HEAD")
            }
            Route::Postback => (!matches!(*method, Method::GET | Method::POST)).then_some("GET, POST"),
            Route::Unknown => None,
        }
    }
}

impl Handler for Routes {
    async fn handle(&self, peer: IpAddr, request: Request<Incoming>) -> Answer {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            let (route, answer) = self.answer(peer, request).await;
            self.metrics.count_request(route, answer.status());
            return answer;
        }
        let started = Instant::now();
        let client = client_address(peer, request.headers(), &self.trusted_proxies);
        let (route, answer) = self.answer(peer, request).await;
        self.metrics.count_request(route, answer.status());
        log_access(client, route, answer.status(), started.elapsed());
        answer
    }
}

impl Routes {
    async fn answer(&self, peer: IpAddr, request: Request<Incoming>) -> (RouteLabel, Answer) {
        if let Some(refusal) = refusal(&request) {
            return (RouteLabel::Other, refusal);
        }
        let route = route(request.uri().path());
        let label = route.label();
        if let Some(allow) = route.refuses(request.method()) {
            return (label, answer::method_not_allowed(allow));
        }
        let (clicks, foreign_clicks, postbacks, key, directory) = match &self.backend {
            Backend::Recording { clicks, foreign_clicks, postbacks, key, directory } => {
                (clicks, foreign_clicks, postbacks, key, directory.as_deref())
            }
            Backend::Fixed(location) => return (label, answer::redirect(location.clone())),
        };
        let client = client_address(peer, request.headers(), &self.trusted_proxies);
        let (request, body) = request.into_parts();
        let answer = match route {
            Route::Page => self.page.answer(),
            Route::Click => redirect::tap_campaign(foreign_clicks, client, request).await,
            Route::Postback => postback::receive(postbacks, client, self.body_deadline, request, body).await,
            Route::Code(length) => {
                let code = request.uri.path().get(1..=length).unwrap_or_default();
                let misses = self.misses.as_ref();
                if misses.is_some_and(|misses| misses.are_too_many(client))
                    && directory.is_some_and(|directory| directory.is_surely_unknown(code))
                {
                    return (label, answer::too_many_misses());
                }
                let answer = redirect::tap_code(clicks, foreign_clicks, key, directory, client, length, request).await;
                if let Some(misses) = misses
                    && answer.status() == StatusCode::NOT_FOUND
                {
                    misses.count(client);
                }
                answer
            }
            Route::Unknown => answer::not_found(),
        };
        (label, answer)
    }
}

/// What no route shall see.
fn refusal(request: &Request<Incoming>) -> Option<Answer> {
    if !host::is_acceptable(request.version(), request.headers()) {
        // Whoever sent this may see request boundaries elsewhere than we do.
        let reason = "the Host header is missing, repeated or malformed\n";
        return Some(answer::closing(StatusCode::BAD_REQUEST, reason));
    }
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if length > MAX_TARGET_LENGTH {
        return Some(answer::plain(StatusCode::URI_TOO_LONG, "the path and query are longer than 8 KiB\n"));
    }
    if uri.path().starts_with('/') {
        return None;
    }
    // `OPTIONS *` and CONNECT's authority form are legal targets of methods that no route has.
    Some(match *request.method() {
        Method::OPTIONS | Method::CONNECT => answer::method_not_allowed("GET, HEAD, POST"),
        _ => answer::bad_request("the request target does not start with a slash\n"),
    })
}

/// For debugging only, and even then no code, query or full address.
fn log_access(client: IpAddr, route: RouteLabel, status: StatusCode, took: Duration) {
    let network = match client {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).map(|network| IpNet::V4(network.trunc())),
        IpAddr::V6(address) => Ipv6Net::new(address, 48).map(|network| IpNet::V6(network.trunc())),
    };
    let network = network.map(|network| network.to_string()).unwrap_or_default();
    let milliseconds = took.as_secs_f64() * 1000.0;
    tracing::debug!(network, ?route, status = status.as_u16(), milliseconds, "answered");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_table_says() {
        assert_eq!(route("/"), Route::Page);
        assert_eq!(route("/click"), Route::Click);
        assert_eq!(route("/postback"), Route::Postback);
        assert_eq!(route("/postback/tune/token"), Route::Postback);
        assert_eq!(route("/4KdXyZ01abc"), Route::Code(11));
        assert_eq!(route("/4KdXyZ01abc)."), Route::Code(11));
        assert_eq!(route("/a"), Route::Code(1));
    }

    #[test]
    fn everything_else_is_unknown() {
        let long = format!("/{}", "a".repeat(65));
        for path in [
            "/favicon.ico",
            "/robots.txt",
            "//a",
            "/a/b",
            "/a//",
            "/click//",
            "/postback//",
            "/%2e",
            "/%00",
            "/.well-known/x",
            long.as_str(),
        ] {
            assert_eq!(route(path), Route::Unknown, "{path}");
        }
        assert_eq!((route("/a/"), route("/a%00"), route("/click/")), (Route::Code(1), Route::Code(1), Route::Click));
    }

    #[test]
    fn methods_outside_the_table_are_refused() {
        assert_eq!(route("/a").refuses(&Method::HEAD), None);
        assert_eq!(route("/a").refuses(&Method::POST), Some("GET, HEAD"));
        assert_eq!(route("/postback").refuses(&Method::HEAD), Some("GET, POST"));
        assert_eq!(route("/postback").refuses(&Method::POST), None);
        assert_eq!(route("/click").refuses(&Method::from_bytes(b"get").unwrap()), Some("GET, HEAD"));
    }
}
