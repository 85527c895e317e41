//! Batches, retries, refusals and what is set aside, with a database that does as it is told.

use super::*;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::error::SqlState;

type Asked = Arc<StdMutex<Vec<(Vec<u32>, bool)>>>;
type Script = Box<dyn FnMut(&[u32], bool) -> Result<(), Failure> + Send>;

/// Answers each number with its double, unless the script objects; keeps what it was asked.
struct Doubling {
    script: Script,
    asked: Asked,
}

impl Call for Doubling {
    type Request = u32;
    type Answer = u32;

    async fn call(&mut self, jobs: &[Job<u32, u32>], replay: bool) -> Result<Vec<Option<u32>>, Failure> {
        let numbers: Vec<u32> = jobs.iter().map(|job| job.request).collect();
        self.asked.lock().unwrap().push((numbers.clone(), replay));
        (self.script)(&numbers, replay)?;
        Ok(numbers.iter().map(|number| Some(number * 2)).collect())
    }
}

fn limits(deadline: Duration) -> Limits {
    Limits { batch: 4, queue: 8, patience: deadline, deadline }
}

/// Keeps what is set aside and answers it with zero.
#[derive(Default)]
struct Pocket {
    kept: StdMutex<Vec<u32>>,
    is_away: AtomicBool,
}

impl Aside<u32, u32> for Pocket {
    fn is_first(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    fn call_failed(&self, _: &Failure) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    fn call_succeeded(&self) {}

    async fn keep(&self, jobs: Vec<Job<u32, u32>>) {
        for job in jobs {
            self.kept.lock().unwrap().push(job.request);
            job.answer(0);
        }
    }
}

/// As [`ask_all`], with an aside and one second of patience: the answers and what was set aside.
async fn ask_all_with_aside(
    numbers: &[u32],
    script: impl FnMut(&[u32], bool) -> Result<(), Failure> + Send + 'static,
) -> (Vec<Option<u32>>, Arc<Pocket>, usize) {
    let (asked, pocket): (Asked, Arc<Pocket>) = Default::default();
    let call = Doubling { script: Box::new(script), asked: Arc::clone(&asked) };
    let limits = Limits { patience: Duration::from_secs(1), ..limits(LONG) };
    let (queue, _workers) = start(vec![call], Some(Arc::clone(&pocket)), limits);
    let waiting: Vec<_> = numbers.iter().map(|&number| queue.ask(number)).collect();
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await);
    }
    let calls = asked.lock().unwrap().len();
    (answers, pocket, calls)
}

/// Puts the numbers into the queue before the worker can run, and waits for all answers.
async fn ask_all(
    numbers: &[u32],
    deadline: Duration,
    script: impl FnMut(&[u32], bool) -> Result<(), Failure> + Send + 'static,
) -> (Vec<Option<u32>>, Vec<(Vec<u32>, bool)>) {
    let asked: Asked = Arc::default();
    let call = Doubling { script: Box::new(script), asked: Arc::clone(&asked) };
    let (queue, _workers) = start(vec![call], None::<Arc<Pocket>>, limits(deadline));
    let waiting: Vec<_> = numbers.iter().map(|&number| queue.ask(number)).collect();
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await);
    }
    let asked = asked.lock().unwrap().clone();
    (answers, asked)
}

const LONG: Duration = Duration::from_secs(60);

fn refused() -> Failure {
    Failure::Refused(SqlState::INVALID_TEXT_REPRESENTATION)
}

#[tokio::test(start_paused = true)]
async fn all_that_waits_goes_out_together_up_to_the_limit() {
    let (answers, asked) = ask_all(&[1, 2, 3, 4, 5], LONG, |_, _| Ok(())).await;
    assert_eq!(answers, [Some(2), Some(4), Some(6), Some(8), Some(10)]);
    assert_eq!(asked, [(vec![1, 2, 3, 4], false), (vec![5], false)]);
}

#[tokio::test(start_paused = true)]
async fn full_queue_refuses_at_once() {
    let (answers, _) = ask_all(&[1, 2, 3, 4, 5, 6, 7, 8, 9], LONG, |_, _| Ok(())).await;
    assert_eq!(answers[7], Some(16));
    assert_eq!(answers[8], None);
}

#[tokio::test(start_paused = true)]
async fn poison_request_fails_alone() {
    let poison = |numbers: &[u32], _| {
        if numbers.contains(&3) { Err(refused()) } else { Ok(()) }
    };
    let (answers, asked) = ask_all(&[1, 2, 3, 4], LONG, poison).await;
    assert_eq!(answers, [Some(2), Some(4), None, Some(8)]);
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|(_, replay)| !replay));
}

#[tokio::test(start_paused = true)]
async fn lost_connection_is_replayed() {
    let mut tries = 0;
    let flaky = move |_: &[u32], _| {
        tries += 1;
        if tries < 3 { Err(Failure::Lost) } else { Ok(()) }
    };
    let (answers, asked) = ask_all(&[1, 2], LONG, flaky).await;
    assert_eq!(answers, [Some(2), Some(4)]);
    assert_eq!(asked, [(vec![1, 2], false), (vec![1, 2], true), (vec![1, 2], true)]);
}

#[tokio::test(start_paused = true)]
async fn busy_database_is_asked_again_without_replay() {
    let mut tries = 0;
    let busy = move |_: &[u32], _| {
        tries += 1;
        if tries == 1 { Err(Failure::Busy(SqlState::T_R_DEADLOCK_DETECTED)) } else { Ok(()) }
    };
    let (answers, asked) = ask_all(&[1], LONG, busy).await;
    assert_eq!(answers, [Some(2)]);
    assert_eq!(asked, [(vec![1], false), (vec![1], false)]);
}

#[tokio::test(start_paused = true)]
async fn known_ids_switch_the_batch_to_replay() {
    let known = |_: &[u32], replay| {
        if replay { Ok(()) } else { Err(Failure::Duplicate) }
    };
    let (answers, asked) = ask_all(&[1, 2], LONG, known).await;
    assert_eq!(answers, [Some(2), Some(4)]);
    assert_eq!(asked, [(vec![1, 2], false), (vec![1, 2], true)]);
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_the_retries() {
    let started = Instant::now();
    let (answers, asked) = ask_all(&[1, 2], Duration::from_secs(5), |_, _| Err(Failure::Unreachable)).await;
    assert_eq!(answers, [None, None]);
    assert_eq!(started.elapsed().as_secs(), 5);
    assert!(asked.len() > 5 && asked.len() < 30, "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn client_that_hangs_up_is_recorded_all_the_same() {
    let asked: Asked = Arc::default();
    let call = Doubling { script: Box::new(|_, _| Ok(())), asked: Arc::clone(&asked) };
    let (queue, workers) = start(vec![call], None::<Arc<Pocket>>, limits(LONG));
    drop(queue.ask(7));
    drop(queue);
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [(vec![7], false)]);
}

#[tokio::test(start_paused = true)]
async fn unreachable_database_sends_all_aside_at_once() {
    let (answers, pocket, calls) = ask_all_with_aside(&[1, 2, 3, 4, 5, 6], |_, _| Err(Failure::Unreachable)).await;
    assert_eq!(answers, [Some(0); 6]);
    assert_eq!(*pocket.kept.lock().unwrap(), [1, 2, 3, 4, 5, 6]);
    assert!(pocket.is_first());
    assert_eq!(calls, 1, "the second batch does not ask");
}

#[tokio::test(start_paused = true)]
async fn busy_database_has_its_second_before_requests_go_aside() {
    let started = Instant::now();
    let busy = |_: &[u32], _| Err(Failure::Busy(SqlState::DISK_FULL));
    let (answers, pocket, calls) = ask_all_with_aside(&[1], busy).await;
    assert_eq!((answers, started.elapsed().as_secs()), (vec![Some(0)], 1));
    assert!(calls > 2 && pocket.is_first());
}

#[tokio::test(start_paused = true)]
async fn poison_request_goes_aside_alone_and_the_database_is_still_asked() {
    let poison = |numbers: &[u32], _| {
        if numbers.contains(&3) { Err(refused()) } else { Ok(()) }
    };
    let (answers, pocket, _) = ask_all_with_aside(&[1, 2, 3, 4], poison).await;
    assert_eq!(answers, [Some(2), Some(4), Some(0), Some(8)]);
    assert_eq!(*pocket.kept.lock().unwrap(), [3]);
    assert!(!pocket.is_first());
}

#[tokio::test(start_paused = true)]
async fn missing_function_is_nobodys_poison() {
    let missing = |_: &[u32], _| Err(Failure::Refused(SqlState::UNDEFINED_FUNCTION));
    let (answers, pocket, calls) = ask_all_with_aside(&[1, 2, 3, 4], missing).await;
    assert_eq!((answers, calls), (vec![Some(0); 4], 1));
    assert!(pocket.is_first());
}

#[tokio::test(start_paused = true)]
async fn full_queue_overflows_aside() {
    let (answers, pocket, _) = ask_all_with_aside(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], |_, _| Ok(())).await;
    assert_eq!(answers[7..], [Some(16), Some(0), Some(0)]);
    assert_eq!(*pocket.kept.lock().unwrap(), [9, 10]);
}
