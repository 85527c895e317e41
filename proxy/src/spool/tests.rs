//! The file: what was appended is there after the end of the thread, in order, once; what is broken stops nothing.

use super::*;
use std::time::{Duration, Instant};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("postback-spool-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Place(path)
    }

    fn open(&self, max_bytes: u64) -> (Spool, JoinHandle<()>) {
        Spool::open(&self.0, max_bytes, |record| u64::from(record[0]), |_| false).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LARGE: u64 = 1 << 20;

fn records(first: u8, count: u8) -> Vec<Vec<u8>> {
    (first..first + count).map(|byte| vec![byte; 10]).collect()
}

async fn contents(spool: &Spool) -> Vec<u8> {
    spool.oldest(0, 1000).await.unwrap().iter().map(|(_, record)| record[0]).collect()
}

#[tokio::test]
async fn order_and_totals_survive_a_restart() {
    let place = Place::new("restart");
    let (spool, thread) = place.open(LARGE);
    spool.append(records(1, 5)).await.unwrap();
    spool.append(records(6, 2)).await.unwrap();
    let first = spool.oldest(0, 2).await.unwrap();
    spool.remove(first.iter().map(|(key, _)| *key).collect()).await.unwrap();
    drop(spool);
    thread.join().unwrap();
    let (spool, _thread) = place.open(LARGE);
    let totals = &spool.totals;
    assert_eq!((totals.records.load(Ordering::Relaxed), totals.bytes.load(Ordering::Relaxed)), (5, 50));
    assert_eq!(totals.oldest_unix_ms.load(Ordering::Relaxed), 3);
    spool.append(records(8, 1)).await.unwrap();
    assert_eq!(contents(&spool).await, [3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn limit_refuses_a_whole_append_and_takes_again_when_there_is_room() {
    let place = Place::new("limit");
    let (spool, _thread) = place.open(100);
    spool.append(records(1, 9)).await.unwrap();
    assert_eq!(spool.append(records(10, 2)).await, Err(SpoolError::Full));
    spool.append(records(10, 1)).await.unwrap();
    assert_eq!(contents(&spool).await.len(), 10);
    let first = spool.oldest(0, 2).await.unwrap();
    spool.remove(first.iter().map(|(key, _)| *key).collect()).await.unwrap();
    spool.append(records(11, 2)).await.unwrap();
}

#[tokio::test]
async fn the_last_eighth_is_not_for_what_comes_again() {
    let place = Place::new("reserve");
    let (spool, _thread) = place.open(80);
    assert_eq!(spool.append_what_comes_again(records(1, 8)).await, Err(SpoolError::Full));
    spool.append_what_comes_again(records(1, 7)).await.unwrap();
    assert_eq!(spool.append_what_comes_again(records(8, 1)).await, Err(SpoolError::Full));
    assert!(!spool.totals.is_full());
    spool.append(records(8, 1)).await.unwrap();
    assert_eq!(spool.append(records(9, 1)).await, Err(SpoolError::Full));
    assert!(spool.totals.is_full());
    let first = spool.oldest(0, 1).await.unwrap()[0].0;
    spool.remove(vec![first]).await.unwrap();
    assert!(!spool.totals.is_full());
    assert_eq!(contents(&spool).await, [2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn what_is_put_beside_leaves_the_order() {
    let place = Place::new("beside");
    let (spool, _thread) = place.open(LARGE);
    spool.append(records(1, 3)).await.unwrap();
    let second = spool.oldest(0, 3).await.unwrap()[1].0;
    spool.put_beside(second).await.unwrap();
    assert_eq!(contents(&spool).await, [1, 3]);
    assert_eq!(spool.totals.bytes.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn what_was_put_beside_is_in_its_place_again_when_a_start_can_read_it() {
    let place = Place::new("back");
    let (spool, thread) = place.open(LARGE);
    spool.append(vec![vec![1; 10], vec![200; 10], vec![2; 10], vec![3; 10]]).await.unwrap();
    let keys: Vec<u64> = spool.oldest(0, 4).await.unwrap().into_iter().map(|(key, _)| key).collect();
    spool.put_beside(keys[1]).await.unwrap();
    spool.put_beside(keys[2]).await.unwrap();
    drop(spool);
    thread.join().unwrap();
    let (spool, thread) = Spool::open(&place.0, LARGE, |_| 0, |record| record[0] == 2).unwrap();
    assert_eq!(contents(&spool).await, [1, 2, 3]);
    assert_eq!(spool.totals.bytes.load(Ordering::Relaxed), 30);
    drop(spool);
    thread.join().unwrap();
    let (spool, _thread) = Spool::open(&place.0, LARGE, |_| 0, |_| true).unwrap();
    assert_eq!(contents(&spool).await, [1, 200, 2, 3]);
}

#[tokio::test]
async fn file_that_was_taken_away_is_copied_to_its_path_before_anything_is_added() {
    let place = Place::new("taken");
    for (round, take_away) in [
        |place: &Place| fs::remove_dir_all(&place.0),
        |place: &Place| fs::remove_file(place.0.join(FILE)),
        |place: &Place| fs::rename(place.0.join(FILE), place.0.join("elsewhere")),
        |place: &Place| fs::remove_file(place.0.join(FILE)).and_then(|()| fs::write(place.0.join(FILE), "no spool")),
        // A copy of it: what both have is there once.
        |place: &Place| {
            fs::copy(place.0.join(FILE), place.0.join("copy"))?;
            fs::rename(place.0.join("copy"), place.0.join(FILE))
        },
    ]
    .into_iter()
    .enumerate()
    {
        let (spool, thread) = place.open(LARGE);
        spool.append(records(1, 3)).await.unwrap();
        let second = spool.oldest(0, 3).await.unwrap()[1].0;
        spool.put_beside(second).await.unwrap();
        take_away(&place).unwrap();
        assert_eq!(contents(&spool).await, [1, 3], "round {round}: what it holds can be drained");
        spool.append(records(4, 2)).await.unwrap();
        assert_eq!(contents(&spool).await, [1, 3, 4, 5], "round {round}");
        drop(spool);
        thread.join().unwrap();
        let (spool, thread) = place.open(LARGE);
        assert_eq!(contents(&spool).await, [1, 3, 4, 5], "round {round}: after a restart");
        assert_eq!(spool.totals.bytes.load(Ordering::Relaxed), 40, "round {round}");
        drop(spool);
        thread.join().unwrap();
        fs::remove_dir_all(&place.0).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_taken_while_the_path_belongs_to_another_process() {
    let place = Place::new("usurped");
    let (spool, _thread) = place.open(LARGE);
    spool.append(records(1, 1)).await.unwrap();
    fs::remove_file(place.0.join(FILE)).unwrap();
    let (usurper, thread) = place.open(LARGE);
    assert_eq!(spool.append(records(2, 1)).await, Err(SpoolError::Broken));
    assert!(spool.totals.is_broken.load(Ordering::Relaxed));
    assert_eq!(contents(&spool).await, [1]);
    assert!(spool.totals.is_broken.load(Ordering::Relaxed));
    usurper.append(records(7, 1)).await.unwrap();
    drop(usurper);
    thread.join().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while spool.append(records(2, 1)).await.is_err() {
        assert!(Instant::now() < deadline, "the path is free, but nothing is taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut found = contents(&spool).await;
    found.sort_unstable();
    assert_eq!(found, [1, 2, 7]);
    assert!(!spool.totals.is_broken.load(Ordering::Relaxed));
}

#[tokio::test]
async fn second_process_is_kept_out() {
    let place = Place::new("lock");
    let (_spool, _thread) = place.open(LARGE);
    let second = Spool::open(&place.0, LARGE, |_| 0, |_| true);
    assert!(matches!(second, Err(OpenError::InUse(_))));
}

#[tokio::test]
async fn file_that_is_no_spool_is_put_beside() {
    let place = Place::new("corrupt");
    fs::create_dir_all(&place.0).unwrap();
    for garbage in [vec![0_u8; 8192], b"something else".to_vec()] {
        fs::write(place.0.join(FILE), &garbage).unwrap();
        let (spool, thread) = place.open(LARGE);
        assert_eq!(spool.totals.files_put_beside.load(Ordering::Relaxed), 1);
        spool.append(records(1, 1)).await.unwrap();
        assert_eq!(contents(&spool).await, [1]);
        drop(spool);
        thread.join().unwrap();
        let beside: Vec<_> = fs::read_dir(&place.0).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(beside.iter().any(|path| path != &place.0.join(FILE) && fs::read(path).unwrap() == garbage));
    }
}

#[tokio::test]
async fn records_drained_from_a_file_put_beside_take_none_out_of_the_next() {
    let place = Place::new("keys");
    let (spool, thread) = place.open(LARGE);
    spool.append(records(1, 3)).await.unwrap();
    let drained = spool.oldest(0, 3).await.unwrap().iter().map(|(key, _)| *key).collect();
    drop(spool);
    thread.join().unwrap();
    fs::write(place.0.join(FILE), vec![0_u8; 8192]).unwrap();
    let (spool, _thread) = place.open(LARGE);
    spool.append(records(4, 3)).await.unwrap();
    spool.remove(drained).await.unwrap();
    assert_eq!(contents(&spool).await, [4, 5, 6]);
}

#[tokio::test]
async fn appends_at_once_share_a_commit_and_are_all_there() {
    let place = Place::new("group");
    let (spool, _thread) = place.open(LARGE);
    let appends: Vec<_> = (0..100)
        .map(|number| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(vec![vec![number]]).await })
        })
        .collect();
    for append in appends {
        append.await.unwrap().unwrap();
    }
    let mut found = contents(&spool).await;
    found.sort_unstable();
    assert_eq!(found, (0..100).collect::<Vec<u8>>());
}

/// Opens what a damaged file is, and gives up when it does not take a record within some seconds. Gives how many it still has.
async fn takes_records(place: &Place) -> usize {
    let (spool, _thread) = place.open(LARGE);
    let deadline = Instant::now() + Duration::from_secs(10);
    while spool.append(records(1, 1)).await.is_err() {
        assert!(Instant::now() < deadline, "it stays broken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while spool.oldest(0, 1000).await.is_err() || spool.append(records(2, 1)).await.is_err() {
        assert!(Instant::now() < deadline, "it breaks again and again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = spool.oldest(0, 1000).await.unwrap();
    found.iter().filter(|(_, record)| record.len() == 300).count()
}

#[tokio::test]
async fn of_a_damaged_file_all_but_the_damaged_page_is_kept_and_it_takes_records() {
    let place = Place::new("damage");
    let (spool, thread) = place.open(LARGE);
    for _ in 0..20 {
        spool.append((0..6).map(|byte| vec![byte; 300]).collect()).await.unwrap();
    }
    drop(spool);
    thread.join().unwrap();
    let whole = fs::read(place.0.join(FILE)).unwrap();
    const PAGE: usize = 4096;
    let mut damaged: Vec<(String, Vec<u8>)> = (0..whole.len() / PAGE)
        .map(|page| {
            let mut bytes = whole.clone();
            bytes[page * PAGE..(page + 1) * PAGE].fill(0);
            (format!("page-{page}"), bytes)
        })
        // Pages behind the data are free.
        .filter(|(_, bytes)| *bytes != whole)
        .collect();
    assert!(damaged.len() > 10, "{}", damaged.len());
    damaged
        .extend([1, 100, 276, 320, 512, PAGE + 1].map(|length| (format!("length-{length}"), whole[..length].to_vec())));
    let mut kept = Vec::new();
    for (name, bytes) in damaged {
        let place = Place::new(&name);
        fs::create_dir_all(&place.0).unwrap();
        fs::write(place.0.join(FILE), bytes).unwrap();
        kept.push((takes_records(&place).await, name));
    }
    // A page has a dozen of them. Pages of the file's own bookkeeping have more on their conscience.
    let almost_all = kept.iter().filter(|(records, _)| (100..120).contains(records)).count();
    assert!(almost_all > 5, "{kept:?}");
}
