//! Offer URL templates in SQL: `sql/functions/links/templates.sql` declares these functions.

use crate::error::raise;
use pgrx::JsonB;
use pgrx::pg_sys::errcodes::PgSqlErrorCode::ERRCODE_CHECK_VIOLATION;
use pgrx::prelude::*;
use postback_core::url_template::{Ids, UrlTemplate};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// How many parsed templates a session keeps. Campaigns that run at one time have few offers.
const KEPT_TEMPLATES: usize = 256;

thread_local! {
    static TEMPLATES: RefCell<HashMap<String, Rc<UrlTemplate>>> = RefCell::new(HashMap::new());
}

#[pg_extern(sql = false)]
fn check_url_template(url_template: &str) -> bool {
    match UrlTemplate::of_offer(url_template) {
        Ok(_) => true,
        Err(error) => refuse(&error.to_string()),
    }
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "one argument per macro, as the SQL declaration has them")]
fn render_url(
    url_template: Option<&str>,
    click_id: Option<&str>,
    campaign_id: Option<i64>,
    segment_id: Option<i64>,
    variant_id: Option<i64>,
    offer_id: Option<i64>,
    send_id: Option<i64>,
    subs: Option<JsonB>,
) -> Option<String> {
    let ids = Ids { campaign_id, segment_id, variant_id, offer_id, send_id };
    Some(parsed(url_template?).render_offer(click_id?, &ids, subs.as_ref().map(|subs| &subs.0)))
}

fn parsed(text: &str) -> Rc<UrlTemplate> {
    TEMPLATES.with_borrow_mut(|templates| {
        if let Some(template) = templates.get(text) {
            return Rc::clone(template);
        }
        let template = match UrlTemplate::of_offer(text) {
            Ok(template) => Rc::new(template),
            Err(error) => return refuse(&error.to_string()),
        };
        if templates.len() >= KEPT_TEMPLATES {
            templates.clear();
        }
        templates.insert(text.to_owned(), Rc::clone(&template));
        template
    })
}

fn refuse<T>(reason: &str) -> T {
    raise(
        ERRCODE_CHECK_VIOLATION,
        format!("url_template is refused: {reason}"),
        "Such as https://network.example.com/offer/789?aff_click_id={click_id}: http or https, macros only after the host.",
    )
}
