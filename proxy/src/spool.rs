//! What survives an outage: records in one redb file, durable before anybody is told so.
//!
//! One thread (`store.rs`) owns the file (`file.rs`) and does all that waits in one transaction, so that a thousand appends share one
//! fsync. This is the way to it. Not for: what is in a record, see `spool_record.rs`; when to spool and drain, see `offline.rs` and `drain.rs`.

mod file;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, fs, io, thread};
use store::Store;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

const FILE: &str = "spool.redb";
const WAITING_ORDERS: usize = 1024;

/// The share of the room that is kept for what does not come again: one in so many.
const RESERVE: u64 = 8;

/// How long an order waits for the disk: longer than a hiccup, and short enough for the client to be answered afterwards.
const PATIENCE: Duration = Duration::from_secs(7);

/// A record and its place in the order of arrival.
pub type Stored = (u64, Vec<u8>);

/// Why records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolError {
    /// They would exceed the limit that the operator set, or their share of it.
    Full,
    /// The file cannot be written or read, or not in time; the log says why.
    Broken,
}

/// Why the spool cannot be used at all.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    InUse(PathBuf),
    /// It was written by a version that keeps its files in another way.
    Foreign(PathBuf),
    Failed(PathBuf, String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InUse(path) => {
                write!(
                    formatter,
                    "another process has the spool \"{}\"; give each proxy a POSTBACK_SPOOL of its own",
                    path.display()
                )
            }
            OpenError::Foreign(path) => write!(
                formatter,
                "the spool \"{}\" is in the format of another version; let that version drain it first",
                path.display()
            ),
            OpenError::Failed(path, reason) => {
                write!(formatter, "the spool \"{}\" cannot be used: {reason}", path.display())
            }
        }
    }
}

/// What the spool holds, for whoever watches it.
#[derive(Default)]
pub struct Totals {
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    /// When the oldest record was made, in Unix milliseconds; 0 when there is none.
    pub oldest_unix_ms: AtomicU64,
    /// Files that could not be read and were put beside.
    pub files_put_beside: AtomicU64,
    pub is_broken: AtomicBool,
    /// How much there was when something was refused that may have all the room; 0 when such has been taken since.
    full_at: AtomicU64,
    /// How many groups of orders the thread has done, and one more than it had done when an order was given up that it has not finished since.
    groups: AtomicU64,
    stalled_before: AtomicU64,
}

impl Totals {
    /// Whether the disk has not answered in time, nor since.
    pub fn is_stalled(&self) -> bool {
        self.stalled_before.load(Ordering::Relaxed) == self.groups.load(Ordering::Relaxed) + 1
    }

    /// Whether there was no room, nor has any become free since.
    pub fn is_full(&self) -> bool {
        let full_at = self.full_at.load(Ordering::Relaxed);
        full_at > 0 && self.bytes.load(Ordering::Relaxed) >= full_at
    }
}

enum Order {
    Append { records: Vec<Vec<u8>>, most_bytes: u64, reply: oneshot::Sender<Result<(), SpoolError>> },
    Oldest { after: u64, limit: usize, reply: oneshot::Sender<Result<Vec<Stored>, SpoolError>> },
    Remove { keys: Vec<u64>, reply: oneshot::Sender<Result<(), SpoolError>> },
    PutBeside { key: u64, reply: oneshot::Sender<Result<(), SpoolError>> },
}

/// The way to the thread.
#[derive(Clone)]
pub struct Spool {
    orders: mpsc::Sender<Order>,
    max_bytes: u64,
    pub totals: Arc<Totals>,
    /// Told when there is something to drain.
    pub filled: Arc<Notify>,
}

impl Spool {
    /// Opens the file in the directory or makes it. The thread ends with the last handle.
    ///
    /// Of a record one has to say when it was made, in Unix milliseconds, and whether it can be read: what was put beside and can be, by this
    /// version, is in the order again.
    pub fn open(
        directory: &Path,
        max_bytes: u64,
        time_of: fn(&[u8]) -> u64,
        is_readable: fn(&[u8]) -> bool,
    ) -> Result<(Spool, JoinHandle<()>), OpenError> {
        let failed = |error: io::Error| OpenError::Failed(directory.to_owned(), error.to_string());
        fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join(FILE);
        let totals = Arc::new(Totals::default());
        let store = Store::open(path, time_of, is_readable, Arc::clone(&totals))?;
        let (orders, inbox) = mpsc::channel(WAITING_ORDERS);
        let filled = Arc::new(Notify::new());
        let told = Arc::clone(&filled);
        let thread =
            thread::Builder::new().name("spool".to_owned()).spawn(move || store.serve(inbox, &told)).map_err(failed)?;
        Ok((Spool { orders, max_bytes, totals, filled }, thread))
    }

    /// Returns when the records are on the disk; all of them, or none.
    pub async fn append(&self, records: Vec<Vec<u8>>) -> Result<(), SpoolError> {
        let taken = self.append_up_to(self.max_bytes, records).await;
        match taken {
            Ok(()) => self.totals.full_at.store(0, Ordering::Relaxed),
            Err(SpoolError::Full) => {
                self.totals.full_at.store(self.totals.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            Err(SpoolError::Broken) => {}
        }
        taken
    }

    /// The same for what comes again when it is refused: a part of the room is not for it.
    pub async fn append_what_comes_again(&self, records: Vec<Vec<u8>>) -> Result<(), SpoolError> {
        self.append_up_to(self.max_bytes - self.max_bytes / RESERVE, records).await
    }

    async fn append_up_to(&self, most_bytes: u64, records: Vec<Vec<u8>>) -> Result<(), SpoolError> {
        self.order(|reply| Order::Append { records, most_bytes, reply }).await
    }

    /// The first records after a key, in order of arrival; after 0, of all.
    pub async fn oldest(&self, after: u64, limit: usize) -> Result<Vec<Stored>, SpoolError> {
        self.order(|reply| Order::Oldest { after, limit, reply }).await
    }

    pub async fn remove(&self, keys: Vec<u64>) -> Result<(), SpoolError> {
        self.order(|reply| Order::Remove { keys, reply }).await
    }

    /// Takes a record out of the order and keeps it where it stops nobody.
    pub async fn put_beside(&self, key: u64) -> Result<(), SpoolError> {
        self.order(|reply| Order::PutBeside { key, reply }).await
    }

    pub fn is_empty(&self) -> bool {
        self.totals.records.load(Ordering::Relaxed) == 0
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, SpoolError>>) -> Order,
    ) -> Result<T, SpoolError> {
        if self.totals.is_stalled() {
            return Err(SpoolError::Broken);
        }
        let groups = self.totals.groups.load(Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let done = async {
            self.orders.send(order(reply)).await.map_err(|_| SpoolError::Broken)?;
            answer.await.unwrap_or(Err(SpoolError::Broken))
        };
        match timeout(PATIENCE, done).await {
            Ok(done) => done,
            // It may yet be done: a record that is there all the same is recorded once.
            Err(_) => {
                let is_news = self.totals.stalled_before.swap(groups + 1, Ordering::Relaxed) != groups + 1;
                if is_news && self.totals.is_stalled() {
                    tracing::error!(seconds = PATIENCE.as_secs(), "the disk of the spool does not answer");
                }
                Err(SpoolError::Broken)
            }
        }
    }
}

impl Order {
    fn fail(self) {
        match self {
            Order::Append { reply, .. } | Order::Remove { reply, .. } | Order::PutBeside { reply, .. } => {
                let _ = reply.send(Err(SpoolError::Broken));
            }
            Order::Oldest { reply, .. } => {
                let _ = reply.send(Err(SpoolError::Broken));
            }
        }
    }
}

#[cfg(test)]
mod tests;
