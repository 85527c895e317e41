//! The pool and, with what is beneath, the only SQL in the proxy: a few statements, each a function of the extension.
//!
//! Every worker owns one connection with its statements prepared, and takes a new one from the pool when it breaks.
//! Each call is one statement in auto-commit: when the rows are here, they are committed. Not for: deciding what to do
//! after a failure, see `batch.rs` and `deliver.rs`.

pub mod deliveries;
pub mod maintenance;
pub mod requests;

use crate::directory::RouteRow;
use crate::error::{Failure, Unfit};
use crate::metrics::{CallKind, Metrics};
use crate::spool::Totals;
use crate::spool_record::{self, Record};
use deadpool_postgres::{
    BuildError, Hook, HookError, Manager, ManagerConfig, Metrics as ConnectionMetrics, Object, Pool, PoolError,
    RecyclingMethod, Runtime,
};
use postback_core::url_template::Ids;
use std::error::Error;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

const ROUTES: &str = "\
    SELECT kind, id, name, content, content_type, campaign_id, segment_id, variant_id, offer_id
    FROM postback.routes(after_send_id => $1)";

const KEEP_DEAD_LETTER: &str = "\
    SELECT postback.keep_dead_letter(kind => $1, request_id => $2, requested_at => $3, request => $4, record => $5, failure => $6)";

/// Read when a connection is made. JIT costs more than it gives on statements this short.
const ON_CONNECT: &str = "SET statement_timeout = '5s'; SET jit = off";

/// What a database must be asked before it is used. It has no version while the extension is not installed.
const FITNESS: &str = "\
    SELECT current_setting('fsync'), current_setting('synchronous_commit'),
        (SELECT e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'postback')";

/// The oldest record's time in Unix milliseconds, 0 for none.
const REPORT_SPOOL: &str = "\
    SELECT postback.report_spool($1, $2, $3, to_timestamp(nullif($4::bigint, 0) / 1000.0))";

/// Longer than the statement timeout: past it, the network or the server is gone.
pub const CALL_DEADLINE: Duration = Duration::from_secs(7);

/// Connections beside those of the workers: upkeep, maintenance, the readiness probe, the routes, the spool's depth,
/// three of the drain.
const OTHER_CONNECTIONS: usize = 8;

/// What the database said of itself when it was asked last.
#[derive(Default)]
struct Fitness {
    unfit: Option<Unfit>,
    /// Connections made until then are not used any more.
    retired_until: Option<Instant>,
}

/// The way to the database.
pub struct Database {
    pool: Pool,
    /// Why it cannot be reached, as the log says; empty while it can.
    told: Mutex<String>,
    allow_unsafe: bool,
    fitness: Arc<Mutex<Fitness>>,
    /// Told of every new connection: behind it may be another server, after a failover or a restore.
    pub connected: Arc<Notify>,
    metrics: Arc<Metrics>,
}

impl Database {
    /// Connects to nothing yet. A database that would forget what it has committed is not used, unless allowed.
    pub fn new(
        config: tokio_postgres::Config,
        worker_connections: usize,
        allow_unsafe: bool,
        metrics: Arc<Metrics>,
    ) -> Result<Self, BuildError> {
        let connected = Arc::new(Notify::new());
        let fitness = Arc::new(Mutex::new(Fitness::default()));
        let told = Arc::clone(&connected);
        let (noted, known) = (Arc::clone(&fitness), Arc::clone(&fitness));
        let on_connect = Hook::async_fn(move |client, _| {
            let (told, noted) = (Arc::clone(&told), Arc::clone(&noted));
            Box::pin(async move {
                let unfit = unfitness(client, allow_unsafe).await.map_err(HookError::Backend)?;
                note(&noted, unfit.clone());
                if let Some(unfit) = unfit {
                    return Err(HookError::message(unfit.to_string()));
                }
                client.batch_execute(ON_CONNECT).await.map_err(HookError::Backend)?;
                told.notify_one();
                Ok(())
            })
        });
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
            .max_size(worker_connections + OTHER_CONNECTIONS)
            .post_create(on_connect)
            .pre_recycle(Hook::sync_fn(move |_, connection| match is_retired(&known, connection) {
                true => Err(HookError::message("its database turned out unfit")),
                false => Ok(()),
            }))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Database { pool, told: Mutex::default(), allow_unsafe, fitness, connected, metrics })
    }

    /// Notes the reason; gives the one before.
    fn tell(&self, reason: String) -> String {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut told, reason)
    }

    /// Why the database that answered last is not used, if it is not.
    pub fn unfit(&self) -> Option<Unfit> {
        self.fitness.lock().unwrap_or_else(PoisonError::into_inner).unfit.clone()
    }

    /// Asks again what each new connection is asked: a reload changes settings under those that are open, and an update the version.
    pub async fn check(&self) -> Result<(), String> {
        let unfit = self.ask(async |client| unfitness(client, self.allow_unsafe).await).await?;
        note(&self.fitness, unfit.clone());
        unfit.map_or(Ok(()), |unfit| Err(unfit.to_string()))
    }

    /// A connection, new or used. A failure is logged when its reason is new, and the recovery after it.
    pub async fn connection(&self) -> Result<Object, Failure> {
        let reason = match timeout(CALL_DEADLINE, self.pool.get()).await {
            Ok(Ok(object)) => {
                if !self.tell(String::new()).is_empty() {
                    tracing::info!("the database is reachable again");
                }
                return Ok(object);
            }
            Ok(Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)))) => {
                described(&error)
            }
            Ok(Err(PoolError::PostCreateHook(HookError::Message(unfit)))) => unfit.into_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {} s", CALL_DEADLINE.as_secs()),
        };
        if self.tell(reason.clone()) != reason {
            tracing::error!(reason, "the database cannot be reached");
        }
        self.metrics.count_database_error(Failure::Unreachable.label());
        Err(Failure::Unreachable)
    }

    /// Whether a connection that somebody keeps may be used again.
    fn may_use(&self, connection: &Object) -> bool {
        !connection.is_closed() && !is_retired(&self.fitness, Object::metrics(connection))
    }

    /// The key of the short codes.
    pub async fn code_key(&self) -> Result<Vec<u8>, String> {
        Ok(self.ask(async |client| client.query_one("SELECT postback.code_key()", &[]).await?.try_get(0)).await?)
    }

    /// What is needed to answer without the database; only the sends above this one, or all with 0.
    pub async fn routes(&self, after_send_id: i64) -> Result<Vec<RouteRow>, String> {
        let rows = self.ask(async |client| client.query(ROUTES, &[&after_send_id]).await).await?;
        rows.iter().map(|row| route_row(row).map_err(|error| described(&error))).collect()
    }

    /// Hands over a spooled request that the database refuses otherwise.
    pub async fn keep_dead_letter(&self, record: &Record, bytes: &[u8], failure: &str) -> Result<(), Failure> {
        let requested_at = UNIX_EPOCH + Duration::from_millis(spool_record::time_of(bytes));
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&record.kind(), &record.id(), &requested_at, &record.described(), &bytes, &failure];
        self.ask(async |client| client.query_one(KEEP_DEAD_LETTER, &parameters).await).await?;
        Ok(())
    }

    /// Whether the database answers at all.
    pub async fn ping(&self) -> Result<(), String> {
        self.ask(async |client| client.query_one("SELECT 1", &[]).await).await?;
        Ok(())
    }

    /// Tells how much is in the spool.
    pub async fn report_spool(&self, listen: &str, totals: &Totals) -> Result<(), String> {
        let [records, bytes, oldest] = [&totals.records, &totals.bytes, &totals.oldest_unix_ms]
            .map(|total| i64::try_from(total.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        let parameters: [&(dyn ToSql + Sync); 4] = [&listen, &records, &bytes, &oldest];
        self.ask(async |client| client.query_one(REPORT_SPOOL, &parameters).await).await?;
        Ok(())
    }

    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Unanswered> {
        let connection = self.connection().await.map_err(|_| Unanswered::Unreachable)?;
        in_time(&mut Some(connection), CALL_DEADLINE, question).await
    }
}

/// Why a question beside the requests has no answer.
enum Unanswered {
    Unreachable,
    Late(Duration),
    Failed(tokio_postgres::Error),
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unreachable => Failure::Unreachable,
            Unanswered::Late(_) => Failure::Lost,
            Unanswered::Failed(error) => Failure::of(&error),
        }
    }
}

/// For the log: no client data is in it.
impl From<Unanswered> for String {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unreachable => "the database cannot be reached".to_owned(),
            Unanswered::Late(deadline) => format!("no answer within {} s", deadline.as_secs()),
            Unanswered::Failed(error) => described(&error),
        }
    }
}

/// Asks on a connection. One that does not answer in time is given up: what it was asked may still be going on there.
async fn in_time<T>(
    connection: &mut Option<Object>,
    deadline: Duration,
    question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, Unanswered> {
    let Some(open) = connection else { return Err(Unanswered::Unreachable) };
    match timeout(deadline, question(open)).await {
        Ok(answer) => answer.map_err(Unanswered::Failed),
        Err(_) => {
            connection.take().map(Object::take);
            Err(Unanswered::Late(deadline))
        }
    }
}

/// Why this connection's database must not be used, if so: a new connection may lead to another server, after a failover or a restore.
async fn unfitness(client: &Client, allow_unsafe: bool) -> Result<Option<Unfit>, tokio_postgres::Error> {
    let row = client.query_one(FITNESS, &[]).await?;
    let (fsync, synchronous_commit, installed): (&str, &str, Option<&str>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    // The library that is loaded, and the SQL that was made for it.
    let loaded: Option<String> = match installed {
        Some(_) => Some(client.query_one("SELECT postback.version()", &[]).await?.try_get(0)?),
        None => None,
    };
    let unfit_version = [installed, loaded.as_deref()].into_iter().flatten().find(|version| !fits(version));
    let unsafe_setting = [("fsync", fsync), ("synchronous_commit", synchronous_commit)]
        .into_iter()
        .find_map(|(setting, value)| (value == "off").then_some(setting));
    Ok(match (unfit_version, unsafe_setting) {
        (Some(version), _) => Some(Unfit::Version { installed: version.to_owned() }),
        (_, Some(setting)) if !allow_unsafe => Some(Unfit::Unsafe { setting }),
        _ => None,
    })
}

/// A database that must not be used is not used on any connection that is open either.
fn note(fitness: &Mutex<Fitness>, unfit: Option<Unfit>) {
    let mut fitness = fitness.lock().unwrap_or_else(PoisonError::into_inner);
    if unfit.is_some() {
        fitness.retired_until = Some(Instant::now());
    }
    fitness.unfit = unfit;
}

fn is_retired(fitness: &Mutex<Fitness>, connection: &ConnectionMetrics) -> bool {
    let retired_until = fitness.lock().unwrap_or_else(PoisonError::into_inner).retired_until;
    retired_until.is_some_and(|until| connection.created <= until)
}

/// The functions between the two may change with the minor version.
fn fits(installed: &str) -> bool {
    major_and_minor(installed) == major_and_minor(env!("CARGO_PKG_VERSION"))
}

fn major_and_minor(version: &str) -> Option<(&str, &str)> {
    let (major, rest) = version.split_once('.')?;
    Some((major, rest.split_once('.').map_or(rest, |(minor, _)| minor)))
}

/// The server's message and SQLSTATE, or the driver's message with its cause.
pub fn described(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} (SQLSTATE {})", error.message(), error.code().code()),
        None => error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    }
}

fn route_row(row: &Row) -> Result<RouteRow, tokio_postgres::Error> {
    Ok(RouteRow {
        kind: row.try_get(0)?,
        id: row.try_get(1)?,
        name: row.try_get(2)?,
        content: row.try_get(3)?,
        content_type: row.try_get(4)?,
        ids: Ids {
            campaign_id: row.try_get(5)?,
            segment_id: row.try_get(6)?,
            variant_id: row.try_get(7)?,
            offer_id: row.try_get(8)?,
            send_id: None,
        },
    })
}

/// A worker's connection.
struct Lane {
    database: Arc<Database>,
    /// Past it, a call is given up and the connection with it.
    deadline: Duration,
    open: Option<Object>,
}

impl Lane {
    fn new(database: Arc<Database>, patience: Duration) -> Self {
        Lane { database, deadline: patience.min(CALL_DEADLINE), open: None }
    }

    /// Runs the statement; a broken connection is left behind, and the next call takes another. Counted as a batch of
    /// this size, or of as many rows as come back.
    async fn rows(
        &mut self,
        kind: CallKind,
        sql: &'static str,
        size: Option<usize>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let started = Instant::now();
        let result = match timeout(self.deadline, self.query(sql, parameters)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Lost),
        };
        match &result {
            Ok(rows) => self.database.metrics.count_call(kind, size.unwrap_or(rows.len()), started.elapsed()),
            Err(failure) => {
                self.database.metrics.count_database_error(failure.label());
                if failure.needs_new_connection()
                    && let Some(connection) = self.open.take()
                {
                    tracing::warn!(failure = failure.label(), "a database connection was given up");
                    drop(Object::take(connection));
                }
            }
        }
        result
    }

    /// A statement is prepared when the connection first meets it.
    async fn query(&mut self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        if self.open.as_ref().is_none_or(|open| !self.database.may_use(open)) {
            // Back in the pool before another is asked for: there may be no more than these.
            self.open = None;
            self.open = Some(self.database.connection().await?);
        }
        let Some(connection) = &self.open else {
            return Err(Failure::Unreachable);
        };
        let statement = connection.prepare_cached(sql).await.map_err(|error| {
            tracing::error!(reason = described(&error), "a statement cannot be prepared");
            error.code().map_or(Failure::Unreachable, |state| Failure::Missing(state.clone()))
        })?;
        connection.query(&statement, parameters).await.map_err(|error| Failure::of(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_by_major_and_minor() {
        let (major, minor) = major_and_minor(env!("CARGO_PKG_VERSION")).unwrap();
        assert!(fits(&format!("{major}.{minor}.99")));
        assert!(fits(&format!("{major}.{minor}")));
        assert!(!fits(&format!("{major}.{minor}9.0")));
        assert!(!fits("unknown"));
    }
}
