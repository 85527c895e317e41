//! Hashes of a template, such as `md5({user}.{transaction_id}.{secret})`: how networks sign that know no HMAC.
//!
//! Only the parameters that the template names are covered, and without separators in it different lists can give one
//! hash: that is the networks' scheme and stays theirs. Not for: HMAC, see [`crate::signature`].

use crate::message::{self, Map};
use crate::query_string::{self, Parameter};
use crate::signature::equal_secret;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The hash a network uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// The lower-case hexadecimal digest.
    pub fn hex(self, bytes: &[u8]) -> String {
        let digest = match self {
            Algorithm::Md5 => Md5::digest(bytes).to_vec(),
            Algorithm::Sha1 => Sha1::digest(bytes).to_vec(),
            Algorithm::Sha256 => Sha256::digest(bytes).to_vec(),
        };
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A name that is none of `md5`, `sha1` and `sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        match text {
            "md5" => Ok(Algorithm::Md5),
            "sha1" => Ok(Algorithm::Sha1),
            "sha256" => Ok(Algorithm::Sha256),
            _ => Err(UnknownAlgorithm),
        }
    }
}

/// Why a message is not believed. Names parameters, never a value and never the right hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashError {
    /// The message cannot be read.
    Unreadable,
    /// No parameter carries a hash.
    NoHash,
    /// The message lacks a parameter that the template names.
    Missing(String),
    /// A parameter that matters comes twice with different values.
    Repeated(String),
    /// Another name of the same field stands beside a covered one, and nobody hashed it.
    NotCovered(String),
    /// No active secret gives this hash.
    Mismatch,
}

impl fmt::Display for HashError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashError::Unreadable => formatter.write_str("a message that cannot be read has no hash"),
            HashError::NoHash => formatter.write_str("the hash is missing"),
            HashError::Missing(name) => write!(formatter, "the hashed parameter \"{name}\" is missing"),
            HashError::Repeated(name) => write!(formatter, "parameter \"{name}\" is given twice with different values"),
            HashError::NotCovered(name) => {
                write!(formatter, "parameter \"{name}\" is not hashed and stands beside one of its field that is")
            }
            HashError::Mismatch => formatter.write_str("the hash does not match"),
        }
    }
}

impl std::error::Error for HashError {}

/// Checks the hash of a message. `fields` is the network's map, field to parameter names; its `signature` names the
/// parameters that may carry the hash.
pub fn verify(
    algorithm: Algorithm,
    template: &str,
    parameters: &[Parameter],
    fields: &Map,
    secrets: &[&str],
) -> Result<(), HashError> {
    let covered: Vec<&str> = pieces(template).filter_map(|piece| piece.name()).collect();
    let given: Vec<&str> = fields.names("signature").collect();
    let carriers = if given.is_empty() { vec!["signature", "hash", "sig"] } else { given };
    let carrier = carriers.into_iter().find(|name| query_string::first(parameters, name).is_some());
    let hash = value(parameters, carrier.ok_or(HashError::NoHash)?)?.ok_or(HashError::NoHash)?.to_ascii_lowercase();

    // A sender could else put a second transaction id of another name beside the one that was hashed.
    for field in fields.fields() {
        let (hashed, others): (Vec<&str>, Vec<&str>) = fields.names(field).partition(|name| covered.contains(name));
        let other = others.iter().find(|name| parameters.iter().any(|p| p.name == **name && !p.value.is_empty()));
        if let (false, Some(other)) = (hashed.is_empty(), other) {
            return Err(HashError::NotCovered((*other).to_owned()));
        }
    }

    // No early exit: how long it takes does not tell which secret it was.
    let mut matched = false;
    for secret in secrets {
        let text = fill(template, parameters, secret)?;
        matched |= equal_secret(algorithm.hex(text.as_bytes()).as_bytes(), hash.as_bytes());
    }
    if matched { Ok(()) } else { Err(HashError::Mismatch) }
}

/// The decoded parameters of a message: query, then form or flat JSON by content type.
///
/// A body that looks like JSON and does not say so could be read two ways, which a hash must not allow.
pub fn parameters(query: &[u8], body: &[u8], content_type: Option<&str>) -> Result<Vec<Parameter>, HashError> {
    if !message::is_json(content_type) && body.trim_ascii_start().starts_with(b"{") {
        return Err(HashError::Unreadable);
    }
    message::parameters(query, body, content_type).map_err(|_| HashError::Unreadable)
}

/// The one value of a parameter; `None` when it is missing.
pub fn value<'a>(message: &'a [Parameter], name: &str) -> Result<Option<&'a str>, HashError> {
    let first = query_string::first(message, name);
    if message.iter().any(|parameter| parameter.name == name && Some(parameter.value.as_str()) != first) {
        return Err(HashError::Repeated(name.to_owned()));
    }
    Ok(first)
}

/// One pass, so that a value which looks like a placeholder stays what it is.
fn fill(template: &str, message: &[Parameter], secret: &str) -> Result<String, HashError> {
    let mut text = String::new();
    for piece in pieces(template) {
        text.push_str(match piece {
            Piece::Literal(literal) => literal,
            Piece::Secret => secret,
            Piece::Parameter(name) => value(message, name)?.ok_or_else(|| HashError::Missing(name.to_owned()))?,
        });
    }
    Ok(text)
}

enum Piece<'a> {
    Literal(&'a str),
    Secret,
    Parameter(&'a str),
}

impl<'a> Piece<'a> {
    fn name(&self) -> Option<&'a str> {
        match self {
            Piece::Parameter(name) => Some(name),
            _ => None,
        }
    }
}

/// A brace that is not closed is a character like any other.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let inside = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        if let Some((name, after)) = inside.filter(|(name, _)| !name.contains('{')) {
            rest = after;
            return Some(if name == "secret" { Piece::Secret } else { Piece::Parameter(name) });
        }
        let end = rest.char_indices().skip(1).find(|(_, character)| *character == '{').map_or(rest.len(), |(at, _)| at);
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

#[cfg(test)]
mod tests;
