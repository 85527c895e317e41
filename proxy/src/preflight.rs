//! `postback-proxy preflight URL`: follows a live link hop by hop, as a phone would, and says where the click id is lost.
//!
//! Every hop is reached as deliveries are, so only at public addresses or those that were allowed. The requests call
//! themselves a prefetch: a click that the link records is kept and never counts as a person's. Not for: pages that
//! redirect by script, which only a browser follows.

use crate::client_address::parse_network;
use crate::config;
use crate::outbound_client::{Client, Delivery};
use ipnet::IpNet;
use postback_core::click_id::ClickId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;
use tokio_postgres::NoTls;
use url::Url;

/// What `postback-proxy preflight --help` prints.
pub const HELP: &str = "\
Follows a link hop by hop and says whether each hop carries the click id on.

Usage: postback-proxy preflight URL [OPTION VALUE]...

  --carries VALUE   the click id to look for [that of the first redirect, or of the URL]
  --until HOST      the click id has to reach this host; what comes behind may have ids of its own [to the end]
  --redirects N     how many redirects there may be [5]
  --allow CIDR      addresses that may be reached though they are not public; several times if need be [none]

With POSTBACK_DATABASE_URL set, what was found of a send's link is recorded, and SELECT * FROM postback.preflight(…) shows it. The
requests are marked as a prefetch, so that they count as nobody's click. Exits with 1 when something is wrong.
";

/// Where the chain is given up: browsers do at about as many.
const MOST_HOPS: usize = 20;

const HOP_TIMEOUT: Duration = Duration::from_secs(15);

/// As much of a click id as must be there to call it cut off.
const LEAST_PART: usize = 12;

/// A phone's, so that nobody is sent elsewhere for being a robot; with the name of what it really is.
const USER_AGENT: &str = concat!(
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
     Mobile/15E148 Safari/604.1 postback-preflight/",
    env!("CARGO_PKG_VERSION")
);

const RECORD: &str = "\
    SELECT postback.record_preflight($1::text, $2::boolean, $3::boolean, $4::text, $5::integer, $6::integer, $7::boolean, $8::text::jsonb)";

/// What the command line asks for.
#[derive(Debug)]
pub struct Order {
    url: Url,
    carries: Option<String>,
    until: Option<String>,
    redirects: usize,
    allowed: Vec<IpNet>,
}

/// Reads the arguments after `preflight`; on failure says what is wrong with them.
pub fn read_arguments(arguments: &[OsString]) -> Result<Order, String> {
    let (mut url, mut carries, mut until, mut redirects, mut allowed) = (None, None, None, 5, Vec::new());
    let mut arguments = arguments.iter().map(|argument| argument.to_str().unwrap_or_default());
    while let Some(argument) = arguments.next() {
        if !argument.starts_with("--") {
            let parsed = Url::parse(argument).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let parsed = parsed.ok_or("preflight needs the http or https URL of a link")?;
            if url.replace(parsed).is_some() {
                return Err("preflight follows one URL".to_owned());
            }
            continue;
        }
        let (argument, value) = match argument.split_once('=') {
            Some((argument, value)) => (argument, Some(value)),
            None => (argument, arguments.next()),
        };
        let value = value.ok_or_else(|| format!("{argument} has no value"))?;
        match argument {
            "--carries" if !value.is_empty() => carries = Some(value.to_owned()),
            "--until" if !value.is_empty() => until = Some(value.to_ascii_lowercase()),
            "--redirects" => match value.parse() {
                Ok(number) if number <= MOST_HOPS => redirects = number,
                _ => return Err(format!("--redirects \"{value}\" is not a whole number from 0 to {MOST_HOPS}")),
            },
            "--allow" => match parse_network(value) {
                Some(network) => allowed.push(network),
                None => return Err(format!("--allow \"{value}\" is no address and no CIDR")),
            },
            "--carries" | "--until" => return Err(format!("{argument} has no value")),
            _ => return Err(format!("preflight has no option \"{argument}\"; see preflight --help")),
        }
    }
    let url = url.ok_or("preflight needs the http or https URL of a link")?;
    Ok(Order { url, carries, until, redirects, allowed })
}

/// The database that the findings are recorded in, if one is named.
pub fn database(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Option<tokio_postgres::Config>, String> {
    let mut variables =
        variables.into_iter().filter(|(name, value)| name == "POSTBACK_DATABASE_URL" && !value.is_empty());
    match variables.next() {
        Some(variable) => config::read_database([variable]).map(Some).map_err(|problems| problems.join("\n")),
        None => Ok(None),
    }
}

/// One request of the chain.
struct Hop {
    url: Url,
    /// The status, or why there was none.
    outcome: Result<u16, String>,
    /// The parameter (or the part of the URL) that held the click id when the hop was asked.
    carried_by: Option<String>,
}

/// What was found.
pub struct Findings {
    hops: Vec<Hop>,
    /// What ended the chain too early.
    broken: Option<String>,
    /// Where the click id went, if it did not stay.
    lost: Option<String>,
    redirects_limit: usize,
    /// Why `/` is no page.
    page_problem: Option<String>,
    recorded: Recorded,
}

/// What became of the findings in the database.
enum Recorded {
    NotAsked,
    Yes,
    NoLinkOfASend,
    Failed(String),
}

/// Follows the link, looks at the page, records both.
pub async fn run(order: &Order, database: Option<tokio_postgres::Config>) -> Result<Findings, String> {
    let client = Client::new().map_err(|error| error.to_string())?;
    let mut findings = follow(&client, order).await;
    findings.page_problem = page_problem(&client, order).await;
    if let Some(database) = database {
        // Whatever the database says, what was found is worth to be read.
        findings.recorded = match record(order, &findings, database).await {
            Ok(true) => Recorded::Yes,
            Ok(false) => Recorded::NoLinkOfASend,
            Err(problem) => Recorded::Failed(problem),
        };
    }
    Ok(findings)
}

async fn follow(client: &Client, order: &Order) -> Findings {
    let mut carried = order.carries.clone().or_else(|| click_id_in(&order.url));
    let mut findings = Findings {
        hops: Vec::new(),
        broken: None,
        lost: None,
        redirects_limit: order.redirects,
        page_problem: None,
        recorded: Recorded::NotAsked,
    };
    let mut next = order.url.clone();
    // The link itself is not asked to carry what it makes; an id that the URL brings along has to stay.
    let mut was_carried = false;
    let mut has_arrived = false;
    loop {
        let url = next;
        let found = carried.as_deref().and_then(|id| place_of(&url, id));
        if let (Some(id), false, None, None) = (carried.as_deref(), has_arrived, &found, &findings.lost)
            && !findings.hops.is_empty()
        {
            let from = findings.hops.last().map(|hop| host_of(&hop.url)).unwrap_or_default();
            let number = findings.hops.len();
            let (to, how) = (host_of(&url), damage(&url, id));
            findings.lost = Some(format!("lost between hop {number} ({from}) and hop {} ({to}): {how}", number + 1));
        }
        was_carried |= found.is_some();
        has_arrived |= found.is_some() && order.until.as_deref().is_some_and(|until| url.host_str() == Some(until));
        let answer = client.send(&request(&url, order)).await;
        let outcome = answer.as_ref().map(|answer| answer.status).map_err(ToString::to_string);
        findings.hops.push(Hop { url: url.clone(), outcome, carried_by: found });
        let location = match answer {
            Ok(answer) if matches!(answer.status, 301 | 302 | 303 | 307 | 308) => answer.location,
            Ok(answer) if answer.status < 300 => break,
            Ok(answer) => {
                findings.broken = Some(format!("hop {} answered {}", findings.hops.len(), answer.status));
                break;
            }
            Err(error) => {
                findings.broken = Some(format!("hop {}: {error}", findings.hops.len()));
                break;
            }
        };
        let Some(location) = location.and_then(|location| url.join(&location).ok()) else {
            findings.broken = Some(format!("hop {} redirects to nowhere that can be read", findings.hops.len()));
            break;
        };
        if findings.hops.len() > MOST_HOPS {
            findings.broken = Some(format!("given up after {MOST_HOPS} redirects: the chain may be a circle"));
            break;
        }
        if carried.is_none() {
            carried = click_id_in(&location);
        }
        next = location;
    }
    if findings.lost.is_none() && !was_carried {
        findings.lost = Some("no hop carries a click id".to_owned());
    } else if let (None, Some(until), false) = (&findings.lost, &order.until, has_arrived) {
        findings.lost = Some(format!("the chain does not come to {until}"));
    }
    findings
}

/// Why `/` of the link's domain is no page that people can read, if it is none.
async fn page_problem(client: &Client, order: &Order) -> Option<String> {
    let mut root = order.url.clone();
    root.set_path("/");
    root.set_query(None);
    root.set_fragment(None);
    match client.send(&request(&root, order)).await {
        Ok(answer) if answer.status == 200 && answer.excerpt.is_empty() => Some("it is empty".to_owned()),
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!("it answered {}", answer.status)),
        Err(error) => Some(error.to_string()),
    }
}

fn request(url: &Url, order: &Order) -> Delivery {
    let headers =
        [("User-Agent", USER_AGENT), ("Accept", "text/html,*/*"), ("Sec-Purpose", "prefetch"), ("Purpose", "prefetch")];
    Delivery {
        id: String::new(),
        destination_id: 0,
        url: url.to_string(),
        method: "GET".to_owned(),
        content_type: None,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        body: None,
        timeout: HOP_TIMEOUT,
        allowed: order.allowed.clone(),
    }
}

/// A click id of our own in a URL.
fn click_id_in(url: &Url) -> Option<String> {
    values(url).into_iter().map(|(_, value)| value).find(|value| ClickId::parse(value).is_some())
}

/// The parameters of a URL, decoded once, its path segments and its fragment.
fn values(url: &Url) -> Vec<(String, String)> {
    let parameters = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    let segments = url.path_segments().into_iter().flatten().map(|segment| ("its path".to_owned(), segment.to_owned()));
    let fragment = url.fragment().map(|fragment| ("its fragment".to_owned(), fragment.to_owned()));
    parameters.chain(segments).chain(fragment).collect()
}

/// What holds the click id, whole.
fn place_of(url: &Url, id: &str) -> Option<String> {
    values(url).into_iter().find(|(_, value)| value == id).map(|(name, _)| name)
}

/// What became of the click id instead.
fn damage(url: &Url, id: &str) -> String {
    for (name, value) in values(url) {
        let what = if value.eq_ignore_ascii_case(id) {
            "has it in another case".to_owned()
        } else if value.len() >= LEAST_PART && id.starts_with(&value) {
            format!("has its first {} of {} characters", value.len(), id.len())
        } else if decoded(&value) == id {
            "has it percent-encoded twice".to_owned()
        } else if value.contains(id) {
            "has it inside something longer".to_owned()
        } else {
            continue;
        };
        return format!("{name} {what}");
    }
    "it is not in the URL".to_owned()
}

fn decoded(value: &str) -> String {
    // The reading of one parameter is that of a query.
    let query = format!("v={value}");
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

impl Findings {
    fn redirects(&self) -> usize {
        self.hops.len().saturating_sub(1)
    }

    fn carries(&self) -> bool {
        self.lost.is_none() && self.broken.is_none()
    }

    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.carries() && self.redirects() <= self.redirects_limit && self.page_problem.is_none()
    }

    /// Why they are not in the database though they should be.
    pub fn record_problem(&self) -> Option<&str> {
        match &self.recorded {
            Recorded::Failed(problem) => Some(problem),
            _ => None,
        }
    }

    fn hops_json(&self) -> Value {
        let hop = |hop: &Hop| match &hop.outcome {
            Ok(status) => json!({"host": host_of(&hop.url), "status": status, "carried_by": hop.carried_by}),
            Err(problem) => json!({"host": host_of(&hop.url), "problem": problem, "carried_by": hop.carried_by}),
        };
        self.hops.iter().map(hop).collect()
    }
}

/// For the screen: no query, which may hold what is nobody's business.
impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, hop) in self.hops.iter().enumerate() {
            let outcome = hop.outcome.as_ref().map_or_else(Clone::clone, ToString::to_string);
            let carried = hop.carried_by.as_ref().map(|by| format!("  click id in {by}")).unwrap_or_default();
            let url = &hop.url[..url::Position::AfterPath];
            writeln!(formatter, "{:>4}  {outcome}  {url}{carried}", place + 1)?;
        }
        let mut line = |is_ok: bool, check: &str, evidence: &str| {
            writeln!(formatter, "{}  {check}: {evidence}", if is_ok { "ok  " } else { "FAIL" })
        };
        let lost = self.broken.as_deref().or(self.lost.as_deref());
        line(lost.is_none(), "click id", lost.unwrap_or("every hop carried it"))?;
        let redirects = format!("{}, at most {}", self.redirects(), self.redirects_limit);
        line(self.redirects() <= self.redirects_limit, "redirects", &redirects)?;
        let page = self.page_problem.as_deref();
        line(page.is_none(), "page at /", page.unwrap_or("there is one"))?;
        match self.recorded {
            Recorded::Yes => writeln!(formatter, "recorded: SELECT * FROM postback.preflight(…) shows it"),
            Recorded::NoLinkOfASend => writeln!(formatter, "not recorded: no send in this database has such a link"),
            Recorded::NotAsked | Recorded::Failed(_) => Ok(()),
        }
    }
}

/// Whether there was anything to record: links of sends are.
async fn record(order: &Order, findings: &Findings, database: tokio_postgres::Config) -> Result<bool, String> {
    let failed = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => format!("the findings cannot be recorded: {}", error.message()),
        None => format!("the findings cannot be recorded: {error}"),
    };
    let code = order.url.path_segments().into_iter().flatten().next_back().unwrap_or_default();
    let (redirects, limit) = (count(findings.redirects()), count(findings.redirects_limit));
    let lost = findings.broken.as_ref().or(findings.lost.as_ref());
    let hops = findings.hops_json().to_string();
    let (client, connection) = database.connect(NoTls).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let is_page = findings.page_problem.is_none();
    let row = client
        .query_one(RECORD, &[&code, &findings.is_ok(), &findings.carries(), &lost, &redirects, &limit, &is_page, &hops])
        .await
        .map_err(failed)?;
    drop(client);
    connection.await.map_err(|error| error.to_string())?.map_err(failed)?;
    Ok(row.get::<_, Option<i64>>(0).is_some())
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn click_id_is_found_wherever_it_is() {
        for (text, place) in [("?a=1&sub={}", "sub"), ("x/{}/y", "its path"), ("#{}", "its fragment")] {
            let text = format!("https://n.example/{}", text.replace("{}", ID));
            assert_eq!(click_id_in(&url(&text)).as_deref(), Some(ID), "{text}");
            assert_eq!(place_of(&url(&text), ID).as_deref(), Some(place), "{text}");
        }
        assert_eq!(click_id_in(&url("https://n.example/?sub=1")), None);
    }

    #[test]
    fn damage_is_named() {
        for (value, what) in [
            (&ID[..20], "s has its first 20 of 36 characters"),
            (&ID.to_uppercase(), "s has it in another case"),
            (&ID.replace('-', "%252D"), "s has it percent-encoded twice"),
            (&format!("x{ID}"), "s has it inside something longer"),
            ("other", "it is not in the URL"),
        ] {
            assert_eq!(damage(&url(&format!("https://n.example/?s={value}")), ID), what, "{value}");
        }
    }

    #[test]
    fn arguments_are_checked() {
        let read = |text: &str| read_arguments(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        let order =
            read("https://s.example/a --allow=127.0.0.0/8 --redirects 3 --until N.example --carries x").unwrap();
        assert_eq!((order.redirects, order.until.as_deref(), order.allowed.len()), (3, Some("n.example"), 1));
        for wrong in [
            "",
            "ftp://s.example/",
            "s.example/a",
            "https://a.example/ https://b.example/",
            "https://a.example/ --until",
            "https://a.example/ --redirects 21",
            "https://a.example/ --allow loopback",
            "https://a.example/ --speed 3",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
