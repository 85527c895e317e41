//! One file of the spool: its tables, what is written and read in a transaction, and what its errors mean.
//!
//! redb's lock on the file keeps a second process out. Not for: which file is used and when another is begun, see `store.rs`.

use super::{Order, Stored};
use redb::backends::FileBackend;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

pub(super) const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// Records that nobody can read, kept for a person.
const UNREADABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("unreadable");
const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");
const BYTES: &str = "bytes";

const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A file that is open.
pub(super) struct Open {
    pub(super) database: Database,
    identity: Identity,
    next_key: u64,
    pub(super) bytes: u64,
}

/// By which a file is known again, whatever its name: device and inode.
type Identity = (u64, u64);

impl Open {
    /// Whether this is the file at the path, as far as can be seen.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        match fs::metadata(path) {
            Ok(file) => identity_of(&file) == self.identity,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// Opens a file or makes it; the error comes with what can be read all the same.
pub(super) fn open(path: &Path) -> Result<Open, (redb::Error, Option<Box<Salvage>>)> {
    let opened = guarded(|| {
        // Addresses and tokens are in it.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let identity = identity_of(&file.metadata()?);
        sync_name(path)?;
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?;
        Ok((database, identity))
    });
    let (database, identity) = match opened {
        Ok(opened) => opened,
        Err(error) if is_corruption(&error) => {
            // Opened to write, it is looked at as a whole; to read, page by page.
            let found = guarded(|| Ok(Box::new(salvage(&Builder::new().open_read_only(path)?))));
            return Err((error, found.ok()));
        }
        Err(error) => return Err((error, None)),
    };
    match guarded(|| first_look(&database)) {
        Ok((next_key, bytes)) => Ok(Open { database, identity, next_key, bytes }),
        Err(error) => {
            let found = salvage(&database);
            discard(database);
            Err((error, Some(Box::new(found))))
        }
    }
}

/// The next key, and how many bytes are in the file. Makes the tables.
fn first_look(database: &Database) -> Result<(u64, u64), redb::Error> {
    let write = database.begin_write()?;
    let (last, last_unreadable, bytes) = {
        let records = write.open_table(RECORDS)?;
        let unreadable = write.open_table(UNREADABLE)?;
        let last = records.last()?.map_or(0, |(key, _)| key.value());
        let last_unreadable = unreadable.last()?.map_or(0, |(key, _)| key.value());
        let bytes = write.open_table(TOTALS)?.get(BYTES)?.map_or(0, |bytes| bytes.value());
        (last, last_unreadable, bytes)
    };
    write.commit()?;
    // Above all keys of a file that was put beside: records of it may be on their way, and are taken out by key.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    Ok((now.max(last).max(last_unreadable) + 1, bytes))
}

/// Puts what was put beside back into its place in the order, where it can be read by now: another version may have written it.
pub(super) fn take_back(open: &mut Open, is_readable: fn(&[u8]) -> bool) -> Result<usize, redb::Error> {
    let mut write = open.database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    let (mut bytes, mut count) = (open.bytes, 0);
    {
        let mut records = write.open_table(RECORDS)?;
        let mut unreadable = write.open_table(UNREADABLE)?;
        for entry in unreadable.extract_if(|_, record| is_readable(record))? {
            let (key, record) = entry?;
            records.insert(key.value(), record.value())?;
            bytes += record.value().len() as u64;
            count += 1;
        }
        write.open_table(TOTALS)?.insert(BYTES, bytes)?;
    }
    write.commit()?;
    open.bytes = bytes;
    Ok(count)
}

/// What is left undone in a file that is closed for good is no failure.
pub(super) fn discard(database: Database) {
    let _ = guarded(|| {
        drop(database);
        Ok(())
    });
}

/// A new file's name, too, is to survive a loss of power.
pub(super) fn sync_name(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// What could be read in a file, by key.
pub(super) struct Salvage {
    pub(super) records: BTreeMap<u64, Vec<u8>>,
    unreadable: BTreeMap<u64, Vec<u8>>,
    pub(super) is_whole: bool,
}

/// Reads from both ends, up to the damaged page if there is one.
pub(super) fn salvage(database: &impl ReadableDatabase) -> Salvage {
    let mut is_whole = true;
    let [records, unreadable] = [RECORDS, UNREADABLE].map(|table| {
        let mut found = BTreeMap::new();
        for is_backwards in [false, true] {
            let read = guarded(|| {
                let read = database.begin_read()?;
                let table = read.open_table(table)?;
                let mut entries = table.iter()?;
                while let Some(entry) = if is_backwards { entries.next_back() } else { entries.next() } {
                    let (key, record) = entry?;
                    found.insert(key.value(), record.value().to_vec());
                }
                Ok(())
            });
            match read {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, "a part of the spool cannot be read");
                    is_whole = false;
                }
            }
        }
        found
    });
    Salvage { records, unreadable, is_whole }
}

/// Adds what was in one file to another. Both have a record where the one was made from the other; keys that were made apart can meet
/// only when two files were opened in the same microsecond, and then the newcomer gets one of its own.
pub(super) fn add(to: &mut Open, found: &Salvage) -> Result<(), redb::Error> {
    let mut write = to.database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    let (mut bytes, mut next_key) = (to.bytes, to.next_key);
    for (table, records) in [(RECORDS, &found.records), (UNREADABLE, &found.unreadable)] {
        let mut table = write.open_table(table)?;
        for (&key, record) in records {
            let is_there = table.get(key)?.map(|other| other.value() == record.as_slice());
            let key = match is_there {
                Some(true) => continue,
                Some(false) => next_key,
                None => key,
            };
            next_key = next_key.max(key + 1);
            table.insert(key, record.as_slice())?;
            if std::ptr::eq(records, &found.records) {
                bytes += record.len() as u64;
            }
        }
    }
    write.open_table(TOTALS)?.insert(BYTES, bytes)?;
    write.commit()?;
    (to.bytes, to.next_key) = (bytes, next_key);
    Ok(())
}

fn identity_of(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

/// Writes what the orders ask for and makes it durable; gives the positions of the appends that do not fit.
pub(super) fn write(open: &mut Open, group: &[Order]) -> Result<Vec<usize>, redb::Error> {
    let mut refused = Vec::new();
    if group.iter().all(|order| matches!(order, Order::Oldest { .. })) {
        return Ok(refused);
    }
    let (mut next_key, mut bytes) = (open.next_key, open.bytes);
    (|| -> Result<(), redb::Error> {
        let mut write = open.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        {
            let mut records = write.open_table(RECORDS)?;
            for (position, order) in group.iter().enumerate() {
                match order {
                    Order::Append { records: new, most_bytes, .. } => {
                        let more: u64 = new.iter().map(|record| record.len() as u64).sum();
                        if bytes + more > *most_bytes {
                            refused.push(position);
                            continue;
                        }
                        for record in new {
                            records.insert(next_key, record.as_slice())?;
                            next_key += 1;
                        }
                        bytes += more;
                    }
                    Order::Remove { keys, .. } => {
                        for key in keys {
                            let length = records.remove(key)?.map_or(0, |record| record.value().len() as u64);
                            bytes = bytes.saturating_sub(length);
                        }
                    }
                    Order::PutBeside { key, .. } => {
                        let record = records.remove(key)?.map(|record| record.value().to_vec());
                        if let Some(record) = record {
                            bytes = bytes.saturating_sub(record.len() as u64);
                            write.open_table(UNREADABLE)?.insert(key, record.as_slice())?;
                        }
                    }
                    Order::Oldest { .. } => {}
                }
            }
            write.open_table(TOTALS)?.insert(BYTES, bytes)?;
        }
        write.commit()?;
        Ok(())
    })()?;
    (open.next_key, open.bytes) = (next_key, bytes);
    Ok(refused)
}

pub(super) fn oldest(database: &Database, after: u64, limit: usize) -> Result<Vec<Stored>, redb::Error> {
    let read = database.begin_read()?;
    let records = read.open_table(RECORDS)?;
    let mut found = Vec::new();
    for entry in records.range(after + 1..)?.take(limit) {
        let (key, record) = entry?;
        found.push((key.value(), record.value().to_vec()));
    }
    Ok(found)
}

/// Does something with the file. On damaged pages redb may panic: that is one more way to say that they are damaged.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    // Whatever was under way is dropped with the handle.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("its pages contradict each other".to_owned())))
}

/// What passes, or is mended, without anybody having set the proxy up wrongly.
pub(super) fn is_of_the_disk(error: &redb::Error) -> bool {
    matches!(errno(error), Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS)) || is_failure_of_the_disk(error)
}

/// After which what was written may be gone, although it can still be read.
pub(super) fn is_failure_of_the_disk(error: &redb::Error) -> bool {
    errno(error) == Some(Errno::IO)
}

fn errno(error: &redb::Error) -> Option<Errno> {
    let redb::Error::Io(error) = error else { return None };
    error.raw_os_error().map(Errno::from_raw_os_error)
}

pub(super) fn is_corruption(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) | redb::Error::RepairAborted => true,
        // Not a file of redb, or not all of one.
        redb::Error::Io(error) => matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
