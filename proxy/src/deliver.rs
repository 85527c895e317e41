//! Sends what the database has queued: claim, send, tell how it ended.
//!
//! One task talks to the database, and one per delivery to its receiver. What ended while a call ran is told in the
//! next. Whatever is claimed is leased: if this process dies before it has told the end, the lease runs out, and the
//! delivery is sent again under the same id. The queue is looked at each second at least; a NOTIFY would make the
//! commits of all postbacks wait for one another. Not for: which delivery comes next, how often and how fast, which
//! the database decides.

use crate::database::deliveries::{Deliveries, Outcome};
use crate::error::Failure;
use crate::metrics::Metrics;
use crate::outbound_client::{Client, Delivery};
use crate::redirect::KnownKey;
use crate::server::{Phase, reached};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How long a new delivery may stay unseen.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Something is due and cannot be had: somebody else holds its destination.
const BUSY_WAIT: Duration = Duration::from_millis(100);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// After the drain, for the database to learn the last outcomes.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The deliveries of this process.
pub struct Dispatcher {
    queue: Deliveries,
    client: Arc<Client>,
    metrics: Arc<Metrics>,
    /// How many may be under way.
    most: usize,
    under_way: JoinSet<Outcome>,
    /// Not told to the database yet.
    ended: Vec<Outcome>,
}

impl Dispatcher {
    pub fn new(queue: Deliveries, client: Client, metrics: Arc<Metrics>, most: usize) -> Self {
        Dispatcher { queue, client: Arc::new(client), metrics, most, under_way: JoinSet::new(), ended: Vec::new() }
    }

    /// Goes on until the drain, and then for as long as the drain may take. Waits for the key first: once it is known,
    /// the extension's version fits.
    pub async fn run(mut self, key: Arc<KnownKey>, mut phase: watch::Receiver<Phase>, drain: Duration) {
        tokio::select! {
            () = reached(&mut phase, Phase::Draining) => return,
            () = key.known() => {}
        }
        let mut trouble: Option<Failure> = None;
        let mut pause = FIRST_PAUSE;
        let mut wake = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = reached(&mut phase, Phase::Draining) => break,
                Some(ended) = self.under_way.join_next(), if trouble.is_none() => self.take(ended),
                () = sleep_until(wake) => {}
            }
            match self.turn().await {
                Ok(wait) => {
                    wake = Instant::now() + wait;
                    pause = FIRST_PAUSE;
                    if trouble.take().is_some() {
                        tracing::info!("deliveries go on");
                    }
                }
                Err(failure) => {
                    wake = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    // The same trouble again and again is one line.
                    if trouble.as_ref() != Some(&failure) {
                        tracing::error!(failure = failure.label(), "deliveries wait for the database");
                    }
                    trouble = Some(failure);
                }
            }
        }
        self.drain(Instant::now() + drain).await;
    }

    /// Tells what ended, fills the free slots, and says how long the next look can wait.
    async fn turn(&mut self) -> Result<Duration, Failure> {
        self.tell().await?;
        let free = self.most - self.under_way.len();
        if free == 0 {
            return Ok(LONGEST_WAIT);
        }
        let claimed = self.queue.claim(free).await?;
        if claimed.len() == free {
            self.send(claimed);
            return Ok(LONGEST_WAIT);
        }
        self.send(claimed);
        Ok(match self.queue.until_next().await? {
            Some(Duration::ZERO) => BUSY_WAIT,
            Some(next) => next.min(LONGEST_WAIT),
            None => LONGEST_WAIT,
        })
    }

    fn send(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let (client, metrics) = (Arc::clone(&self.client), Arc::clone(&self.metrics));
            self.under_way.spawn(async move {
                let started = Instant::now();
                metrics.deliveries_in_flight.inc();
                let result = client.send(&delivery).await;
                metrics.deliveries_in_flight.dec();
                metrics.count_delivery(&result, started.elapsed());
                let Delivery { id: delivery_id, destination_id, .. } = delivery;
                match &result {
                    Ok(answer) => tracing::debug!(delivery_id, destination_id, status = answer.status, "answered"),
                    Err(error) => tracing::debug!(delivery_id, destination_id, %error, "not answered"),
                }
                Outcome { delivery_id, result }
            });
        }
    }

    fn take(&mut self, ended: Result<Outcome, JoinError>) {
        match ended {
            Ok(outcome) => self.ended.push(outcome),
            Err(error) => tracing::error!(%error, "a delivery broke down; it is sent again when its lease has run out"),
        }
    }

    /// Says how all that ended so far did end. What fails for the sake of one outcome is tried in smaller pieces.
    async fn tell(&mut self) -> Result<(), Failure> {
        while let Some(ended) = self.under_way.try_join_next() {
            self.take(ended);
        }
        let mut size = self.ended.len();
        while !self.ended.is_empty() {
            size = size.clamp(1, self.ended.len());
            match self.queue.finish(&self.ended[..size]).await {
                Ok(()) => drop(self.ended.drain(..size)),
                Err(failure) if !failure.is_about_the_data() => return Err(failure),
                Err(_) if size > 1 => size /= 2,
                Err(failure) => {
                    let delivery_id = self.ended.remove(0).delivery_id;
                    tracing::error!(delivery_id, sqlstate = failure.label(), "the database refused an outcome");
                }
            }
        }
        Ok(())
    }

    /// Sees through what is under way, and claims nothing more.
    async fn drain(mut self, deadline: Instant) {
        while let Ok(Some(ended)) = timeout_at(deadline, self.under_way.join_next()).await {
            self.take(ended);
            // A failure is met again below.
            let _ = self.tell().await;
        }
        if !self.under_way.is_empty() {
            tracing::warn!(deliveries = self.under_way.len(), "the drain was cut short; these are sent again");
        }
        let give_up = Instant::now() + LAST_WORD;
        while let Err(failure) = self.tell().await {
            if Instant::now() > give_up {
                let outcomes = self.ended.len();
                tracing::warn!(outcomes, failure = failure.label(), "the database did not learn how deliveries ended");
                return;
            }
            sleep(FIRST_PAUSE).await;
        }
    }
}
