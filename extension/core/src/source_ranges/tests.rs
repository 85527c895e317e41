#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

#[test]
fn sources_become_the_fewest_networks() {
    for (source, expected) in [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.0-255", "192.0.2.0/24"),
        ("192.0.2.5-5", "192.0.2.5/32"),
        ("192.0.2.7-192.0.2.20", "192.0.2.7/32 192.0.2.8/29 192.0.2.16/30 192.0.2.20/32"),
        ("192.0.2.255-192.0.3.0", "192.0.2.255/32 192.0.3.0/32"),
        ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::-2001:db8::ffff", "2001:db8::/112"),
        ("2001:db8::ff-2001:db8::100", "2001:db8::ff/128 2001:db8::100/128"),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:c000:207", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:192.0.2.0-::ffff:192.0.2.255", "192.0.2.0/24"),
        ("192.0.2.0-::ffff:192.0.2.1", "192.0.2.0/31"),
    ] {
        assert_eq!(cidrs(source).map(|list| list.join(" ")).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_can_be_read_two_ways_is_refused() {
    for (source, error) in [
        ("", SourceError::NotASource),
        ("any", SourceError::NotASource),
        ("example.com", SourceError::NotASource),
        ("010.0.0.1", SourceError::NotASource),
        ("192.0.2.007", SourceError::NotASource),
        ("0x0a000001", SourceError::NotASource),
        ("0xa.0.0.1", SourceError::NotASource),
        ("167772161", SourceError::NotASource),
        ("10.1", SourceError::NotASource),
        ("192.0.2.256", SourceError::NotASource),
        (" 192.0.2.7", SourceError::NotASource),
        ("192.0.2.7\n", SourceError::NotASource),
        ("192.0.2.7,192.0.2.8", SourceError::NotASource),
        ("192.0.2.*", SourceError::NotASource),
        ("192.0.2.7:80", SourceError::NotASource),
        ("[2001:db8::1]", SourceError::NotASource),
        ("fe80::1%eth0", SourceError::NotASource),
        ("192.0.2.0-", SourceError::NotASource),
        ("-192.0.2.0", SourceError::NotASource),
        ("192.0.2.0-256", SourceError::NotASource),
        ("192.0.2.0-010", SourceError::NotASource),
        ("192.0.2.0-+9", SourceError::NotASource),
        ("192.0.2.0-5-9", SourceError::NotASource),
        ("2001:db8::-5", SourceError::NotASource),
        ("192.0.2.0/24-192.0.3.0", SourceError::BadLength),
        ("192.0.2.0/", SourceError::BadLength),
        ("192.0.2.0/33", SourceError::BadLength),
        ("192.0.2.0/024", SourceError::BadLength),
        ("192.0.2.0/+24", SourceError::BadLength),
        ("192.0.2.0/255.255.255.0", SourceError::BadLength),
        ("2001:db8::/129", SourceError::BadLength),
        ("192.0.2.7/24", SourceError::HostBits),
        ("2001:db8::1/64", SourceError::HostBits),
        ("::ffff:192.0.2.0/24", SourceError::HostBits),
        ("::ffff:0:0/95", SourceError::HostBits),
        ("192.0.2.20-7", SourceError::Reversed),
        ("192.0.2.20-192.0.2.7", SourceError::Reversed),
        ("2001:db8::2-2001:db8::1", SourceError::Reversed),
        ("192.0.2.0-2001:db8::1", SourceError::MixedFamilies),
        ("2001:db8::1-192.0.2.0", SourceError::MixedFamilies),
    ] {
        assert_eq!(cidrs(source), Err(error), "{source}");
    }
}

proptest! {
    #[test]
    fn a_range_is_covered_exactly_and_in_order(left in any::<u32>(), right in any::<u32>()) {
        let (first, last) = (left.min(right), left.max(right));
        let mut next = u64::from(first);
        for cidr in cidrs(&format!("{}-{}", Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last))).unwrap() {
            let (address, length) = cidr.split_once('/').unwrap();
            prop_assert_eq!(u64::from(address.parse::<Ipv4Addr>().unwrap().to_bits()), next);
            next += 1 << (32 - length.parse::<u32>().unwrap());
            prop_assert_eq!(cidrs(&cidr), Ok(vec![cidr.clone()]));
        }
        prop_assert_eq!(next, u64::from(last) + 1);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f:./ -]{0,40}|.{0,20}") {
        if let Ok(list) = cidrs(&text) {
            prop_assert!(!list.is_empty() && list.len() <= 254);
        }
    }
}
