//! `postback-proxy`: taps and postbacks come in over HTTP, go to the `postback` extension in batches, and are answered
//! once they are committed. Outbound postbacks are sent from here too.
//!
//! Start reading at `routes.rs` for what is answered, at `batch.rs` for how a request reaches the database, at
//! `deliver.rs` for what is sent, at `database.rs` for the SQL. What a click or a conversion means is not decided here but in `sql/`.

pub mod answer;
pub mod batch;
pub mod client_address;
pub mod client_stream;
pub mod config;
pub mod countries;
pub mod database;
pub mod deliver;
pub mod directory;
pub mod drain;
pub mod error;
pub mod health;
pub mod host;
pub mod import_report;
pub mod logging;
pub mod metrics;
pub mod misses;
pub mod offline;
pub mod outbound_client;
pub mod page;
pub mod postback;
pub mod preflight;
pub mod proxy_protocol;
pub mod redirect;
pub mod routes;
pub mod server;
pub mod spool;
pub mod spool_record;
pub mod upkeep;

use crate::config::{Config, Mode};
use crate::database::deliveries::Deliveries;
use crate::database::requests::{ReceivePostbacks, RecordClicks};
use crate::database::{CALL_DEADLINE, Database};
use crate::deliver::Dispatcher;
use crate::directory::Directory;
use crate::drain::Drain;
use crate::error::RunError;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::misses::Misses;
use crate::offline::Offline;
use crate::outbound_client::Client;
use crate::page::Page;
use crate::redirect::KnownKey;
use crate::routes::{Backend, Routes};
use crate::server::{Limits, Phase};
use crate::spool::Spool;
use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The most client connections, where file descriptors allow it.
const MAX_CONNECTIONS: usize = 20_000;

/// File descriptors kept back for everything that is not a client or a delivery.
const RESERVED_DESCRIPTORS: usize = 256;

/// Database connections for `/click`. Its batches take the database's careful path, one click at a time, so that taps of
/// our own links do not wait in them.
const FOREIGN_CONNECTIONS: usize = 1;

/// Database connections for outbound deliveries.
const DELIVERY_CONNECTIONS: usize = 1;
const SPOOL_CLOSE_DEADLINE: Duration = Duration::from_secs(5);

const MAX_ADMIN_CONNECTIONS: usize = 64;

/// The sockets, bound before anything else happens.
pub struct Listeners {
    pub public: TcpListener,
    pub admin: TcpListener,
}

/// What works behind the routes: nothing of it in fixed mode.
struct Recording {
    database: Arc<Database>,
    workers: Vec<JoinHandle<()>>,
    deliveries: Option<JoinHandle<()>>,
    upkeep: JoinHandle<RunError>,
    /// What has nothing to finish: it is cut off at the end.
    background: Vec<JoinHandle<()>>,
    offline: Option<Arc<Offline>>,
    spool: Option<std::thread::JoinHandle<()>>,
}

/// Serves until the shutdown resolves, then drains.
pub async fn run(listeners: Listeners, config: Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::new());
    let key = Arc::new(KnownKey::default());
    let (phase, phases) = watch::channel(Phase::Running);
    let (backend, mut recording) = backend(&config, &metrics, &key, &phases)?;
    let balancers = config.proxy_protocol.then(|| config.trusted_proxies.clone().into());
    let routes = Arc::new(Routes {
        trusted_proxies: config.trusted_proxies,
        page: Page::new(config.page, &config.brand),
        metrics: Arc::clone(&metrics),
        body_deadline: config.request_deadline,
        misses: (config.misses_per_minute > 0).then(|| Misses::new(config.misses_per_minute)),
        backend,
    });
    let health = Arc::new(Health {
        database: recording.as_ref().map(|recording| Arc::clone(&recording.database)),
        key,
        offline: recording.as_ref().and_then(|recording| recording.offline.clone()),
        metrics: Arc::clone(&metrics),
        routes: Arc::clone(&routes),
        phase: phases.clone(),
    });
    let limits = Limits {
        connections: connection_limit(config.max_deliveries),
        open: metrics.connections.clone(),
        unreadable: metrics.unreadable_requests.clone(),
        balancers,
    };
    let admin_limits = Limits {
        connections: MAX_ADMIN_CONNECTIONS,
        open: Default::default(),
        unreadable: Default::default(),
        balancers: None,
    };
    let mut public = tokio::spawn(server::serve(adopt(listeners.public)?, routes, limits, phases));
    // The probes go on answering while the public side drains.
    let (admin_phase, admin_phases) = watch::channel(Phase::Running);
    let admin = tokio::spawn(server::serve(adopt(listeners.admin)?, health, admin_limits, admin_phases));
    tracing::info!(listen = %config.listen, admin_listen = %config.admin_listen, "started");

    let failure = tokio::select! {
        () = shutdown => None,
        failure = failed(recording.as_mut()) => Some(failure),
    };
    phase.send_replace(Phase::Draining);
    tracing::info!("draining");
    if timeout(config.drain, &mut public).await.is_err() {
        phase.send_replace(Phase::Closing);
        let _ = public.await;
    }
    admin_phase.send_replace(Phase::Closing);
    let _ = admin.await;
    if let Some(recording) = recording {
        recording.finish().await;
    }
    tracing::info!("stopped");
    failure.map_or(Ok(()), Err)
}

/// The queues with their workers, or the fixed redirect.
fn backend(
    config: &Config,
    metrics: &Arc<Metrics>,
    key: &Arc<KnownKey>,
    phases: &watch::Receiver<Phase>,
) -> Result<(Backend, Option<Recording>), RunError> {
    let address = match &config.mode {
        Mode::FixedRedirect(location) => return Ok((Backend::Fixed(location.clone()), None)),
        Mode::Database(address) => address.as_ref().clone(),
    };
    let connections =
        config.click_connections + FOREIGN_CONNECTIONS + config.postback_connections + DELIVERY_CONNECTIONS;
    let database =
        Database::new(address, connections, config.allow_unsafe, Arc::clone(metrics)).map_err(RunError::Pool)?;
    let database = Arc::new(database);
    let (offline, spool) = match &config.spool {
        Some(directory) => {
            let (spool, thread) =
                Spool::open(directory, config.spool_max_bytes, spool_record::time_of, spool_record::is_readable)
                    .map_err(RunError::Spool)?;
            let directory = Arc::new(Directory::open(directory, Arc::clone(key)));
            (Some(Arc::new(Offline::new(spool, directory, Arc::clone(metrics)))), Some(thread))
        }
        None => {
            tracing::warn!(
                "POSTBACK_SPOOL is not set: while the database is away, taps and postbacks are answered 503"
            );
            (None, None)
        }
    };
    let directory = offline.as_ref().map(|offline| Arc::clone(&offline.directory));
    let patience = if offline.is_some() { config.spool_after } else { config.request_deadline };
    let limits = batch::Limits {
        batch: config.batch_limit,
        queue: config.queue_limit,
        patience,
        deadline: config.request_deadline,
    };
    let clicks = |count: usize| {
        (0..count).map(|_| RecordClicks::new(Arc::clone(&database), Arc::clone(&config.countries), patience)).collect()
    };
    let postbacks = |count: usize| (0..count).map(|_| ReceivePostbacks::new(Arc::clone(&database), patience)).collect();
    let (click_queue, mut workers) = batch::start(clicks(config.click_connections), offline.clone(), limits);
    let (foreign_clicks, more) = batch::start(clicks(FOREIGN_CONNECTIONS), offline.clone(), limits);
    workers.extend(more);
    let (postback_queue, more) = batch::start(postbacks(config.postback_connections), offline.clone(), limits);
    workers.extend(more);
    let deliveries = match config.max_deliveries {
        None => None,
        Some(most) => {
            let client = Client::new().map_err(RunError::Tls)?;
            let dispatcher = Dispatcher::new(Deliveries::new(Arc::clone(&database)), client, Arc::clone(metrics), most);
            Some(tokio::spawn(dispatcher.run(Arc::clone(key), phases.clone(), config.drain)))
        }
    };
    let upkeep = upkeep::keep_key(Arc::clone(&database), Arc::clone(key), directory.clone());
    let mut background = vec![tokio::spawn(upkeep::maintain(
        Arc::clone(&database),
        config.listen.to_string(),
        offline.as_ref().map(|offline| Arc::clone(&offline.spool.totals)),
    ))];
    if let (Some(offline), Some(directory)) = (&offline, &directory) {
        background.push(tokio::spawn(upkeep::keep_routes(Arc::clone(&database), Arc::clone(directory))));
        let drain = Drain {
            offline: Arc::clone(offline),
            clicks: RecordClicks::new(Arc::clone(&database), Arc::clone(&config.countries), CALL_DEADLINE),
            campaign_clicks: RecordClicks::replaying(
                Arc::clone(&database),
                Arc::clone(&config.countries),
                CALL_DEADLINE,
            ),
            postbacks: ReceivePostbacks::new(Arc::clone(&database), CALL_DEADLINE),
            database: Arc::clone(&database),
            batch_limit: config.batch_limit,
        };
        background.push(tokio::spawn(drain.run()));
    }
    let backend = Backend::Recording {
        clicks: click_queue,
        foreign_clicks,
        postbacks: postback_queue,
        key: Arc::clone(key),
        directory,
    };
    let upkeep = tokio::spawn(upkeep);
    Ok((backend, Some(Recording { database, workers, deliveries, upkeep, background, offline, spool })))
}

/// Resolves when the proxy must not go on.
async fn failed(recording: Option<&mut Recording>) -> RunError {
    match recording {
        Some(recording) => match (&mut recording.upkeep).await {
            Ok(failure) => failure,
            Err(_) => pending().await,
        },
        None => pending().await,
    }
}

impl Recording {
    /// Lets the workers record what they have taken in: their queues end with the routes. The deliveries know the drain
    /// and its end by themselves.
    async fn finish(self) {
        self.upkeep.abort();
        for task in self.background {
            task.abort();
            // Only after its end has it let go of the spool.
            let _ = task.await;
        }
        for worker in self.workers {
            if timeout(Duration::from_secs(10), worker).await.is_err() {
                tracing::warn!("a worker did not finish its last batch");
            }
        }
        if let Some(deliveries) = self.deliveries
            && deliveries.await.is_err()
        {
            tracing::error!("the deliveries broke down");
        }
        drop(self.offline);
        if let Some(spool) = self.spool {
            // Closed properly it opens at once; whatever was answered is in it either way.
            let closed = tokio::task::spawn_blocking(move || spool.join().is_ok());
            if !matches!(timeout(SPOOL_CLOSE_DEADLINE, closed).await, Ok(Ok(true))) {
                tracing::warn!("the spool was not closed; the next start repairs it");
            }
        }
    }
}

fn adopt(listener: TcpListener) -> Result<tokio::net::TcpListener, RunError> {
    listener.set_nonblocking(true).map_err(RunError::Listener)?;
    tokio::net::TcpListener::from_std(listener).map_err(RunError::Listener)
}

/// As many connections as file descriptors can be had for: the soft limit is raised to the hard one.
fn connection_limit(max_deliveries: Option<usize>) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let descriptors = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let descriptors = descriptors.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let others = RESERVED_DESCRIPTORS + max_deliveries.unwrap_or_default();
    let connections = descriptors.saturating_sub(others).clamp(RESERVED_DESCRIPTORS, MAX_CONNECTIONS);
    if connections < MAX_CONNECTIONS {
        tracing::info!(connections, descriptors, "the limit of open files allows only so many clients at once");
    }
    connections
}
