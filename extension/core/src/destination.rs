//! Where deliveries may be sent: the rules for a destination's URL that need no look into DNS.
//!
//! The host is read as browsers and HTTP clients read it (WHATWG), so that no spelling of an address slips through. Not
//! for: the addresses that a name resolves to, which are checked when it is connected to.

use crate::delivery::MACROS;
use crate::public_address;
use crate::url_template::{TemplateError, UrlTemplate};
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// Names that only an inside network resolves.
const INTERNAL_SUFFIXES: &[&str] =
    &["localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa"];

/// Ports on which something else than HTTP listens: those that the Fetch standard blocks, and databases.
const REFUSED_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376,
    2379, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5433, 6000, 6379, 6432, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 9042, 9200, 9300, 10080, 10250, 11211, 27017,
];

/// Why the URL of a destination was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationError {
    /// It is not a safe template.
    Template(TemplateError),
    /// It has a fragment, which no HTTP client sends.
    Fragment,
    /// Its port belongs to another protocol.
    Port(u16),
    /// Its host ends in a dot.
    TrailingDot,
}

impl fmt::Display for DestinationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DestinationError::Template(error) => error.fmt(formatter),
            DestinationError::Fragment => formatter.write_str("the URL has a fragment, which is never sent"),
            DestinationError::Port(port) => {
                write!(formatter, "the port \"{port}\" belongs to another protocol than HTTP")
            }
            DestinationError::TrailingDot => formatter.write_str("the host ends in a dot"),
        }
    }
}

impl std::error::Error for DestinationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DestinationError::Template(error) => Some(error),
            _ => None,
        }
    }
}

impl From<TemplateError> for DestinationError {
    fn from(error: TemplateError) -> Self {
        DestinationError::Template(error)
    }
}

/// What a URL says about where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address, when the host is one in any spelling.
    pub address: Option<IpAddr>,
    /// What makes it a target that only an exception allows, such as `loopback`.
    pub refusal: Option<&'static str>,
}

/// Checks the URL template of a destination and says where it leads.
pub fn check_url(text: &str) -> Result<Target, DestinationError> {
    let template = UrlTemplate::parse(text, MACROS)?;
    let url = Url::parse(&template.render(|_| Some("0"))).map_err(|_| TemplateError::BadHost)?;
    if url.fragment().is_some() {
        return Err(DestinationError::Fragment);
    }
    if let Some(port) = url.port().filter(|port| REFUSED_PORTS.contains(port)) {
        return Err(DestinationError::Port(port));
    }
    let address = match url.host().ok_or(TemplateError::BadHost)? {
        Host::Domain(name) if name.ends_with('.') => return Err(DestinationError::TrailingDot),
        Host::Domain(name) => {
            return Ok(Target { address: None, refusal: is_internal(name).then_some("a name of an inside network") });
        }
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address),
    };
    Ok(Target { address: Some(address), refusal: public_address::refusal(address) })
}

/// The URL parser has put the name into lower case.
fn is_internal(name: &str) -> bool {
    !name.contains('.')
        || INTERNAL_SUFFIXES
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

#[cfg(test)]
mod tests;
