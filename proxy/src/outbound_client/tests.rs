//! Against sockets of this machine, which deliveries may reach only because each test says so.

use super::*;
use std::future::pending;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Takes one connection, answers with these bytes and hangs up; gives the request it read.
async fn receiver(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        request
    });
    (address, request)
}

/// The head, and as much of a body as it announces.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the request breaks off");
        let text = String::from_utf8(request.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == announced.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn client() -> Client {
    Client::trusting(RootCertStore::empty()).unwrap()
}

fn get(url: String) -> Delivery {
    Delivery {
        id: "d".into(),
        destination_id: 1,
        url,
        method: "GET".into(),
        content_type: None,
        headers: BTreeMap::new(),
        body: None,
        timeout: Duration::from_secs(10),
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

async fn answer_to(answer: &'static [u8]) -> Result<Answer, SendError> {
    let (address, _request) = receiver(answer).await;
    client().send(&get(format!("http://{address}/"))).await
}

#[tokio::test]
async fn request_is_what_the_database_said() {
    let (address, request) = receiver(OK).await;
    let delivery = Delivery {
        method: "POST".into(),
        content_type: Some("application/json".into()),
        headers: BTreeMap::from([("Idempotency-Key".into(), "d1".into()), ("User-Agent".into(), "postback/0".into())]),
        body: Some("{\"a\": 1}".into()),
        ..get(format!("http://{address}/p%2Fq?a=%26&b=|"))
    };
    let answer = client().send(&delivery).await.unwrap();
    assert_eq!(answer, Answer { status: 200, retry_after: None, location: None, excerpt: "ok".into() });
    let request = request.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /p%2Fq?a=%26&b=| HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {address}");
    let expected = [
        "connection: close",
        "content-length: 8",
        "content-type: application/json",
        &host,
        "idempotency-key: d1",
        "user-agent: postback/0",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"a\": 1}");
}

#[tokio::test]
async fn redirect_is_an_answer_like_any_other() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n");
    let answer = answer_to(answer.leak().as_bytes()).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(timeout(Duration::ZERO, elsewhere.accept()).await.is_err());
}

#[tokio::test]
async fn addresses_that_are_not_public_are_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let local = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "①②⑦.0.0.1", "0", "[::1]"];
    let inside = ["169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]"];
    let disguised = ["[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:93.184.216.34]"];
    for host in local.iter().chain(&inside).chain(&disguised) {
        let delivery = Delivery { allowed: Vec::new(), ..get(format!("http://{host}:{port}/")) };
        let error = client().send(&delivery).await.unwrap_err();
        assert!(matches!(error, SendError::Forbidden(..)), "{host}: {error}");
        assert!(!error.to_string().contains("http"), "{error}");
    }
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err());
}

#[test]
fn one_private_address_refuses_all() {
    let public = SocketAddr::from(([93, 184, 216, 34], 80));
    let private = SocketAddr::from(([10, 0, 0, 8], 80));
    assert_eq!(permitted(vec![public], &[]).unwrap(), [public]);
    for addresses in [vec![public, private], vec![private, public]] {
        assert!(matches!(permitted(addresses, &[]), Err(SendError::Forbidden(address, _)) if address == private.ip()));
    }
    let allowed = ["10.0.0.0/24".parse().unwrap()];
    assert_eq!(permitted(vec![private, public], &allowed).unwrap(), [private, public]);
}

#[tokio::test]
async fn host_that_is_allowed_may_be_named() {
    let (address, _request) = receiver(OK).await;
    let mut delivery = get(format!("http://localhost:{}/", address.port()));
    delivery.allowed.push("::1/128".parse().unwrap());
    assert_eq!(client().send(&delivery).await.unwrap().status, 200);
}

#[tokio::test]
async fn receiver_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = tokio::spawn(async move {
        let _held = listener.accept().await.unwrap();
        pending::<()>().await;
    });
    let delivery = Delivery { timeout: Duration::from_millis(50), ..get(format!("http://{address}/")) };
    let error = client().send(&delivery).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 50 ms");
    silent.abort();
}

#[tokio::test]
async fn body_without_end_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 500 Oops\r\ncontent-length: 1073741824\r\n\r\n").await.unwrap();
        let mut sent = 0;
        while let Ok(count) = stream.write(&[b'x'; 65536]).await {
            sent += count;
        }
        sent
    });
    let answer = client().send(&get(format!("http://{address}/"))).await.unwrap();
    assert_eq!((answer.status, answer.excerpt), (500, "x".repeat(EXCERPT_LENGTH)));
    // What the kernel's buffers took, of a gigabyte.
    let sent = sent.await.unwrap();
    assert!(sent < 32 << 20, "{sent}");
}

#[tokio::test]
async fn status_counts_even_if_the_body_never_comes() {
    let broken_off = answer_to(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    assert_eq!(broken_off, Answer { status: 200, retry_after: None, location: None, excerpt: "half".into() });
    let broken_chunk = answer_to(b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await.unwrap();
    assert_eq!(broken_chunk.status, 503);
}

#[tokio::test]
async fn what_is_no_answer_is_said_to_be_none() {
    for garbage in [
        &b""[..],
        b"\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let error = answer_to(garbage).await.unwrap_err();
        assert!(matches!(error, SendError::Broken(_)), "{error}");
    }
    let endless_head = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 2 * MAX_HEAD_SIZE]].concat();
    assert!(matches!(answer_to(endless_head.leak()).await, Err(SendError::Broken(_))));
}

#[tokio::test]
async fn closed_port_and_plain_text_under_https_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let error = client().send(&get(format!("http://{closed}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection: connection refused");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let receiver = tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(OK).await });
    let error = client().send(&get(format!("https://{plain}/"))).await.unwrap_err();
    assert_eq!(error.label(), "tls", "{error}");
    receiver.await.unwrap().unwrap();
}

#[tokio::test]
async fn headers_cannot_be_split() {
    for headers in [("X-A", "a\r\nX-B: b"), ("X-A\r\nX-B", "b"), ("X-A", "\0")] {
        let headers = BTreeMap::from([(headers.0.into(), headers.1.into())]);
        let delivery = Delivery { headers, ..get("http://127.0.0.1:9/".into()) };
        assert!(matches!(client().send(&delivery).await, Err(SendError::Illegal(_))));
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = httpdate::parse_http_date("Tue, 15 Nov 1994 08:12:31 GMT").unwrap();
    let read = |value: &str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]);
        retry_after(&headers, now)
    };
    assert_eq!(read("120"), Some(120));
    assert_eq!(read("0"), Some(0));
    assert_eq!(read("99999999999999999999"), Some(u32::MAX));
    assert_eq!(read("Tue, 15 Nov 1994 08:13:31 GMT"), Some(60));
    assert_eq!(read("Sunday, 06-Nov-94 08:49:37 GMT"), Some(0));
    for nonsense in ["", "-1", "+1", "1.5", "soon", "1e3"] {
        assert_eq!(read(nonsense), None, "{nonsense}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

#[test]
fn excerpt_is_one_line_of_text_without_controls() {
    assert_eq!(one_line("  a\r\nb\0c\u{1b}[31m\u{85}d\t "), "a  b c [31m d");
    assert_eq!(one_line(&"ü".repeat(600)).chars().count(), EXCERPT_LENGTH);
}
