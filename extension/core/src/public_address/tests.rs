//! Each special network by its first and last address, and the public neighbours of both.

use super::{is_public, refusal};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn judged(text: &str) -> Option<&'static str> {
    refusal(text.parse().expect("an address"))
}

#[test]
fn special_networks_are_refused_to_their_last_address() {
    for (what, addresses) in [
        ("unspecified", "0.0.0.0 0.255.255.255 ::"),
        ("loopback", "127.0.0.1 127.255.255.255 ::1"),
        ("private", "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"),
        ("private", "fc00:: fd00:ec2::254 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0::1"),
        ("link-local", "169.254.0.0 169.254.169.254 169.254.255.255 fe80::1 febf::1"),
        ("shared by a carrier", "100.64.0.0 100.100.100.200 100.127.255.255"),
        ("metadata", "168.63.129.16"),
        ("multicast", "224.0.0.1 239.255.255.255 ff02::1"),
        ("broadcast", "255.255.255.255"),
        ("documentation", "192.0.2.1 198.51.100.255 203.0.113.0 2001:db8::1 3fff::1"),
        ("benchmarking", "198.18.0.0 198.19.255.255"),
        ("reserved", "192.0.0.192 240.0.0.0 255.255.255.254 2001:20::1 2001:1ff::1 100::1 4000::1 5f00::1 1fff::1"),
        ("a relay to IPv6", "192.88.99.1"),
    ] {
        for address in addresses.split(' ') {
            assert_eq!(judged(address), Some(what), "{address}");
        }
    }
}

#[test]
fn neighbours_of_special_networks_are_public() {
    for address in "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 \
        168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.255 192.167.255.255 \
        192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 203.0.114.0 223.255.255.255 8.8.8.8 2001:200:: 2001:4860:4860::8888 \
        2001:db7:: 2001:db9:: 2003:: 2606:4700::1111 2a00:: 3ffe::1 3fff:1000::"
        .split_ascii_whitespace()
    {
        assert_eq!(judged(address), None, "{address}");
    }
}

proptest! {
    #[test]
    fn an_address_that_carries_ipv4_is_refused_whatever_it_carries(bits: u32) {
        let [a, b, c, d] = Ipv4Addr::from_bits(bits).octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        for carrier in [
            Ipv4Addr::from_bits(bits).to_ipv6_mapped(),
            Ipv4Addr::from_bits(bits).to_ipv6_compatible(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, high, low),
        ] {
            prop_assert!(!is_public(IpAddr::V6(carrier)), "{carrier}");
        }
    }

    #[test]
    fn what_the_standard_library_calls_special_is_refused(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let special = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_broadcast()
            || address.is_documentation() || address.is_multicast() || address.is_unspecified();
        prop_assert!(!(special && is_public(IpAddr::V4(address))));
    }
}
