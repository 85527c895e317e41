//! Any bytes are a record or refused; a record comes back as it was written, and no other bytes come back as it.
//!
//! Input: `r` and a record as it is, or a kind, 8 bytes of time and the fields, one a line (`-` for an absent one).

use postback_proxy::spool_record::{Record, of_postback, of_tap, read, time_of};
use std::time::UNIX_EPOCH;

const ABSENT: [u8; 4] = u32::MAX.to_le_bytes();

pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'r', bytes)) => written(bytes),
        Some((kind @ (b'l' | b'c' | b'p'), rest)) if rest.len() > 8 => {
            written(&sealed(b"lcp".iter().position(|known| known == kind).map_or(0, |place| place as u8 + 1), rest));
        }
        Some((&kind, rest)) => written(&with_checksum(kind, rest)),
        None => {}
    }
}

/// A record of these fields with the right lengths and checksum.
fn sealed(kind: u8, rest: &[u8]) -> Vec<u8> {
    let (time, fields) = rest.split_at(8);
    let mut body = time.to_vec();
    for field in fields.split(|&byte| byte == b'\n') {
        if field == b"-" {
            body.extend(ABSENT);
        } else {
            body.extend((field.len() as u32).to_le_bytes());
            body.extend(field);
        }
    }
    with_checksum(kind, &body)
}

fn with_checksum(kind: u8, body: &[u8]) -> Vec<u8> {
    let checked = [&[kind], body].concat();
    [&[1], &crc32fast::hash(&checked).to_le_bytes()[..], &checked].concat()
}

fn written(bytes: &[u8]) {
    let _ = time_of(bytes);
    let Ok(record) = read(bytes) else { return };
    let once = encoded(&record);
    let Ok(again) = read(&once) else { panic!("a written record cannot be read") };
    assert_eq!(encoded(&again), once);
    assert_eq!((again.kind(), again.id()), (record.kind(), record.id()));
    assert_eq!(again.described(), record.described());
    if let Record::Tap(tap) = &record {
        let at = tap.at().duration_since(UNIX_EPOCH).unwrap_or_default();
        assert_eq!(u128::from(time_of(&once)), at.as_millis());
    }
    // Cut off or changed, it is no record.
    for length in [0, 1, 13, once.len() / 2, once.len() - 1] {
        assert!(read(&once[..length]).is_err());
    }
    let mut changed = once;
    let place = bytes.len() % changed.len();
    changed[place] ^= 1 << (bytes.len() % 8);
    assert!(read(&changed).is_err());
}

fn encoded(record: &Record) -> Vec<u8> {
    match record {
        Record::Tap(tap) => of_tap(tap, tap.click_id().unwrap_or_default(), tap.at()),
        Record::Postback(postback) => of_postback(postback),
    }
}
