//! Short codes in volume: unique, and worth nothing to those who guess, mistype or hold another key.

#![allow(clippy::unwrap_used)]

use postback_core::click_id::subscriber_bucket;
use postback_core::short_code::{CODE_LENGTH, CodeKey, LinkId, MAX_COUNTER, MAX_SEND_ID, strip_glued};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const VOLUME: u32 = 10_000_000;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The links that exist in these tests: ten sends of a million messages each, subscribers numbered like the links.
const SENDS: u32 = 10;
const LINKS: u32 = 1_000_000;

fn live_link(send_id: u32, counter: u32) -> LinkId {
    LinkId::new(send_id, subscriber_bucket(i64::from(counter)), counter).unwrap()
}

fn is_live(link: LinkId) -> bool {
    link.send_id() < SENDS && link.counter() < LINKS && link == live_link(link.send_id(), link.counter())
}

fn key(byte: u8) -> CodeKey {
    CodeKey::new(&[byte; 16]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_link_comes_back(send_id in 0..=MAX_SEND_ID, bucket in 0..1024_u16, counter in 0..=MAX_COUNTER) {
        let link = LinkId::new(send_id, bucket, counter).unwrap();
        prop_assert_eq!((link.send_id(), link.bucket(), link.counter()), (send_id, bucket, counter));
        prop_assert_eq!(LinkId::from_bigint(link.to_bigint()), link);
        let key = key(1);
        let code = key.encode(link);
        prop_assert_eq!(code.as_str().len(), CODE_LENGTH);
        prop_assert!(code.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        prop_assert_eq!(key.decode(code.as_str()), Some(link));
        for glued in [".", ")", ",", ").", "!\"", "?", "*", "%20", "%E2%80%9D", ").%e2%80%8b", "&utm_source=sms", ")&x=a%20b"] {
            let typed = format!("{}{glued}", code.as_str());
            prop_assert_eq!(strip_glued(&typed), code.as_str());
            prop_assert_eq!(key.decode(&typed), None);
        }
    }

    #[test]
    fn any_bigint_is_a_link_with_one_code(number in any::<i64>()) {
        let key = key(2);
        let link = LinkId::from_bigint(number);
        prop_assert_eq!(key.decode(key.encode(link).as_str()).map(LinkId::to_bigint), Some(number));
    }

    #[test]
    fn no_text_panics(text in any::<String>(), code in "[0-9A-Za-z]{0,13}") {
        prop_assert!(key(1).decode(&text).is_none() || text.len() == CODE_LENGTH);
        if let Some(link) = key(1).decode(&code) {
            prop_assert!(key(1).encode(link).as_str() == code.as_str());
        }
    }
}

#[test]
fn codes_from_two_to_the_64th_are_refused() {
    assert!(key(1).decode("LygHa16AHYF").is_some());
    for code in ["LygHa16AHYG", "LygHa16AHZ0", "M0000000000", "zzzzzzzzzzz"] {
        assert_eq!(key(1).decode(code), None, "{code}");
    }
    for code in ["", "0", "0000000000", "000000000000", "0000000000-", "000000000 0", "0000000000\0", "ééééé0"] {
        assert_eq!(key(1).decode(code), None, "{code:?}");
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    assert!(LinkId::new(MAX_SEND_ID + 1, 0, 0).is_none());
    assert!(LinkId::new(0, 1024, 0).is_none());
    assert!(LinkId::new(0, 0, MAX_COUNTER + 1).is_none());
    for length in 0..80 {
        assert_eq!(CodeKey::new(&vec![7; length]).is_some(), (16..=56).contains(&length), "{length}");
    }
}

#[test]
fn ten_million_codes_are_unique_and_mean_nothing_under_another_key() {
    let (ours, theirs) = (key(1), key(3));
    let mut codes: Vec<[u8; CODE_LENGTH]> = Vec::with_capacity(VOLUME as usize);
    for send_id in 0..SENDS {
        for counter in 0..LINKS {
            let code = ours.encode(live_link(send_id, counter));
            assert!(!theirs.decode(code.as_str()).is_some_and(is_live));
            codes.push(code.as_str().as_bytes().try_into().unwrap());
        }
    }
    assert_eq!(codes.len(), VOLUME as usize);
    codes.sort_unstable();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn ten_million_mistyped_codes_lead_nowhere() {
    let key = key(1);
    let mut generator = SmallRng::seed_from_u64(2);
    for _ in 0..VOLUME {
        let link = live_link(generator.random_range(0..SENDS), generator.random_range(0..LINKS));
        let mut code: [u8; CODE_LENGTH] = key.encode(link).as_str().as_bytes().try_into().unwrap();
        let position = generator.random_range(0..CODE_LENGTH);
        let typed = ALPHABET[generator.random_range(0..ALPHABET.len())];
        if code[position] == typed {
            continue;
        }
        code[position] = typed;
        let found = key.decode(std::str::from_utf8(&code).unwrap());
        assert!(!found.is_some_and(is_live), "{link:?} was reached by a typing error");
    }
}
