//! A loss of power: whatever of the writes since the last sync has reached the disk, every record that was answered is there.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// What a disk makes whole or not at all.
const SECTOR: usize = 512;

/// What the file was told, in order.
#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
}

/// Keeps a file in memory, and how it came about.
#[derive(Debug)]
struct Recorder {
    file: InMemoryBackend,
    steps: Arc<Mutex<Vec<Step>>>,
}

impl StorageBackend for Recorder {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        self.steps.lock().unwrap().push(Step::SetLength(length));
        self.file.set_len(length)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.steps.lock().unwrap().push(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.steps.lock().unwrap().push(Step::Write(offset, data.to_vec()));
        self.file.write(offset, data)
    }
}

/// What is in the spool, by key, and after how many steps that was promised.
struct Promise {
    steps: usize,
    records: BTreeMap<u64, Vec<u8>>,
}

fn append(records: Vec<Vec<u8>>) -> Order {
    Order::Append { records, most_bytes: u64::MAX, reply: oneshot::channel().0 }
}

fn records_in(database: &Database) -> BTreeMap<u64, Vec<u8>> {
    oldest(database, 0, usize::MAX).unwrap().into_iter().collect()
}

/// Groups of orders as they come in an outage and after it, on a file that is recorded.
fn recorded(chance: &mut StdRng) -> (Vec<Step>, Vec<Promise>) {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let recorder = Recorder { file: InMemoryBackend::new(), steps: Arc::clone(&steps) };
    let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(recorder).unwrap();
    let (next_key, bytes) = first_look(&database).unwrap();
    let mut open = Open { database, identity: (0, 0), next_key, bytes };
    let mut promises = Vec::new();
    for round in 0..9 {
        promises.push(Promise { steps: steps.lock().unwrap().len(), records: records_in(&open.database) });
        let mut group: Vec<Order> = (0..chance.random_range(1..4))
            .map(|_| {
                append((0..chance.random_range(1..30)).map(|_| vec![round; chance.random_range(1..2000)]).collect())
            })
            .collect();
        if round % 3 == 2 {
            let keys: Vec<u64> = records_in(&open.database).into_keys().take(20).collect();
            group.push(Order::PutBeside { key: keys[0], reply: oneshot::channel().0 });
            group.push(Order::Remove { keys, reply: oneshot::channel().0 });
        }
        assert!(write(&mut open, &group).unwrap().is_empty());
    }
    promises.push(Promise { steps: steps.lock().unwrap().len(), records: records_in(&open.database) });
    let steps = steps.lock().unwrap().clone();
    (steps, promises)
}

/// The file after the power went: everything up to the last sync, and of the rest what a share of chance lets through.
fn after_power_loss(steps: &[Step], knows_syncs: bool, share: f64, chance: &mut StdRng) -> Vec<u8> {
    let last_sync = steps.iter().rposition(|step| matches!(step, Step::Sync)).filter(|_| knows_syncs).unwrap_or(0);
    let mut image = Vec::new();
    for (position, step) in steps.iter().enumerate() {
        let mut is_kept = || position < last_sync || chance.random_bool(share);
        match step {
            Step::SetLength(length) if is_kept() => image.resize(*length as usize, 0),
            Step::Write(offset, data) => {
                for (sector, bytes) in data.chunks(SECTOR).enumerate().filter(|_| is_kept()) {
                    let start = *offset as usize + sector * SECTOR;
                    image.resize(image.len().max(start + bytes.len()), 0);
                    image[start..start + bytes.len()].copy_from_slice(bytes);
                }
            }
            Step::SetLength(_) | Step::Sync => {}
        }
    }
    image
}

/// Cuts the power after every step; gives how often what is found is neither what was promised last nor what was just being written.
fn broken_promises(seed: u64, knows_syncs: bool) -> usize {
    let mut chance = StdRng::seed_from_u64(seed);
    let (steps, promises) = recorded(&mut chance);
    let directory = std::env::temp_dir().join(format!("postback-power-{}-{seed}-{knows_syncs}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("spool.redb");
    let mut broken = 0;
    for end in promises[0].steps..=steps.len() {
        let promised = promises.iter().rposition(|promise| promise.steps <= end).unwrap();
        for share in [0.0, 0.5, 1.0] {
            fs::write(&path, after_power_loss(&steps[..end], knows_syncs, share, &mut chance)).unwrap();
            let holds = open(&path).is_ok_and(|open| {
                let found = records_in(&open.database);
                promises[promised..].iter().take(2).any(|promise| promise.records == found)
            });
            broken += usize::from(!holds);
        }
    }
    fs::remove_dir_all(&directory).unwrap();
    broken
}

#[test]
fn what_was_answered_survives_a_loss_of_power_at_any_moment() {
    for seed in 1..=2 {
        assert_eq!(broken_promises(seed, true), 0, "seed {seed}");
    }
}

#[test]
fn control_a_disk_that_does_not_sync_is_found_out() {
    assert!(broken_promises(1, false) > 0);
}
