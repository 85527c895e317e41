//! The arithmetic of attribution in SQL: `sql/functions/attribution/credits.sql` declares these functions.

use crate::error::raise;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_DATA_EXCEPTION, ERRCODE_INVALID_PARAMETER_VALUE};
use pgrx::prelude::*;
use postback_core::credit::{self, Model, Settings};

const DAY: i64 = 86_400_000_000;

/// A day of 24 hours and a month of 30 days, as the receipt of a postback measures the window.
fn microseconds(interval: &Interval) -> i64 {
    (i64::from(interval.months()) * 30 + i64::from(interval.days()))
        .saturating_mul(DAY)
        .saturating_add(interval.micros())
}

/// The places (from 0) of the touches that qualify, and their times.
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn touches(
    clicked_ats: &Array<i64>,
    offer_ids: &Array<i64>,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<Array<i64>>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: &Interval,
) -> (Vec<usize>, Vec<i64>) {
    let since = converted_at.into_inner().saturating_sub(microseconds(click_window));
    let named = named.and_then(|place| usize::try_from(place).ok());
    let network_offer_ids: Vec<i64> = network_offer_ids.map_or_else(Vec::new, |ids| ids.iter().flatten().collect());
    let in_scope = |offer: Option<i64>| match scope {
        "offer" => offer.is_some() && offer == offer_id,
        "network" => offer.is_some_and(|offer| network_offer_ids.contains(&offer)),
        _ => true,
    };
    clicked_ats
        .iter()
        .flatten()
        .zip(offer_ids.iter())
        .enumerate()
        .filter(|&(place, (time, offer))| time >= since && (in_scope(offer) || Some(place + 1) == named))
        .map(|(place, (time, _))| (place, time))
        .unzip()
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn qualifying(
    clicked_ats: Array<i64>,
    offer_ids: Array<i64>,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<Array<i64>>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: Interval,
) -> Vec<i32> {
    let (places, _) =
        touches(&clicked_ats, &offer_ids, scope, offer_id, network_offer_ids, named, converted_at, &click_window);
    (1..).zip(0..clicked_ats.len()).filter(|(_, place)| places.contains(place)).map(|(number, _)| number).collect()
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn credits(
    model: &str,
    half_life: Interval,
    weights: Array<f64>,
    clicked_ats: Array<i64>,
    offer_ids: Array<i64>,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<Array<i64>>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: Interval,
) -> Option<Vec<i64>> {
    let Ok(model) = model.parse::<Model>() else {
        return raise(ERRCODE_INVALID_PARAMETER_VALUE, format!("attribution model \"{model}\" is not known"), "");
    };
    let (places, times) =
        touches(&clicked_ats, &offer_ids, scope, offer_id, network_offer_ids, named, converted_at, &click_window);
    if places.is_empty() {
        return None;
    }
    let weight = |place| weights.get(place).flatten().unwrap_or(0.0);
    let settings = Settings { half_life: microseconds(&half_life).max(1), weights: [weight(0), weight(1), weight(2)] };
    let mut credits = vec![0; clicked_ats.len()];
    for (place, credit) in places.into_iter().zip(credit::credits(model, &times, &settings)) {
        credits[place] = credit;
    }
    Some(credits)
}

#[pg_extern(sql = false)]
fn revenue(payout: AnyNumeric, currency: &str, credits: Array<i64>, place: i32) -> AnyNumeric {
    let payout = payout.to_string();
    let credits: Vec<i64> = credits.iter().map(Option::unwrap_or_default).collect();
    let part = usize::try_from(place - 1).ok().and_then(|place| credit::revenue(&payout, currency, &credits, place));
    match part.map(|part| AnyNumeric::try_from(part.as_str())) {
        Some(Ok(part)) => part,
        _ => raise(ERRCODE_DATA_EXCEPTION, format!("payout \"{payout}\" cannot be divided"), ""),
    }
}
