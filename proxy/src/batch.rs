//! Smart batching: requests wait in a bounded queue, each worker takes all that waits and makes one database call.
//!
//! No timer decides when a batch is full. Alone, a request goes out at once; while the calls are busy the next batch
//! grows by itself. An answer leaves after the call returned, that is after COMMIT. A request that was taken in is
//! recorded even when its client has hung up. Not for: what a call is, see `database.rs`.

use crate::error::Failure;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a batch may collide with rows that exist before it is cut in halves like any other refused one.
const DUPLICATE_TRIES: u32 = 3;

/// How many turns the runtime gets while a batch is still growing.
const MAX_TURNS: u32 = 4;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A request on its way through the queue. Dropping it is the answer "not recorded".
pub struct Job<Q, A> {
    pub request: Q,
    deadline: Instant,
    reply: oneshot::Sender<A>,
}

/// What a worker does with a batch; each worker owns one.
pub trait Call: Send + 'static {
    type Request: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// Asks the database about all of these at once: one answer per job, in order; `None` where there is none.
    ///
    /// `replay` says that some of them may have been committed by an earlier try.
    fn call(
        &mut self,
        jobs: &[Job<Self::Request, Self::Answer>],
        replay: bool,
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>, Failure>> + Send;
}

type JobOf<C> = Job<<C as Call>::Request, <C as Call>::Answer>;
type QueueOf<C> = Queue<<C as Call>::Request, <C as Call>::Answer>;

/// The entrance.
pub struct Queue<Q, A> {
    sender: mpsc::Sender<Job<Q, A>>,
    deadline: Duration,
}

impl<Q: Send, A: Send> Queue<Q, A> {
    /// Waits for the answer; `None` when the queue is full, the deadline passed or the database would not.
    ///
    /// Taken in before the first await: whoever stops waiting does not take the request back.
    pub fn ask(&self, request: Q) -> impl Future<Output = Option<A>> + Send + use<Q, A> {
        let deadline = Instant::now() + self.deadline;
        let (reply, answer) = oneshot::channel();
        let queued = self.sender.try_send(Job { request, deadline, reply }).is_ok();
        async move { if queued { timeout_at(deadline, answer).await.ok()?.ok() } else { None } }
    }

    /// How many requests wait to be taken.
    pub fn depth(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}

/// Makes a queue and one worker per call; the workers end when the queue is dropped and empty.
pub fn start<C: Call>(
    calls: Vec<C>,
    batch_limit: usize,
    queue_limit: usize,
    deadline: Duration,
) -> (QueueOf<C>, Vec<JoinHandle<()>>) {
    let (sender, receiver) = mpsc::channel(queue_limit);
    let receiver = Arc::new(Mutex::new(receiver));
    let workers = calls.into_iter().map(|call| tokio::spawn(work(call, Arc::clone(&receiver), batch_limit))).collect();
    (Queue { sender, deadline }, workers)
}

async fn work<C: Call>(mut call: C, receiver: Arc<Mutex<mpsc::Receiver<JobOf<C>>>>, batch_limit: usize) {
    loop {
        let mut jobs = Vec::with_capacity(batch_limit);
        if !take(&mut *receiver.lock().await, &mut jobs, batch_limit).await {
            return;
        }
        settle(&mut call, jobs).await;
    }
}

/// Takes all that waits; false when nothing will come any more.
///
/// What can be read from the sockets now counts as waiting: the runtime gets a turn for as long as that brings more
/// requests. It costs a lone one some microseconds and spares a crowd many calls.
async fn take<T>(receiver: &mut mpsc::Receiver<T>, jobs: &mut Vec<T>, batch_limit: usize) -> bool {
    if receiver.recv_many(jobs, batch_limit).await == 0 {
        return false;
    }
    for _ in 0..MAX_TURNS {
        let before = jobs.len();
        yield_now().await;
        while jobs.len() < batch_limit
            && let Ok(job) = receiver.try_recv()
        {
            jobs.push(job);
        }
        if jobs.len() == before {
            break;
        }
    }
    true
}

/// Jobs that go to the database together.
struct Piece<Q, A> {
    jobs: Vec<Job<Q, A>>,
    replay: bool,
    duplicates: u32,
}

/// Calls until every job is answered, refused on its own, or past its deadline.
async fn settle<C: Call>(call: &mut C, jobs: Vec<JobOf<C>>) {
    let mut pieces = vec![Piece { jobs, replay: false, duplicates: 0 }];
    let mut pause = FIRST_PAUSE;
    while let Some(mut piece) = pieces.pop() {
        let now = Instant::now();
        piece.jobs.retain(|job| job.deadline > now);
        if piece.jobs.is_empty() {
            continue;
        }
        let failure = match call.call(&piece.jobs, piece.replay).await {
            Ok(answers) => {
                deliver(piece.jobs, answers);
                continue;
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Duplicate if piece.duplicates < DUPLICATE_TRIES => {
                piece.duplicates += 1;
                piece.replay = true;
                pieces.push(piece);
            }
            Failure::Duplicate | Failure::Refused(_) => split(piece, &failure, &mut pieces),
            Failure::Lost | Failure::Busy(_) | Failure::Unreachable => {
                piece.replay |= failure == Failure::Lost;
                pieces.push(piece);
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn deliver<Q, A>(jobs: Vec<Job<Q, A>>, answers: Vec<Option<A>>) {
    for (job, answer) in jobs.into_iter().zip(answers) {
        if let Some(answer) = answer {
            // Fails when the client has hung up; the request is recorded all the same.
            let _ = job.reply.send(answer);
        }
    }
}

/// Cuts a refused piece in halves, so that one poison request cannot fail its neighbours; alone, it is given up.
fn split<Q, A>(mut piece: Piece<Q, A>, failure: &Failure, pieces: &mut Vec<Piece<Q, A>>) {
    if piece.jobs.len() == 1 {
        tracing::error!(sqlstate = failure.label(), "the database refused a request; it was answered 503");
        return;
    }
    let tail = piece.jobs.split_off(piece.jobs.len() / 2);
    pieces.push(Piece { jobs: tail, replay: piece.replay, duplicates: 0 });
    pieces.push(Piece { duplicates: 0, ..piece });
}

/// Between half of a pause and all of it, so that several proxies do not knock in step.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex as StdMutex;
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

    /// Puts the numbers into the queue before the worker can run, and waits for all answers.
    async fn ask_all(
        numbers: &[u32],
        deadline: Duration,
        script: impl FnMut(&[u32], bool) -> Result<(), Failure> + Send + 'static,
    ) -> (Vec<Option<u32>>, Vec<(Vec<u32>, bool)>) {
        let asked: Asked = Arc::default();
        let call = Doubling { script: Box::new(script), asked: Arc::clone(&asked) };
        let (queue, _workers) = start(vec![call], 4, 8, deadline);
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
        let (queue, workers) = start(vec![call], 4, 8, LONG);
        drop(queue.ask(7));
        drop(queue);
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(*asked.lock().unwrap(), [(vec![7], false)]);
    }
}
