//! Short codes: 11 base62 characters that hold a link id under a keyed permutation.
//!
//! A link id is 64 bits: send 24, bucket 10, counter within the send 30. Blowfish, a block cipher with exactly 64-bit
//! blocks, permutes it under the key made at install, so codes are unique by construction, opaque and not enumerable,
//! and whoever holds the key decodes the send without a lookup. Not for: deciding whether the link exists.

use blowfish::Blowfish;
use blowfish::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use std::str;

/// The length of every code.
pub const CODE_LENGTH: usize = 11;

/// Sends are numbered with 24 bits.
pub const MAX_SEND_ID: u32 = (1 << 24) - 1;

/// Links within a send are numbered with 30 bits.
pub const MAX_COUNTER: u32 = (1 << 30) - 1;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which link a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(u64);

impl LinkId {
    /// Puts the three parts together; `None` when one does not fit its bits.
    pub fn new(send_id: u32, bucket: u16, counter: u32) -> Option<Self> {
        (send_id <= MAX_SEND_ID && bucket < 1024 && counter <= MAX_COUNTER)
            .then(|| LinkId(u64::from(send_id) << 40 | u64::from(bucket) << 30 | u64::from(counter)))
    }

    /// The number as Postgres stores it, a signed 64-bit integer with the same bits.
    pub fn from_bigint(value: i64) -> Self {
        LinkId(value.cast_unsigned())
    }

    /// See [`LinkId::from_bigint`].
    pub fn to_bigint(self) -> i64 {
        self.0.cast_signed()
    }

    /// The send, 0 to 2^24 - 1.
    pub fn send_id(self) -> u32 {
        (self.0 >> 40) as u32
    }

    /// The bucket of the link's subscriber, 0 to 1023.
    pub fn bucket(self) -> u16 {
        ((self.0 >> 30) & 0x3ff) as u16
    }

    /// The place of the link within its send.
    pub fn counter(self) -> u32 {
        (self.0 & u64::from(MAX_COUNTER)) as u32
    }
}

/// The 11 characters of a code, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortCode([u8; CODE_LENGTH]);

impl ShortCode {
    /// The characters; always ASCII by construction.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The key of an installation, with its schedule worked out once.
pub struct CodeKey {
    cipher: Blowfish,
}

impl CodeKey {
    /// Takes a key of 16 to 56 bytes; `None` for any other length.
    pub fn new(key: &[u8]) -> Option<Self> {
        if key.len() < 16 {
            return None;
        }
        Blowfish::new_from_slice(key).ok().map(|cipher| CodeKey { cipher })
    }

    /// The code of a link.
    pub fn encode(&self, link: LinkId) -> ShortCode {
        let mut block = Block::<Blowfish>::from(link.0.to_be_bytes());
        self.cipher.encrypt_block(&mut block);
        let mut number = u64::from_be_bytes(block.into());
        let mut code = [b'0'; CODE_LENGTH];
        for character in code.iter_mut().rev() {
            *character = ALPHABET[(number % 62) as usize];
            number /= 62;
        }
        ShortCode(code)
    }

    /// The link a code stands for; `None` when the text is not 11 base62 characters below 2^64.
    ///
    /// Under the right key and for a code that was handed out, the result is that link. For anything else it is a
    /// link id drawn at random from 2^64: it exists with the chance of live links / 2^64.
    pub fn decode(&self, code: &str) -> Option<LinkId> {
        if code.len() != CODE_LENGTH {
            return None;
        }
        let mut number = 0_u64;
        for character in code.bytes() {
            number = number.checked_mul(62)?.checked_add(u64::from(digit(character)?))?;
        }
        let mut block = Block::<Blowfish>::from(number.to_be_bytes());
        self.cipher.decrypt_block(&mut block);
        Some(LinkId(u64::from_be_bytes(block.into())))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'Z' => Some(character - b'A' + 10),
        b'a'..=b'z' => Some(character - b'a' + 36),
        _ => None,
    }
}

/// Takes off what messaging apps and people glue to a link: `https://s.example/4Kd0…).` keeps its code, and so does one with a quotation
/// mark, a space or an invisible character behind it, which arrive percent-encoded, or with parameters that have lost their `?`.
pub fn strip_glued(code: &str) -> &str {
    let mut rest = code.split('&').next().unwrap_or_default();
    loop {
        let bare = rest.trim_end_matches(['.', ',', ')', ']', '}', '>', ';', ':', '!', '?', '\'', '"', '*']);
        let bare = match bare.len().checked_sub(3).and_then(|start| bare.split_at_checked(start)) {
            Some((before, last)) if is_encoded_byte(last) => before,
            _ => bare,
        };
        if bare.len() == rest.len() {
            return bare;
        }
        rest = bare;
    }
}

fn is_encoded_byte(text: &str) -> bool {
    text.strip_prefix('%').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}
