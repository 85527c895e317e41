//! The arithmetic of attribution in SQL: `sql/functions/attribution/credits.sql` declares these functions. A report calls them for every
//! conversion and every share, so they read their arguments in place.

use crate::arguments::{Arguments, called_by_postgres};
use crate::bigints::{self, Bigints};
use crate::error::raise;
use crate::numerics::{numeric, units};
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_DATA_EXCEPTION, ERRCODE_INVALID_PARAMETER_VALUE};
use pgrx::pg_sys::{Datum, Interval};
use postback_core::credit::{self, Model, Settings};
use std::cell::RefCell;

const DAY: i64 = 86_400_000_000;

/// A share is the place of its touch (from 1) above this many bits, and below them its credit in units of 10^-12.
const CREDIT_BITS: u32 = 40;
const CREDIT_MASK: i64 = (1 << CREDIT_BITS) - 1;

called_by_postgres! {
    qualifying as qualifying_wrapper, pg_finfo_qualifying_wrapper;
    credited_place as credited_place_wrapper, pg_finfo_credited_place_wrapper;
    shares as shares_wrapper, pg_finfo_shares_wrapper;
    each_share as each_share_wrapper, pg_finfo_each_share_wrapper;
    revenue as revenue_wrapper, pg_finfo_revenue_wrapper;
    credit_of as credit_of_wrapper, pg_finfo_credit_of_wrapper;
}

/// A day of 24 hours and a month of 30 days, as the receipt of a postback measures the window.
fn microseconds(interval: &Interval) -> i64 {
    (i64::from(interval.month) * 30 + i64::from(interval.day)).saturating_mul(DAY).saturating_add(interval.time)
}

/// The places (from 1) of the touches that qualify, and their times. The arguments from this one on are clicked_ats, offer_ids, scope,
/// offer_id, network_offer_ids, named, converted_at and click_window.
fn touches<'call>(arguments: &Arguments<'call>, first: usize) -> Option<impl Iterator<Item = (i64, i64)> + use<'call>> {
    let clicked_ats = Bigints::new(arguments.bytes(first)?);
    let offer_ids = Bigints::new(arguments.bytes(first + 1)?);
    let scope = arguments.bytes(first + 2)?;
    let offer_id = arguments.bigint(first + 3);
    let network_offer_ids = arguments.bytes(first + 4).map_or_else(Bigints::default, Bigints::new);
    let named = arguments.smallint(first + 5).map(i64::from);
    let since = arguments.bigint(first + 6)?.saturating_sub(microseconds(arguments.interval(first + 7)?));
    let in_scope = move |offer: Option<i64>| match scope {
        b"offer" => offer.is_some() && offer == offer_id,
        b"network" => offer.is_some() && network_offer_ids.iter().any(|other| other == offer),
        _ => true,
    };
    Some(
        (1..)
            .zip(clicked_ats.iter().flatten().zip(offer_ids.iter()))
            .filter(move |&(place, (time, offer))| time >= since && (in_scope(offer) || Some(place) == named))
            .map(|(place, (time, _))| (place, time)),
    )
}

fn qualifying(arguments: &Arguments) -> Option<Datum> {
    bigints::array(&touches(arguments, 0)?.map(|(place, _)| place).collect::<Vec<_>>())
}

fn credited_place(arguments: &Arguments) -> Option<Datum> {
    let mut touches = touches(arguments, 1)?;
    let credited = if arguments.bytes(0)? == b"first_click" { touches.next() } else { touches.last() };
    credited.map(|(place, _)| Datum::from(place))
}

fn shares(arguments: &Arguments) -> Option<Datum> {
    let model = arguments.text(0)?;
    let Ok(model) = model.parse::<Model>() else {
        return raise(ERRCODE_INVALID_PARAMETER_VALUE, format!("attribution model \"{model}\" is not known"), "");
    };
    let settings = Settings {
        half_life: microseconds(arguments.interval(1)?).max(1),
        weights: [arguments.double(2)?, arguments.double(3)?, arguments.double(4)?],
    };
    let (places, times): (Vec<i64>, Vec<i64>) = touches(arguments, 5)?.unzip();
    let credits = credit::credits(model, &times, &settings);
    let shares = places.into_iter().zip(credits).filter(|&(_, credit)| credit > 0);
    bigints::array(&shares.map(|(place, credit)| place << CREDIT_BITS | credit).collect::<Vec<_>>())
}

/// One a call.
fn each_share(arguments: &Arguments) -> Option<Datum> {
    let walk = arguments.walk()?;
    let share = Bigints::new(arguments.bytes(0)?).get(walk.place());
    walk.answer(share.map(Datum::from))
}

/// A payout and the shares of its conversion, as Postgres keeps them, and what each share has earned.
#[derive(Default)]
struct Division {
    payout: Vec<u8>,
    shares: Vec<u8>,
    currency: Vec<u8>,
    minor_units: u32,
    earned: Vec<(i64, u128)>,
    scale: u32,
}

thread_local! {
    /// The last one: the shares of a conversion are asked for one after another.
    static DIVISION: RefCell<Division> = RefCell::default();
}

impl Division {
    /// Takes its place.
    fn renew(&mut self, payout: &[u8], currency: &[u8], shares: &[u8]) -> Option<()> {
        self.payout.clear();
        if self.currency != currency {
            self.minor_units = credit::minor_units(std::str::from_utf8(currency).ok()?);
            currency.clone_into(&mut self.currency);
        }
        let (amount, scale) = units(payout)?;
        let credits: Vec<i64> = Bigints::new(shares).iter().flatten().map(|share| share & CREDIT_MASK).collect();
        let (parts, scale) = credit::parts(amount, scale, self.minor_units, &credits)?;
        self.earned.clear();
        self.earned.extend(Bigints::new(shares).iter().flatten().zip(parts));
        self.scale = scale;
        shares.clone_into(&mut self.shares);
        payout.clone_into(&mut self.payout);
        Some(())
    }

    fn is_of(&self, payout: &[u8], currency: &[u8], shares: &[u8]) -> bool {
        self.payout == payout && self.shares == shares && self.currency == currency
    }

    fn earned_by(&self, share: i64) -> Option<Datum> {
        let (_, part) = self.earned.iter().find(|(other, _)| *other == share)?;
        numeric(*part, self.scale)
    }
}

fn revenue(arguments: &Arguments) -> Option<Datum> {
    let (payout, currency, shares) = (arguments.bytes(0)?, arguments.bytes(1)?, arguments.bytes(2)?);
    let share = arguments.bigint(3)?;
    let earned = DIVISION.with_borrow_mut(|division| {
        if !division.is_of(payout, currency, shares) {
            division.renew(payout, currency, shares)?;
        }
        division.earned_by(share)
    });
    if earned.is_none() {
        return raise(ERRCODE_DATA_EXCEPTION, "a payout cannot be divided by these shares".to_owned(), "");
    }
    earned
}

/// The credit of a share without the zeros at its end.
fn credit_of(arguments: &Arguments) -> Option<Datum> {
    let (mut units, mut scale) = (arguments.bigint(0)? & CREDIT_MASK, 12);
    while scale > 0 && units % 10 == 0 {
        (units, scale) = (units / 10, scale - 1);
    }
    numeric(u128::try_from(units).ok()?, scale)
}
