//! Signatures of what we send: Standard Webhooks 1.0.0, and a plain HMAC-SHA256 over time, method, URL and body.
//!
//! Under two secrets, while they are rotated, both signatures are sent. Not for: what networks send us, which is
//! `signature`.

use crate::signature::{Key, MIN_SECRET_LENGTH, to_hex};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::{self, FromStr};

/// What a secret of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";

/// How a destination's requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    None,
    HmacSha256,
    StandardWebhooks,
}

impl FromStr for Signing {
    type Err = SigningError;

    fn from_str(text: &str) -> Result<Self, SigningError> {
        match text {
            "none" => Ok(Signing::None),
            "hmac_sha256" => Ok(Signing::HmacSha256),
            "standard_webhooks" => Ok(Signing::StandardWebhooks),
            _ => Err(SigningError::UnknownSigning),
        }
    }
}

/// Why a request cannot be signed. Never holds a part of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningError {
    /// The name of the way to sign is not known.
    UnknownSigning,
    /// There is no secret.
    NoSecret,
    /// A secret shorter than [`MIN_SECRET_LENGTH`].
    ShortSecret,
    /// Not `whsec_` and the base64 of 24 to 64 bytes.
    NotStandard,
}

impl fmt::Display for SigningError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SigningError::UnknownSigning => "the way to sign is not known",
            SigningError::NoSecret => "there is no secret to sign with",
            SigningError::ShortSecret => "the secret is shorter than 16 bytes",
            SigningError::NotStandard => "the secret is not \"whsec_\" and the base64 of 24 to 64 bytes",
        })
    }
}

impl std::error::Error for SigningError {}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub id: &'a str,
    pub unix_seconds: i64,
    pub method: &'a str,
    pub url: &'a str,
    pub body: &'a str,
}

/// The headers that prove a message, in the order in which they are documented.
pub fn headers(
    signing: Signing,
    message: Message,
    secrets: &[&str],
) -> Result<Vec<(&'static str, String)>, SigningError> {
    let Message { id, unix_seconds, method, url, body } = message;
    if signing == Signing::None {
        return Ok(Vec::new());
    }
    if secrets.is_empty() {
        return Err(SigningError::NoSecret);
    }
    let keys: Vec<Key> = secrets.iter().map(|secret| key(signing, secret)).collect::<Result<_, _>>()?;
    Ok(if signing == Signing::StandardWebhooks {
        let signed = format!("{id}.{unix_seconds}.{body}");
        let signatures: Vec<String> =
            keys.iter().map(|key| format!("v1,{}", STANDARD.encode(key.sign(signed.as_bytes())))).collect();
        vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", unix_seconds.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ]
    } else {
        let signed = format!("{unix_seconds}.{method}.{url}.{body}");
        let mut value = format!("t={unix_seconds}");
        for key in keys {
            value.push_str(",v1=");
            value.push_str(str::from_utf8(&to_hex(&key.sign(signed.as_bytes()))).unwrap_or_default());
        }
        vec![("X-Postback-Signature", value)]
    })
}

/// The key of a secret, or what is wrong with the secret.
pub fn key(signing: Signing, secret: &str) -> Result<Key, SigningError> {
    match signing {
        Signing::None => Err(SigningError::NoSecret),
        Signing::HmacSha256 if secret.len() < MIN_SECRET_LENGTH => Err(SigningError::ShortSecret),
        Signing::HmacSha256 => Key::new(secret.as_bytes()).ok_or(SigningError::ShortSecret),
        Signing::StandardWebhooks => secret
            .strip_prefix(PREFIX)
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .filter(|bytes| (24..=64).contains(&bytes.len()))
            .and_then(|bytes| Key::new(&bytes))
            .ok_or(SigningError::NotStandard),
    }
}

#[cfg(test)]
mod tests;
