//! Reading postbacks in SQL: `sql/functions/postbacks/read_message.sql` declares these functions.

use crate::kept_json::KeptJson;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use postback_core::message::{self, Map, MoneyTerms};
use serde_json::Value;

#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "the columns are the SQL declaration's")]
fn read_parameters(
    query: Option<&[u8]>,
    body: Option<&[u8]>,
    content_type: Option<&str>,
    parameters: Option<KeptJson>,
    dedupe: Option<Vec<String>>,
    currency: Option<&str>,
    joins_payouts: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(problem, Option<String>),
        name!(note, Option<String>),
        name!(click_id, Option<String>),
        name!(transaction_id, Option<String>),
        name!(event, Option<String>),
        name!(raw_status, Option<String>),
        name!(payout, Option<String>),
        name!(payout_problem, Option<String>),
        name!(currency, Option<String>),
        name!(network_offer_id, Option<String>),
        name!(event_time, Option<String>),
        name!(token, Option<String>),
        name!(dedupe_key, Option<String>),
    ),
> {
    let recipes = dedupe.unwrap_or_default();
    let recipes: Vec<&str> = recipes.iter().map(String::as_str).collect();
    let said = message::read(
        query.unwrap_or_default(),
        body.unwrap_or_default(),
        content_type,
        &Map::new(parameters.as_deref().unwrap_or(&Value::Null)),
        &recipes,
        MoneyTerms { currency, joins_payouts: joins_payouts.unwrap_or(false) },
    );
    TableIterator::once((
        said.problem,
        said.note,
        said.click_id,
        said.transaction_id,
        said.event,
        said.raw_status,
        said.payout,
        said.payout_problem,
        said.currency,
        said.network_offer_id,
        said.event_time,
        said.token,
        said.dedupe_key,
    ))
}

#[pg_extern(sql = false)]
fn mask_tokens(raw: Option<&[u8]>, parameters: Option<KeptJson>) -> Option<Vec<u8>> {
    Some(message::mask_tokens(raw?, parameters.as_deref().map(Map::new).as_ref()))
}
