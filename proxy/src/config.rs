//! The settings: every `POSTBACK_*` variable, read once, all problems reported together before anything is bound.
//!
//! [`HELP`] is the whole list. A variable that is not in it is a problem too: a typo must not silently mean the
//! default. Not for: opening files or sockets, except the page file, whose absence is a problem like any other.

use crate::client_address::parse_network;
use crate::countries::Countries;
use hyper::header::HeaderValue;
use ipnet::IpNet;
use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tracing::Level;

/// What `--help` prints: every variable, its meaning and its default.
pub const HELP: &str = "\
postback-proxy turns taps and postbacks into calls of the postback extension.

Usage: postback-proxy [--help | --version]
       postback-proxy import-report FILE --network SLUG [OPTION VALUE]...    (import-report --help says more)
       postback-proxy preflight URL [OPTION VALUE]...    (preflight --help says more)

It is configured by environment variables:

  POSTBACK_DATABASE_URL          postgres URL or libpq keywords [required, unless POSTBACK_FIXED_REDIRECT]
  POSTBACK_LISTEN                address and port for taps and postbacks [127.0.0.1:8080]
  POSTBACK_ADMIN_LISTEN          address and port for health and metrics [127.0.0.1:9090]
  POSTBACK_TRUSTED_PROXIES       addresses and CIDRs whose X-Forwarded-For counts [none]
  POSTBACK_PROXY_PROTOCOL        on: every connection comes from a trusted proxy and begins with a PROXY header, version 1 or 2 [off]
  POSTBACK_MISSES_PER_MINUTE     taps of unknown links that a client may have a minute before further ones get 429; 0: any number [60]
  POSTBACK_CLICK_CONNECTIONS     database connections that record clicks [2]
  POSTBACK_POSTBACK_CONNECTIONS  database connections that take postbacks [2]
  POSTBACK_BATCH_LIMIT           requests in one database call, at most [256]
  POSTBACK_QUEUE_LIMIT           requests waiting for the database, at most [8192]
  POSTBACK_REQUEST_DEADLINE_MS   after so long a request is answered 503 [10000]
  POSTBACK_DELIVERIES            on or off: whether outbound postbacks are sent from here [on]
  POSTBACK_MAX_DELIVERIES        outbound postbacks under way at once [256]
  POSTBACK_SPOOL                 directory for what the database does not take in time [none: such requests get 503]
  POSTBACK_SPOOL_MAX_BYTES       requests in the spool, at most so many bytes [1073741824]
  POSTBACK_SPOOL_AFTER_MS        after so long without the database a request is spooled [1000]
  POSTBACK_ALLOW_UNSAFE          on: run although the database has fsync or synchronous_commit off [off]
  POSTBACK_DRAIN_SECONDS         time for open requests and deliveries after SIGTERM [20]
  POSTBACK_COUNTRIES_FILE        database in MaxMind's format that tells the country of an address [none: clicks have no country]
  POSTBACK_PAGE_FILE             HTML file for / [a built-in page]
  POSTBACK_BRAND                 name on the built-in page [Short links]
  POSTBACK_LOG                   error, warn, info or debug [info]
  POSTBACK_FIXED_REDIRECT        load tests only: every GET goes there, without a database [none]
";

/// Where libpq looks when no host is given; tokio-postgres has no such default.
const DEFAULT_SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// Variables of `make run` that reach the proxy's environment and mean nothing to it.
const OF_OTHERS: [&str; 1] = ["POSTBACK_PGPORT"];

/// Everything the proxy can be told.
pub struct Config {
    pub mode: Mode,
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub trusted_proxies: Vec<IpNet>,
    pub proxy_protocol: bool,
    pub misses_per_minute: u64,
    pub click_connections: usize,
    pub postback_connections: usize,
    pub batch_limit: usize,
    pub queue_limit: usize,
    pub request_deadline: Duration,
    pub spool: Option<PathBuf>,
    pub spool_max_bytes: u64,
    pub spool_after: Duration,
    pub allow_unsafe: bool,
    pub drain: Duration,
    /// How many outbound postbacks may be under way; none at all where they are sent from elsewhere.
    pub max_deliveries: Option<usize>,
    pub countries: Arc<Countries>,
    pub page_file: Option<PathBuf>,
    pub page: Option<Vec<u8>>,
    pub brand: String,
    pub log: Level,
}

/// What answers the requests.
pub enum Mode {
    /// The database with this address.
    Database(Box<tokio_postgres::Config>),
    /// Nothing: every GET is redirected there. For measuring the HTTP part alone.
    FixedRedirect(HeaderValue),
}

/// Reads the variables; on failure gives every problem, one sentence each.
pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, Vec<String>> {
    let mut reader = Reader::new(variables);
    let fixed_redirect = reader.take("POSTBACK_FIXED_REDIRECT");
    let database_url = reader.take("POSTBACK_DATABASE_URL");
    let mode = match (fixed_redirect, database_url) {
        (Some(target), _) => reader.fixed_redirect(&target),
        (None, Some(url)) => reader.database(&url),
        (None, None) => reader.problem("POSTBACK_DATABASE_URL is not set; give it a URL like postgres:///postback"),
    };
    let listen = reader.parsed("POSTBACK_LISTEN", "an address and port like 127.0.0.1:8080");
    let admin_listen = reader.parsed("POSTBACK_ADMIN_LISTEN", "an address and port like 127.0.0.1:9090");
    let trusted_proxies = reader.networks("POSTBACK_TRUSTED_PROXIES");
    let page_file = reader.take("POSTBACK_PAGE_FILE").map(PathBuf::from);
    let page = page_file.as_ref().and_then(|path| match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => reader.problem(format!("POSTBACK_PAGE_FILE \"{}\" cannot be read: {error}", path.display())),
    });
    let countries = reader.take("POSTBACK_COUNTRIES_FILE").and_then(|path| match Countries::open(path.as_ref()) {
        Ok(countries) => Some(countries),
        Err(error) => reader.problem(format!("POSTBACK_COUNTRIES_FILE \"{path}\" cannot be read: {error}")),
    });
    let config = Config {
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
        admin_listen: admin_listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9090))),
        trusted_proxies,
        proxy_protocol: reader.switch("POSTBACK_PROXY_PROTOCOL"),
        misses_per_minute: reader.number("POSTBACK_MISSES_PER_MINUTE", 60, 0, 60_000),
        click_connections: reader.number("POSTBACK_CLICK_CONNECTIONS", 2, 1, 1000) as usize,
        postback_connections: reader.number("POSTBACK_POSTBACK_CONNECTIONS", 2, 1, 1000) as usize,
        batch_limit: reader.number("POSTBACK_BATCH_LIMIT", 256, 1, 10_000) as usize,
        queue_limit: reader.number("POSTBACK_QUEUE_LIMIT", 8192, 1, 1_000_000) as usize,
        request_deadline: Duration::from_millis(reader.number("POSTBACK_REQUEST_DEADLINE_MS", 10_000, 100, 600_000)),
        spool: reader.take("POSTBACK_SPOOL").map(PathBuf::from),
        spool_max_bytes: reader.number("POSTBACK_SPOOL_MAX_BYTES", 1 << 30, 1 << 20, 1 << 44),
        spool_after: Duration::from_millis(reader.number("POSTBACK_SPOOL_AFTER_MS", 1000, 50, 60_000)),
        allow_unsafe: reader.switch("POSTBACK_ALLOW_UNSAFE"),
        drain: Duration::from_secs(reader.number("POSTBACK_DRAIN_SECONDS", 20, 0, 3600)),
        max_deliveries: reader.max_deliveries(),
        countries: Arc::new(countries.unwrap_or_default()),
        page_file,
        page,
        brand: reader.take("POSTBACK_BRAND").unwrap_or_else(|| "Short links".to_owned()),
        log: reader.level("POSTBACK_LOG"),
        mode: mode.unwrap_or(Mode::FixedRedirect(HeaderValue::from_static("/"))),
    };
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        reader
            .problem::<()>("POSTBACK_LISTEN and POSTBACK_ADMIN_LISTEN are the same address; give them different ports");
    }
    if config.spool.is_some() && config.spool_after >= config.request_deadline {
        reader.problem::<()>(
            "POSTBACK_SPOOL_AFTER_MS is not below POSTBACK_REQUEST_DEADLINE_MS: clients would hear 503 of what is recorded",
        );
    }
    if config.proxy_protocol && config.trusted_proxies.is_empty() {
        reader.problem::<()>(
            "POSTBACK_PROXY_PROTOCOL is on, but POSTBACK_TRUSTED_PROXIES names nobody who may send the header",
        );
    }
    reader.finish(config)
}

/// The database alone, for commands that serve nothing; the other variables are nothing to them.
pub fn read_database(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<tokio_postgres::Config, Vec<String>> {
    let url = variables.into_iter().filter(|(name, _)| name == "POSTBACK_DATABASE_URL");
    let mut reader = Reader::new(url);
    let mode = match reader.take("POSTBACK_DATABASE_URL") {
        Some(url) => reader.database(&url),
        None => reader.problem("POSTBACK_DATABASE_URL is not set; give it a URL like postgres:///postback"),
    };
    match mode {
        Some(Mode::Database(database)) => Ok(*database),
        _ => Err(reader.problems),
    }
}

/// The variables not read yet, and the problems found so far.
struct Reader {
    left: Vec<(String, String)>,
    problems: Vec<String>,
}

impl Reader {
    fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut reader = Reader { left: Vec::new(), problems: Vec::new() };
        for (name, value) in variables {
            let name = name.to_string_lossy();
            if !name.starts_with("POSTBACK_") || OF_OTHERS.contains(&name.as_ref()) {
                continue;
            }
            match value.into_string() {
                Ok(value) => reader.left.push((name.into_owned(), value)),
                Err(_) => {
                    reader.problems.push(format!("{name} is not UTF-8"));
                }
            }
        }
        reader
    }

    /// Always `None`, so that a failed reading is one expression.
    fn problem<T>(&mut self, problem: impl Into<String>) -> Option<T> {
        self.problems.push(problem.into());
        None
    }

    /// An empty variable is how compose files and shells write "not set".
    fn take(&mut self, name: &str) -> Option<String> {
        let position = self.left.iter().position(|(left, _)| left == name)?;
        let (_, value) = self.left.swap_remove(position);
        (!value.is_empty()).then_some(value)
    }

    fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let value = self.take(name)?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(_) => self.problem(format!("{name} \"{value}\" is not {wanted}")),
        }
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(value) = self.take(name) else {
            return default;
        };
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.problems.push(format!("{name} \"{value}\" is not a whole number from {least} to {most}"));
                default
            }
        }
    }

    fn max_deliveries(&mut self) -> Option<usize> {
        let most = self.number("POSTBACK_MAX_DELIVERIES", 256, 1, 10_000) as usize;
        match self.take("POSTBACK_DELIVERIES").as_deref() {
            None | Some("on") => Some(most),
            Some("off") => None,
            Some(other) => self.problem(format!("POSTBACK_DELIVERIES \"{other}\" is not one of on, off")),
        }
    }

    fn switch(&mut self, name: &str) -> bool {
        match self.take(name).as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(other) => {
                self.problems.push(format!("{name} \"{other}\" is neither on nor off"));
                false
            }
        }
    }

    fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let value = self.take(name).unwrap_or_default();
        let mut networks = Vec::new();
        for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match parse_network(part) {
                Some(network) => networks.push(network),
                None => self.problems.push(format!("{name} contains \"{part}\", which is not an address or a CIDR")),
            }
        }
        networks
    }

    fn level(&mut self, name: &str) -> Level {
        let value = self.take(name);
        match value.as_deref() {
            None | Some("info") => Level::INFO,
            Some("error") => Level::ERROR,
            Some("warn") => Level::WARN,
            Some("debug") => Level::DEBUG,
            Some(other) => {
                self.problems.push(format!("{name} \"{other}\" is not one of error, warn, info, debug"));
                Level::INFO
            }
        }
    }

    fn fixed_redirect(&mut self, target: &str) -> Option<Mode> {
        let absolute = target.starts_with("http://") || target.starts_with("https://");
        match HeaderValue::from_str(target) {
            Ok(value) if absolute => Some(Mode::FixedRedirect(value)),
            _ => self.problem("POSTBACK_FIXED_REDIRECT is not an http or https URL"),
        }
    }

    /// Says nothing of the value: a connection string that cannot be read may have its password anywhere.
    fn database(&mut self, url: &str) -> Option<Mode> {
        let Ok(mut config) = url.parse::<tokio_postgres::Config>() else {
            return self.problem(
                "POSTBACK_DATABASE_URL is not a connection string; write postgres://user:password@host:port/database, \
                 or libpq keywords like \"host=/run/postgresql dbname=postback\"",
            );
        };
        if config.get_ssl_mode() == SslMode::Require {
            return self.problem(
                "POSTBACK_DATABASE_URL asks for sslmode=require, which this build cannot do; \
                 use a unix socket, a private network or a TLS tunnel",
            );
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(DEFAULT_SOCKET_DIRECTORY);
        }
        // Taps are written: a read-only standby in a list of hosts is passed over.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(3));
        }
        if config.get_application_name().is_none() {
            config.application_name("postback-proxy");
        }
        Some(Mode::Database(Box::new(config)))
    }

    fn finish<T>(mut self, config: T) -> Result<T, Vec<String>> {
        let unknown = self.left.iter().map(|(name, _)| unknown_variable(name));
        self.problems.extend(unknown);
        if self.problems.is_empty() { Ok(config) } else { Err(self.problems) }
    }
}

fn unknown_variable(name: impl Display) -> String {
    format!("{name} is not a setting of postback-proxy; see --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        read(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
        read_pairs(pairs).err().unwrap_or_default()
    }

    #[test]
    fn database_url_alone_is_enough() {
        let config = read_pairs(&[("POSTBACK_DATABASE_URL", "postgres:///postback"), ("HOME", "/root")]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.batch_limit, 256);
        assert_eq!(config.max_deliveries, Some(256));
        let Mode::Database(database) = config.mode else { panic!("no database") };
        assert_eq!(database.get_hosts().len(), 1);
        assert_eq!(database.get_dbname(), Some("postback"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let found = problems(&[
            ("POSTBACK_LISTEN", "8080"),
            ("POSTBACK_TRUSTED_PROXIES", "10.0.0.0/8, 010.0.0.1, 0x0a000001"),
            ("POSTBACK_BATCH_LIMIT", "0"),
            ("POSTBACK_LOG", "loud"),
            ("POSTBACK_DELIVERIES", "maybe"),
            ("POSTBACK_MAX_DELIVERIES", "0"),
            ("POSTBACK_LISTNE", "127.0.0.1:80"),
            ("POSTBACK_PAGE_FILE", "/nonexistent/page.html"),
            ("POSTBACK_COUNTRIES_FILE", "/nonexistent/countries.mmdb"),
        ]);
        assert_eq!(found.len(), 11, "{found:#?}");
        assert!(found.iter().any(|problem| problem.contains("\"010.0.0.1\"")));
        assert!(found.iter().any(|problem| problem.starts_with("POSTBACK_LISTNE ")));
    }

    #[test]
    fn password_is_never_repeated() {
        for url in [
            "postgres://u:hunter2@host:port/db",
            "password=hunter2 hunter2",
            "postgres://u:hunter2@h/d?sslmode=require",
        ] {
            let found = problems(&[("POSTBACK_DATABASE_URL", url)]);
            assert_eq!(found.len(), 1);
            assert!(!found[0].contains("hunter2"), "{}", found[0]);
        }
    }

    #[test]
    fn deliveries_can_be_left_to_others() {
        let url = ("POSTBACK_DATABASE_URL", "postgres:///postback");
        let pairs = [url, ("POSTBACK_DELIVERIES", "off"), ("POSTBACK_MAX_DELIVERIES", "8")];
        assert_eq!(read_pairs(&pairs).unwrap().max_deliveries, None);
    }

    #[test]
    fn same_address_twice_is_refused() {
        let url = ("POSTBACK_DATABASE_URL", "postgres:///postback");
        assert_eq!(problems(&[url, ("POSTBACK_ADMIN_LISTEN", "127.0.0.1:8080")]).len(), 1);
    }

    #[test]
    fn variables_of_make_run_are_let_through() {
        let url = ("POSTBACK_DATABASE_URL", "postgres:///postback");
        assert!(read_pairs(&[url, ("POSTBACK_PGPORT", "28815"), ("POSTBACK_BRAND", "")]).is_ok());
    }

    #[test]
    fn fixed_redirect_needs_no_database_and_a_web_address() {
        assert!(read_pairs(&[("POSTBACK_FIXED_REDIRECT", "https://example.com/")]).is_ok());
        assert_eq!(problems(&[("POSTBACK_FIXED_REDIRECT", "javascript:alert(1)")]).len(), 1);
    }

    #[test]
    fn requests_are_spooled_before_their_clients_give_up() {
        let database = ("POSTBACK_DATABASE_URL", "postgres:///postback");
        let deadline = ("POSTBACK_REQUEST_DEADLINE_MS", "1000");
        let spool = ("POSTBACK_SPOOL", "/var/lib/postback");
        assert!(problems(&[database, deadline]).is_empty());
        assert_eq!(problems(&[database, deadline, spool]).len(), 1);
        assert!(problems(&[database, deadline, spool, ("POSTBACK_SPOOL_AFTER_MS", "999")]).is_empty());
    }
}
