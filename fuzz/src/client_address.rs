//! The client of a request is found as a second, slower reader finds it.
//!
//! Input: the peer, then one line per X-Forwarded-For header.

use crate::lines;
use hyper::header::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use postback_proxy::client_address::{client_address, parse_network};
use std::net::{IpAddr, SocketAddr};

pub fn check(data: &[u8]) {
    let (peer, lines) = lines(data);
    if let Some(network) = parse_network(&peer) {
        assert_eq!(parse_network(&network.to_string()), Some(network));
    }
    let peer: IpAddr = peer.parse().unwrap_or(IpAddr::from([10, 0, 0, 1]));
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", line);
        }
    }
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:1::/48"].into_iter().filter_map(parse_network).collect();
    assert_eq!(trusted.len(), 2);
    let client = client_address(peer, &headers, &trusted);
    assert_eq!(client, slowly(peer, &headers, &trusted));
    assert_eq!(client, client.to_canonical());
    // Nobody but a trusted peer can name another address.
    assert_eq!(client_address(peer, &headers, &[]), peer.to_canonical());
    // What the client itself writes further left changes nothing, once an untrusted hop is found.
    if !is_in(client, &trusted) {
        let mut forged = HeaderMap::new();
        forged.append("x-forwarded-for", HeaderValue::from_static("198.51.100.77, 10.0.0.9"));
        for line in headers.get_all("x-forwarded-for") {
            forged.append("x-forwarded-for", line.clone());
        }
        assert_eq!(client_address(peer, &forged, &trusted), client);
    }
}

fn is_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn slowly(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let lines: Vec<String> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    let mut client = peer.to_canonical();
    if lines.is_empty() {
        return client;
    }
    for hop in lines.join(",").split(',').rev() {
        let hop = hop.trim_matches([' ', '\t']);
        let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).filter(|hop| hop.contains(':'));
        let named =
            bare.unwrap_or(hop).parse::<IpAddr>().or_else(|_| hop.parse().map(|address: SocketAddr| address.ip()));
        match named {
            Ok(address) if is_in(client, trusted) => client = address.to_canonical(),
            _ => break,
        }
    }
    client
}
