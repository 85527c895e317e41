//! The thread that owns the spool's file: orders in groups, and another file when the one there is can no longer be trusted.
//!
//! A file that the disk failed on is never synced again as if nothing had been: Linux forgets what it could not write. What can be read in
//! it goes into a new one. So it is with a file that is damaged, which is put beside, and with one that is no longer where its path says: at
//! the next start nobody would find it. Not for: what is in a file, see `file.rs`.

use super::file::{self, Open, RECORDS, Salvage, add, discard, guarded, oldest, salvage, sync_name, write};
use super::{OpenError, Order, SpoolError, Stored, Totals};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};
use tokio::sync::{Notify, mpsc};

/// Orders in one transaction, at most; each append is a batch of requests.
const GROUP_LIMIT: usize = 64;
/// How long a file that failed is left alone.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
/// An empty file that is larger is cut back.
const COMPACT_BYTES: u64 = 64 * 1024 * 1024;

/// What is known of the file at the path.
enum Standing {
    Sound,
    /// The disk has failed on it: what it did not take may be missing at the next look.
    Suspect,
    /// With what could be read in it, if anything could.
    Damaged(Option<Box<Salvage>>),
}

pub(super) struct Store {
    path: PathBuf,
    time_of: fn(&[u8]) -> u64,
    open: Option<Open>,
    retry_at: Instant,
    standing: Standing,
    /// Why it cannot be opened, as the log says.
    told: Option<String>,
    totals: Arc<Totals>,
}

impl Store {
    /// Opens the file or makes it; where the disk fails or is full, it is tried again with the first order.
    pub(super) fn open(
        path: PathBuf,
        time_of: fn(&[u8]) -> u64,
        is_readable: fn(&[u8]) -> bool,
        totals: Arc<Totals>,
    ) -> Result<Self, OpenError> {
        let mut store = Store {
            path,
            time_of,
            open: None,
            retry_at: Instant::now(),
            standing: Standing::Sound,
            told: None,
            totals,
        };
        match store.open_or_begin() {
            // While the database is up, nobody needs the disk.
            Err(error) if file::is_of_the_disk(&error) => store.tell(&store.described(error)),
            opened => {
                store.open = Some(opened.map_err(|error| store.described(error))?);
                store.take_back(is_readable);
                store.note_totals();
            }
        }
        Ok(store)
    }

    fn take_back(&mut self, is_readable: fn(&[u8]) -> bool) {
        let Some(open) = &mut self.open else { return };
        match guarded(|| file::take_back(open, is_readable)) {
            Ok(0) => {}
            Ok(records) => tracing::warn!(records, "requests that were put beside can be read: they are drained again"),
            Err(error) => self.close(&error),
        }
    }

    /// Until the last handle is gone.
    pub(super) fn serve(mut self, mut inbox: mpsc::Receiver<Order>, filled: &Notify) {
        let mut group = Vec::with_capacity(GROUP_LIMIT);
        while let Some(order) = inbox.blocking_recv() {
            group.push(order);
            while group.len() < GROUP_LIMIT
                && let Ok(order) = inbox.try_recv()
            {
                group.push(order);
            }
            let writes = self.perform(&mut group);
            let was_stalled = self.totals.is_stalled();
            self.totals.groups.fetch_add(1, Ordering::Relaxed);
            if was_stalled {
                tracing::info!("the disk of the spool answers again");
            }
            if writes && self.totals.records.load(Ordering::Relaxed) > 0 {
                filled.notify_one();
            }
        }
    }

    /// Does a group of orders in one transaction and answers them; whether something was appended.
    fn perform(&mut self, group: &mut Vec<Order>) -> bool {
        let will_append = group.iter().any(|order| matches!(order, Order::Append { .. }));
        let is_ready = self.has_file(will_append);
        let result = match &mut self.open {
            Some(open) if is_ready => guarded(|| write(open, group)).map_err(Some),
            _ => Err(None),
        };
        let refused = match result {
            Ok(refused) => refused,
            Err(error) => {
                if let Some(error) = error {
                    self.close(&error);
                }
                for order in group.drain(..) {
                    order.fail();
                }
                return false;
            }
        };
        // Whoever is answered sees them.
        self.note_totals();
        let mut has_appended = false;
        for (position, order) in group.drain(..).enumerate() {
            // A caller that has gone away does not need its answer.
            match order {
                Order::Append { reply, .. } => {
                    let result = if refused.contains(&position) { Err(SpoolError::Full) } else { Ok(()) };
                    has_appended |= result.is_ok();
                    let _ = reply.send(result);
                }
                Order::Remove { reply, .. } | Order::PutBeside { reply, .. } => {
                    let _ = reply.send(Ok(()));
                }
                Order::Oldest { after, limit, reply } => {
                    let _ = reply.send(self.read(after, limit));
                }
            }
        }
        has_appended
    }

    /// Whether there is a file to do this with, where the next start looks for it. If not, one is opened: tried each second, its failure
    /// told once.
    fn has_file(&mut self, will_append: bool) -> bool {
        if self.open.as_ref().is_some_and(|open| open.is_at(&self.path)) {
            return true;
        }
        if Instant::now() >= self.retry_at {
            let opened = match self.open.take() {
                Some(old) => self.leave(old),
                None => self.reopen(),
            };
            match opened {
                Ok(()) => {
                    self.told = None;
                    return true;
                }
                Err(error) => self.tell(&error),
            }
        }
        // What a file without a place holds can still be drained from it.
        self.open.is_some() && !will_append
    }

    fn tell(&mut self, error: &OpenError) {
        self.retry_at = Instant::now() + REOPEN_PAUSE;
        self.totals.is_broken.store(true, Ordering::Relaxed);
        let reason = error.to_string();
        if self.told.as_ref() != Some(&reason) {
            tracing::error!(error = reason, "the spool cannot be opened");
        }
        self.told = Some(reason);
    }

    /// Goes on in the file that is at the path now, with all that is in the one that was deleted, renamed or covered there.
    fn leave(&mut self, old: Open) -> Result<(), OpenError> {
        let moved = guarded(|| {
            fs::create_dir_all(self.path.parent().unwrap_or(&self.path))?;
            let mut new = self.open_or_begin()?;
            let found = salvage(&old.database);
            add(&mut new, &found)?;
            if !found.is_whole {
                tracing::error!(records = found.records.len(), "not all that was left in the spool could be read");
            }
            Ok(new)
        });
        match moved {
            Ok(new) => {
                discard(old.database);
                self.open = Some(new);
                tracing::error!(
                    "the spool's file was taken away from its path: its records were copied to the one there now"
                );
                Ok(())
            }
            Err(error) => {
                self.open = Some(old);
                Err(self.described(error))
            }
        }
    }

    fn read(&mut self, after: u64, limit: usize) -> Result<Vec<Stored>, SpoolError> {
        let read = match &self.open {
            Some(open) => guarded(|| oldest(&open.database, after, limit)),
            None => return Err(SpoolError::Broken),
        };
        read.map_err(|error| {
            self.close(&error);
            SpoolError::Broken
        })
    }

    fn note_totals(&mut self) {
        let Some(open) = &mut self.open else { return };
        let totals = guarded(|| {
            let read = open.database.begin_read()?;
            let records = read.open_table(RECORDS)?;
            let first = records.first()?.map(|(_, record)| (self.time_of)(record.value()));
            Ok((records.len()?, first.unwrap_or(0)))
        });
        match totals {
            Ok((count, first)) => {
                self.totals.records.store(count, Ordering::Relaxed);
                self.totals.bytes.store(open.bytes, Ordering::Relaxed);
                self.totals.oldest_unix_ms.store(first, Ordering::Relaxed);
                self.totals.is_broken.store(!open.is_at(&self.path), Ordering::Relaxed);
                let is_large = fs::metadata(&self.path).is_ok_and(|file| file.len() > COMPACT_BYTES);
                if count == 0
                    && is_large
                    && let Err(error) = guarded(|| Ok(open.database.compact()?))
                {
                    tracing::warn!(%error, "the empty spool cannot be cut back");
                }
            }
            Err(error) => self.close(&error),
        }
    }

    /// Nothing more is asked of this file handle.
    fn close(&mut self, error: &redb::Error) {
        tracing::error!(%error, "the spool failed");
        self.totals.is_broken.store(true, Ordering::Relaxed);
        self.retry_at = Instant::now() + REOPEN_PAUSE;
        let Some(open) = self.open.take() else { return };
        // What lies at the path by now may be another file, and whole.
        let is_at_fault = open.is_at(&self.path);
        if is_at_fault && file::is_corruption(error) {
            self.standing = Standing::Damaged(Some(Box::new(salvage(&open.database))));
        } else if is_at_fault && file::is_failure_of_the_disk(error) {
            self.standing = Standing::Suspect;
        }
        discard(open.database);
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        self.open = Some(self.open_or_begin().map_err(|error| self.described(error))?);
        self.note_totals();
        Ok(())
    }

    /// Opens the file at the path; one that cannot be trusted is replaced.
    fn open_or_begin(&mut self) -> Result<Open, redb::Error> {
        if !matches!(self.standing, Standing::Damaged(_)) {
            match file::open(&self.path) {
                Ok(open) if matches!(self.standing, Standing::Sound) => return Ok(open),
                Ok(open) => {
                    self.standing = Standing::Damaged(Some(Box::new(salvage(&open.database))));
                    discard(open.database);
                }
                Err((error, found)) if file::is_corruption(&error) => {
                    tracing::error!(%error, "the spool cannot be read");
                    self.standing = Standing::Damaged(found);
                }
                Err((error, _)) => return Err(error),
            }
        }
        let new = guarded(|| self.replaced())?;
        self.standing = Standing::Sound;
        Ok(new)
    }

    /// A new file in the place of the one at the path, with all that could be read in that; it is put beside unless this is all of it.
    fn replaced(&self) -> Result<Open, redb::Error> {
        let path = self.path.with_extension("redb.new");
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
        let mut new = file::open(&path).map_err(|(error, _)| error)?;
        match &self.standing {
            Standing::Damaged(Some(found)) => {
                let (records, all) = (found.records.len(), found.is_whole);
                tracing::error!(records, all, "the spool is begun anew, with what could be read");
                add(&mut new, found)?;
                if !found.is_whole {
                    self.put_file_beside()?;
                }
            }
            _ => self.put_file_beside()?,
        }
        fs::rename(&path, &self.path)?;
        sync_name(&self.path)?;
        Ok(new)
    }

    fn described(&self, error: redb::Error) -> OpenError {
        match error {
            redb::Error::DatabaseAlreadyOpen => OpenError::InUse(self.path.clone()),
            redb::Error::UpgradeRequired(_) | redb::Error::TableTypeMismatch { .. } => {
                OpenError::Foreign(self.path.clone())
            }
            error => OpenError::Failed(self.path.clone(), error.to_string()),
        }
    }

    /// Keeps the file for whoever can read more of it. Until another takes its name it has two, so that there is one at any time.
    fn put_file_beside(&self) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let beside = self.path.with_extension(format!("redb.corrupt-{}", now.as_millis()));
        fs::hard_link(&self.path, &beside).or_else(|_| fs::rename(&self.path, &beside))?;
        self.totals.files_put_beside.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            file = %beside.display(),
            "the spool is corrupt: what cannot be read is not drained; the file was put beside"
        );
        Ok(())
    }
}
