//! The queue of outbound deliveries: take what is due, tell how it ended, ask when the next one is due.

use super::{CALL_DEADLINE, Database, Lane};
use crate::client_address::parse_network;
use crate::error::Failure;
use crate::metrics::CallKind;
use crate::outbound_client::{Answer, Delivery, SendError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::Json;
use tokio_postgres::{Error, Row};

const CLAIM: &str = "\
    SELECT delivery_id, destination_id, url, method, content_type, headers, body, timeout_ms, allowed_addresses::text[]
    FROM postback.claim_deliveries($1::integer)";

const FINISH: &str = "\
    SELECT postback.finish_deliveries(
        delivery_ids => $1::text[], status_codes => $2::integer[], errors => $3::text[],
        retry_after_seconds => $4::integer[], responses => $5::text[])";

const UNTIL_NEXT: &str = "\
    SELECT (extract(epoch FROM postback.next_delivery_at()) - extract(epoch FROM clock_timestamp()))::double precision";

/// How one attempt ended.
pub struct Outcome {
    pub delivery_id: String,
    pub result: Result<Answer, SendError>,
}

/// The dispatcher's connection.
pub struct Deliveries(Lane);

impl Deliveries {
    pub fn new(database: Arc<Database>) -> Self {
        Deliveries(Lane::new(database, CALL_DEADLINE))
    }

    /// Leases up to so many that are due.
    pub async fn claim(&mut self, most: usize) -> Result<Vec<Delivery>, Failure> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let rows = self.0.rows(CallKind::ClaimDeliveries, CLAIM, None, &[&most]).await?;
        rows.iter().map(delivery).collect::<Result<_, _>>().map_err(|error| Failure::of(&error))
    }

    /// Says how these ended. Saying it twice does no harm.
    pub async fn finish(&mut self, outcomes: &[Outcome]) -> Result<(), Failure> {
        let answers = || outcomes.iter().map(|outcome| outcome.result.as_ref().ok());
        let ids: Vec<_> = outcomes.iter().map(|outcome| outcome.delivery_id.as_str()).collect();
        let statuses: Vec<_> = answers().map(|answer| Some(i32::from(answer?.status))).collect();
        let errors: Vec<_> =
            outcomes.iter().map(|outcome| outcome.result.as_ref().err().map(SendError::to_string)).collect();
        let waits: Vec<_> =
            answers().map(|answer| Some(i32::try_from(answer?.retry_after?).unwrap_or(i32::MAX))).collect();
        let excerpts: Vec<_> = answers().map(|answer| Some(answer?.excerpt.as_str())).collect();
        let size = Some(outcomes.len());
        self.0
            .rows(CallKind::FinishDeliveries, FINISH, size, &[&ids, &statuses, &errors, &waits, &excerpts])
            .await
            .map(drop)
    }

    /// How long until one is due: zero if one already is, nothing if none waits.
    pub async fn until_next(&mut self) -> Result<Option<Duration>, Failure> {
        let rows = self.0.rows(CallKind::NextDelivery, UNTIL_NEXT, None, &[]).await?;
        let seconds = rows.first().map(|row| row.try_get::<_, Option<f64>>(0)).transpose();
        let seconds = seconds.map_err(|error| Failure::of(&error))?.flatten();
        // Infinity is never.
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()))
    }
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    let Json(headers) = row.try_get::<_, Json<BTreeMap<String, String>>>(5)?;
    let timeout = u64::try_from(row.try_get::<_, i32>(7)?).unwrap_or_default();
    let allowed = row.try_get::<_, Vec<String>>(8)?;
    Ok(Delivery {
        id: row.try_get(0)?,
        destination_id: row.try_get(1)?,
        url: row.try_get(2)?,
        method: row.try_get(3)?,
        content_type: row.try_get(4)?,
        headers,
        body: row.try_get(6)?,
        timeout: Duration::from_millis(timeout),
        allowed: allowed.iter().filter_map(|network| parse_network(network)).collect(),
    })
}
