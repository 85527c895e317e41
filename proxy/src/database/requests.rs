//! The calls that record: a batch of taps or of postbacks, one statement each, and the answers to them.
//!
//! Not for: what goes into a batch and what becomes of it after a failure, see `batch.rs`.

use super::{Database, Lane};
use crate::batch::{Call, Job};
use crate::countries::Countries;
use crate::error::Failure;
use crate::metrics::CallKind;
use crate::postback::{Postback, PostbackAnswer};
use crate::redirect::{Tap, TapAnswer, header_of};
use hyper::header::HeaderValue;
use hyper::{StatusCode, body::Bytes};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const RECORD_CLICKS: &str = "\
    SELECT ordinal, location, visitor::text FROM postback.record_clicks(
        codes => $1::text[], click_ids => $2::text[], ip_addresses => $3::inet[], user_agents => $4::text[],
        methods => $5::text[], purposes => $6::text[], campaign_ids => $7::bigint[], offer_ids => $8::bigint[],
        subs => $9::jsonb[], replay => $10::boolean, countries => $11::text[])";

const REPLAY_CLICKS: &str = "\
    SELECT ordinal, location, visitor::text FROM postback.replay_clicks(
        codes => $1::text[], click_ids => $2::text[], ip_addresses => $3::inet[], user_agents => $4::text[],
        methods => $5::text[], purposes => $6::text[], campaign_ids => $7::bigint[], offer_ids => $8::bigint[],
        subs => $9::jsonb[], clicked_ats => $10::timestamptz[], countries => $11::text[])";

const RECEIVE_POSTBACKS: &str = "\
    SELECT ordinal, verdict::text, http_status, content_type, body FROM postback.receive_postbacks(
        postback_ids => $1::text[], networks => $2::text[], tokens => $3::text[], methods => $4::text[],
        paths => $5::text[], queries => $6::bytea[], bodies => $7::bytea[], content_types => $8::text[],
        source_ips => $9::inet[], replay => $10::boolean)";

/// Records taps.
pub struct RecordClicks {
    lane: Lane,
    countries: Arc<Countries>,
    /// Whether the times of the taps are told, because their ids may not tell them.
    tells_times: bool,
}

impl RecordClicks {
    pub fn new(database: Arc<Database>, countries: Arc<Countries>, patience: Duration) -> Self {
        RecordClicks { lane: Lane::new(database, patience), countries, tells_times: false }
    }

    /// For spooled taps of links minted elsewhere.
    pub fn replaying(database: Arc<Database>, countries: Arc<Countries>, patience: Duration) -> Self {
        RecordClicks { lane: Lane::new(database, patience), countries, tells_times: true }
    }
}

impl Call for RecordClicks {
    type Request = Tap;
    type Answer = TapAnswer;

    async fn call(&mut self, jobs: &[Job<Tap, TapAnswer>], replay: bool) -> Result<Vec<Option<TapAnswer>>, Failure> {
        let codes = column(jobs, Tap::code);
        let click_ids = column(jobs, Tap::click_id);
        let clients: Vec<IpAddr> = column(jobs, |tap| tap.client);
        let user_agents = column(jobs, Tap::user_agent);
        let methods = column(jobs, Tap::method);
        let purposes = sparse_column(jobs, |tap| tap.purpose.as_deref());
        let campaign_ids = sparse_column(jobs, |tap| tap.campaign().map(|campaign| campaign.campaign_id));
        let offer_ids = sparse_column(jobs, |tap| tap.campaign()?.offer_id);
        let subs = sparse_column(jobs, |tap| tap.campaign()?.subs.as_ref());
        let countries =
            if self.countries.are_known() { sparse_column(jobs, |tap| self.countries.of(tap.client)) } else { None };
        let times = self.tells_times.then(|| column(jobs, Tap::at));
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &codes,
            &click_ids,
            &clients,
            &user_agents,
            &methods,
            &purposes,
            &campaign_ids,
            &offer_ids,
            &subs,
            times.as_ref().map_or(&replay as &(dyn ToSql + Sync), |times| times),
            &countries,
        ];
        let sql = if self.tells_times { REPLAY_CLICKS } else { RECORD_CLICKS };
        let rows = self.lane.rows(CallKind::Clicks, sql, Some(jobs.len()), &parameters).await?;
        let metrics = &self.lane.database.metrics;
        in_order(jobs.len(), &rows, |row| {
            let answer = match row.try_get::<_, Option<&str>>(1)? {
                None => Some(TapAnswer::NotFound),
                Some(location) => header_of(location).map(TapAnswer::Redirect),
            };
            if let Some(visitor) = row.try_get(2)? {
                metrics.count_visitor(visitor);
            }
            Ok(answer)
        })
    }
}

/// Stores postbacks.
pub struct ReceivePostbacks(Lane);

impl ReceivePostbacks {
    pub fn new(database: Arc<Database>, patience: Duration) -> Self {
        ReceivePostbacks(Lane::new(database, patience))
    }
}

impl Call for ReceivePostbacks {
    type Request = Postback;
    type Answer = PostbackAnswer;

    async fn call(
        &mut self,
        jobs: &[Job<Postback, PostbackAnswer>],
        replay: bool,
    ) -> Result<Vec<Option<PostbackAnswer>>, Failure> {
        let ids = column(jobs, |postback| postback.id.as_str());
        let networks = column(jobs, Postback::network);
        let tokens = column(jobs, Postback::token);
        let methods = column(jobs, Postback::method);
        let paths = column(jobs, Postback::path);
        let queries = column(jobs, Postback::query);
        let bodies = column(jobs, |postback| postback.body.as_deref());
        let content_types = column(jobs, Postback::content_type);
        let clients: Vec<IpAddr> = column(jobs, |postback| postback.client);
        let parameters: [&(dyn ToSql + Sync); 10] =
            [&ids, &networks, &tokens, &methods, &paths, &queries, &bodies, &content_types, &clients, &replay];
        let rows = self.0.rows(CallKind::Postbacks, RECEIVE_POSTBACKS, Some(jobs.len()), &parameters).await?;
        let metrics = &self.0.database.metrics;
        in_order(jobs.len(), &rows, |row| {
            if let Some(verdict) = row.try_get(1)? {
                metrics.count_verdict(verdict);
            }
            let status = u16::try_from(row.try_get::<_, i32>(2)?).ok();
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            let content_type = row.try_get::<_, Option<&str>>(3)?.map(HeaderValue::from_str).transpose();
            let body = Bytes::copy_from_slice(row.try_get::<_, Option<&str>>(4)?.unwrap_or_default().as_bytes());
            match (status, content_type) {
                (Some(status), Ok(content_type)) if !status.is_informational() => {
                    Ok(Some(PostbackAnswer { status, content_type, body }))
                }
                _ => {
                    tracing::error!("the database gave a status or content type that HTTP cannot carry");
                    Ok(None)
                }
            }
        })
    }
}

/// One array parameter.
fn column<'a, Q, A, T>(jobs: &'a [Job<Q, A>], value: impl Fn(&'a Q) -> T) -> Vec<T> {
    jobs.iter().map(|job| value(&job.request)).collect()
}

/// One array parameter that most batches do without: no element, no array.
fn sparse_column<'a, Q, A, T>(jobs: &'a [Job<Q, A>], value: impl Fn(&'a Q) -> Option<T>) -> Option<Vec<Option<T>>> {
    let first = jobs.iter().position(|job| value(&job.request).is_some())?;
    let mut column = Vec::with_capacity(jobs.len());
    column.resize_with(first, || None);
    column.extend(jobs[first..].iter().map(|job| value(&job.request)));
    Some(column)
}

/// The answers by the ordinal in column 0; `None` for a job without a row.
fn in_order<A>(
    size: usize,
    rows: &[Row],
    answer: impl Fn(&Row) -> Result<Option<A>, tokio_postgres::Error>,
) -> Result<Vec<Option<A>>, Failure> {
    let mut answers = Vec::with_capacity(size);
    answers.resize_with(size, || None);
    for row in rows {
        let ordinal: i32 = row.try_get(0).map_err(|error| Failure::of(&error))?;
        let place = usize::try_from(ordinal - 1).ok().and_then(|position| answers.get_mut(position));
        if let Some(place) = place {
            *place = answer(row).map_err(|error| Failure::of(&error))?;
        }
    }
    Ok(answers)
}
