//! Destinations and deliveries in SQL: `sql/functions/deliveries/` declares these functions.

use crate::error::raise;
use pgrx::JsonB;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_CHECK_VIOLATION, ERRCODE_INVALID_PARAMETER_VALUE};
use pgrx::prelude::*;
use postback_core::delivery::{self, Order};
use postback_core::destination;
use postback_core::webhook_signature::{self, Signing};

#[pg_extern(sql = false)]
fn destination_target(
    url_template: &str,
) -> TableIterator<'static, (name!(address, Option<String>), name!(refusal, Option<&'static str>))> {
    match destination::check_url(url_template) {
        Ok(target) => TableIterator::once((target.address.map(|address| address.to_string()), target.refusal)),
        Err(error) => raise(
            ERRCODE_CHECK_VIOLATION,
            format!("url_template is refused: {error}"),
            "Such as https://partner.example.com/postback?cid={click_id}: http or https, macros only in path and query.",
        ),
    }
}

#[pg_extern(sql = false)]
fn check_body_template(body_template: &str, content_type: Option<&str>) -> bool {
    match delivery::check_body(body_template, content_type) {
        Ok(_) => true,
        Err(problem) => raise(
            ERRCODE_CHECK_VIOLATION,
            format!("body_template is refused: {problem}"),
            "Such as {\"id\": \"{click_id}\", \"payout\": {payout}} or id={click_id}&payout={payout}.",
        ),
    }
}

#[pg_extern(sql = false)]
fn check_destination_secret(signing: &str, secret: &str) -> bool {
    let key = signing.parse::<Signing>().and_then(|signing| webhook_signature::key(signing, secret));
    match key {
        Ok(_) => true,
        Err(error) => raise(
            ERRCODE_INVALID_PARAMETER_VALUE,
            format!("the secret is refused: {error}"),
            "Leave it out, and one is made and returned.",
        ),
    }
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
#[expect(clippy::type_complexity, reason = "the columns are the SQL declaration's")]
fn prepare_delivery(
    delivery_id: &str,
    sent_at_unix: i64,
    method: &str,
    url_template: &str,
    body_template: Option<&str>,
    content_type: Option<&str>,
    signing: &str,
    secrets: Vec<String>,
    fields: JsonB,
) -> TableIterator<
    'static,
    (
        name!(problem, Option<String>),
        name!(url, Option<String>),
        name!(body, Option<String>),
        name!(headers, Option<JsonB>),
    ),
> {
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let order = Order { method, url_template, body_template, content_type, signing, secrets: &secrets };
    let value = |name: &str| fields.0.get(name).and_then(|value| value.as_str());
    TableIterator::once(match delivery::prepare(&order, delivery_id, sent_at_unix, value) {
        Ok(request) => {
            let headers = JsonB(request.headers_json());
            (None, Some(request.url), request.body, Some(headers))
        }
        Err(problem) => (Some(problem.to_string()), None, None, None),
    })
}
