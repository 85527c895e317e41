//! The status of a conversion: which there are, and how a set of events becomes one.
//!
//! The state is worked out from all events of the conversion whenever one arrives, so it depends on what came and not
//! on when it came. The rules, in order:
//!
//! 1. An exact repeat (same digest, status and payout) counts once, at the earliest place.
//! 2. Events are taken in the order of their time, then of receipt, then pending, approved, rejected, reversed, then
//!    digest. So where a network sends the time of the event, the order of arrival says nothing; where it sends the
//!    same time with every message (many send that of the conversion) or none, receipt decides.
//! 3. The first event sets the state. A later one moves it when the move is allowed. The same status again is always
//!    allowed: that is how a payout changes. Anything else is skipped.
//! 4. A reversal that comes first overtook its approval and waits for it as a tombstone: pending events after it and
//!    the first approval are taken in and leave it standing. An approval that the network itself dates later than the
//!    reversal did not get overtaken; it is a new decision and counts by rule 3, as does a second approval.
//! 5. The payout is that of the last applied pending or approved event that has one, and none while the status is
//!    rejected or reversed.
//!
//! Not for: writing the ledger, whose entries are the differences between two states.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

/// The status of a conversion, in the order that settles ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Reported, not yet earned.
    Pending,
    /// Earned.
    Approved,
    /// Never to be earned.
    Rejected,
    /// Earned and taken back.
    Reversed,
}

impl Status {
    /// The name under which the status is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Approved => "approved",
            Status::Rejected => "rejected",
            Status::Reversed => "reversed",
        }
    }

    /// Whether a payout counts in this status.
    pub fn pays(self) -> bool {
        matches!(self, Status::Pending | Status::Approved)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that is none of the four. Networks' own words are mapped before they get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStatus;

impl fmt::Display for UnknownStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the status is none of \"pending\", \"approved\", \"rejected\" and \"reversed\"")
    }
}

impl std::error::Error for UnknownStatus {}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        match text {
            "pending" => Ok(Status::Pending),
            "approved" => Ok(Status::Approved),
            "rejected" => Ok(Status::Rejected),
            "reversed" => Ok(Status::Reversed),
            _ => Err(UnknownStatus),
        }
    }
}

/// The moves that are allowed unless somebody decides otherwise.
pub const DEFAULT_TRANSITIONS: &[(Status, Status)] = &[
    (Status::Pending, Status::Approved),
    (Status::Pending, Status::Rejected),
    (Status::Approved, Status::Reversed),
    (Status::Approved, Status::Rejected),
    (Status::Rejected, Status::Approved),
    (Status::Reversed, Status::Approved),
];

/// One accepted message about a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub status: Status,
    /// Decimal text; empty when the message names no payout.
    pub payout: &'a str,
    /// The network's time of the event in microseconds, else the time of receipt.
    pub at: i64,
    /// Whether `at` came from the network.
    pub timed: bool,
    /// The time of receipt in microseconds.
    pub received: i64,
    /// A hash of the message; equal for exact repeats.
    pub digest: u64,
}

/// What the events of a conversion amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// None without events.
    pub status: Option<Status>,
    /// The event whose payout is in force.
    pub payout_index: Option<usize>,
    /// For each event, in the order given, whether it was taken in (a tombstone's approval is).
    pub applied: Vec<bool>,
}

/// Works out the state; `allowed` lists the moves between different statuses.
pub fn fold(events: &[Event], allowed: &[(Status, Status)]) -> State {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|&index| {
        let event = &events[index];
        (event.at, event.received, event.status, event.digest, index)
    });
    let mut state = State { status: None, payout_index: None, applied: vec![false; events.len()] };
    let mut seen = HashSet::with_capacity(events.len());
    let mut tombstone: Option<&Event> = None;
    for index in order {
        let event = &events[index];
        if !seen.insert((event.digest, event.status, event.payout)) {
            continue;
        }
        let next = match (state.status, tombstone) {
            (None, _) => {
                tombstone = (event.status == Status::Reversed).then_some(event);
                event.status
            }
            (Some(current), Some(reversal)) if event.status.pays() && overtook(reversal, event) => {
                if event.status == Status::Approved {
                    tombstone = None;
                }
                current
            }
            (Some(current), _) if current == event.status => current,
            (Some(current), _) if allowed.contains(&(current, event.status)) => {
                tombstone = None;
                event.status
            }
            _ => continue,
        };
        state.status = Some(next);
        state.applied[index] = true;
        if event.status.pays() && !event.payout.is_empty() {
            state.payout_index = Some(index);
        }
    }
    if !state.status.is_some_and(Status::pays) {
        state.payout_index = None;
    }
    state
}

/// Whether a reversal may have been decided after an event that follows it in the order of arrival.
fn overtook(reversal: &Event, event: &Event) -> bool {
    !(reversal.timed && event.timed && event.at > reversal.at)
}

#[cfg(test)]
mod tests;
