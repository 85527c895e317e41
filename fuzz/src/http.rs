//! Whole connections through the proxy, from bytes to bytes: no panic, no 5xx but 503, every answer well-formed, and the same
//! answers however the bytes arrive, as far as they go.
//!
//! With `POSTBACK_DATABASE_URL` the requests reach that database (dev/fuzz makes one with the demo campaign); without, they
//! are spooled and answered from the directory. Input: a byte that says how the rest is cut, then requests, in which
//! `{code}` is a live code.

mod answers;

use answers::{Answer, read_all};
use hyper::http::StatusCode;
use postback_core::short_code::{CodeKey, LinkId};
use postback_core::url_template::Ids;
use postback_proxy::batch::{self, Limits};
use postback_proxy::client_address::parse_network;
use postback_proxy::database::Database;
use postback_proxy::database::requests::{ReceivePostbacks, RecordClicks};
use postback_proxy::directory::{Directory, RouteRow};
use postback_proxy::metrics::Metrics;
use postback_proxy::offline::Offline;
use postback_proxy::page::Page;
use postback_proxy::redirect::KnownKey;
use postback_proxy::routes::{Backend, Routes};
use postback_proxy::server::{Connection, Phase, http};
use postback_proxy::spool::Spool;
use postback_proxy::spool_record::{is_readable, time_of};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

/// Where the offer leads, here and in dev/demo.sql.
const OFFER: &str = "https://network.example.com/offer/789?aff_click_id={click_id}";

/// Longer than any deadline of the proxy.
const HANG: Duration = Duration::from_secs(60);

static STACK: LazyLock<Stack> = LazyLock::new(Stack::new);

pub fn check(data: &[u8]) {
    let Some((&cut, requests)) = data.split_first() else { return };
    let requests = STACK.with_code(requests);
    let whole = STACK.answers(&requests, requests.len().max(1));
    let pieces = STACK.answers(&requests, usize::from(cut).max(1));
    // What is not HTTP hyper refuses by itself or not at all, as it comes in one piece or several.
    let statuses = |answers: &[Answer]| -> Vec<StatusCode> {
        let ours = if answers.last().is_some_and(Answer::is_from_hyper) { answers.len() - 1 } else { answers.len() };
        answers[..ours].iter().map(|answer| answer.status).collect()
    };
    // A body that nobody reads ends the connection, unless all of it has come by then.
    let (whole_says, pieces_say) = (statuses(&whole), statuses(&pieces));
    let both = whole_says.len().min(pieces_say.len());
    assert_eq!(whole_says[..both], pieces_say[..both]);
    assert!(both > 0 || (whole_says.is_empty() && pieces_say.is_empty()));
    whole.iter().chain(&pieces).for_each(Answer::check);
}

/// All of the proxy but its sockets.
struct Stack {
    runtime: Runtime,
    routes: Arc<Routes>,
    phase: watch::Sender<Phase>,
    code: String,
}

impl Stack {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (routes, code) = runtime.block_on(async {
            match std::env::var("POSTBACK_DATABASE_URL") {
                Ok(url) => with_database(&url).await,
                Err(_) => without_database(),
            }
        });
        let stack = Stack { runtime, routes: Arc::new(routes), phase: watch::Sender::new(Phase::Running), code };
        // The first requests of each queue find out whether there is a database.
        for target in [&format!("/{}", stack.code), "/click?campaign=456", "/postback?click_id=a"] {
            let answers = stack.answers(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 1000);
            assert!(matches!(answers[..], [ref answer] if answer.status.as_u16() < 400), "{target} does not work");
        }
        stack
    }

    fn with_code(&self, requests: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while let Some(place) = rest.windows(6).position(|window| window == b"{code}") {
            filled.extend(&rest[..place]);
            filled.extend(self.code.as_bytes());
            rest = &rest[place + 6..];
        }
        filled.extend(rest);
        filled
    }

    /// What comes back for these bytes, sent in pieces.
    fn answers(&self, requests: &[u8], piece: usize) -> Vec<Answer> {
        let (client, server) = tokio::io::duplex(1 << 16);
        let (mut reader, mut writer) = tokio::io::split(client);
        let handler = Arc::clone(&self.routes);
        let builder = http();
        let peer = IpAddr::from([10, 0, 0, 1]);
        let served = Connection::new(handler, peer).serve(&builder, server, self.phase.subscribe());
        let written = async {
            for piece in requests.chunks(piece) {
                // The proxy may hang up before it has read everything.
                if writer.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = writer.shutdown().await;
        };
        let mut stream = Vec::new();
        let read = reader.read_to_end(&mut stream);
        let done = self.runtime.block_on(async { timeout(HANG, async { tokio::join!(served, written, read) }).await });
        match done {
            // What it was that hyper could not read is of no interest here.
            Ok((_, (), Ok(_))) => read_all(&stream),
            Ok((.., Err(error))) => panic!("the answers cannot be read: {error}"),
            Err(_) => panic!("the connection hangs"),
        }
    }
}

async fn with_database(url: &str) -> (Routes, String) {
    let config: tokio_postgres::Config = url.parse().expect("POSTBACK_DATABASE_URL is no URL");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a database");
    tokio::spawn(connection);
    let query = "SELECT _postback.encode_code(link_id, postback.code_key()) FROM postback.links LIMIT 1";
    let code: String = client.query_one(query, &[]).await.expect("a link").get(0);
    let key: Vec<u8> = client.query_one("SELECT postback.code_key()", &[]).await.expect("a key").get(0);
    (routes(config, CodeKey::new(&key).expect("a key"), None), code)
}

/// Nobody listens on port 1.
fn without_database() -> (Routes, String) {
    let config: tokio_postgres::Config = "host=127.0.0.1 port=1 user=nobody".parse().expect("an address");
    let code_key = || CodeKey::new(b"sixteen bytes and").expect("a key");
    let code = LinkId::new(1, 5, 0).map(|link| code_key().encode(link)).expect("a link").as_str().to_owned();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz/spool");
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory");
    let (spool, _) = Spool::open(&path, 1 << 30, time_of, is_readable).expect("a spool");
    let directory = Directory::open(&path, Arc::default());
    directory.key.set(code_key());
    directory.replace(directory.table().with(known_routes(), true));
    (routes(config, code_key(), Some((spool, Arc::new(directory)))), code)
}

fn known_routes() -> Vec<RouteRow> {
    let row = |kind: &str, id, name: Option<&str>, content: Option<&str>, offer_id| RouteRow {
        kind: kind.to_owned(),
        id,
        name: name.map(str::to_owned),
        content: content.map(str::to_owned),
        content_type: Some("text/plain".to_owned()),
        ids: Ids { offer_id, ..Ids::default() },
    };
    vec![
        row("offer", 789, None, Some(OFFER), None),
        row("send", 1, None, None, Some(789)),
        row("campaign", 456, None, None, Some(789)),
        row("network", 1, Some("default"), Some("OK"), None),
        row("network", 2, Some("tune"), Some("OK"), None),
    ]
}

fn routes(database: tokio_postgres::Config, code_key: CodeKey, aside: Option<(Spool, Arc<Directory>)>) -> Routes {
    let metrics = Arc::new(Metrics::new());
    let database = Arc::new(Database::new(database, 3, true, Arc::clone(&metrics)).expect("a pool"));
    let patience = Duration::from_secs(10);
    let limits = Limits { batch: 256, queue: 1024, patience, deadline: patience };
    let (offline, directory) = match aside {
        Some((spool, directory)) => {
            let offline = Offline::new(spool, Arc::clone(&directory), Arc::clone(&metrics));
            (Some(Arc::new(offline)), Some(directory))
        }
        None => (None, None),
    };
    let clicks = || vec![RecordClicks::new(Arc::clone(&database), Arc::default(), patience)];
    let postbacks = vec![ReceivePostbacks::new(Arc::clone(&database), patience)];
    let key = KnownKey::default();
    key.set(code_key);
    let backend = Backend::Recording {
        clicks: batch::start(clicks(), offline.clone(), limits).0,
        foreign_clicks: batch::start(clicks(), offline.clone(), limits).0,
        postbacks: batch::start(postbacks, offline, limits).0,
        key: Arc::new(key),
        directory,
    };
    Routes {
        trusted_proxies: parse_network("10.0.0.0/8").into_iter().collect(),
        page: Page::new(None, "Short links"),
        metrics,
        body_deadline: patience,
        misses: None,
        backend,
    }
}
