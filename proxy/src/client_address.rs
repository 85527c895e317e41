//! Who sent a request: the TCP peer, or what X-Forwarded-For says as far as trusted proxies vouch for it.
//!
//! The header is walked from the right, because each proxy appends the peer it saw: an element counts only when the
//! hop to its right is trusted. Everything further left is written by the client. The walk stops at the first element
//! that is not an address and keeps the last hop that was vouched for. No other header is read.

use hyper::header::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address a request is recorded under; IPv4 in IPv6 clothing is plain IPv4.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if trusted.is_empty() {
        return client;
    }
    for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        for element in line.as_bytes().rsplit(|&byte| byte == b',') {
            if !is_trusted(client, trusted) {
                return client;
            }
            match parse_hop(element) {
                Some(hop) => client = hop,
                None => return client,
            }
        }
    }
    client
}

/// An address or CIDR of the configuration; IPv4-mapped ones are turned into IPv4.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    match network {
        IpNet::V6(v6) => match (v6.addr().to_canonical(), v6.prefix_len().checked_sub(96)) {
            (IpAddr::V4(address), Some(length)) => Ipv4Net::new(address, length).ok().map(IpNet::V4),
            _ => Some(network),
        },
        IpNet::V4(_) => Some(network),
    }
}

pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// One element: an address, or an address with a port as some proxies write it.
fn parse_hop(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?.trim_matches([' ', '\t']);
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| bracketed(text).map(IpAddr::V6))?;
    Some(address.to_canonical())
}

fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    /// The client seen through proxies in 10.0.0.0/8 and `2001:db8:1::/48`.
    fn seen(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].map(|text| parse_network(text).unwrap());
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn header_from_an_untrusted_peer_is_ignored() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("::ffff:203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn rightmost_element_counts_behind_one_trusted_hop() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn trusted_hops_are_walked_through_over_all_lines() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1", "203.0.113.9, 10.2.0.1", "10.3.0.1"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["2001:db8:2::7, 2001:db8:1::1"]), "2001:db8:2::7");
        assert_eq!(seen("10.0.0.1", &["10.0.0.3,10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn walk_stops_at_what_is_not_an_address() {
        for bad in ["unknown", "_hid", "", "010.0.0.1", "0x0a000001", "1.2.3", "a\u{e9}", "fe80::1%eth0", "1.2.3.4:x"] {
            assert_eq!(seen("10.0.0.1", &[&format!("198.51.100.1, {bad}")]), "10.0.0.1", "{bad}");
            assert_eq!(seen("10.0.0.1", &[&format!("198.51.100.1, {bad}, 10.0.0.2")]), "10.0.0.2", "{bad}");
        }
    }

    #[test]
    fn ports_and_brackets_are_understood() {
        assert_eq!(seen("10.0.0.1", &["1.2.3.4:80"]), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::5]"]), "2001:db8::5");
        assert_eq!(seen("10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn thousand_hops_are_no_problem() {
        let line = vec!["10.0.0.7"; 1000].join(",");
        assert_eq!(seen("10.0.0.1", &[&format!("203.0.113.9,{line}")]), "203.0.113.9");
    }

    #[test]
    fn forwarded_header_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert("forwarded", HeaderValue::from_static("for=\"[2001:db8::1]\""));
        let trusted = [parse_network("10.0.0.1").unwrap()];
        assert_eq!(client_address("10.0.0.1".parse().unwrap(), &headers, &trusted).to_string(), "10.0.0.1");
    }

    #[test]
    fn networks_are_read_strictly() {
        assert_eq!(parse_network("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse_network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        for bad in ["", "10.0.0.0/33", "010.0.0.1", "10.0.0", "0x0a000001", "localhost"] {
            assert!(parse_network(bad).is_none(), "{bad}");
        }
    }
}
