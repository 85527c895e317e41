//! Signatures of postbacks: HMAC-SHA256 over a query string, and comparing secrets without telling by the time taken.
//!
//! `raw1` signs the bytes as they travel, so nothing can be read two ways. `sorted1` is for senders that cannot keep
//! an order. Which scheme holds is stored with the network and never taken from the request. Not for: deciding which
//! checks a network has to pass.

use crate::query_string::{self, Parameter, QueryError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::{self, FromStr};
use subtle::{Choice, ConstantTimeEq};

/// The shortest secret that may be stored, in bytes.
pub const MIN_SECRET_LENGTH: usize = 16;

/// The most secrets of one network that may be active at a time.
pub const MAX_SECRETS: usize = 3;

/// The name of the parameter that carries the signature.
const PARAMETER: &str = "sig";

/// What the signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// The raw bytes before `&sig=`, which comes last.
    Raw1,
    /// The canonical form of all parameters but `sig`.
    Sorted1,
}

impl Scheme {
    /// The name under which the scheme is stored and signed.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Raw1 => "raw1",
            Scheme::Sorted1 => "sorted1",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A scheme's name that is neither `raw1` nor `sorted1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownScheme;

impl fmt::Display for UnknownScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the signature scheme is neither \"raw1\" nor \"sorted1\"")
    }
}

impl std::error::Error for UnknownScheme {}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        match text {
            "raw1" => Ok(Scheme::Raw1),
            "sorted1" => Ok(Scheme::Sorted1),
            _ => Err(UnknownScheme),
        }
    }
}

/// Method and path as the request had them, for networks whose signature covers them.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub method: &'a str,
    pub path: &'a str,
}

/// Why a query was not signed or not believed. Never says what the right signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// There is no `sig`.
    Missing,
    /// There is more than one `sig`, or one in a query that is about to be signed.
    Repeated,
    /// Under `raw1`, something follows the `sig`, or its name is written with escapes.
    NotLast,
    /// The signature is not 64 hexadecimal digits.
    NotHex,
    /// No active secret gives this signature.
    Mismatch,
    /// Under `sorted1`, the query cannot be read.
    Query(QueryError),
    /// Under `sorted1`, a name occurs twice.
    Duplicate,
    /// Under `sorted1`, a name has no `=`.
    NoValue,
    /// The method or the path has a line break, which would let one message pass for another.
    BadTarget,
    /// The secret is empty.
    EmptySecret,
    /// The secret is shorter than [`MIN_SECRET_LENGTH`].
    ShortSecret,
    /// More than [`MAX_SECRETS`] secrets were given.
    TooManySecrets,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SignatureError::Missing => "the parameter \"sig\" is missing",
            SignatureError::Repeated => "the parameter \"sig\" occurs where it may not",
            SignatureError::NotLast => "the parameter \"sig\" is not the last one",
            SignatureError::NotHex => "the signature is not 64 hexadecimal digits",
            SignatureError::Mismatch => "the signature does not match",
            SignatureError::Query(error) => return error.fmt(formatter),
            SignatureError::Duplicate => "a parameter occurs twice",
            SignatureError::NoValue => "a parameter has no \"=\"",
            SignatureError::BadTarget => "the method or the path contains a line break",
            SignatureError::EmptySecret => "the secret is empty",
            SignatureError::ShortSecret => "the secret is shorter than 16 bytes",
            SignatureError::TooManySecrets => "there are more than 3 secrets",
        })
    }
}

impl std::error::Error for SignatureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SignatureError::Query(error) => Some(error),
            _ => None,
        }
    }
}

impl From<QueryError> for SignatureError {
    fn from(error: QueryError) -> Self {
        SignatureError::Query(error)
    }
}

/// Signs a query that has no `sig` yet; the hexadecimal form of the result is what `sig` carries.
///
/// Without a target the message is the query (`raw1`) or its canonical form (`sorted1`). With one it is the scheme,
/// the method and the path, each followed by a line feed, and then that.
pub fn sign(scheme: Scheme, target: Option<Target>, query: &[u8], secret: &[u8]) -> Result<[u8; 32], SignatureError> {
    check_target(target)?;
    match scheme {
        Scheme::Raw1 => {
            if query_string::segments(query).any(is_signature) {
                return Err(SignatureError::Repeated);
            }
            mac(scheme, target, query, secret)
        }
        Scheme::Sorted1 => {
            let parameters = read_sorted(query)?;
            if query_string::first(&parameters, PARAMETER).is_some() {
                return Err(SignatureError::Repeated);
            }
            mac(scheme, target, query_string::canonical(&parameters).as_bytes(), secret)
        }
    }
}

/// Checks the `sig` of a whole raw query against the active secrets. No secret at all means no match.
pub fn verify(scheme: Scheme, target: Option<Target>, query: &[u8], secrets: &[&[u8]]) -> Result<(), SignatureError> {
    check_target(target)?;
    if secrets.len() > MAX_SECRETS {
        return Err(SignatureError::TooManySecrets);
    }
    match scheme {
        Scheme::Raw1 => {
            let (message, signature) = split_raw(query)?;
            check(scheme, target, message, signature, secrets)
        }
        Scheme::Sorted1 => {
            let parameters = read_sorted(query)?;
            let signature = query_string::first(&parameters, PARAMETER).ok_or(SignatureError::Missing)?;
            check(scheme, target, canonical_unsigned(&parameters).as_bytes(), signature.as_bytes(), secrets)
        }
    }
}

/// A secret made ready to sign: its two key blocks are hashed once, which is half the work on a short message.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Takes a secret of any length but none; an empty one signs nothing.
    pub fn new(secret: &[u8]) -> Option<Self> {
        (!secret.is_empty()).then(|| Key(keyed(secret)))
    }

    /// Signs plain bytes. Does not allocate.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(message).finalize().into_bytes().into()
    }

    /// Whether a signature of 64 hexadecimal digits of any case belongs to these bytes. Does not allocate.
    pub fn verify(&self, message: &[u8], signature_hex: &str) -> bool {
        from_hex(signature_hex.as_bytes()).is_some_and(|signature| self.sign(message).ct_eq(&signature).into())
    }
}

/// Signs plain bytes. Does not allocate.
pub fn sign_message(message: &[u8], secret: &[u8]) -> [u8; 32] {
    Key(keyed(secret)).sign(message)
}

/// Whether a signature of 64 hexadecimal digits of any case belongs to these bytes. An empty secret signs nothing.
pub fn verify_message(message: &[u8], signature_hex: &str, secret: &[u8]) -> bool {
    Key::new(secret).is_some_and(|key| key.verify(message, signature_hex))
}

/// Whether a secret is long enough to be stored.
pub fn check_secret(secret: &[u8]) -> Result<(), SignatureError> {
    match secret.len() {
        0 => Err(SignatureError::EmptySecret),
        1..MIN_SECRET_LENGTH => Err(SignatureError::ShortSecret),
        _ => Ok(()),
    }
}

/// Whether two tokens are equal, in a time that depends on neither's content.
pub fn equal_secret(left: &[u8], right: &[u8]) -> bool {
    Sha256::digest(left).ct_eq(&Sha256::digest(right)).into()
}

/// The lower-case hexadecimal form.
pub fn to_hex(bytes: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
    text
}

fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    let mut all_digits = true;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (HEX_VALUES[usize::from(pair[0])], HEX_VALUES[usize::from(pair[1])]);
        all_digits &= (high | low) < 16;
        *byte = high << 4 | low;
    }
    all_digits.then_some(bytes)
}

/// The value of each hexadecimal digit of either case; 255 for every other byte.
const HEX_VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

fn check_target(target: Option<Target>) -> Result<(), SignatureError> {
    match target {
        Some(Target { method, path }) if method.contains('\n') || path.contains('\n') => Err(SignatureError::BadTarget),
        _ => Ok(()),
    }
}

fn is_signature(segment: &[u8]) -> bool {
    *query_string::decode_leniently(query_string::split_name(segment).0) == *PARAMETER.as_bytes()
}

/// The signed bytes and the signature of a `raw1` query.
fn split_raw(query: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    match query_string::segments(query).filter(|segment| is_signature(segment)).count() {
        0 => return Err(SignatureError::Missing),
        1 => {}
        _ => return Err(SignatureError::Repeated),
    }
    let start = query.iter().rposition(|&byte| byte == b'&').map_or(0, |position| position + 1);
    let signature = query[start..].strip_prefix(b"sig=").ok_or(SignatureError::NotLast)?;
    Ok((&query[..start.saturating_sub(1)], signature))
}

fn read_sorted(query: &[u8]) -> Result<Vec<Parameter>, SignatureError> {
    let parameters = query_string::parse(query)?;
    match query_string::duplicated(&parameters) {
        Some(PARAMETER) => return Err(SignatureError::Repeated),
        Some(_) => return Err(SignatureError::Duplicate),
        None => {}
    }
    if query_string::segments(query).any(|segment| query_string::split_name(segment).1.is_none()) {
        return Err(SignatureError::NoValue);
    }
    Ok(parameters)
}

fn canonical_unsigned(parameters: &[Parameter]) -> String {
    query_string::canonical_of(parameters.iter().filter(|parameter| parameter.name != PARAMETER))
}

/// Computes the MAC under every secret, whichever matches, so that the time does not tell which one it was.
fn check(
    scheme: Scheme,
    target: Option<Target>,
    message: &[u8],
    signature: &[u8],
    secrets: &[&[u8]],
) -> Result<(), SignatureError> {
    let signature = from_hex(signature).ok_or(SignatureError::NotHex)?;
    let mut matched = Choice::from(0);
    for secret in secrets {
        matched |= mac(scheme, target, message, secret)?.ct_eq(&signature);
    }
    if bool::from(matched) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn mac(scheme: Scheme, target: Option<Target>, message: &[u8], secret: &[u8]) -> Result<[u8; 32], SignatureError> {
    if secret.is_empty() {
        return Err(SignatureError::EmptySecret);
    }
    let mut mac = keyed(secret);
    if let Some(Target { method, path }) = target {
        for line in [scheme.as_str(), method, path] {
            mac.update(line.as_bytes());
            mac.update(b"\n");
        }
    }
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}

/// RFC 2104's key rule by hand for long keys, because the crate's constructor for any length is fallible in its type.
fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    let mut block = [0_u8; 64];
    match block.get_mut(..secret.len()) {
        Some(start) => start.copy_from_slice(secret),
        None => block[..32].copy_from_slice(&Sha256::digest(secret)),
    }
    Hmac::<Sha256>::new(&block.into())
}

#[cfg(test)]
mod tests;
