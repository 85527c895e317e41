//! One delivery over HTTP: resolve, check, connect, send, read the head of the answer and a little of its body.
//!
//! Made of hyper's connection alone: no redirects are followed, no proxy of the environment is asked, nothing is
//! unpacked or kept, because there is nothing here that could. A host is resolved once, all its addresses must be
//! public or allowed, and the socket is opened to one of those: no second lookup can lead elsewhere. A connection
//! carries one delivery, since a kept one would outlive the check of its address. Not for: what an answer means for
//! the delivery, which the database decides.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use postback_core::public_address;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

/// How much of an answer's body is read.
const BODY_LIMIT: usize = 4096;

/// How much of that is kept, in characters.
const EXCERPT_LENGTH: usize = 512;

/// The status line has said it all: the body must not hold a slot for as long as a whole delivery may take.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// For one address of several: one that swallows packets leaves time for the next.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The largest head of an answer.
const MAX_HEAD_SIZE: usize = 64 * 1024;

/// What is to be sent.
pub struct Delivery {
    pub id: String,
    pub destination_id: i32,
    pub url: String,
    pub method: String,
    pub content_type: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// From the lookup of the host to the head of the answer.
    pub timeout: Duration,
    /// Networks that may be reached though they are not public.
    pub allowed: Vec<IpNet>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u32>,
    /// Where a redirect leads, as it was written.
    pub location: Option<String>,
    /// The beginning of the body as one line of text.
    pub excerpt: String,
}

/// Why nothing came back. None of these has a URL, a header or a body in its text.
#[derive(Debug)]
pub enum SendError {
    /// It cannot be written as HTTP.
    Illegal(&'static str),
    Unresolved(io::Error),
    /// The address, and what it is instead of public.
    Forbidden(IpAddr, &'static str),
    Unreachable(io::Error),
    Tls(io::Error),
    Broken(hyper::Error),
    TimedOut(Duration),
}

/// Sends deliveries; holds nothing but the certificate authorities.
pub struct Client {
    tls: TlsConnector,
}

impl Client {
    /// Trusts the authorities of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub fn new() -> Result<Self, rustls::Error> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "certificate authorities cannot be read");
        }
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(found.certs).0 == 0 {
            tracing::warn!("no certificate authority is known: deliveries over https will fail");
        }
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Client { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Sends it once.
    pub async fn send(&self, delivery: &Delivery) -> Result<Answer, SendError> {
        let deadline = Instant::now() + delivery.timeout;
        let exchange = timeout_at(deadline, self.exchange(delivery)).await;
        let Exchange { response, connection } = exchange.map_err(|_| SendError::TimedOut(delivery.timeout))??;
        let (head, body) = response.into_parts();
        let excerpt = excerpt(body, deadline.min(Instant::now() + BODY_PATIENCE)).await;
        drop(connection);
        let retry_after = retry_after(&head.headers, SystemTime::now());
        let location = head.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Answer { status: head.status.as_u16(), retry_after, location, excerpt })
    }

    async fn exchange(&self, delivery: &Delivery) -> Result<Exchange, SendError> {
        let url = Url::parse(&delivery.url).map_err(|_| SendError::Illegal("the URL cannot be read"))?;
        let request = request(&url, delivery)?;
        let addresses = permitted(resolve(&url).await?, &delivery.allowed)?;
        let stream = connect(&addresses).await.map_err(SendError::Unreachable)?;
        match url.scheme() {
            "https" => {
                let name =
                    ServerName::try_from(host_name(&url)).map_err(|_| SendError::Illegal("the host is no name"))?;
                speak(self.tls.connect(name, stream).await.map_err(SendError::Tls)?, request).await
            }
            "http" => speak(stream, request).await,
            _ => Err(SendError::Illegal("the scheme is neither http nor https")),
        }
    }
}

/// The head of an answer, and the connection that brings its body.
struct Exchange {
    response: Response<Incoming>,
    /// One task, which ends with this value.
    connection: JoinSet<()>,
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Exchange, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_HEAD_SIZE);
    let (mut sender, driver) = http.handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
    let mut connection = JoinSet::new();
    connection.spawn(async move {
        // What breaks here is told to whoever waits for the answer.
        let _ = driver.await;
    });
    let response = sender.send_request(request).await.map_err(SendError::Broken)?;
    Ok(Exchange { response, connection })
}

fn request(url: &Url, delivery: &Delivery) -> Result<Request<Full<Bytes>>, SendError> {
    let target = url[Position::BeforePath..Position::AfterQuery].parse::<Uri>();
    let target = target.map_err(|_| SendError::Illegal("the path or the query cannot be sent"))?;
    let method = Method::from_bytes(delivery.method.as_bytes());
    let method = method.map_err(|_| SendError::Illegal("the method is none"))?;
    let mut headers = HeaderMap::with_capacity(delivery.headers.len() + 3);
    for (name, value) in &delivery.headers {
        let name = HeaderName::try_from(name).map_err(|_| SendError::Illegal("a header has an illegal name"))?;
        headers.insert(name, header_value(value)?);
    }
    if let Some(content_type) = &delivery.content_type {
        headers.insert(CONTENT_TYPE, header_value(content_type)?);
    }
    headers.insert(HOST, header_value(&url[Position::BeforeHost..Position::AfterPort])?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let body = delivery.body.as_ref().map(|body| Bytes::copy_from_slice(body.as_bytes()));
    let mut request = Request::new(Full::new(body.unwrap_or_default()));
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.headers_mut() = headers;
    Ok(request)
}

fn header_value(text: &str) -> Result<HeaderValue, SendError> {
    HeaderValue::from_str(text).map_err(|_| SendError::Illegal("a header has an illegal value"))
}

/// For the certificate; IPv6 without its brackets.
fn host_name(url: &Url) -> String {
    match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        host => host.map(|host| host.to_string()).unwrap_or_default(),
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, SendError> {
    let port = url.port_or_known_default().ok_or(SendError::Illegal("the URL has no port"))?;
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(vec![SocketAddr::from((address, port))]),
        Some(Host::Ipv6(address)) => Ok(vec![SocketAddr::from((address, port))]),
        Some(Host::Domain(name)) => Ok(lookup_host((name, port)).await.map_err(SendError::Unresolved)?.collect()),
        None => Err(SendError::Illegal("the URL has no host")),
    }
}

/// All of them, or the first one that must not be reached: a name that leads both outside and inside is a trick.
fn permitted(addresses: Vec<SocketAddr>, allowed: &[IpNet]) -> Result<Vec<SocketAddr>, SendError> {
    for address in addresses.iter().map(SocketAddr::ip) {
        if let Some(what) = public_address::refusal(address)
            && !allowed.iter().any(|network| network.contains(&address.to_canonical()))
        {
            return Err(SendError::Forbidden(address, what));
        }
    }
    Ok(addresses)
}

/// The first of them that accepts, in the resolver's order.
async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small and wait for nothing.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// What came of the body until the limit or the deadline; that it breaks off changes nothing.
async fn excerpt(mut body: Incoming, deadline: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < BODY_LIMIT
        && let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await
    {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data[..data.len().min(BODY_LIMIT - bytes.len())]);
        }
    }
    one_line(&String::from_utf8_lossy(&bytes))
}

fn one_line(text: &str) -> String {
    let visible = text.trim().chars().take(EXCERPT_LENGTH);
    visible.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Seconds or a date, as RFC 9110 has it; a date in the past is "now".
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u32> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(u32::MAX));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let wait = until.duration_since(now).unwrap_or_default();
    Some(u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX))
}

impl SendError {
    /// The word for it in the metrics.
    pub fn label(&self) -> &'static str {
        match self {
            SendError::Illegal(_) => "illegal",
            SendError::Unresolved(_) => "unresolved",
            SendError::Forbidden(..) => "forbidden_address",
            SendError::Unreachable(_) => "unreachable",
            SendError::Tls(_) => "tls",
            SendError::Broken(_) => "broken",
            SendError::TimedOut(_) => "timeout",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Illegal(problem) => formatter.write_str(problem),
            SendError::Unresolved(error) => write!(formatter, "the host cannot be resolved: {error}"),
            SendError::Forbidden(address, what) => write!(formatter, "the host is at \"{address}\", which is {what}"),
            SendError::Unreachable(error) => write!(formatter, "no connection: {}", error.kind()),
            SendError::Tls(error) => write!(formatter, "no TLS connection: {error}"),
            SendError::Broken(error) => match error.source() {
                Some(cause) => write!(formatter, "no answer: {error}: {cause}"),
                None => write!(formatter, "no answer: {error}"),
            },
            SendError::TimedOut(after) => write!(formatter, "no answer within {} ms", after.as_millis()),
        }
    }
}

impl Error for SendError {}

#[cfg(test)]
mod tests;
