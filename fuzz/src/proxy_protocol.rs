//! A PROXY header is read to its last byte and no further, however its bytes arrive; what a balancer writes is what is read.

use postback_proxy::proxy_protocol::read;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub fn check(data: &[u8]) {
    let whole = told(data);
    let mut trickle = Trickle(data);
    let trickled = now(read(&mut trickle));
    match (&whole, &trickled) {
        (Ok((address, left)), Ok(other)) => assert_eq!((address, *left), (other, trickle.0)),
        (whole, trickled) => assert_eq!(whole.is_err(), trickled.is_err()),
    }
    if let Ok((address, left)) = whole {
        let header = &data[..data.len() - left.len()];
        assert!(header.starts_with(SIGNATURE) || (header.starts_with(b"PROXY ") && header.ends_with(b"\r\n")));
        assert!(header.len() <= 16 + 4096);
        // No header is the beginning of another one.
        assert!((0..header.len()).all(|length| told(&header[..length]).is_err()));
        assert!(matches!(told(header), Ok((same, [])) if same == address));
    }
    if let Some((address, rest)) = data.split_first_chunk::<16>() {
        written(Ipv6Addr::from(*address), rest);
    }
}

/// Both versions, for the address in these bytes.
fn written(address: Ipv6Addr, request: &[u8]) {
    let octets = address.octets();
    let short = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]);
    let port = u16::from_be_bytes([octets[4], octets[5]]);
    let line = format!("PROXY TCP4 {short} 192.0.2.1 {port} 80\r\n");
    says(&[line.as_bytes(), request].concat(), (Some(IpAddr::V4(short)), request));
    let line = format!("PROXY TCP6 {address} 2001:db8::1 {port} 80\r\n");
    says(&[line.as_bytes(), request].concat(), (Some(IpAddr::V6(address)), request));
    let header = [SIGNATURE, &[0x21, 0x11, 0, 12], &short.octets(), &[192, 0, 2, 1, 0, 1, 0, 80], request].concat();
    says(&header, (Some(IpAddr::V4(short)), request));
    let header = [SIGNATURE, &[0x21, 0x21, 0, 36], &octets, &[0; 20], request].concat();
    says(&header, (Some(IpAddr::V6(address)), request));
}

fn says(bytes: &[u8], expected: (Option<IpAddr>, &[u8])) {
    assert!(matches!(told(bytes), Ok(found) if found == expected));
}

/// What a header says, and what is left in the stream behind it.
fn told(mut bytes: &[u8]) -> io::Result<(Option<IpAddr>, &[u8])> {
    let address = now(read(&mut bytes))?;
    Ok((address, bytes))
}

/// Reading from memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a read from memory waits"),
    }
}

/// A stream that gives a byte at a time.
struct Trickle<'a>(&'a [u8]);

impl AsyncRead for Trickle<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some((&byte, rest)) = self.0.split_first() {
            buffer.put_slice(&[byte]);
            self.0 = rest;
        }
        Poll::Ready(Ok(()))
    }
}
