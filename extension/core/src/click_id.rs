//! Click ids: UUIDv7 (RFC 9562 §5.7) with the bucket of the subscriber inside, and the rule for foreign ids.
//!
//! Layout: 48 bits of Unix time in ms, version 7, the bucket in the upper 10 bits of `rand_a`, 64 random bits (the
//! low 2 bits of `rand_a` and the 62 of `rand_b`, around the variant). So the id says which shard and which daily
//! partition hold the click. Not for: deciding whether a click exists.

use std::fmt;
use std::str;

/// How many buckets there are. Part of every stored key: it never changes.
pub const BUCKETS: u16 = 1024;

/// The longest foreign click id that is accepted, in characters.
pub const MAX_FOREIGN_LENGTH: usize = 64;

/// The latest time an id can carry: 48 bits of milliseconds, the year 10889.
pub const MAX_UNIX_MS: u64 = (1 << 48) - 1;

/// The bucket of a subscriber: the upper 10 bits of SplitMix64's finalizer over the id.
pub fn subscriber_bucket(subscriber_id: i64) -> u16 {
    (mix(subscriber_id.cast_unsigned()) >> 54) as u16
}

/// The bucket of a click id that carries none: FNV-1a over its bytes, mixed like a subscriber id.
pub fn text_bucket(id: &str) -> u16 {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (mix(hash) >> 54) as u16
}

/// SplitMix64's finalizer (Steele, Lea, Flood 2014): every input bit reaches every output bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Whether a string may be stored as another system's click id: 1 to 64 of `[A-Za-z0-9._~-]`.
pub fn is_legal(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_FOREIGN_LENGTH
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// A click id of our own: 128 bits, written as 36 lower-case characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClickId(u128);

impl ClickId {
    /// Builds the id of a click at `unix_ms` (clamped to 48 bits) in `bucket` (its low 10 bits).
    pub fn new(unix_ms: u64, bucket: u16, random: u64) -> Self {
        let time = u128::from(unix_ms.min(MAX_UNIX_MS)) << 80;
        let version = 0x7_u128 << 76;
        let bucket = u128::from(bucket & (BUCKETS - 1)) << 66;
        let rand_a_low = u128::from(random >> 62) << 64;
        let variant = 0b10_u128 << 62;
        let rand_b = u128::from(random & (u64::MAX >> 2));
        ClickId(time | version | bucket | rand_a_low | variant | rand_b)
    }

    /// Builds a UUIDv4 (RFC 9562 §5.4) for those who want an id without time or bucket in it.
    pub fn random(bits: u128) -> Self {
        const VERSION_AND_VARIANT: u128 = (0xf << 76) | (0b11 << 62);
        ClickId((bits & !VERSION_AND_VARIANT) | (0x4 << 76) | (0b10 << 62))
    }

    /// Reads the 36-character lower-case form of a UUIDv7; anything else is not an id of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
        let mut value = 0_u128;
        for (position, &byte) in bytes.iter().enumerate() {
            let digit = match (position, byte) {
                (8 | 13 | 18 | 23, b'-') => continue,
                (8 | 13 | 18 | 23, _) => return None,
                (_, b'0'..=b'9') => byte - b'0',
                (_, b'a'..=b'f') => byte - b'a' + 10,
                _ => return None,
            };
            value = (value << 4) | u128::from(digit);
        }
        let version = (value >> 76) & 0xf;
        let variant = (value >> 62) & 0b11;
        (version == 7 && variant == 0b10).then_some(ClickId(value))
    }

    /// The time of the click in milliseconds since 1970.
    pub fn unix_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The bucket of the click's subscriber, 0 to 1023.
    pub fn bucket(self) -> u16 {
        ((self.0 >> 66) as u16) & (BUCKETS - 1)
    }

    /// The id in its text form, without an allocation.
    pub fn to_text(self) -> ClickIdText {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (position, byte) in text.iter_mut().enumerate() {
            if !matches!(position, 8 | 13 | 18 | 23) {
                shift -= 4;
                *byte = DIGITS[((self.0 >> shift) & 0xf) as usize];
            }
        }
        ClickIdText(text)
    }

    /// The 128 bits of the id.
    pub fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_text().as_str())
    }
}

impl fmt::Debug for ClickId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The 36 characters of an id, on the stack.
#[derive(Clone, Copy)]
pub struct ClickIdText([u8; 36]);

impl ClickIdText {
    /// The characters; always ASCII by construction.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}
