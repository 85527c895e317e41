//! Short codes in SQL: `sql/functions/ids/short_codes.sql` declares these functions.

use crate::error::raise;
use pgrx::pg_sys::errcodes::PgSqlErrorCode::{ERRCODE_INVALID_PARAMETER_VALUE, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE};
use pgrx::prelude::*;
use postback_core::click_id::{self, ClickId};
use postback_core::short_code::{CodeKey, LinkId};
use std::cell::RefCell;

thread_local! {
    /// The key schedule costs far more than a code, and a session sees one key: the last one is kept.
    static KEY: RefCell<Option<(Vec<u8>, CodeKey)>> = const { RefCell::new(None) };
}

fn link_id(send_id: i64, bucket: i16, counter: i64) -> i64 {
    let parts = (u32::try_from(send_id), u16::try_from(bucket), u32::try_from(counter));
    let link = match parts {
        (Ok(send_id), Ok(bucket), Ok(counter)) => LinkId::new(send_id, bucket, counter),
        _ => None,
    };
    match link {
        Some(link) => link.to_bigint(),
        None => raise(
            ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
            format!("send \"{send_id}\" cannot have a link number \"{counter}\" in bucket \"{bucket}\""),
            "A code holds 24 bits of send, 10 of bucket and 30 of counter.",
        ),
    }
}

/// The link ids of new messages in order, and the same with their subscribers in the order of an index on them.
///
/// A message to nobody in particular still needs a bucket: its place in the send spreads it.
#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the SQL function")]
fn number_links(
    send_id: i64,
    first_counter: i64,
    subscriber_ids: Array<i64>,
) -> TableIterator<
    'static,
    (name!(link_ids, Vec<i64>), name!(sorted_link_ids, Vec<i64>), name!(sorted_subscriber_ids, Vec<Option<i64>>)),
> {
    let link_ids: Vec<i64> = (first_counter..)
        .zip(cancellable(subscriber_ids.iter()))
        .map(|(counter, subscriber)| {
            let bucket = click_id::subscriber_bucket(subscriber.unwrap_or(counter + 1));
            link_id(send_id, bucket.cast_signed(), counter)
        })
        .collect();
    let mut sorted: Vec<(i64, Option<i64>)> = link_ids.iter().copied().zip(subscriber_ids.iter()).collect();
    sorted.sort_unstable_by_key(|&(link_id, _)| link_id);
    let (sorted_link_ids, sorted_subscriber_ids) = sorted.into_iter().unzip();
    TableIterator::once((link_ids, sorted_link_ids, sorted_subscriber_ids))
}

#[pg_extern(sql = false)]
fn link_bucket(link_id: i64) -> i16 {
    LinkId::from_bigint(link_id).bucket().cast_signed()
}

#[pg_extern(sql = false)]
fn encode_code(link_id: i64, key: &[u8]) -> String {
    with_key(key, |key| key.encode(LinkId::from_bigint(link_id)).as_str().to_owned())
}

#[pg_extern(sql = false)]
fn encode_codes(link_ids: Array<i64>, key: &[u8]) -> Vec<Option<String>> {
    with_key(key, |key| {
        cancellable(link_ids.iter())
            .map(|id| id.map(|id| key.encode(LinkId::from_bigint(id)).as_str().to_owned()))
            .collect()
    })
}

#[pg_extern(sql = false)]
fn decode_code(code: &str, key: &[u8]) -> Option<i64> {
    with_key(key, |key| key.decode(code).map(LinkId::to_bigint))
}

#[pg_extern(sql = false)]
fn decode_codes(codes: Array<&str>, key: &[u8]) -> Vec<Option<i64>> {
    with_key(key, |key| cancellable(codes.iter()).map(|code| key.decode(code?).map(LinkId::to_bigint)).collect())
}

/// An id is our own when it is a UUIDv7 in its link's bucket; without a link nothing is stored, so nothing is foreign.
#[pg_extern(sql = false)]
fn has_foreign_id(click_ids: Option<Array<&str>>, link_ids: Option<Array<i64>>) -> bool {
    let (Some(click_ids), Some(link_ids)) = (click_ids, link_ids) else { return false };
    cancellable(click_ids.iter()).zip(link_ids.iter()).any(|pair| match pair {
        (Some(click_id), Some(link_id)) => {
            ClickId::parse(click_id).is_none_or(|id| id.bucket() != LinkId::from_bigint(link_id).bucket())
        }
        _ => false,
    })
}

/// Lets a query be cancelled now and then: an array may have a hundred million elements.
fn cancellable<T>(elements: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    elements.enumerate().map(|(place, element)| {
        if place % 4096 == 0 {
            check_for_interrupts!();
        }
        element
    })
}

fn with_key<T>(key: &[u8], work: impl FnOnce(&CodeKey) -> T) -> T {
    KEY.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(bytes, _)| bytes != key) {
            let Some(schedule) = CodeKey::new(key) else {
                return raise(ERRCODE_INVALID_PARAMETER_VALUE, "a code key has 16 to 56 bytes".to_owned(), "");
            };
            *kept = Some((key.to_vec(), schedule));
        }
        match kept {
            Some((_, schedule)) => work(schedule),
            None => raise(ERRCODE_INVALID_PARAMETER_VALUE, "there is no code key".to_owned(), ""),
        }
    })
}
