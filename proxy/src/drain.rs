//! The spool's way back: the oldest records first, with the calls that live requests make, on connections of its own.
//!
//! A record leaves the spool after its call has committed, so a crash between the two repeats it, which is harmless. One
//! that the database refuses for what it carries is found by halving and becomes a dead letter; one that cannot be read is
//! put beside. Everything else waits: the first call that gets through says that the database is back.

use crate::batch::{Call, DUPLICATE_TRIES, Job, jittered};
use crate::database::Database;
use crate::database::requests::{ReceivePostbacks, RecordClicks};
use crate::error::Failure;
use crate::metrics::CallKind;
use crate::offline::Offline;
use crate::spool::SpoolError;
use crate::spool_record::{self, Record};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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
        loop {
            let started = Instant::now();
            match self.step(limit).await {
                Ok(0) => {
                    tokio::select! {
                        () = self.offline.spool.filled.notified() => {}
                        () = self.offline.went_away.notified() => {}
                    }
                }
                Ok(_) => {
                    (pause, limit) = (FIRST_PAUSE, self.batch_limit);
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

    /// Drains one batch, or asks whether the database is back; how many records went.
    async fn step(&mut self, limit: usize) -> Result<usize, Stop> {
        let stored = self.offline.spool.oldest(limit).await?;
        if stored.is_empty() {
            if self.offline.database_is_away() {
                self.database.ping().await.map_err(|_| Stop::Database)?;
                self.offline.database_is_back();
            }
            return Ok(0);
        }
        let count = stored.len();
        let batch = self.sort(stored).await?;
        drain(&self.offline, &self.database, &mut self.clicks, CallKind::Clicks, batch.own_taps).await?;
        drain(&self.offline, &self.database, &mut self.campaign_clicks, CallKind::Clicks, batch.campaign_taps).await?;
        drain(&self.offline, &self.database, &mut self.postbacks, CallKind::Postbacks, batch.postbacks).await?;
        Ok(count)
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
) -> Result<(), Stop> {
    let mut pieces = vec![records];
    let mut duplicates = 0;
    while let Some(mut piece) = pieces.pop() {
        if piece.is_empty() {
            continue;
        }
        let (keys, jobs): (Vec<_>, Vec<_>) =
            piece.drain(..).map(|record| ((record.key, record.bytes), record.job)).unzip();
        let result = call.call(&jobs, true).await;
        piece = keys.into_iter().zip(jobs).map(|((key, bytes), job)| Keyed { key, bytes, job }).collect();
        match result {
            Ok(_) => {
                offline.database_is_back();
                let keys: Vec<u64> = piece.iter().map(|record| record.key).collect();
                offline.spool.remove(keys).await?;
                offline.metrics.count_drained(kind, piece.len());
            }
            // A live call that was given up may be committing them at this moment.
            Err(Failure::Duplicate) if duplicates < DUPLICATE_TRIES => {
                duplicates += 1;
                pieces.push(piece);
                sleep(FIRST_PAUSE).await;
            }
            Err(failure) if failure.blames_the_data() => {
                if piece.len() == 1 {
                    for record in piece {
                        bury(offline, database, record.key, &record.bytes, &failure).await?;
                    }
                } else {
                    let tail = piece.split_off(piece.len() / 2);
                    pieces.push(tail);
                    pieces.push(piece);
                }
            }
            Err(_) => return Err(Stop::Database),
        }
    }
    Ok(())
}

/// Makes a record a dead letter; one that not even that table takes is put beside.
async fn bury(offline: &Offline, database: &Database, key: u64, bytes: &[u8], failure: &Failure) -> Result<(), Stop> {
    let Ok(record) = spool_record::read(bytes) else {
        return Ok(offline.spool.put_beside(key).await?);
    };
    tracing::error!(
        sqlstate = failure.label(),
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
