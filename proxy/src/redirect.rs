//! `/{code}` and `/click`: what a tap says about itself, asked of the database in one batched call, answered 302.
//!
//! A tap is never turned away for what it carries: only a code that cannot exist and a `/click` without a campaign
//! have nowhere to go. Not for: deciding who is human or where the link leads, the extension does both.

use crate::answer::{self, Answer};
use crate::batch::Queue;
use crate::directory::Directory;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};
use postback_core::click_id::{BUCKETS, ClickId, ClickIdText, is_legal};
use postback_core::query_string::{self, MAX_PARAMETERS, Parameter, is_unresolved_macro};
use postback_core::short_code::{CodeKey, strip_glued};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// The longest code or alias.
const MAX_CODE_LENGTH: usize = 64;

const MAX_USER_AGENT_LENGTH: usize = 1024;
const MAX_PURPOSE_LENGTH: usize = 256;
const MAX_SUB_LENGTH: usize = 256;

/// Headers with which browsers and apps say that nobody has tapped yet.
const PURPOSE_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
    HeaderName::from_static("sec-fetch-purpose"),
];

const SUBS: [&str; 10] = ["sub1", "sub2", "sub3", "sub4", "sub5", "sub6", "sub7", "sub8", "sub9", "sub10"];

/// The key of the short codes, once the database has told it.
#[derive(Default)]
pub struct KnownKey {
    key: RwLock<Option<CodeKey>>,
    learned: Notify,
}

impl KnownKey {
    pub fn set(&self, key: CodeKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
        self.learned.notify_waiters();
    }

    pub fn is_known(&self) -> bool {
        self.with(|key| key.is_some())
    }

    /// Waits until it is.
    pub async fn known(&self) {
        let learned = self.learned.notified();
        if !self.is_known() {
            learned.await;
        }
    }

    pub fn with<T>(&self, work: impl FnOnce(Option<&CodeKey>) -> T) -> T {
        work(self.key.read().unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    /// The bucket a code leads to, `None` for an alias; the outer `None` while there is no key.
    fn bucket(&self, code: &str) -> Option<Option<u16>> {
        self.with(|key| key.map(|key| key.decode(code).map(|link| link.bucket())))
    }
}

/// One tap, as the database wants to know it.
pub struct Tap {
    pub target: Target,
    pub client: IpAddr,
    pub purpose: Option<String>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) is_head: bool,
}

/// What was tapped.
pub enum Target {
    /// The code is a part of the path, `length` bytes after the slash. An alias that the directory does not know gets its
    /// click id in the database.
    Link { path: PathAndQuery, length: usize, click_id: Option<ClickIdText> },
    /// A link minted elsewhere. Its click id may be, too, and then it does not say when it was tapped.
    Campaign { campaign: Box<Campaign>, at: SystemTime },
}

/// The parameters of `/click`.
#[derive(Debug, PartialEq)]
pub struct Campaign {
    pub campaign_id: i64,
    pub offer_id: Option<i64>,
    pub click_id: Option<String>,
    pub subs: Option<Value>,
}

/// What became of a tap.
pub enum TapAnswer {
    Redirect(HeaderValue),
    NotFound,
}

impl Tap {
    fn new(target: Target, client: IpAddr, request: &Parts) -> Self {
        Tap {
            target,
            client,
            purpose: purpose(&request.headers),
            user_agent: request.headers.get(USER_AGENT).cloned(),
            is_head: request.method == Method::HEAD,
        }
    }

    pub fn code(&self) -> Option<&str> {
        match &self.target {
            Target::Link { path, length, .. } => path.path().get(1..=*length),
            Target::Campaign { .. } => None,
        }
    }

    pub fn click_id(&self) -> Option<&str> {
        match &self.target {
            Target::Link { click_id, .. } => click_id.as_ref().map(ClickIdText::as_str),
            Target::Campaign { campaign, .. } => campaign.click_id.as_deref(),
        }
    }

    pub fn campaign(&self) -> Option<&Campaign> {
        match &self.target {
            Target::Link { .. } => None,
            Target::Campaign { campaign, .. } => Some(campaign),
        }
    }

    /// When it was tapped.
    pub fn at(&self) -> SystemTime {
        match &self.target {
            Target::Link { click_id: Some(click_id), .. } => time_in(click_id),
            Target::Link { click_id: None, .. } => SystemTime::now(),
            Target::Campaign { at, .. } => *at,
        }
    }

    /// Empty when the request has none: that says something too, and NULL would say that nobody looked.
    pub fn user_agent(&self) -> Cow<'_, str> {
        self.user_agent.as_ref().map_or(Cow::Borrowed(""), |value| text_of(value, MAX_USER_AGENT_LENGTH))
    }

    pub fn method(&self) -> &'static str {
        if self.is_head { "HEAD" } else { "GET" }
    }
}

/// The code in a path segment without what messaging apps glue to it, and one slash; `None` when no code looks like this.
pub fn code_in(segment: &str) -> Option<&str> {
    let bare = strip_glued(segment);
    let code = bare.strip_suffix('/').map_or(bare, strip_glued);
    let is_code = !code.is_empty()
        && code.len() <= MAX_CODE_LENGTH
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_code.then_some(code)
}

/// `/{code}`. The code is known to look like one. The careful queue is for taps whose id is not of their link.
pub async fn tap_code(
    queue: &Queue<Tap, TapAnswer>,
    careful: &Queue<Tap, TapAnswer>,
    key: &KnownKey,
    directory: Option<&Directory>,
    client: IpAddr,
    code_length: usize,
    request: Parts,
) -> Answer {
    let Some(path) = request.uri.path_and_query().cloned() else {
        return answer::not_found();
    };
    let Some(code) = path.path().get(1..=code_length) else {
        return answer::not_found();
    };
    let Some(bucket) = key.bucket(code) else {
        return answer::unavailable();
    };
    let bucket = bucket.or_else(|| directory?.table().alias_bucket(code));
    // An alias whose link nobody here knows: its id must be the same when it is asked again, so it is minted here all the same, and taken
    // the way of ids that are not the link's own.
    let queue = if bucket.is_some() { queue } else { careful };
    let click_id = Some(new_id(bucket.unwrap_or_else(|| rand::random_range(0..BUCKETS))));
    let tap = Tap::new(Target::Link { path, length: code_length, click_id }, client, &request);
    settle(queue, tap).await
}

/// `/click?campaign=…`.
pub async fn tap_campaign(queue: &Queue<Tap, TapAnswer>, client: IpAddr, request: Parts) -> Answer {
    let mut campaign = match campaign_of(&request.uri) {
        Ok(campaign) => Box::new(campaign),
        Err(reason) => return answer::bad_request(reason),
    };
    // Minted here, so that a second try is known for what it is.
    campaign.click_id.get_or_insert_with(|| new_id(rand::random_range(0..BUCKETS)).as_str().to_owned());
    let at = SystemTime::now();
    settle(queue, Tap::new(Target::Campaign { campaign, at }, client, &request)).await
}

async fn settle(queue: &Queue<Tap, TapAnswer>, tap: Tap) -> Answer {
    match queue.ask(tap).await {
        Some(TapAnswer::Redirect(location)) => answer::redirect(location),
        Some(TapAnswer::NotFound) => answer::not_found(),
        None => answer::unavailable(),
    }
}

/// The time inside an id of our own.
pub fn time_in(id: &ClickIdText) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ClickId::parse(id.as_str()).map_or(0, ClickId::unix_ms))
}

/// A location as a header. Templates are checked when they are saved, so one that is no header is a fault of ours.
pub fn header_of(location: &str) -> Option<HeaderValue> {
    let header = HeaderValue::from_str(location).ok();
    if header.is_none() {
        tracing::error!("a template gave a location that is not a legal header; the tap was answered 503");
    }
    header
}

/// A click or postback id of this moment.
pub fn new_id(bucket: u16) -> ClickIdText {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ClickId::new(now.as_millis() as u64, bucket, rand::random()).to_text()
}

/// Reads `/click`. A click id or offer that cannot be one is kept among the subs: the tap goes on without it.
fn campaign_of(uri: &Uri) -> Result<Campaign, &'static str> {
    // Parameter by parameter: one that cannot be read must not take the tap with it.
    let query = uri.query().unwrap_or_default().as_bytes();
    let readable =
        query.split(|&byte| byte == b'&').take(MAX_PARAMETERS).filter_map(|one| query_string::parse(one).ok());
    let parameters: Vec<Parameter> = readable.flatten().collect();
    let campaign = first_of(&parameters, ["campaign", "campaign_id"]).ok_or("the parameter campaign is missing\n")?;
    let campaign_id =
        positive(strip_glued(campaign)).ok_or("the parameter campaign is not a positive whole number\n")?;
    let mut subs = Map::new();
    for name in SUBS {
        if let Some(value) = query_string::first(&parameters, name).filter(|value| !value.is_empty()) {
            subs.insert(name.to_owned(), shortened(value, MAX_SUB_LENGTH));
        }
    }
    let mut kept = |name: &str, value: &str| {
        subs.insert(name.to_owned(), shortened(value, MAX_CODE_LENGTH));
        None
    };
    let offer_id = match first_of(&parameters, ["offer", "offer_id"]) {
        None | Some("") => None,
        Some(offer) => positive(strip_glued(offer)).or_else(|| kept("rejected_offer", offer).and(None)),
    };
    let click_id = match first_of(&parameters, ["click_id", "clickid"]) {
        None | Some("") => None,
        Some(id) => {
            let bare = if is_legal(id) { id } else { strip_glued(id) };
            if is_legal(bare) && !is_unresolved_macro(bare) {
                Some(bare.to_owned())
            } else {
                kept("rejected_click_id", id)
            }
        }
    };
    let subs = (!subs.is_empty()).then_some(Value::Object(subs));
    Ok(Campaign { campaign_id, offer_id, click_id, subs })
}

fn first_of<'a>(parameters: &'a [Parameter], names: [&str; 2]) -> Option<&'a str> {
    names.into_iter().find_map(|name| query_string::first(parameters, name))
}

/// A positive bigint in plain digits.
fn positive(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number: &i64| is_plain && number > 0)
}

fn shortened(text: &str, most: usize) -> Value {
    Value::String(text[..text.floor_char_boundary(most)].to_owned())
}

/// The prefetch evidence, joined; most taps have none.
fn purpose(headers: &HeaderMap) -> Option<String> {
    let mut joined: Option<String> = None;
    for value in PURPOSE_HEADERS.iter().filter_map(|name| headers.get(name)) {
        let text = text_of(value, MAX_PURPOSE_LENGTH);
        match &mut joined {
            None => joined = Some(text.into_owned()),
            Some(joined) => {
                joined.push_str(", ");
                joined.push_str(&text);
            }
        }
    }
    joined
}

/// A header as text of at most so many bytes; what is not UTF-8 is replaced.
pub fn text_of(value: &HeaderValue, most: usize) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    match String::from_utf8_lossy(&bytes[..bytes.len().min(most)]) {
        // A character cut in two is left out, not replaced.
        Cow::Borrowed(text) => Cow::Borrowed(text),
        Cow::Owned(mut text) => {
            let end = text.trim_end_matches('\u{fffd}').len();
            if bytes.len() > most {
                text.truncate(end);
            }
            text.truncate(text.floor_char_boundary(most));
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Campaign, &'static str> {
        campaign_of(&format!("/click?{query}").parse().unwrap())
    }

    #[test]
    fn click_parameters_and_their_aliases() {
        let plain = read("campaign=456&click_id=a1b2c3").unwrap();
        assert_eq!(plain, Campaign { campaign_id: 456, offer_id: None, click_id: Some("a1b2c3".into()), subs: None });
        let aliases = read("campaign_id=456&clickid=~._-&offer_id=7&sub1=a%20b&sub10=z&sub11=no&sub2=").unwrap();
        assert_eq!(aliases.click_id.as_deref(), Some("~._-"));
        assert_eq!(aliases.offer_id, Some(7));
        assert_eq!(aliases.subs, Some(serde_json::json!({"sub1": "a b", "sub10": "z"})));
    }

    #[test]
    fn only_the_campaign_is_indispensable() {
        for query in ["", "campaign=", "campaign=x", "campaign=-1", "campaign=%2B1", "campaign=0", "campaign=1%zz"] {
            assert!(read(query).is_err(), "{query}");
        }
        assert!(read("campaign=9223372036854775808").is_err());
        let unreadable = read("sub1=100%&campaign=456&sub2=%00&sub3=ok").unwrap();
        assert_eq!((unreadable.campaign_id, unreadable.subs), (456, Some(serde_json::json!({"sub3": "ok"}))));
        assert_eq!(read("campaign=9223372036854775807").unwrap().campaign_id, i64::MAX);
    }

    #[test]
    fn illegal_click_id_is_kept_aside() {
        let long = "x".repeat(65);
        for (given, kept) in
            [("{click_id}", "{click_id}"), ("a%20b", "a b"), (long.as_str(), &long[..64]), ("%29", ")")]
        {
            let campaign = read(&format!("campaign=1&click_id={given}")).unwrap();
            assert_eq!(campaign.click_id, None);
            assert_eq!(campaign.subs, Some(serde_json::json!({ "rejected_click_id": kept })));
        }
        let campaign = read("campaign=1&click_id=REPLACE&offer=abc").unwrap();
        let kept = serde_json::json!({"rejected_click_id": "REPLACE", "rejected_offer": "abc"});
        assert_eq!((campaign.click_id, campaign.offer_id, campaign.subs), (None, None, Some(kept)));
    }

    #[test]
    fn what_is_glued_to_parameters_is_taken_off() {
        let glued = read("campaign=456.&offer=789)&click_id=q4).").unwrap();
        assert_eq!((glued.campaign_id, glued.offer_id, glued.click_id.as_deref()), (456, Some(789), Some("q4")));
        assert_eq!(
            read("campaign=1&click_id=q4.").unwrap().click_id.as_deref(),
            Some("q4."),
            "a dot is legal in an id"
        );
    }

    #[test]
    fn codes_lose_glued_punctuation_and_keep_their_case() {
        assert_eq!(code_in("4KdXyZ01abc"), Some("4KdXyZ01abc"));
        assert_eq!(code_in("4KdXyZ01abc)."), Some("4KdXyZ01abc"));
        assert_eq!(code_in("spring-sale_26,"), Some("spring-sale_26"));
        let long = "a".repeat(65);
        for glued in ["/", "./", "/.", "/&x=a%20b", "%20", "%E2%80%9D", "&x=1", "*"] {
            assert_eq!(code_in(&format!("4KdXyZ01abc{glued}")), Some("4KdXyZ01abc"), "{glued}");
        }
        for bad in ["", ".", "favicon.ico", "a%2eb", "a/b", "a//", "%20", "\u{e9}", long.as_str()] {
            assert_eq!(code_in(bad), None, "{bad}");
        }
        assert!(code_in(&long[1..]).is_some());
    }

    #[test]
    fn user_agents_are_cut_between_characters() {
        let cut = |bytes: &[u8], most| text_of(&HeaderValue::from_bytes(bytes).unwrap(), most).into_owned();
        assert_eq!(cut(b"Mozilla/5.0", 7), "Mozilla");
        assert_eq!(cut("aé".as_bytes(), 3), "aé");
        assert_eq!(cut("aéb".as_bytes(), 2), "a");
        assert_eq!(cut(b"a\xffb", 10), "a\u{fffd}b");
        assert!(cut(&[0xff; 2000], 1024).len() <= 1024);
    }

    #[test]
    fn prefetch_evidence_is_joined() {
        let mut headers = HeaderMap::new();
        assert_eq!(purpose(&headers), None);
        headers.insert("sec-purpose", HeaderValue::from_static("prefetch;prerender"));
        headers.insert("x-moz", HeaderValue::from_static("prefetch"));
        assert_eq!(purpose(&headers).as_deref(), Some("prefetch;prerender, prefetch"));
    }

    #[test]
    fn key_decides_between_code_and_alias() {
        let known = KnownKey::default();
        assert_eq!(known.bucket("4KdXyZ01abc"), None);
        known.set(CodeKey::new(&[7; 16]).unwrap());
        assert!(known.bucket("4KdXyZ01abc").unwrap().is_some());
        assert_eq!(known.bucket("spring-sale"), Some(None));
    }
}
