//! The PROXY protocol, versions 1 and 2: what a load balancer says of a client before the client's own bytes.
//!
//! A listener requires it or does not know it: it is never guessed. The header is read to its last byte and not further, so that
//! the request behind it stays in the socket. Not for: who may send it, and how long that may take, see `server.rs`.

use ppp::{HeaderResult, v1, v2};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, by its specification.
const MAX_LINE: usize = 107;

/// The most that a header of version 2 may carry: addresses and what balancers add, a certificate's name at the longest.
const MAX_PAYLOAD: usize = 4096;

/// Reads the header. `None`: the balancer speaks for itself (a health check), or cannot name an address.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(SIGNATURE.len() + 4, 0);
        stream.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if length > MAX_PAYLOAD {
            return Err(ErrorKind::InvalidData.into());
        }
        header.resize(SIGNATURE.len() + 4 + length, 0);
        stream.read_exact(&mut header[SIGNATURE.len() + 4..]).await?;
    } else {
        if !header.starts_with(b"PROXY ") {
            return Err(ErrorKind::InvalidData.into());
        }
        while !header.ends_with(b"\r\n") {
            if header.len() == MAX_LINE {
                return Err(ErrorKind::InvalidData.into());
            }
            header.push(stream.read_u8().await?);
        }
    }
    client_in(&header).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// The client in a whole header; the outer `None` says that it is none.
#[expect(clippy::option_option, reason = "the outer one is about the header, the inner one about the client")]
fn client_in(header: &[u8]) -> Option<Option<IpAddr>> {
    let address = match HeaderResult::parse(header) {
        HeaderResult::V1(header) => match header.ok()?.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(addresses) => Some(IpAddr::V4(addresses.source_address)),
            v1::Addresses::Tcp6(addresses) => Some(IpAddr::V6(addresses.source_address)),
        },
        HeaderResult::V2(header) => {
            let header = header.ok()?;
            if header.tlvs().any(|value| value.is_err()) {
                return None;
            }
            match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => Some(IpAddr::V4(addresses.source_address)),
                (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => Some(IpAddr::V6(addresses.source_address)),
                _ => None,
            }
        }
    };
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a header says, and what is left in the stream behind it.
    async fn told(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
        let mut stream = bytes;
        let address = read(&mut stream).await.ok()?;
        Some((address.map_or("peer".to_owned(), |address| address.to_string()), stream.to_vec()))
    }

    fn version_2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, payload].concat()
    }

    const IPV4: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x34, 0, 80];

    #[tokio::test]
    async fn version_1_names_the_client_and_leaves_the_request() {
        for (line, client) in [
            ("PROXY TCP4 203.0.113.9 192.0.2.1 4660 80", "203.0.113.9"),
            ("PROXY TCP6 2001:db8::7 2001:db8::1 4660 80", "2001:db8::7"),
            ("PROXY UNKNOWN", "peer"),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2", "peer"),
        ] {
            let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n");
            assert_eq!(
                told(bytes.as_bytes()).await,
                Some((client.to_owned(), b"GET / HTTP/1.1\r\n".to_vec())),
                "{line}"
            );
        }
    }

    #[tokio::test]
    async fn version_2_names_the_client_and_leaves_the_request() {
        let with_value = [&IPV4[..], &[0x04, 0, 2, 1, 2]].concat();
        for (header, client) in [
            (version_2(1, 0x11, &IPV4), "203.0.113.9"),
            (version_2(1, 0x11, &with_value), "203.0.113.9"),
            (version_2(0, 0x00, &[]), "peer"),
            (version_2(0, 0x11, &IPV4), "peer"),
            (version_2(1, 0x31, &[0; 216]), "peer"),
        ] {
            assert_eq!(told(&[&header[..], b"GET"].concat()).await, Some((client.to_owned(), b"GET".to_vec())));
        }
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        let value_too_long = [&IPV4[..], &[0x04, 0, 9, 1]].concat();
        let long_line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for bytes in [
            &b""[..],
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 4660\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.1 4660 80\r\n",
            b"PROXY TCP4 010.0.0.1 192.0.2.1 4660 80\r\n",
            b"proxy TCP4 203.0.113.9 192.0.2.1 4660 80\r\n",
            long_line.as_bytes(),
            &version_2(1, 0x11, &IPV4)[..20],
            &version_2(1, 0x11, &IPV4[..8]),
            &version_2(2, 0x11, &IPV4),
            &version_2(1, 0x11, &value_too_long),
            &version_2(1, 0x11, &[0; MAX_PAYLOAD + 1]),
        ] {
            assert_eq!(told(bytes).await, None, "{:?}", bytes.escape_ascii().to_string());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(version in 0..3u8, noise: Vec<u8>) {
            let bytes = match version {
                0 => noise,
                1 => [b"PROXY TCP4 ".as_slice(), &noise].concat(),
                _ => version_2(1, 0x11, &noise[..noise.len().min(600)]),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(told(&bytes));
        }
    }
}
