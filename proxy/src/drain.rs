//! The spool's way back: the oldest records first, with the calls that live requests make, on connections of its own.
//!
//! A record leaves the spool after its call has committed, so a crash between the two repeats it, which is harmless. One
//! that the database refuses for what it carries is found by halving and becomes a dead letter, and so does a tap that was
//! redirected and whose link the database does not know; one that cannot be read is put beside. What it refuses for another
//! reason stays, and what lies behind it passes by. Everything else waits: the first call that gets through says that the
//! database is back.

use crate::batch::{Call, DUPLICATE_TRIES, Job, jittered};
use crate::database::Database;
use crate::database::requests::{ReceivePostbacks, RecordClicks};
use crate::error::Failure;
use crate::metrics::CallKind;
use crate::offline::Offline;
use crate::redirect::TapAnswer;
use crate::spool::SpoolError;
use crate::spool_record::{self, Record};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Calls in a row that may be refused before all that is left is taken to be: more than the largest batch can be halved.
const MAX_REFUSALS: u32 = 16;

/// What the dead letter of a tap on a link says that is not in the database: of another database, or of an older copy of it.
const NO_SUCH_LINK: &str = "no such link";

/// Records that were read together, by the call that takes them; each with its key in the spool.
#[derive(Default)]
struct Batch {
    own_taps: Vec<Keyed<RecordClicks>>,
    /// Of links minted elsewhere: their ids do not say when they were tapped.
    campaign_taps: Vec<Keyed<RecordClicks>>,
    postbacks: Vec<Keyed<ReceivePostbacks>>,
}

struct Keyed<C: Call> {
    key: u64,
    bytes: Vec<u8>,
    job: Job<C::Request, C::Answer>,
}

/// Why draining pauses.
enum Stop {
    Database,
    Spool,
}

impl From<SpoolError> for Stop {
    fn from(_: SpoolError) -> Self {
        Stop::Spool
    }
}

/// What became of some records.
#[derive(Default)]
struct Outcome {
    gone: usize,
    /// They stay where they are, for this reason.
    refused: Option<Failure>,
}

/// What became of the records that were looked at; `last` is the key of the last one, `None` when there was none.
struct Look {
    outcome: Outcome,
    last: Option<u64>,
}

pub struct Drain {
    pub offline: Arc<Offline>,
    pub database: Arc<Database>,
    pub clicks: RecordClicks,
    pub campaign_clicks: RecordClicks,
    pub postbacks: ReceivePostbacks,
    pub batch_limit: usize,
}

impl Drain {
    /// Goes on until it is stopped.
    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut limit = self.batch_limit;
        // Where to look on, and why something before it stays.
        let mut after = 0;
        let mut refused: Option<Failure> = None;
        let mut told: Option<Failure> = None;
        loop {
            let started = Instant::now();
            match self.step(after, &mut limit).await {
                Ok(Look { last: None, .. }) if refused.is_some() => {
                    // Once through: what stays is asked about again.
                    if told != refused {
                        let sqlstate = refused.as_ref().map(Failure::label);
                        tracing::error!(sqlstate, "the database refuses spooled requests: they stay in the spool");
                    }
                    told = refused.take();
                    after = 0;
                    sleep(jittered(LONGEST_PAUSE)).await;
                }
                Ok(Look { last: None, .. }) => {
                    (after, told) = (0, None);
                    tokio::select! {
                        () = self.offline.spool.filled.notified() => {}
                        () = self.offline.went_away.notified() => {}
                    }
                }
                Ok(Look { outcome, last: Some(last) }) => {
                    limit = self.batch_limit;
                    if outcome.refused.is_some() {
                        (after, refused) = (last, outcome.refused);
                    }
                    if outcome.gone > 0 {
                        pause = FIRST_PAUSE;
                    } else {
                        sleep(jittered(pause)).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    // Live traffic first: while there is some, it has the database at least every other moment.
                    if self.offline.has_live_calls() {
                        sleep(started.elapsed()).await;
                    }
                }
                Err(_) => {
                    // A database that is only slow may manage less.
                    limit = (limit / 2).max(1);
                    sleep(jittered(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Drains one batch, or asks whether the database is back. The limit becomes what there was, so that halving it means fewer.
    async fn step(&mut self, after: u64, limit: &mut usize) -> Result<Look, Stop> {
        let stored = match self.offline.spool.oldest(after, *limit).await {
            Ok(stored) => stored,
            Err(error) => {
                // What is in the spool has to wait for it; what comes in need not.
                self.look_for_the_database().await?;
                return Err(error.into());
            }
        };
        let Some(&(last, _)) = stored.last() else {
            if after == 0 {
                self.look_for_the_database().await?;
            }
            return Ok(Look { outcome: Outcome::default(), last: None });
        };
        *limit = stored.len();
        let batch = self.sort(stored).await?;
        let (offline, database) = (&self.offline, &self.database);
        let is_unknown = |answer: &Option<TapAnswer>| matches!(answer, Some(TapAnswer::NotFound));
        // Each kind by itself: what one function fails at is no reason to keep the other waiting.
        let outcomes = [
            drain(offline, database, &mut self.clicks, CallKind::Clicks, batch.own_taps, is_unknown).await,
            drain(offline, database, &mut self.campaign_clicks, CallKind::Clicks, batch.campaign_taps, is_unknown)
                .await,
            drain(offline, database, &mut self.postbacks, CallKind::Postbacks, batch.postbacks, |_| false).await,
        ];
        let mut all = Outcome::default();
        for outcome in outcomes {
            let Outcome { gone, refused } = outcome?;
            all.gone += gone;
            all.refused = refused.or(all.refused);
        }
        Ok(Look { outcome: all, last: Some(last) })
    }

    async fn look_for_the_database(&self) -> Result<(), Stop> {
        if self.offline.database_is_away() {
            self.database.ping().await.map_err(|_| Stop::Database)?;
            self.offline.database_is_back(CallKind::Clicks);
            self.offline.database_is_back(CallKind::Postbacks);
        }
        Ok(())
    }

    async fn sort(&self, stored: Vec<(u64, Vec<u8>)>) -> Result<Batch, Stop> {
        let mut batch = Batch::default();
        for (key, bytes) in stored {
            match spool_record::read(&bytes) {
                Ok(Record::Tap(tap)) => {
                    let taps = if tap.campaign().is_some() { &mut batch.campaign_taps } else { &mut batch.own_taps };
                    taps.push(Keyed { key, bytes, job: Job::unheard(tap) });
                }
                Ok(Record::Postback(postback)) => {
                    batch.postbacks.push(Keyed { key, bytes, job: Job::unheard(postback) });
                }
                Err(reason) => {
                    tracing::error!(key, ?reason, "a record of the spool cannot be read; it was put beside");
                    self.offline.metrics.count_unreadable();
                    self.offline.spool.put_beside(key).await?;
                }
            }
        }
        Ok(batch)
    }
}

/// Hands records of one kind to the database, and takes those that it has out of the spool.
async fn drain<C: Call>(
    offline: &Offline,
    database: &Database,
    call: &mut C,
    kind: CallKind,
    records: Vec<Keyed<C>>,
    is_unknown: impl Fn(&Option<C::Answer>) -> bool,
) -> Result<Outcome, Stop> {
    let mut pieces = vec![records];
    let (mut tries, mut refusals) = (0, 0);
    let mut outcome = Outcome::default();
    while let Some(mut piece) = pieces.pop() {
        if piece.is_empty() {
            continue;
        }
        let (keys, jobs): (Vec<_>, Vec<_>) =
            piece.drain(..).map(|record| ((record.key, record.bytes), record.job)).unzip();
        let result = call.call(&jobs, true).await;
        piece = keys.into_iter().zip(jobs).map(|((key, bytes), job)| Keyed { key, bytes, job }).collect();
        match result {
            Ok(answers) => {
                offline.database_is_back(kind);
                refusals = 0;
                outcome.gone += piece.len();
                let mut taken = Vec::with_capacity(piece.len());
                for (record, answer) in piece.into_iter().zip(answers) {
                    if is_unknown(&answer) {
                        bury(offline, database, record.key, &record.bytes, NO_SUCH_LINK).await?;
                    } else {
                        taken.push(record.key);
                    }
                }
                offline.metrics.count_drained(kind, taken.len());
                offline.spool.remove(taken).await?;
            }
            // A live call that was given up may be committing them at this moment; or a table is just being changed.
            Err(failure) if failure.may_pass() && tries < DUPLICATE_TRIES => {
                tries += 1;
                pieces.push(piece);
                sleep(FIRST_PAUSE).await;
            }
            Err(failure) if failure.blames_the_data() => {
                if piece.len() == 1 {
                    for record in piece {
                        bury(offline, database, record.key, &record.bytes, failure.label()).await?;
                        outcome.gone += 1;
                    }
                } else {
                    let tail = piece.split_off(piece.len() / 2);
                    pieces.push(tail);
                    pieces.push(piece);
                }
            }
            // Nobody's data, but perhaps not everybody's fate.
            Err(failure @ (Failure::Refused(_) | Failure::Missing(_))) => {
                refusals += 1;
                outcome.refused = Some(failure);
                if refusals > MAX_REFUSALS {
                    break;
                }
                if piece.len() > 1 {
                    let tail = piece.split_off(piece.len() / 2);
                    pieces.push(tail);
                    pieces.push(piece);
                }
            }
            // A call that never ends in time, of one record, while the database answers others: it waits, like one that is refused.
            Err(failure) if piece.len() == 1 && database.ping().await.is_ok() => outcome.refused = Some(failure),
            Err(_) => return Err(Stop::Database),
        }
    }
    Ok(outcome)
}

/// Makes a record a dead letter; one that not even that table takes is put beside.
async fn bury(offline: &Offline, database: &Database, key: u64, bytes: &[u8], failure: &str) -> Result<(), Stop> {
    let Ok(record) = spool_record::read(bytes) else {
        return Ok(offline.spool.put_beside(key).await?);
    };
    tracing::error!(
        reason = failure,
        kind = record.kind(),
        "the database refuses a spooled request: it is a dead letter"
    );
    match database.keep_dead_letter(&record, bytes, failure).await {
        Ok(()) => {
            offline.metrics.count_dead_letter();
            offline.spool.remove(vec![key]).await?;
        }
        Err(failure) if failure.blames_the_data() => {
            tracing::error!(sqlstate = failure.label(), "a dead letter cannot be kept either; it was put beside");
            offline.metrics.count_unreadable();
            offline.spool.put_beside(key).await?;
        }
        Err(_) => return Err(Stop::Database),
    }
    Ok(())
}
