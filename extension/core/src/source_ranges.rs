//! Source addresses as networks list them (`192.0.2.0-255`, `192.0.2.7-192.0.2.20`, `2001:db8::/32`), as CIDRs.
//!
//! Strict, because what is read too widely lets strangers in: no leading zeros (octal to some), no hexadecimal IPv4, no
//! host bits, no reversed ranges. IPv4-mapped IPv6 is IPv4. Not for: deciding whether an address is inside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a source is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// Neither an address, nor a range, nor a network.
    NotASource,
    /// What follows the `/` is not a length that the address can have.
    BadLength,
    /// The address of a network has bits set behind its length.
    HostBits,
    /// A range ends before it begins.
    Reversed,
    /// A range begins in one address family and ends in the other.
    MixedFamilies,
}

impl fmt::Display for SourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SourceError::NotASource => {
                "is not an address, a range or a network in plain notation without leading zeros"
            }
            SourceError::BadLength => "does not have a legal length after its slash",
            SourceError::HostBits => "has host bits set: the address is not the first one of its network",
            SourceError::Reversed => "ends before it begins",
            SourceError::MixedFamilies => "begins as IPv4 and ends as IPv6 or the other way round",
        })
    }
}

impl std::error::Error for SourceError {}

/// The fewest networks, as `address/length`, that hold exactly the addresses of a source.
pub fn cidrs(source: &str) -> Result<Vec<String>, SourceError> {
    if let Some((address, length)) = source.split_once('/') {
        return network(address, length).map(|cidr| vec![cidr]);
    }
    let (first, last) = match source.split_once('-') {
        None => (address(source)?, address(source)?),
        Some((first, last)) => {
            let first = address(first)?;
            (first, end_of_range(first, last)?)
        }
    };
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => split(first.to_bits().into(), last.to_bits().into(), 32),
        (IpAddr::V6(first), IpAddr::V6(last)) => split(first.to_bits(), last.to_bits(), 128),
        _ => Err(SourceError::MixedFamilies),
    }
}

fn address(text: &str) -> Result<IpAddr, SourceError> {
    text.parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| SourceError::NotASource)
}

/// A whole address, or the last number of an IPv4 address.
fn end_of_range(first: IpAddr, text: &str) -> Result<IpAddr, SourceError> {
    let IpAddr::V4(first) = first else { return address(text) };
    match small_number(text) {
        Some(last) => {
            let [a, b, c, _] = first.octets();
            Ok(Ipv4Addr::new(a, b, c, last).into())
        }
        None => address(text),
    }
}

fn network(text: &str, length: &str) -> Result<String, SourceError> {
    let written: IpAddr = text.parse().map_err(|_| SourceError::NotASource)?;
    let length = small_number(length).ok_or(SourceError::BadLength)?;
    let (bits, width): (u128, u32) = match written {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let host_bits = width.checked_sub(length.into()).ok_or(SourceError::BadLength)?;
    if bits & low_bits(host_bits) != 0 {
        return Err(SourceError::HostBits);
    }
    // ::ffff:0:0/96 ends in set bits, so a mapped address got here with 96 or more.
    Ok(match written.to_canonical() {
        IpAddr::V4(address) => format!("{address}/{}", 32 - host_bits),
        IpAddr::V6(address) => format!("{address}/{length}"),
    })
}

/// 0 to 255, without a sign or leading zeros.
fn small_number(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn split(mut first: u128, last: u128, width: u32) -> Result<Vec<String>, SourceError> {
    if first > last {
        return Err(SourceError::Reversed);
    }
    let mut networks = Vec::new();
    loop {
        // The largest network that begins here and ends in the range.
        let mut host_bits = first.trailing_zeros().min(width);
        while low_bits(host_bits) > last - first {
            host_bits -= 1;
        }
        let address = match width {
            32 => IpAddr::V4(Ipv4Addr::from_bits(first as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        networks.push(format!("{address}/{}", width - host_bits));
        let end = first + low_bits(host_bits);
        if end == last {
            return Ok(networks);
        }
        first = end + 1;
    }
}

fn low_bits(count: u32) -> u128 {
    u128::MAX.checked_shr(128 - count).unwrap_or(0)
}

#[cfg(test)]
mod tests;
