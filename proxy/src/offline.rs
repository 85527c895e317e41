//! What is done with requests that the database does not take in time: they are spooled, and answered from the directory.
//!
//! While the database is known to be away, requests come straight here; `drain.rs` notices that it is back. A tap that not
//! even the spool can take is redirected all the same, counted and told; a postback is answered 503, so that it comes again.

use crate::batch::{Aside, Job};
use crate::directory::{Directory, Lead};
use crate::error::Failure;
use crate::metrics::{CallKind, Metrics};
use crate::postback::{Postback, PostbackAnswer};
use crate::redirect::{Tap, TapAnswer};
use crate::spool::{Spool, SpoolError};
use crate::spool_record;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// What is recorded, each by a function of its own.
const RECORDING: [CallKind; 2] = [CallKind::Clicks, CallKind::Postbacks];

pub struct Offline {
    pub spool: Spool,
    pub directory: Arc<Directory>,
    pub metrics: Arc<Metrics>,
    /// Whether the database is known not to take them: a function that fails says nothing of the other one.
    clicks_are_refused: AtomicBool,
    postbacks_are_refused: AtomicBool,
    /// Whether the spool does not take them either.
    clicks_overflow: AtomicBool,
    postbacks_overflow: AtomicBool,
    has_live_calls: AtomicBool,
    /// Told when the database goes away.
    pub went_away: Notify,
}

impl Offline {
    pub fn new(spool: Spool, directory: Arc<Directory>, metrics: Arc<Metrics>) -> Self {
        Offline {
            spool,
            directory,
            metrics,
            clicks_are_refused: AtomicBool::new(false),
            postbacks_are_refused: AtomicBool::new(false),
            clicks_overflow: AtomicBool::new(false),
            postbacks_overflow: AtomicBool::new(false),
            has_live_calls: AtomicBool::new(false),
            went_away: Notify::new(),
        }
    }

    fn are_refused(&self, kind: CallKind) -> &AtomicBool {
        if kind == CallKind::Clicks { &self.clicks_are_refused } else { &self.postbacks_are_refused }
    }

    fn overflow(&self, kind: CallKind) -> &AtomicBool {
        if kind == CallKind::Clicks { &self.clicks_overflow } else { &self.postbacks_overflow }
    }

    pub fn is_away_for(&self, kind: CallKind) -> bool {
        self.are_refused(kind).load(Ordering::Relaxed)
    }

    /// Whether requests of some kind go into the spool.
    pub fn database_is_away(&self) -> bool {
        RECORDING.into_iter().any(|kind| self.is_away_for(kind))
    }

    /// Whether the database took live requests since this was asked last.
    pub fn has_live_calls(&self) -> bool {
        self.has_live_calls.swap(false, Ordering::Relaxed)
    }

    /// Whether taps can be kept and answered without the database; a postback that cannot be kept comes again.
    pub fn can_stand_in(&self) -> bool {
        !self.spool.totals.is_full()
            && !self.spool.totals.is_broken.load(Ordering::Relaxed)
            && !self.spool.totals.is_stalled()
            && self.directory.key.is_known()
            && !self.directory.table().is_empty()
    }

    /// The database takes requests of this kind: live ones go to it again.
    pub fn database_is_back(&self, kind: CallKind) {
        if self.are_refused(kind).swap(false, Ordering::Relaxed) {
            tracing::info!(?kind, "the database takes requests again");
        }
    }

    fn call_failed(&self, of: CallKind, reason: &Failure) {
        for kind in RECORDING {
            // Without a connection there is neither.
            if (kind == of || *reason == Failure::Unreachable) && !self.are_refused(kind).swap(true, Ordering::Relaxed)
            {
                if !self.overflow(kind).load(Ordering::Relaxed) {
                    let reason = reason.label();
                    tracing::error!(
                        ?kind,
                        reason,
                        "the database does not take requests in time: they go into the spool"
                    );
                }
                self.went_away.notify_one();
            }
        }
    }

    async fn append(&self, kind: CallKind, records: Vec<Vec<u8>>) -> Result<(), SpoolError> {
        if records.is_empty() {
            return Ok(());
        }
        let count = records.len();
        let appended = match kind {
            CallKind::Postbacks => self.spool.append_what_comes_again(records).await,
            _ => self.spool.append(records).await,
        };
        match appended {
            Ok(()) => {
                self.metrics.count_spooled(kind, count);
                if self.overflow(kind).swap(false, Ordering::Relaxed) {
                    tracing::info!(?kind, "the spool takes requests again");
                }
            }
            Err(reason) => {
                // What it holds may keep the drain from ever asking for this kind: the next ones ask themselves.
                self.are_refused(kind).store(false, Ordering::Relaxed);
                if !self.overflow(kind).swap(true, Ordering::Relaxed) {
                    let fate = match kind {
                        CallKind::Postbacks => "postbacks are answered 503",
                        _ => "taps are redirected and not recorded",
                    };
                    tracing::error!(?reason, "neither the database nor the spool takes requests: {fate}");
                }
            }
        }
        appended
    }
}

impl Aside<Tap, TapAnswer> for Offline {
    fn is_first(&self) -> bool {
        self.is_away_for(CallKind::Clicks)
    }

    fn call_failed(&self, reason: &Failure) {
        Offline::call_failed(self, CallKind::Clicks, reason);
    }

    fn call_succeeded(&self) {
        self.has_live_calls.store(true, Ordering::Relaxed);
    }

    async fn keep(&self, jobs: Vec<Job<Tap, TapAnswer>>) {
        let mut records = Vec::with_capacity(jobs.len());
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs {
            match self.directory.lead(&job.request) {
                Lead::To { location, minted } => {
                    let minted = minted.as_ref().map(|id| id.as_str());
                    let click_id = minted.or(job.request.click_id()).unwrap_or_default();
                    records.push(spool_record::of_tap(&job.request, click_id, job.request.at()));
                    waiting.push((job, location));
                }
                Lead::Nowhere => job.answer(TapAnswer::NotFound),
                // Dropped: the answer is 503.
                Lead::NotKnown => {}
            }
        }
        if self.append(CallKind::Clicks, records).await.is_err() {
            self.metrics.count_unrecorded(waiting.len());
        }
        for (job, location) in waiting {
            job.answer(TapAnswer::Redirect(location));
        }
    }
}

impl Aside<Postback, PostbackAnswer> for Offline {
    fn is_first(&self) -> bool {
        self.is_away_for(CallKind::Postbacks)
    }

    fn call_failed(&self, reason: &Failure) {
        Offline::call_failed(self, CallKind::Postbacks, reason);
    }

    fn call_succeeded(&self) {
        Aside::<Tap, TapAnswer>::call_succeeded(self);
    }

    async fn keep(&self, jobs: Vec<Job<Postback, PostbackAnswer>>) {
        let mut records = Vec::with_capacity(jobs.len());
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs {
            records.push(spool_record::of_postback(&job.request));
            // Of a network that nobody knows yet it is kept, but nobody can say what the network wants to hear: dropped, 503, so that
            // it may come again.
            if let Some(answer) = self.directory.answer_to(&job.request) {
                waiting.push((job, answer));
            }
        }
        if self.append(CallKind::Postbacks, records).await.is_ok() {
            for (job, answer) in waiting {
                job.answer(answer);
            }
        }
    }
}
