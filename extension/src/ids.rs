//! Click ids in SQL: `sql/functions/ids/click_ids.sql` declares these functions.

use crate::error::raise;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_DATETIME_FIELD_OVERFLOW, ERRCODE_INVALID_PARAMETER_VALUE};
use pgrx::prelude::*;
use postback_core::click_id::{self, BUCKETS, ClickId, MAX_UNIX_MS};
use rand::RngExt;

/// Milliseconds from 1970, where Unix counts from, to 2000, where Postgres does.
const POSTGRES_EPOCH_MS: i64 = 946_684_800_000;

#[pg_extern(sql = false)]
fn mint_click_id(subscriber_id: Option<i64>, at: Option<TimestampWithTimeZone>) -> Option<String> {
    let random = rand::rng().random::<u128>();
    let bucket = subscriber_id.map_or((random >> 64) as u16, click_id::subscriber_bucket);
    Some(mint(bucket, at?, random as u64))
}

#[pg_extern(sql = false)]
fn mint_click_id_in(bucket: i16, at: TimestampWithTimeZone) -> String {
    mint(bucket.cast_unsigned() % BUCKETS, at, rand::rng().random())
}

#[pg_extern(sql = false)]
fn mint_random_click_id() -> String {
    ClickId::random(rand::rng().random()).to_string()
}

#[pg_extern(sql = false)]
fn click_id_time(click_id: &str) -> Option<TimestampWithTimeZone> {
    ClickId::parse(click_id).and_then(time)
}

#[pg_extern(sql = false)]
fn click_id_time_in(click_id: &str, bucket: i16) -> Option<TimestampWithTimeZone> {
    ClickId::parse(click_id).filter(|id| id.bucket() == bucket.cast_unsigned()).and_then(time)
}

#[pg_extern(sql = false)]
fn click_id_bucket(click_id: &str) -> i16 {
    ClickId::parse(click_id).map_or_else(|| click_id::text_bucket(click_id), ClickId::bucket).cast_signed()
}

#[pg_extern(sql = false)]
fn subscriber_bucket(subscriber_id: i64) -> i16 {
    click_id::subscriber_bucket(subscriber_id).cast_signed()
}

#[pg_extern(sql = false)]
fn is_legal_click_id(click_id: &str) -> bool {
    click_id::is_legal(click_id)
}

#[pg_extern(sql = false)]
fn random_bytes(count: i32) -> Vec<u8> {
    let Ok(count @ 1..=1024) = usize::try_from(count) else {
        return raise(
            ERRCODE_INVALID_PARAMETER_VALUE,
            format!("cannot draw \"{count}\" random bytes"),
            "Between 1 and 1024.",
        );
    };
    let mut bytes = vec![0; count];
    rand::rng().fill(bytes.as_mut_slice());
    bytes
}

fn mint(bucket: u16, at: TimestampWithTimeZone, random: u64) -> String {
    let unix_ms = at.into_inner().div_euclid(1000).saturating_add(POSTGRES_EPOCH_MS);
    match u64::try_from(unix_ms) {
        Ok(unix_ms) if unix_ms <= MAX_UNIX_MS => ClickId::new(unix_ms, bucket, random).to_string(),
        _ => raise(
            ERRCODE_DATETIME_FIELD_OVERFLOW,
            "a click id cannot hold this time".to_owned(),
            "Click ids hold 1970 to 10889 (RFC 9562: 48 bits of milliseconds).",
        ),
    }
}

fn time(id: ClickId) -> Option<TimestampWithTimeZone> {
    let since_2000 = i64::try_from(id.unix_ms()).ok()? - POSTGRES_EPOCH_MS;
    TimestampWithTimeZone::try_from(since_2000 * 1000).ok()
}
