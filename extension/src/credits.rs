//! The arithmetic of attribution in SQL: `sql/functions/attribution/credits.sql` declares these functions.

use crate::bigints;
use crate::error::raise;
use pgrx::AnyArray;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_DATA_EXCEPTION, ERRCODE_INVALID_PARAMETER_VALUE};
use pgrx::prelude::*;
use pgrx::varlena::varlena_to_byte_slice;
use pgrx::{FromDatum, IntoDatum};
use postback_core::credit::{self, Model, Settings};
use std::cell::RefCell;
use std::ffi::c_int;

const DAY: i64 = 86_400_000_000;

/// A share is the place of its touch (from 1) above this many bits, and below them its credit in units of 10^-12.
const CREDIT_BITS: u32 = 40;
const CREDIT_MASK: i64 = (1 << CREDIT_BITS) - 1;

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

/// An integer of so many decimals. Postgres has a way for it that is faster than by text; what does not fit goes by text.
fn numeric(units: u128, scale: u32) -> Option<AnyNumeric> {
    match (i64::try_from(units), c_int::try_from(scale)) {
        // SAFETY: the function makes a numeric of two integers.
        (Ok(units), Ok(scale)) if scale < 19 => unsafe {
            let made = pg_sys::int64_div_fast_to_numeric(units, scale);
            AnyNumeric::from_datum(pg_sys::Datum::from(made), false)
        },
        _ => AnyNumeric::try_from(credit::decimal(units, scale)?.as_str()).ok(),
    }
}

/// A payout and the shares of its conversion, as Postgres keeps them, and what each share has earned.
#[derive(Default)]
struct Division {
    payout: Vec<u8>,
    shares: Vec<u8>,
    currency: String,
    earned: Vec<(i64, u128)>,
    scale: u32,
}

thread_local! {
    /// The last one: the shares of a conversion are asked for one after another.
    static DIVISION: RefCell<Division> = RefCell::default();
}

impl Division {
    fn new(payout: pg_sys::Datum, currency: &str, shares: &AnyArray) -> Option<Self> {
        // SAFETY: the datum is the numeric that Postgres passed.
        let amount = unsafe { AnyNumeric::from_datum(payout, false) }?.to_string();
        let each: Vec<i64> = bigints::elements(shares).into_iter().flatten().collect();
        let credits: Vec<i64> = each.iter().map(|share| share & CREDIT_MASK).collect();
        let (parts, scale) = credit::units(&amount, currency, &credits)?;
        Some(Division {
            payout: bytes(payout).to_owned(),
            shares: bytes(shares.datum()).to_owned(),
            currency: currency.to_owned(),
            earned: each.into_iter().zip(parts).collect(),
            scale,
        })
    }

    fn is_of(&self, payout: pg_sys::Datum, currency: &str, shares: &AnyArray) -> bool {
        self.payout == bytes(payout) && self.shares == bytes(shares.datum()) && self.currency == currency
    }

    fn earned_by(&self, share: i64) -> Option<AnyNumeric> {
        let (_, part) = self.earned.iter().find(|(other, _)| *other == share)?;
        numeric(*part, self.scale)
    }
}

/// The bytes of a value of variable length, for a comparison.
fn bytes<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the callers pass numerics and arrays, which lie in memory as long as the call of the function lasts.
    unsafe { varlena_to_byte_slice(datum.cast_mut_ptr()) }
}

#[pg_extern(sql = false)]
fn revenue(payout: AnyNumeric, currency: &str, shares: AnyArray, share: i64) -> Option<AnyNumeric> {
    let payout = payout.into_datum()?;
    let earned = DIVISION.with_borrow_mut(|division| {
        if !division.is_of(payout, currency, &shares) {
            *division = Division::new(payout, currency, &shares)?;
        }
        division.earned_by(share)
    });
    if earned.is_none() {
        return raise(ERRCODE_DATA_EXCEPTION, "a payout cannot be divided by these shares".to_owned(), "");
    }
    earned
}

/// The credit of a share without the zeros at its end.
#[pg_extern(sql = false)]
fn credit_of(share: i64) -> Option<AnyNumeric> {
    let (mut units, mut scale) = (share & CREDIT_MASK, 12);
    while scale > 0 && units % 10 == 0 {
        (units, scale) = (units / 10, scale - 1);
    }
    numeric(u128::try_from(units).ok()?, scale)
}
