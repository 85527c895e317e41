//! Who taps links that do not exist, and how often: guessing codes is slowed down, people are not.
//!
//! Only misses are counted, and only misses are refused, because carriers put thousands of phones behind one address. The memory is
//! fixed whatever addresses turn up: they share counters by a keyed hash, so nobody can choose whom to share with.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const COUNTERS: usize = 1 << 16;
const MINUTE_MS: u64 = 60_000;

/// A counter holds the moment at which all its misses are forgiven: each one moves it on by a minute's fair share.
pub struct Misses {
    share_ms: u64,
    forgiven_at_ms: Box<[AtomicU64]>,
    hasher: RandomState,
    started: Instant,
}

impl Misses {
    /// So many a minute and client, all at once if need be.
    pub fn new(per_minute: u64) -> Self {
        Misses {
            share_ms: (MINUTE_MS / per_minute).max(1),
            forgiven_at_ms: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            started: Instant::now(),
        }
    }

    pub fn count(&self, client: IpAddr) {
        self.count_at(client, self.now_ms());
    }

    pub fn are_too_many(&self, client: IpAddr) -> bool {
        self.are_too_many_at(client, self.now_ms())
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn count_at(&self, client: IpAddr, now_ms: u64) {
        let moved = |forgiven_at: u64| (forgiven_at.max(now_ms) + self.share_ms).min(now_ms + MINUTE_MS);
        self.counter(client).update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    fn are_too_many_at(&self, client: IpAddr, now_ms: u64) -> bool {
        self.counter(client).load(Ordering::Relaxed) + self.share_ms > now_ms + MINUTE_MS
    }

    /// Somebody with IPv6 has at least 2^64 addresses.
    fn counter(&self, client: IpAddr) -> &AtomicU64 {
        let hash = match client {
            IpAddr::V4(address) => self.hasher.hash_one(address),
            IpAddr::V6(address) => self.hasher.hash_one(address.to_bits() >> 64),
        };
        &self.forgiven_at_ms[hash as usize % COUNTERS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn limit_is_reached_at_once_and_forgiven_share_by_share() {
        let misses = Misses::new(60);
        let client = address("203.0.113.9");
        for _ in 0..60 {
            assert!(!misses.are_too_many_at(client, 5_000));
            misses.count_at(client, 5_000);
        }
        assert!(misses.are_too_many_at(client, 5_000));
        assert!(misses.are_too_many_at(client, 5_999));
        assert!(!misses.are_too_many_at(client, 6_000));
        misses.count_at(client, 6_000);
        assert!(misses.are_too_many_at(client, 6_000));
    }

    #[test]
    fn a_flood_is_forgiven_within_a_minute() {
        let misses = Misses::new(10);
        let client = address("203.0.113.9");
        for _ in 0..100_000 {
            misses.count_at(client, 0);
        }
        assert!(misses.are_too_many_at(client, 5_999));
        assert!(!misses.are_too_many_at(client, 6_000));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let misses = Misses::new(1);
        misses.count_at(address("2001:db8:0:1::1"), 0);
        assert!(misses.are_too_many_at(address("2001:db8:0:1:ffff::2"), 0));
        assert!(!misses.are_too_many_at(address("2001:db8:0:2::1"), 0));
    }
}
