//! ClickBank's Instant Notification Service: a JSON body `{notification, iv}`, both base64, encrypted with AES-256-CBC.
//!
//! The key is the first 32 hexadecimal digits of SHA-1 of the secret, used as 32 ASCII bytes. There is no MAC: that the
//! plaintext is a JSON object is what tells the right key from a wrong one. Not for: what the members mean.

use crate::hash_template::Algorithm;
use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The plaintext of a notification, when one of the secrets opens it into a JSON object.
pub fn decrypt(body: &[u8], secrets: &[&[u8]]) -> Option<Vec<u8>> {
    let envelope: Map<String, Value> = serde_json::from_slice(body).ok()?;
    // Senders may break the lines of their base64.
    let unbroken = |text: &str| text.split_ascii_whitespace().collect::<String>();
    let member = |name: &str| STANDARD.decode(unbroken(envelope.get(name)?.as_str()?)).ok();
    let (notification, iv) = (member("notification")?, member("iv")?);
    secrets.iter().find_map(|secret| decrypt_with(&notification, &iv, secret))
}

/// The object's scalar members, and the first of its `trackingCodes` as `tid`: what a flat message has.
pub fn flatten(notification: &[u8]) -> Option<Vec<u8>> {
    let mut members: Map<String, Value> = serde_json::from_slice(notification).ok()?;
    if let Some(code) = members.get("trackingCodes").and_then(|codes| codes.get(0)).cloned() {
        members.insert("tid".to_owned(), code);
    }
    members.retain(|_, value| !matches!(value, Value::Null | Value::Array(_) | Value::Object(_)));
    serde_json::to_vec(&members).ok()
}

fn decrypt_with(notification: &[u8], iv: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut plain = notification.to_vec();
    let digits = Algorithm::Sha1.hex(secret);
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(digits.get(..32)?.as_bytes(), iv).ok()?;
    let length = cipher.decrypt_padded::<NoPadding>(&mut plain).ok()?.len();
    plain.truncate(length);
    // The padding is PKCS #7 or NULs, by the age of the sender; nothing that is trimmed can end a JSON object.
    while plain.last().is_some_and(|&byte| byte <= 32) {
        plain.pop();
    }
    serde_json::from_slice::<Map<String, Value>>(&plain).is_ok().then_some(plain)
}

#[cfg(test)]
mod tests;
