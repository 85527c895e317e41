//! Proofs of origin in SQL: `sql/functions/postbacks/signatures.sql` and `authenticate.sql`, and
//! `sql/functions/networks/network_secrets.sql` declare these functions.

use crate::error::raise;
use crate::kept_json::KeptJson;
use pgrx::pg_sys::errcodes::PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
use pgrx::prelude::*;
use postback_core::message::Map;
use postback_core::signature::{self, Key, Scheme, Target};
use postback_core::{clickbank, hash_template, source_ranges};
use serde_json::Value;
use std::cell::RefCell;
use std::str;

thread_local! {
    /// The last secret that verified something, made ready: a statement over many rows has one.
    static KEY: RefCell<Option<(String, Key)>> = const { RefCell::new(None) };
}

#[pg_extern(sql = false)]
fn sign(
    query: Option<&str>,
    secret: Option<&str>,
    scheme: Option<&str>,
    method: Option<&str>,
    path: Option<&str>,
) -> Option<String> {
    match signature::sign(parse_scheme(scheme?), target(method, path), query?.as_bytes(), secret?.as_bytes()) {
        Ok(mac) => Some(str::from_utf8(&signature::to_hex(&mac)).unwrap_or_default().to_owned()),
        Err(error) => raise(ERRCODE_INVALID_PARAMETER_VALUE, format!("the query cannot be signed: {error}"), ""),
    }
}

#[pg_extern(sql = false)]
fn verify_signature(
    query: Option<&str>,
    signature: Option<&str>,
    secret: Option<&str>,
    scheme: Option<&str>,
    method: Option<&str>,
    path: Option<&str>,
) -> Option<bool> {
    let (query, signature, secret, scheme) = (query?, signature?, secret?, parse_scheme(scheme?));
    let target = target(method, path);
    if scheme == Scheme::Raw1 && target.is_none() {
        return Some(with_key(secret, |key| key.verify(query.as_bytes(), signature)));
    }
    let signed = signature::sign(scheme, target, query.as_bytes(), secret.as_bytes());
    Some(signed.is_ok_and(|mac| {
        signature.len() == 64
            && signature::equal_secret(&signature::to_hex(&mac), signature.to_ascii_lowercase().as_bytes())
    }))
}

#[pg_extern(sql = false)]
fn verify_query(
    query: Option<&[u8]>,
    secrets: Option<Vec<String>>,
    scheme: Option<&str>,
    method: Option<&str>,
    path: Option<&str>,
) -> Option<String> {
    let secrets = secrets.unwrap_or_default();
    let secrets: Vec<&[u8]> = secrets.iter().map(String::as_bytes).collect();
    let scheme = parse_scheme(scheme.unwrap_or("raw1"));
    signature::verify(scheme, target(method, path), query.unwrap_or_default(), &secrets)
        .err()
        .map(|error| error.to_string())
}

#[pg_extern(sql = false)]
fn is_secret(token: Option<&str>, secrets: Option<Vec<String>>) -> bool {
    let token = token.unwrap_or_default().as_bytes();
    let secrets = secrets.unwrap_or_default();
    // No early exit: how long it takes does not tell which secret it was.
    secrets.iter().fold(false, |known, secret| known | signature::equal_secret(token, secret.as_bytes()))
}

#[pg_extern(sql = false)]
fn verify_hash(
    query: Option<&[u8]>,
    body: Option<&[u8]>,
    content_type: Option<&str>,
    parameters: Option<KeptJson>,
    algorithm: Option<&str>,
    template: Option<&str>,
    secrets: Option<Vec<String>>,
) -> Option<String> {
    let (Some(Ok(algorithm)), Some(template)) = (algorithm.map(str::parse), template) else {
        return Some("the network has no hash_template".to_owned());
    };
    let secrets = secrets.unwrap_or_default();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    hash_template::parameters(query.unwrap_or_default(), body.unwrap_or_default(), content_type)
        .and_then(|message| {
            hash_template::verify(
                algorithm,
                template,
                &message,
                &Map::new(parameters.as_deref().unwrap_or(&Value::Null)),
                &secrets,
            )
        })
        .err()
        .map(|error| error.to_string())
}

#[pg_extern(sql = false)]
fn single_value(
    query: Option<&[u8]>,
    body: Option<&[u8]>,
    content_type: Option<&str>,
    name: Option<&str>,
) -> Option<String> {
    let message = hash_template::parameters(query.unwrap_or_default(), body.unwrap_or_default(), content_type).ok()?;
    hash_template::value(&message, name?).ok()?.map(str::to_owned)
}

#[pg_extern(sql = false)]
fn decrypt_clickbank(body: Option<&[u8]>, secrets: Option<Vec<String>>) -> Option<Vec<u8>> {
    let secrets = secrets?;
    let secrets: Vec<&[u8]> = secrets.iter().map(String::as_bytes).collect();
    clickbank::decrypt(body?, &secrets)
}

#[pg_extern(sql = false)]
fn flatten_clickbank(notification: Option<&[u8]>) -> Option<Vec<u8>> {
    clickbank::flatten(notification?)
}

#[pg_extern(sql = false)]
fn source_cidrs(sources: Option<Vec<Option<String>>>) -> Option<Vec<String>> {
    let mut cidrs = Vec::new();
    for source in sources? {
        let Some(source) = source else {
            raise(ERRCODE_INVALID_PARAMETER_VALUE, "a source is NULL".to_owned(), SOURCE_HINT)
        };
        match source_ranges::cidrs(&source) {
            Ok(list) => cidrs.extend(list),
            Err(error) => raise(ERRCODE_INVALID_PARAMETER_VALUE, format!("source \"{source}\" {error}"), SOURCE_HINT),
        }
    }
    Some(cidrs)
}

const SOURCE_HINT: &str = "Like 192.0.2.7, 192.0.2.0/24, 192.0.2.0-255, 192.0.2.7-192.0.2.20 or 2001:db8::/32.";

/// False for an empty secret, which signs nothing.
fn with_key(secret: &str, verify: impl FnOnce(&Key) -> bool) -> bool {
    KEY.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(known, _)| known != secret) {
            *kept = Key::new(secret.as_bytes()).map(|key| (secret.to_owned(), key));
        }
        kept.as_ref().is_some_and(|(_, key)| verify(key))
    })
}

fn target<'a>(method: Option<&'a str>, path: Option<&'a str>) -> Option<Target<'a>> {
    Some(Target { method: method?, path: path? })
}

fn parse_scheme(name: &str) -> Scheme {
    match name.parse() {
        Ok(scheme) => scheme,
        Err(_) => raise(
            ERRCODE_INVALID_PARAMETER_VALUE,
            format!("signature scheme \"{name}\" is not known"),
            "One of raw1, sorted1.",
        ),
    }
}
