//! The arithmetic of attribution in SQL: `sql/functions/attribution/credits.sql` declares these functions.

use crate::bigints;
use crate::error::raise;
use pgrx::AnyArray;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_DATA_EXCEPTION, ERRCODE_INVALID_PARAMETER_VALUE};
use pgrx::prelude::*;
use postback_core::credit::{self, Model, Settings};
use std::cell::RefCell;

const DAY: i64 = 86_400_000_000;

/// A share is the place of its touch (from 1) above this many bits, and below them its credit in units of 10^-12.
const CREDIT_BITS: u32 = 40;

/// A day of 24 hours and a month of 30 days, as the receipt of a postback measures the window.
fn microseconds(interval: &Interval) -> i64 {
    (i64::from(interval.months()) * 30 + i64::from(interval.days()))
        .saturating_mul(DAY)
        .saturating_add(interval.micros())
}

/// The places (from 1) of the touches that qualify, and their times.
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn touches(
    clicked_ats: AnyArray,
    offer_ids: AnyArray,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<AnyArray>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: &Interval,
) -> (Vec<i64>, Vec<i64>) {
    let since = converted_at.into_inner().saturating_sub(microseconds(click_window));
    let named = named.map(i64::from);
    let network_offer_ids = network_offer_ids.map_or_else(Vec::new, |ids| bigints::elements(&ids));
    let in_scope = |offer: Option<i64>| match scope {
        "offer" => offer.is_some() && offer == offer_id,
        "network" => offer.is_some() && network_offer_ids.contains(&offer),
        _ => true,
    };
    let times = bigints::elements(&clicked_ats).into_iter().flatten();
    (1..)
        .zip(times.zip(bigints::elements(&offer_ids)))
        .filter(|&(place, (time, offer))| time >= since && (in_scope(offer) || Some(place) == named))
        .map(|(place, (time, _))| (place, time))
        .unzip()
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn qualifying(
    clicked_ats: AnyArray,
    offer_ids: AnyArray,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<AnyArray>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: Interval,
) -> Option<AnyArray> {
    bigints::array(
        &touches(clicked_ats, offer_ids, scope, offer_id, network_offer_ids, named, converted_at, &click_window).0,
    )
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn credited_place(
    model: &str,
    clicked_ats: AnyArray,
    offer_ids: AnyArray,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<AnyArray>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: Interval,
) -> Option<i64> {
    let (places, _) =
        touches(clicked_ats, offer_ids, scope, offer_id, network_offer_ids, named, converted_at, &click_window);
    if model == "first_click" { places.first().copied() } else { places.last().copied() }
}

#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the SQL declaration's")]
fn shares(
    model: &str,
    half_life: Interval,
    first_weight: f64,
    middle_weight: f64,
    last_weight: f64,
    clicked_ats: AnyArray,
    offer_ids: AnyArray,
    scope: &str,
    offer_id: Option<i64>,
    network_offer_ids: Option<AnyArray>,
    named: Option<i16>,
    converted_at: TimestampWithTimeZone,
    click_window: Interval,
) -> Option<AnyArray> {
    let Ok(model) = model.parse::<Model>() else {
        return raise(ERRCODE_INVALID_PARAMETER_VALUE, format!("attribution model \"{model}\" is not known"), "");
    };
    let (places, times) =
        touches(clicked_ats, offer_ids, scope, offer_id, network_offer_ids, named, converted_at, &click_window);
    let settings =
        Settings { half_life: microseconds(&half_life).max(1), weights: [first_weight, middle_weight, last_weight] };
    let shares: Vec<i64> = places
        .into_iter()
        .zip(credit::credits(model, &times, &settings))
        .filter(|&(_, credit)| credit > 0)
        .map(|(place, credit)| place << CREDIT_BITS | credit)
        .collect();
    bigints::array(&shares)
}

/// A payout and its parts by the shares of its conversion.
#[derive(Default)]
struct Division {
    payout: String,
    currency: String,
    shares: Vec<Option<i64>>,
    parts: Vec<u128>,
    scale: u32,
}

impl Division {
    fn new(payout: String, currency: &str, shares: Vec<Option<i64>>) -> Option<Self> {
        let credits: Vec<i64> = shares.iter().flatten().map(|share| share & ((1 << CREDIT_BITS) - 1)).collect();
        let (parts, scale) = credit::units(&payout, currency, &credits)?;
        Some(Division { payout, currency: currency.to_owned(), shares, parts, scale })
    }

    fn part(&self, share: i64) -> Option<AnyNumeric> {
        let place = self.shares.iter().position(|&other| other == Some(share))?;
        AnyNumeric::try_from(credit::decimal(*self.parts.get(place)?, self.scale)?.as_str()).ok()
    }
}

thread_local! {
    /// The last one: the shares of a conversion are asked for one after another.
    static DIVISION: RefCell<Division> = RefCell::default();
}

#[pg_extern(sql = false)]
fn revenue(payout: AnyNumeric, currency: &str, shares: AnyArray, share: i64) -> AnyNumeric {
    let payout = payout.to_string();
    let shares = bigints::elements(&shares);
    let part = DIVISION.with_borrow_mut(|division| {
        if (&division.payout, division.currency.as_str(), &division.shares) != (&payout, currency, &shares) {
            *division = Division::new(payout.clone(), currency, shares)?;
        }
        division.part(share)
    });
    match part {
        Some(part) => part,
        None => raise(ERRCODE_DATA_EXCEPTION, format!("payout \"{payout}\" cannot be divided"), ""),
    }
}
