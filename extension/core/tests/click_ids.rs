//! Click ids in volume: what RFC 9562 asks of them, and what the rest of the system builds on.

use postback_core::click_id::{BUCKETS, ClickId, MAX_UNIX_MS, is_legal, subscriber_bucket, text_bucket};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const VOLUME: usize = 10_000_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_part_comes_back(unix_ms in 0..=MAX_UNIX_MS, bucket in 0..BUCKETS, random in any::<u64>()) {
        let id = ClickId::new(unix_ms, bucket, random);
        prop_assert_eq!((id.unix_ms(), id.bucket()), (unix_ms, bucket));
        let random_back = ((id.bits() >> 64) as u64 & 0b11) << 62 | id.bits() as u64 & u64::MAX >> 2;
        prop_assert_eq!(random_back, random);
        prop_assert_eq!(ClickId::parse(id.to_text().as_str()), Some(id));
        prop_assert!(id.to_string() == id.to_text().as_str());
        prop_assert!(is_legal(id.to_text().as_str()));
    }

    #[test]
    fn version_and_variant_stand_where_the_rfc_wants_them(
        unix_ms in any::<u64>(),
        bucket in any::<u16>(),
        random in any::<u64>(),
        bits in any::<u128>(),
    ) {
        let text = ClickId::new(unix_ms, bucket, random).to_string();
        prop_assert_eq!(text.as_bytes()[14], b'7');
        prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
        let text = ClickId::random(bits).to_string();
        prop_assert_eq!(text.as_bytes()[14], b'4');
        prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
        prop_assert!(is_legal(&text));
        prop_assert_eq!(ClickId::parse(&text), None);
    }

    #[test]
    fn text_order_is_time_order(
        early in 0..MAX_UNIX_MS,
        gap in 1..1_000_000_u64,
        buckets in any::<(u16, u16)>(),
        randoms in any::<(u64, u64)>(),
    ) {
        let first = ClickId::new(early, buckets.0, randoms.0);
        let second = ClickId::new(early.saturating_add(gap), buckets.1, randoms.1);
        prop_assert!(first.unix_ms() < second.unix_ms());
        prop_assert!(first.to_text().as_str() < second.to_text().as_str());
        prop_assert!(first < second);
    }

    #[test]
    fn only_the_lower_case_form_is_ours(id in any::<(u64, u16, u64)>(), position in 0..36_usize, byte in 0..128_u8) {
        let id = ClickId::new(id.0, id.1, id.2);
        let mut text = id.to_string().into_bytes();
        text[position] = byte;
        let text = String::from_utf8(text).unwrap();
        if let Some(parsed) = ClickId::parse(&text) {
            prop_assert_eq!(parsed.to_string(), text);
        }
        for length in 0..36 {
            prop_assert_eq!(ClickId::parse(&id.to_string()[..length]), None);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Some(id) = ClickId::parse(&text) {
            prop_assert_eq!(id.to_string(), text.clone());
        }
        prop_assert!(text_bucket(&text) < BUCKETS);
        prop_assert!(!is_legal(&text) || text.len() <= 64 && text.is_ascii());
    }
}

#[test]
fn legal_is_1_to_64_of_a_small_alphabet() {
    assert!(is_legal("a1b2c3") && is_legal("~") && is_legal(&"x".repeat(64)));
    assert!(!is_legal("") && !is_legal(&"x".repeat(65)));
    for byte in 0..=127_u8 {
        let character = char::from(byte);
        let expected = character.is_ascii_alphanumeric() || "._~-".contains(character);
        assert_eq!(is_legal(&character.to_string()), expected, "{character:?}");
    }
}

/// The worst case on purpose: one millisecond, one bucket.
#[test]
fn ten_million_ids_of_one_millisecond_are_unique() {
    let mut generator = SmallRng::seed_from_u64(1);
    let mut ids: Vec<u128> =
        (0..VOLUME).map(|_| ClickId::new(1_764_000_000_000, 512, generator.next_u64()).bits()).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Buckets are where shards come from, so subscribers that are numbered in a row have to spread.
#[test]
fn subscribers_spread_over_the_buckets() {
    let mut counts = vec![0_u32; usize::from(BUCKETS)];
    for subscriber_id in 0..1_024_000_i64 {
        counts[usize::from(subscriber_bucket(subscriber_id))] += 1;
    }
    // 1,000 each on average with a standard deviation of 32.
    assert!(counts.iter().all(|count| (800..1_200).contains(count)));
}
