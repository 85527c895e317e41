//! Where links lead, which domains they have and what networks want to hear, known without the database and kept on disk beside the spool.
//!
//! The table is what `postback.routes()` gives. A redirect from it is the one the database would have given: both render
//! with `postback_core::url_template`. Not for: whether a link exists. Whoever holds the key cannot tell a code that was
//! handed out from one that was not, so a guess that hits a send is redirected here and found out when it is recorded.

use crate::postback::{Postback, PostbackAnswer};
use crate::redirect::{KnownKey, Tap, Target, header_of, new_id};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use postback_core::click_id::{BUCKETS, ClickIdText};
use postback_core::short_code::{CodeKey, LinkId};
use postback_core::url_template::{Ids, MACROS, UrlTemplate};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

const ROUTES_FILE: &str = "routes.json";
/// More sends than anybody makes between two readings of the routes, or while one of them is not yet committed.
const SENDS_SINCE: i64 = 1000;

const KEY_FILE: &str = "code_key";

/// The network of a plain `/postback`.
const DEFAULT_NETWORK: &str = "default";

/// One row of `postback.routes()`.
pub struct RouteRow {
    pub kind: String,
    pub id: i64,
    pub name: Option<String>,
    pub content: Option<String>,
    pub content_type: Option<String>,
    pub ids: Ids,
}

/// Everything that `postback.routes()` tells. What a file of an earlier version lacks is empty.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteTable {
    offers: HashMap<i64, String>,
    sends: HashMap<i64, Send>,
    campaigns: HashMap<i64, i64>,
    aliases: HashMap<String, i64>,
    networks: HashMap<String, NetworkAnswer>,
    domains: HashSet<String>,
    /// The offers' templates, cut up.
    #[serde(skip)]
    templates: HashMap<i64, UrlTemplate>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Send {
    campaign_id: Option<i64>,
    segment_id: Option<i64>,
    variant_id: Option<i64>,
    offer_id: i64,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct NetworkAnswer {
    content_type: String,
    body: String,
}

/// Where a tap leads.
pub enum Lead {
    /// There, under this click id where the tap had none yet.
    To { location: HeaderValue, minted: Option<ClickIdText> },
    /// Nowhere: the answer is 404.
    Nowhere,
    /// This may be newer than the table.
    NotKnown,
}

impl RouteTable {
    /// Takes in rows; a table of all rows replaces the old one, one of the newest sends leaves the older in it.
    pub fn with(&self, rows: Vec<RouteRow>, are_all: bool) -> RouteTable {
        let mut table = RouteTable::default();
        if !are_all {
            table.sends.clone_from(&self.sends);
            table.aliases.clone_from(&self.aliases);
            table.domains.clone_from(&self.domains);
        }
        for row in rows {
            match (row.kind.as_str(), row.name, row.content, row.ids.offer_id) {
                ("offer", _, Some(url_template), _) => {
                    table.offers.insert(row.id, url_template);
                }
                ("send", _, _, Some(offer_id)) => {
                    let Ids { campaign_id, segment_id, variant_id, .. } = row.ids;
                    table.sends.insert(row.id, Send { campaign_id, segment_id, variant_id, offer_id });
                }
                ("campaign", _, _, Some(offer_id)) => {
                    table.campaigns.insert(row.id, offer_id);
                }
                ("alias", Some(alias), _, _) => {
                    table.aliases.insert(alias, row.id);
                }
                ("network", Some(slug), Some(body), _) => {
                    let content_type = row.content_type.unwrap_or_default();
                    table.networks.insert(slug, NetworkAnswer { content_type, body });
                }
                ("domain", Some(domain), _, _) => {
                    table.domains.insert(domain);
                }
                // A later minor version may tell more.
                _ => {}
            }
        }
        table.parse_templates();
        table
    }

    fn parse_templates(&mut self) {
        self.templates = self
            .offers
            .iter()
            .filter_map(|(&offer_id, text)| match UrlTemplate::parse(text, MACROS) {
                Ok(template) => Some((offer_id, template)),
                Err(error) => {
                    tracing::error!(offer_id, %error, "the template of an offer cannot be read");
                    None
                }
            })
            .collect();
    }

    /// Whether the two tell the same.
    pub fn equals(&self, other: &RouteTable) -> bool {
        self.offers == other.offers
            && self.sends == other.sends
            && self.campaigns == other.campaigns
            && self.aliases == other.aliases
            && self.networks == other.networks
            && self.domains == other.domains
    }

    /// From where on to ask for sends: a transaction may commit one after others that are newer.
    pub fn sends_to_ask_after(&self) -> i64 {
        match self.newest_send() {
            0 => 0,
            newest => (newest - SENDS_SINCE).max(1),
        }
    }

    fn newest_send(&self) -> i64 {
        self.sends.keys().copied().max().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether links have this domain, in whatever case it is written.
    pub fn has_domain(&self, domain: &str) -> bool {
        self.domains.contains(&domain.trim_end_matches('.').to_ascii_lowercase())
    }

    /// The bucket of an alias' link.
    pub fn alias_bucket(&self, alias: &str) -> Option<u16> {
        self.aliases.get(alias).map(|&link_id| LinkId::from_bigint(link_id).bucket())
    }

    /// Whether a code is of no send that exists or may have been made since the routes were read. Aliases may be newer than the table.
    fn is_surely_unknown(&self, code: &str, key: Option<&CodeKey>) -> bool {
        let Some(link) = key.and_then(|key| key.decode(code)) else { return false };
        let send_id = i64::from(link.send_id());
        let may_be_new = (self.newest_send()..self.newest_send() + SENDS_SINCE).contains(&send_id);
        !self.aliases.contains_key(code) && !self.sends.contains_key(&send_id) && !may_be_new
    }

    fn lead(&self, tap: &Tap, key: Option<&CodeKey>) -> Lead {
        match &tap.target {
            Target::Link { click_id, .. } => {
                let code = tap.code().unwrap_or_default();
                let alias = self.aliases.get(code).map(|&link_id| LinkId::from_bigint(link_id));
                // What is no code may be an alias that is newer than the table.
                let Some(link) = alias.or_else(|| key?.decode(code)) else { return Lead::NotKnown };
                let send_id = i64::from(link.send_id());
                let Some(send) = self.sends.get(&send_id) else {
                    return if send_id > self.newest_send() { Lead::NotKnown } else { Lead::Nowhere };
                };
                let minted = click_id.is_none().then(|| new_id(link.bucket()));
                let Send { campaign_id, segment_id, variant_id, offer_id } = *send;
                let ids = Ids { campaign_id, segment_id, variant_id, offer_id: Some(offer_id), send_id: Some(send_id) };
                self.to(tap, minted, &ids, None)
            }
            Target::Campaign { campaign, .. } => {
                let known = self.campaigns.get(&campaign.campaign_id).copied();
                let Some(offer_id) = campaign.offer_id.or(known) else { return Lead::NotKnown };
                let minted = campaign.click_id.is_none().then(|| new_id(rand::random_range(0..BUCKETS)));
                let campaign_id = Some(campaign.campaign_id);
                let ids = Ids { campaign_id, offer_id: Some(offer_id), ..Ids::default() };
                self.to(tap, minted, &ids, campaign.subs.as_ref())
            }
        }
    }

    fn to(&self, tap: &Tap, minted: Option<ClickIdText>, ids: &Ids, subs: Option<&serde_json::Value>) -> Lead {
        let Some(template) = ids.offer_id.and_then(|offer_id| self.templates.get(&offer_id)) else {
            return Lead::NotKnown;
        };
        let click_id = minted.as_ref().map(ClickIdText::as_str).or(tap.click_id()).unwrap_or_default();
        match header_of(&template.render_offer(click_id, ids, subs)) {
            Some(location) => Lead::To { location, minted },
            None => Lead::NotKnown,
        }
    }

    /// What the network hears about a message that is kept: verdicts come later, and everything kept is a success. `None` for a network
    /// that may be newer than the table.
    fn answer_to(&self, postback: &Postback) -> Option<PostbackAnswer> {
        let slug = postback.network().map_or(DEFAULT_NETWORK.to_owned(), str::to_lowercase);
        self.networks.get(&slug).map(|network| PostbackAnswer {
            status: StatusCode::OK,
            content_type: HeaderValue::from_str(&network.content_type).ok(),
            body: Bytes::from(network.body.clone()),
        })
    }
}

/// The table that counts now, and its files.
pub struct Directory {
    path: PathBuf,
    table: RwLock<Arc<RouteTable>>,
    /// Whether the file says what the table says.
    is_on_disk: AtomicBool,
    key_is_on_disk: AtomicBool,
    pub key: Arc<KnownKey>,
}

impl Directory {
    /// Reads what was kept; a file that is missing or cannot be read is as good as none.
    pub fn open(path: &Path, key: Arc<KnownKey>) -> Self {
        let table =
            kept(&path.join(ROUTES_FILE)).and_then(|bytes| match serde_json::from_slice::<RouteTable>(&bytes) {
                Ok(table) => Some(table),
                Err(error) => {
                    tracing::error!(%error, "the routes kept on disk cannot be read; they will be asked for");
                    None
                }
            });
        let mut table = table.unwrap_or_default();
        table.parse_templates();
        if let Some(code_key) = kept(&path.join(KEY_FILE)) {
            match CodeKey::new(&code_key) {
                Some(code_key) => key.set(code_key),
                None => tracing::error!("the code key kept on disk has an illegal length; it will be asked for"),
            }
        }
        Directory {
            path: path.to_owned(),
            table: RwLock::new(Arc::new(table)),
            is_on_disk: AtomicBool::new(true),
            key_is_on_disk: AtomicBool::new(true),
            key,
        }
    }

    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over a table and keeps it on disk, unless it says nothing new. A file that somebody has deleted is written again.
    pub fn replace(&self, table: RouteTable) {
        let is_on_disk = self.is_on_disk.load(Ordering::Relaxed) && self.path.join(ROUTES_FILE).exists();
        if is_on_disk && table.equals(&self.table()) {
            return;
        }
        let text = serde_json::to_vec(&table);
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        let written = text.map_err(io::Error::other).and_then(|text| keep(&self.path, ROUTES_FILE, &text));
        note(&self.is_on_disk, written, "the routes cannot be kept on disk");
    }

    pub fn keep_key(&self, code_key: &[u8]) {
        if kept(&self.path.join(KEY_FILE)).as_deref() == Some(code_key) {
            return;
        }
        note(&self.key_is_on_disk, keep(&self.path, KEY_FILE, code_key), "the code key cannot be kept on disk");
    }

    pub fn is_surely_unknown(&self, code: &str) -> bool {
        let table = self.table();
        !table.is_empty() && self.key.with(|key| table.is_surely_unknown(code, key))
    }

    pub fn lead(&self, tap: &Tap) -> Lead {
        let table = self.table();
        if table.is_empty() {
            return Lead::NotKnown;
        }
        self.key.with(|key| table.lead(tap, key))
    }

    /// `None` while its network is not known.
    pub fn answer_to(&self, postback: &Postback) -> Option<PostbackAnswer> {
        self.table().answer_to(postback)
    }
}

/// Notes whether a file is on disk; that it is not is told once.
fn note(is_on_disk: &AtomicBool, written: io::Result<()>, problem: &str) {
    let was_on_disk = is_on_disk.swap(written.is_ok(), Ordering::Relaxed);
    if let Err(error) = written
        && was_on_disk
    {
        tracing::error!(%error, "{problem}");
    }
}

fn kept(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::error!(%error, file = %path.display(), "a file of the spool's directory cannot be read");
            None
        }
    }
}

/// Writes a file as a whole or not at all, for the owner's eyes only.
fn keep(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let new = directory.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, directory.join(name))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
