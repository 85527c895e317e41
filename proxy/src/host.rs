//! The Host header, as RFC 9112 §3.2 wants it checked: hyper leaves that to the application.
//!
//! Missing (on HTTP/1.1), repeated, empty or malformed is refused, because two programs that read such a request
//! differently are how requests get smuggled. Not for: choosing a domain; no answer depends on the value.

use hyper::Version;
use hyper::header::{HOST, HeaderMap};
use std::net::Ipv6Addr;

/// Whether a request may be answered at all.
pub fn is_acceptable(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host_and_port(host.as_bytes()),
        (None, _) => version != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// `host`, `host:port`, `[address]`, `[address]:port`. Commas, though legal in RFC 3986, are how proxies join two
/// Hosts: refused.
fn is_host_and_port(value: &[u8]) -> bool {
    if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let address = std::str::from_utf8(&value[1..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        return address.is_some() && is_port_part(&value[end + 1..]);
    }
    let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
    end > 0 && value[..end].iter().all(|&byte| is_host_byte(byte)) && is_port_part(&value[end..])
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b'%')
}

fn is_port_part(part: &[u8]) -> bool {
    match part {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn accepted(hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        is_acceptable(Version::HTTP_11, &headers)
    }

    #[test]
    fn hosts_of_real_clients_pass() {
        for host in
            ["s.example", "s.example:8080", "127.0.0.1:8080", "[::1]:8080", "[2001:db8::1]", "xn--bcher-kva.ch", "a_b:"]
        {
            assert!(accepted(&[host]), "{host}");
        }
    }

    #[test]
    fn malformed_hosts_are_refused() {
        for host in [
            "", " ", "a,b", "u@h", "h/p", "h?q", "h:80:80", "h:8x", "h:123456", ":80", "[::1", "[::g]", "[::1]x",
            "h\u{e9}", "a b",
        ] {
            assert!(!accepted(&[host]), "{host}");
        }
    }

    #[test]
    fn host_comes_exactly_once() {
        assert!(!accepted(&[]));
        assert!(!accepted(&["s.example", "s.example"]));
        assert!(!accepted(&["s.example", "other.example"]));
        assert!(is_acceptable(Version::HTTP_10, &HeaderMap::new()));
    }
}
