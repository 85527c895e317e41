//! Accepting connections and seeing them through: limits, deadlines, drain. What is answered is the handler's business.
//!
//! One task per connection, none per request. hyper gives the deadline for headers (which is also the one for idling)
//! and the limits of a message's head; `client_stream.rs` gives the deadline for writing. Where a load balancer stands before us, its
//! PROXY header comes first.

use crate::answer::Answer;
use crate::client_address::is_trusted;
use crate::client_stream::ClientStream;
use crate::proxy_protocol;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

/// For a whole request head; between requests, for the next one.
const HEADER_DEADLINE: Duration = Duration::from_secs(15);

/// Room for a head with a 64 KiB user agent, which is answered like any other.
const MAX_BUFFER_SIZE: usize = 96 * 1024;

/// After so long a connection is closed behind its next answer, so that load balancers spread clients anew.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(3600);

/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, peer: IpAddr, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// How far the shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Running,
    /// No new connections; open requests are answered.
    Draining,
    /// Time is up.
    Closing,
}

/// How many connections may be open, where to count them and what they bring that is no HTTP, and who must begin them with a PROXY header.
pub struct Limits {
    pub connections: usize,
    pub open: Gauge,
    pub unreadable: Counter,
    /// The load balancers, where all connections come through one.
    pub balancers: Option<Arc<[IpNet]>>,
}

/// Serves until the drain is over: returns when no connection is left or the phase is `Closing`.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    limits: Limits,
    mut phase: watch::Receiver<Phase>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let http = Arc::new(http());
    let mut until_draining = phase.clone();
    let mut draining = pin!(reached(&mut until_draining, Phase::Draining));
    loop {
        let (stream, peer, slot) = tokio::select! {
            _ = &mut draining => break,
            accepted = accept(&listener, &slots) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let (handler, balancers) = (Arc::clone(&handler), limits.balancers.clone());
        let (http, phase) = (Arc::clone(&http), phase.clone());
        let (open, unreadable) = (limits.open.clone(), limits.unreadable.clone());
        tokio::spawn(async move {
            open.inc();
            if let Some((stream, peer)) = introduced(stream, peer, balancers.as_deref()).await {
                let ended = Connection::new(handler, peer).serve(&http, stream, phase).await;
                if ended.is_err_and(|error| error.is_parse()) {
                    unreadable.inc();
                }
            }
            open.dec();
            drop(slot);
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    tokio::select! {
        _ = slots.acquire_many(all) => {}
        () = reached(&mut phase, Phase::Closing) => {
            // The connections see the phase too; they get a moment to let go of what they hold.
            let _ = timeout(Duration::from_millis(200), slots.acquire_many(all)).await;
            let left = limits.connections - slots.available_permits();
            if left > 0 {
                tracing::warn!(connections = left, "the drain was cut short");
            }
        }
    }
}

/// Waits for a phase or a later one; a dropped sender is the end of everything.
pub async fn reached(current: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = current.wait_for(|current| *current >= phase).await;
}

/// How HTTP is spoken on every connection.
pub fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_BUFFER_SIZE)
        .half_close(true)
        // Answers are one small buffer.
        .writev(false);
    http
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and wait for nothing.
            stream.set_nodelay(true).ok()?;
            Some((stream, peer.ip(), slot))
        }
        Err(error) if is_about_one_connection(&error) => None,
        Err(error) => {
            tracing::error!(%error, "connections cannot be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// The stream behind its PROXY header and the peer that this names; `None` when the header is missing, late or not this peer's to send.
async fn introduced(mut stream: TcpStream, peer: IpAddr, balancers: Option<&[IpNet]>) -> Option<(TcpStream, IpAddr)> {
    let Some(balancers) = balancers else { return Some((stream, peer)) };
    if !is_trusted(peer.to_canonical(), balancers) {
        return None;
    }
    let client = timeout(HEADER_DEADLINE, proxy_protocol::read(&mut stream)).await.ok()?.ok()?;
    Some((stream, client.unwrap_or(peer)))
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Who answers a client, and where that one is.
pub struct Connection<H> {
    handler: Arc<H>,
    peer: IpAddr,
    since: Instant,
}

impl<H: Handler> Connection<H> {
    pub fn new(handler: Arc<H>, peer: IpAddr) -> Self {
        Connection { handler, peer, since: Instant::now() }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut answer = self.handler.handle(self.peer, request).await;
        // Looked at here, for a timer of its own would be memory that each idle connection holds.
        if self.since.elapsed() >= MAX_CONNECTION_AGE {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Sees a connection through, whatever carries its bytes. What goes wrong on it is the client's doing: bad syntax, deadlines, resets.
    /// hyper has answered it.
    pub async fn serve<S>(
        self,
        http: &http1::Builder,
        stream: S,
        mut phase: watch::Receiver<Phase>,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let this = Arc::new(self);
        let service = service_fn(|request| {
            let this = Arc::clone(&this);
            // hyper keeps room for it on every connection: in a box an idle one holds nothing of a request.
            Box::pin(async move { Ok::<_, Infallible>(this.answer(request).await) })
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(ClientStream::new(stream)), service));
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = reached(&mut phase, Phase::Draining) => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            biased;
            ended = connection => ended,
            () = reached(&mut phase, Phase::Closing) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    struct NotFound;

    impl Handler for NotFound {
        async fn handle(&self, _: IpAddr, _: Request<Incoming>) -> Answer {
            answer::not_found()
        }
    }

    /// A client's end of a connection that is being served, and who ends it with the proxy.
    fn connected() -> (DuplexStream, watch::Sender<Phase>) {
        let (client, stream) = duplex(1024);
        let (phase, phases) = watch::channel(Phase::Running);
        let connection = Connection::new(Arc::new(NotFound), IpAddr::from([127, 0, 0, 1]));
        tokio::spawn(async move { connection.serve(&http(), stream, phases).await });
        (client, phase)
    }

    /// A server on a socket of its own, and who ends it.
    async fn listening(connections: usize, balancers: Option<Arc<[IpNet]>>) -> (SocketAddr, watch::Sender<Phase>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (phase, phases) = watch::channel(Phase::Running);
        let limits = Limits { connections, open: Gauge::default(), unreadable: Counter::default(), balancers };
        tokio::spawn(serve(listener, Arc::new(NotFound), limits, phases));
        (address, phase)
    }

    #[tokio::test]
    async fn a_client_above_the_limit_waits_until_another_has_gone() {
        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (address, _phase) = listening(2, None).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(REQUEST).await.unwrap();
            clients.push(client);
        }
        let mut third = clients.pop().unwrap();
        let mut byte = [0];
        for client in &mut clients {
            client.read_exact(&mut byte).await.unwrap();
        }
        // The others have been asked and answered once more: it had its chance.
        for client in &mut clients {
            client.write_all(REQUEST).await.unwrap();
            let mut answers = [0; 1024];
            let mut seen = 0;
            while !answers[..seen].ends_with(b"not found\n") {
                seen += client.read(&mut answers[seen..]).await.unwrap();
            }
        }
        assert_eq!(third.try_read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        clients.pop();
        third.read_exact(&mut byte).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_balancer_that_sends_no_header_is_hung_up_on_at_the_deadline() {
        for begun in ["", "PROXY TCP4 ", "\r\n\r\n\0\r\nQUIT\n\x21"] {
            let (address, _phase) = listening(2, Some(Arc::from(["127.0.0.1/32".parse().unwrap()]))).await;
            let start = Instant::now();
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(begun.as_bytes()).await.unwrap();
            let ended = client.read(&mut [0]).await;
            assert!(ended.is_err() || ended.is_ok_and(|length| length == 0), "{begun:?}");
            assert_eq!(start.elapsed().as_secs(), HEADER_DEADLINE.as_secs(), "{begun:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_do_not_ask_are_hung_up_on_at_the_deadline() {
        for begun in ["", "GET / HTTP/1.1\r\nHost: a", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let (mut client, _phase) = connected();
            let start = Instant::now();
            client.write_all(begun.as_bytes()).await.unwrap();
            let mut answers = String::new();
            client.read_to_string(&mut answers).await.unwrap();
            assert_eq!(start.elapsed().as_secs(), HEADER_DEADLINE.as_secs(), "{begun:?}");
            assert_eq!(answers.starts_with("HTTP/1.1 404"), begun.ends_with("\r\n\r\n"), "{answers}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_now_and_then_do_not_put_off_the_deadline() {
        let (mut client, _phase) = connected();
        let start = Instant::now();
        for byte in "GET / HTTP/1.1\r\nHost: a\r\nX-".bytes() {
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(2)).await;
        }
        let _ = client.read_to_end(&mut Vec::new()).await;
        assert!(start.elapsed() <= HEADER_DEADLINE + Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_great_age_is_closed_behind_an_answer() {
        let (mut client, _phase) = connected();
        let start = Instant::now();
        let mut answers = 0;
        loop {
            // The proxy does not hang up before it has said so.
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut answer = [0; 1024];
            let length = client.read(&mut answer).await.unwrap();
            let answer = str::from_utf8(&answer[..length]).unwrap();
            assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("not found\n"), "{answer}");
            answers += 1;
            if answer.contains("connection: close\r\n") {
                break;
            }
            sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(start.elapsed(), MAX_CONNECTION_AGE);
        assert_eq!(answers, 361);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}
