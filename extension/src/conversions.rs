//! The fold of a conversion's events in SQL: `sql/functions/postbacks/apply_to_conversion.sql` declares this function.

use crate::error::raise;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::errcodes::PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
use pgrx::prelude::*;
use postback_core::status::{self, Event, Status};

#[pg_extern(sql = false)]
fn fold(
    statuses: Vec<String>,
    payouts: Vec<String>,
    ats: Vec<TimestampWithTimeZone>,
    network_times: Vec<bool>,
    received: Vec<TimestampWithTimeZone>,
    allowed_from: Vec<String>,
    allowed_to: Vec<String>,
) -> TableIterator<'static, (name!(status, Option<String>), name!(payout, Option<String>), name!(last_applied, bool))> {
    let events: Vec<Event> = statuses
        .iter()
        .zip(&payouts)
        .zip(ats.iter().zip(&received))
        .zip(&network_times)
        .map(|(((status, payout), (at, received)), timed)| Event {
            status: parse(status),
            payout,
            at: at.into_inner(),
            timed: *timed,
            received: received.into_inner(),
            // The ledger holds no exact repeats, so the two times tell its events apart.
            digest: at.into_inner().cast_unsigned().rotate_left(32) ^ received.into_inner().cast_unsigned(),
        })
        .collect();
    let allowed: Vec<(Status, Status)> =
        allowed_from.iter().zip(&allowed_to).map(|(from, to)| (parse(from), parse(to))).collect();
    let state = status::fold(&events, &allowed);
    TableIterator::once((
        state.status.map(|status| status.as_str().to_owned()),
        state.payout_index.and_then(|index| payouts.get(index).cloned()),
        state.applied.last().copied().unwrap_or(false),
    ))
}

fn parse(status: &str) -> Status {
    match status.parse() {
        Ok(status) => status,
        Err(_) => raise(ERRCODE_INVALID_PARAMETER_VALUE, format!("status \"{status}\" is not known"), ""),
    }
}
