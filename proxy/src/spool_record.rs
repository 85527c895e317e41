//! One spooled request as bytes: version, checksum, kind, time, and the fields of a tap or a postback.
//!
//! A record is read back as the very request that came in, so that draining makes the same calls as live traffic. Any bytes
//! may come: what is not a whole record of a known version with the right checksum is refused, and nothing is allocated for
//! a length that is not there.

use crate::postback::Postback;
use crate::redirect::{Campaign, Tap, Target, code_in, time_in};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use postback_core::click_id::ClickId;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const VERSION: u8 = 1;
/// Version, checksum of all that follows it, kind, time.
const HEADER_LENGTH: usize = 1 + 4 + 1 + 8;
const ABSENT: u32 = u32::MAX;

const LINK_TAP: u8 = 1;
const CAMPAIGN_TAP: u8 = 2;
const POSTBACK: u8 = 3;

/// A request as it was spooled.
pub enum Record {
    Tap(Tap),
    Postback(Postback),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Written by another version.
    Version(u8),
    /// Cut off, or changed on the disk.
    Damaged,
}

/// The record of a tap with its click id, which may have been found only now.
pub fn of_tap(tap: &Tap, click_id: &str, at: SystemTime) -> Vec<u8> {
    let kind = if tap.campaign().is_some() { CAMPAIGN_TAP } else { LINK_TAP };
    let mut record = Writer::new(kind, at);
    record.field(Some(click_id.as_bytes()));
    record.field(Some(tap.client.to_string().as_bytes()));
    record.field(tap.user_agent.as_ref().map(HeaderValue::as_bytes));
    record.field(tap.purpose.as_ref().map(String::as_bytes));
    record.field(Some(tap.method().as_bytes()));
    match tap.campaign() {
        None => record.field(tap.code().map(str::as_bytes)),
        Some(campaign) => {
            record.field(Some(campaign.campaign_id.to_string().as_bytes()));
            record.field(campaign.offer_id.map(|id| id.to_string()).as_deref().map(str::as_bytes));
            record.field(campaign.subs.as_ref().map(Value::to_string).as_deref().map(str::as_bytes));
        }
    }
    record.finish()
}

pub fn of_postback(postback: &Postback) -> Vec<u8> {
    let mut record = Writer::new(POSTBACK, time_in(&postback.id));
    record.field(Some(postback.id.as_str().as_bytes()));
    record.field(Some(postback.client.to_string().as_bytes()));
    record.field(Some(postback.target.as_str().as_bytes()));
    record.field(Some(postback.method().as_bytes()));
    record.field(postback.content_type.as_ref().map(HeaderValue::as_bytes));
    record.field(postback.body.as_deref());
    record.finish()
}

/// Reads a record back.
pub fn read(bytes: &[u8]) -> Result<Record, Unreadable> {
    match bytes.first() {
        Some(&VERSION) => {}
        Some(&other) => return Err(Unreadable::Version(other)),
        None => return Err(Unreadable::Damaged),
    }
    let checksum = bytes.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let rest = bytes.get(5..).unwrap_or_default();
    if checksum != Some(crc32fast::hash(rest)) || bytes.len() < HEADER_LENGTH {
        return Err(Unreadable::Damaged);
    }
    let fields = Reader(&bytes[HEADER_LENGTH..]);
    let record = match rest[0] {
        LINK_TAP | CAMPAIGN_TAP => tap(fields, rest[0], time_of(bytes)).map(Record::Tap),
        POSTBACK => postback(fields).map(Record::Postback),
        _ => None,
    };
    record.ok_or(Unreadable::Damaged)
}

pub fn is_readable(record: &[u8]) -> bool {
    read(record).is_ok()
}

/// The time in a record's header in Unix milliseconds, without a look at the rest.
pub fn time_of(record: &[u8]) -> u64 {
    let time = record.get(6..HEADER_LENGTH).and_then(|bytes| bytes.try_into().ok());
    time.map_or(0, u64::from_le_bytes)
}

impl Record {
    pub fn kind(&self) -> &'static str {
        match self {
            Record::Tap(_) => "click",
            Record::Postback(_) => "postback",
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Record::Tap(tap) => tap.click_id().unwrap_or_default(),
            Record::Postback(postback) => postback.id.as_str(),
        }
    }

    /// For people: what is no text is replaced, and so is the NUL that jsonb cannot hold.
    pub fn described(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
        match self {
            Record::Tap(tap) => json!({
                "code": tap.code(),
                "campaign_id": tap.campaign().map(|campaign| campaign.campaign_id),
                "offer_id": tap.campaign().and_then(|campaign| campaign.offer_id),
                "subs": tap.campaign().and_then(|campaign| campaign.subs.as_ref()),
                "ip_address": tap.client.to_string(),
                "user_agent": text(tap.user_agent().as_bytes()),
                "method": tap.method(),
                "purpose": tap.purpose,
            }),
            Record::Postback(postback) => json!({
                "method": postback.method(),
                "path": postback.path(),
                "query": postback.query().map(text),
                "content_type": postback.content_type(),
                "body": postback.body.as_deref().map(text),
                "source_ip": postback.client.to_string(),
            }),
        }
    }
}

fn tap(mut fields: Reader<'_>, kind: u8, unix_ms: u64) -> Option<Tap> {
    let click_id = fields.text()??;
    let client = fields.text()??.parse().ok()?;
    let user_agent = header(fields.field()?)?;
    let purpose = fields.text()?.map(str::to_owned);
    let is_head = fields.text()?? == "HEAD";
    let target = if kind == LINK_TAP {
        let code = fields.text()??;
        if code_in(code) != Some(code) {
            return None;
        }
        let path = PathAndQuery::try_from(format!("/{code}")).ok()?;
        Target::Link { path, length: code.len(), click_id: Some(ClickId::parse(click_id)?.to_text()) }
    } else {
        let campaign_id = fields.text()??.parse().ok()?;
        let offer_id = fields.text()?.map(str::parse).transpose().ok()?;
        let subs = fields.text()?.map(serde_json::from_str).transpose().ok()?;
        let campaign = Campaign { campaign_id, offer_id, click_id: Some(click_id.to_owned()), subs };
        Target::Campaign { campaign: Box::new(campaign), at: UNIX_EPOCH + Duration::from_millis(unix_ms) }
    };
    fields.0.is_empty().then_some(Tap { target, client, purpose, user_agent, is_head })
}

fn postback(mut fields: Reader<'_>) -> Option<Postback> {
    let id = ClickId::parse(fields.text()??)?.to_text();
    let client: IpAddr = fields.text()??.parse().ok()?;
    let target = PathAndQuery::try_from(fields.field()??).ok()?;
    let is_post = fields.text()?? == "POST";
    let content_type = header(fields.field()?)?;
    let body = fields.field()?.map(Bytes::copy_from_slice);
    fields.0.is_empty().then_some(Postback { id, client, body, target, content_type, is_post })
}

/// An absent header is one; bytes that cannot be a header are none.
#[expect(clippy::option_option, reason = "the outer one is about the record, the inner one about the request")]
fn header(bytes: Option<&[u8]>) -> Option<Option<HeaderValue>> {
    bytes.map(HeaderValue::from_bytes).transpose().ok()
}

struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8, at: SystemTime) -> Self {
        let unix_ms = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let mut bytes = vec![VERSION, 0, 0, 0, 0, kind];
        bytes.extend(unix_ms.to_le_bytes());
        Writer(bytes)
    }

    fn field(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(ABSENT, |value| value.len() as u32);
        self.0.extend(length.to_le_bytes());
        self.0.extend(value.unwrap_or_default());
    }

    fn finish(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.0[5..]);
        self.0[1..5].copy_from_slice(&checksum.to_le_bytes());
        self.0
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next field; `None` when the bytes do not hold it.
    #[expect(clippy::option_option, reason = "the outer one is about the record, the inner one about the request")]
    fn field(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        if length == ABSENT {
            self.0 = rest;
            return Some(None);
        }
        let (value, rest) = rest.split_at_checked(length as usize)?;
        self.0 = rest;
        Some(Some(value))
    }

    #[expect(clippy::option_option, reason = "the outer one is about the record, the inner one about the request")]
    fn text(&mut self) -> Option<Option<&'a str>> {
        match self.field()? {
            Some(bytes) => std::str::from_utf8(bytes).ok().map(Some),
            None => Some(None),
        }
    }
}

#[cfg(test)]
mod tests;
