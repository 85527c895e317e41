//! What made a hit: a person, the preview of a messaging app, a crawler.
//!
//! A person taken for a machine earns nobody anything, so the lists have to hit: a name that a browser may carry is
//! not on them. The base is the pattern list of the `isbot` crate, which takes none of its 165,000 recorded browsers
//! for a bot; below stand only what has to be told apart from it, what came after it, and what it gets wrong.
//! Not for: addresses. Whether one belongs to a data centre is asked of a table, which is what makes a
//! [`Visitor::Datacenter`].

use isbot::Bots;
use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

/// The class of a hit. Only [`Visitor::Human`] earns credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visitor {
    /// Somebody with a browser.
    Human,
    /// An app or service that fetches the page to show a preview of the link.
    Preview,
    /// A browser that loads the page before anybody asked for it.
    Prefetch,
    /// A HEAD request: somebody looks whether the link is alive.
    Head,
    /// A crawler, a scanner, a library that says so.
    Bot,
    /// An address that belongs to a data centre.
    Datacenter,
    /// No user agent, or one that no browser sends.
    Suspect,
}

impl Visitor {
    /// The name under which the class is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Visitor::Human => "human",
            Visitor::Preview => "preview",
            Visitor::Prefetch => "prefetch",
            Visitor::Head => "head",
            Visitor::Bot => "bot",
            Visitor::Datacenter => "datacenter",
            Visitor::Suspect => "suspect",
        }
    }
}

impl fmt::Display for Visitor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Decides from the method, the joined values of the prefetch headers and the user agent, in that order.
pub fn classify(method: &str, purpose: Option<&str>, user_agent: Option<&str>) -> Visitor {
    match method {
        "GET" if purpose.is_some_and(is_prefetch) => Visitor::Prefetch,
        "GET" => remembered(user_agent.unwrap_or_default()),
        "HEAD" => Visitor::Head,
        _ => Visitor::Bot,
    }
}

/// Whether a user agent belongs to something that shows previews of links.
pub fn is_preview(user_agent: &str) -> bool {
    remembered(user_agent) == Visitor::Preview
}

/// Fetchers of link previews, as regular expressions over the lower-case user agent. Messaging apps without an anchor
/// never open pages under their own name; those with one (`^`) do, in the middle of a browser's user agent.
const PREVIEWS: &str = r"facebookexternalhit
\bfacebot\b
facebookcatalog
twitterbot
^whatsapp
^viber
telegrambot
skypeuripreview
slackbot-linkexpanding
slack-imgproxy
discordbot
snap url preview
snapurlpreview
linkedinbot
bingpreview
microsoftpreview
google-pagerenderer
google web preview
google-safety
googleimageproxy
google-read-aloud
iframely
embedly
link ?preview
linkexpander
kakaotalk-scrap
^line-poker
steamchaturllookup
vkshare
pinterest/0\.
redditbot
mattermost-bot
rocket\.chat
websitemetadataretriever
page-preview";

/// What `isbot` 0.1.3 does not know yet and what browsers never contain, in the same notation.
const MORE_BOTS: &[&str] = &[
    r"googleother",
    r"google-?(ads|adwords|inspection|cloudvertex|agent|notebook)",
    r"meta-external",
    r"(chatgpt|claude|perplexity|mistralai|duckassist|gemini|manus|devin)-?[a-z]*-user",
    r"playwright",
    r"puppeteer",
    r"selenium",
    r"cypress",
    r"headless",
    r"prerender",
    r"wkhtmlto",
    r"webpagetest",
    r"synthetics?\b",
    r"nikto",
    r"acunetix",
    r"censys",
    r"openvas",
    r"scan(ner|ning)?\b",
    r"linkcheck",
    r"indy library",
    // An address to complain to: no browser has one.
    r"[a-z0-9._-]+@[a-z0-9-]+\.[a-z]",
    r"\+www\.",
    r"compatible; [a-z0-9_. -]+/[0-9.]+; \+",
    // The crate's own `bot` at the end of a word, but for the phones of the maker Cubot.
    r"(^|[^u]|[^c]u)bot($|[/\);-]+)",
];

/// What `isbot` 0.1.3 lists although people browse with it; the crawlers of these names say `spider` or `bot` too.
const NOT_BOTS: &[&str] = &[r"bot($|[/\);-]+)", "^netsurf", "dmbrowser", "qqdownload", "sogou", "sputnik", "seznam"];

/// One of these is in the user agent of every browser, down to the telephones of 2005.
const BROWSER_WORDS: &[&str] = &[
    "mozilla/",
    "opera",
    "webkit",
    "khtml",
    "gecko",
    "browser",
    "midp",
    "cldc",
    "wap",
    "maui",
    "ucweb",
    "profile/",
    "blackberry",
    "nokia",
    "lynx",
    "links",
];

/// Shapes that no browser has although they name one.
const HOLLOW: &str = r"^mozilla/\d+\.\d+$
^mozilla/\d+\.\d+ \(compatible;?\)$
^[^(]*cfnetwork/
^dalvik/";

static PREVIEW_LIST: LazyLock<Bots> = LazyLock::new(|| Bots::new(PREVIEWS));
static HOLLOW_LIST: LazyLock<Bots> = LazyLock::new(|| Bots::new(HOLLOW));
static BOT_LIST: LazyLock<Bots> = LazyLock::new(|| {
    let mut bots = Bots::default();
    bots.remove(NOT_BOTS);
    bots.append(MORE_BOTS);
    bots
});

fn is_prefetch(purpose: &str) -> bool {
    ["prefetch", "prerender", "preview"]
        .iter()
        .any(|word| purpose.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())))
}

/// Decides by the user agent alone, from the lists.
fn look_up(user_agent: &str) -> Visitor {
    let text = user_agent.trim();
    if text.is_empty() || text == "-" {
        return Visitor::Suspect;
    }
    if PREVIEW_LIST.is_bot(text) {
        return Visitor::Preview;
    }
    if BOT_LIST.is_bot(text) {
        return Visitor::Bot;
    }
    let lower = text.to_ascii_lowercase();
    if !BROWSER_WORDS.iter().any(|word| lower.contains(word)) || HOLLOW_LIST.is_bot(text) {
        return Visitor::Suspect;
    }
    Visitor::Human
}

/// How many user agents a thread remembers, in sets that a hash picks from, and how long one may be: at most a
/// megabyte in all.
const REMEMBERED: usize = 2048;
const SET: usize = 8;
const REMEMBERED_LENGTH: usize = 512;

thread_local! {
    static MEMORY: RefCell<Vec<(String, Visitor)>> = const { RefCell::new(Vec::new()) };
}

/// [`look_up`], but user agents repeat, and comparing one is much cheaper than matching it.
fn remembered(user_agent: &str) -> Visitor {
    if user_agent.is_empty() || user_agent.len() > REMEMBERED_LENGTH {
        return look_up(user_agent);
    }
    let mut hasher = DefaultHasher::new();
    user_agent.hash(&mut hasher);
    let start = (hasher.finish() as usize) % (REMEMBERED / SET) * SET;
    MEMORY.with_borrow_mut(|memory| {
        if memory.is_empty() {
            memory.resize(REMEMBERED, (String::new(), Visitor::Suspect));
        }
        let set = &mut memory[start..start + SET];
        if let Some((_, visitor)) = set.iter().find(|(known, _)| known == user_agent) {
            return *visitor;
        }
        // The oldest of the set makes room, and its string is written over.
        set.rotate_right(1);
        let (known, visitor) = &mut set[0];
        known.clear();
        known.push_str(user_agent);
        *visitor = look_up(user_agent);
        *visitor
    })
}

#[cfg(test)]
mod tests;
