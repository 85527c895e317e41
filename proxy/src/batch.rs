//! Smart batching: requests wait in a bounded queue, each worker takes all that waits and makes one database call.
//!
//! No timer decides when a batch is full. Alone, a request goes out at once; while the calls are busy the next batch
//! grows by itself. An answer leaves after the call returned, that is after COMMIT. A request that was taken in is
//! recorded even when its client has hung up. What the database does not take in time is set aside, where there is an
//! aside. Not for: what a call is, see `database.rs`; what becomes of requests aside, see `offline.rs`.

use crate::error::Failure;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a batch may collide with rows that exist before it is cut in halves like any other refused one.
pub const DUPLICATE_TRIES: u32 = 3;

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

impl<Q, A> Job<Q, A> {
    /// A job whose answer nobody waits for.
    pub fn unheard(request: Q) -> Self {
        Job { request, deadline: Instant::now(), reply: oneshot::channel().0 }
    }

    /// Fails when the client has hung up; the request is recorded all the same.
    pub fn answer(self, answer: A) {
        let _ = self.reply.send(answer);
    }
}

/// Where requests go that the database does not take in time.
pub trait Aside<Q, A>: Send + Sync + 'static {
    /// Whether all go there at once, because the database is known to be away.
    fn is_first(&self) -> bool;

    /// Says that the database is away, and why.
    fn call_failed(&self, reason: &Failure);

    /// Says that the database took live requests.
    fn call_succeeded(&self);

    /// Keeps the requests and answers them.
    fn keep(&self, jobs: Vec<Job<Q, A>>) -> impl Future<Output = ()> + Send;
}

/// How much, and how long.
#[derive(Clone, Copy)]
pub struct Limits {
    pub batch: usize,
    pub queue: usize,
    /// How long a request waits for the database before it is set aside.
    pub patience: Duration,
    /// How long a client waits for its answer.
    pub deadline: Duration,
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
    /// For what the queue has no room for.
    overflow: Option<mpsc::Sender<Job<Q, A>>>,
    patience: Duration,
    deadline: Duration,
}

impl<Q: Send, A: Send> Queue<Q, A> {
    /// Waits for the answer; `None` when there is no room, the deadline passed or the database would not.
    ///
    /// Taken in before the first await: whoever stops waiting does not take the request back.
    pub fn ask(&self, request: Q) -> impl Future<Output = Option<A>> + Send + use<Q, A> {
        let now = Instant::now();
        let (reply, answer) = oneshot::channel();
        let job = Job { request, deadline: now + self.patience, reply };
        let queued = match (self.sender.try_send(job), &self.overflow) {
            (Err(TrySendError::Full(job)), Some(overflow)) => overflow.try_send(job).is_ok(),
            (sent, _) => sent.is_ok(),
        };
        let deadline = now + self.deadline;
        async move { if queued { timeout_at(deadline, answer).await.ok()?.ok() } else { None } }
    }

    /// How many requests wait to be taken.
    pub fn depth(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}

/// Makes a queue and one worker per call; the workers end when the queue is dropped and empty.
pub fn start<C: Call, S: Aside<C::Request, C::Answer>>(
    calls: Vec<C>,
    aside: Option<Arc<S>>,
    limits: Limits,
) -> (QueueOf<C>, Vec<JoinHandle<()>>) {
    let (sender, receiver) = mpsc::channel(limits.queue);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut workers: Vec<_> = calls
        .into_iter()
        .map(|call| tokio::spawn(work(call, aside.clone(), Arc::clone(&receiver), limits.batch)))
        .collect();
    let overflow = aside.map(|aside| {
        let (sender, receiver) = mpsc::channel(limits.queue);
        workers.push(tokio::spawn(relieve(aside, receiver, limits.batch)));
        sender
    });
    (Queue { sender, overflow, patience: limits.patience, deadline: limits.deadline }, workers)
}

async fn work<C: Call, S: Aside<C::Request, C::Answer>>(
    mut call: C,
    aside: Option<Arc<S>>,
    receiver: Arc<Mutex<mpsc::Receiver<JobOf<C>>>>,
    batch_limit: usize,
) {
    loop {
        let mut jobs = Vec::with_capacity(batch_limit);
        if !take(&mut *receiver.lock().await, &mut jobs, batch_limit).await {
            return;
        }
        match &aside {
            Some(aside) if aside.is_first() => aside.keep(jobs).await,
            aside => settle(&mut call, aside.as_deref(), jobs).await,
        }
    }
}

/// Sets aside what the queue had no room for.
async fn relieve<Q, A, S: Aside<Q, A>>(aside: Arc<S>, mut receiver: mpsc::Receiver<Job<Q, A>>, batch_limit: usize) {
    let mut jobs = Vec::with_capacity(batch_limit);
    while receiver.recv_many(&mut jobs, batch_limit).await > 0 {
        aside.keep(std::mem::take(&mut jobs)).await;
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

/// Calls until every job is answered, refused on its own, or past its deadline; the latter two are set aside.
async fn settle<C: Call, S: Aside<C::Request, C::Answer>>(call: &mut C, aside: Option<&S>, jobs: Vec<JobOf<C>>) {
    let mut pieces = vec![Piece { jobs, replay: false, duplicates: 0 }];
    let mut pause = FIRST_PAUSE;
    let mut last_failure = None;
    while let Some(mut piece) = pieces.pop() {
        let now = Instant::now();
        if piece.jobs.iter().any(|job| job.deadline <= now) {
            let (overdue, rest) = piece.jobs.into_iter().partition(|job| job.deadline <= now);
            piece.jobs = rest;
            set_aside(aside, overdue, last_failure.as_ref()).await;
        }
        if piece.jobs.is_empty() {
            continue;
        }
        let failure = match call.call(&piece.jobs, piece.replay).await {
            Ok(answers) => {
                if let Some(aside) = aside {
                    aside.call_succeeded();
                }
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
            Failure::Unreachable | Failure::Missing(_) if aside.is_some() => {
                set_aside(aside, piece.jobs, Some(&failure)).await;
            }
            Failure::Refused(_) if aside.is_some() && !failure.blames_the_data() => {
                set_aside(aside, piece.jobs, Some(&failure)).await;
            }
            Failure::Duplicate | Failure::Refused(_) => {
                if let Some(refused) = split(piece, &failure, &mut pieces) {
                    set_aside(aside, vec![refused], None).await;
                }
            }
            Failure::Lost | Failure::Busy(_) | Failure::Unreachable | Failure::Missing(_) => {
                piece.replay |= failure == Failure::Lost;
                last_failure = Some(failure);
                pieces.push(piece);
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Without an aside the jobs are dropped, which answers "not recorded".
async fn set_aside<Q, A, S: Aside<Q, A>>(aside: Option<&S>, jobs: Vec<Job<Q, A>>, failure: Option<&Failure>) {
    if let Some(aside) = aside {
        if let Some(failure) = failure {
            aside.call_failed(failure);
        }
        aside.keep(jobs).await;
    }
}

fn deliver<Q, A>(jobs: Vec<Job<Q, A>>, answers: Vec<Option<A>>) {
    for (job, answer) in jobs.into_iter().zip(answers) {
        if let Some(answer) = answer {
            job.answer(answer);
        }
    }
}

/// Cuts a refused piece in halves, so that one poison request cannot fail its neighbours; alone, it is given back.
fn split<Q, A>(mut piece: Piece<Q, A>, failure: &Failure, pieces: &mut Vec<Piece<Q, A>>) -> Option<Job<Q, A>> {
    if piece.jobs.len() == 1 {
        tracing::error!(sqlstate = failure.label(), "the database refuses a request");
        return piece.jobs.pop();
    }
    let tail = piece.jobs.split_off(piece.jobs.len() / 2);
    pieces.push(Piece { jobs: tail, replay: piece.replay, duplicates: 0 });
    pieces.push(Piece { duplicates: 0, ..piece });
    None
}

/// Between half of a pause and all of it, so that several proxies do not knock in step.
pub fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests;
