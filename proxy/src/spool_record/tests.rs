//! Records come back as they went, and nothing else does.

use super::*;
use crate::redirect::new_id;
use proptest::prelude::*;
use std::time::Duration;

fn link_tap() -> Tap {
    Tap {
        target: Target::Link {
            path: PathAndQuery::from_static("/4KdXyZ01abc?x=1"),
            length: 11,
            click_id: Some(new_id(7)),
        },
        client: "2001:db8::1".parse().unwrap(),
        purpose: Some("prefetch".to_owned()),
        user_agent: Some(HeaderValue::from_bytes(b"Mozilla\xff").unwrap()),
        is_head: true,
    }
}

fn assert_same(one: &Tap, other: &Tap) {
    assert_eq!(one.code(), other.code());
    assert_eq!(one.click_id(), other.click_id());
    assert_eq!(one.campaign(), other.campaign());
    assert_eq!((one.client, &one.purpose, &one.user_agent), (other.client, &other.purpose, &other.user_agent));
    assert_eq!((one.method(), one.at()), (other.method(), other.at()));
}

#[test]
fn taps_come_back_as_they_were() {
    let tap = link_tap();
    let bytes = of_tap(&tap, tap.click_id().unwrap(), tap.at());
    let Ok(Record::Tap(read)) = read(&bytes) else { panic!("not a tap") };
    assert_same(&read, &tap);
    let campaign = Campaign {
        campaign_id: 456,
        offer_id: Some(7),
        click_id: Some("a1b2c3".to_owned()),
        subs: Some(serde_json::json!({"sub1": "a b", "sub2": "\u{0}"})),
    };
    let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let tap = Tap { target: Target::Campaign { campaign: Box::new(campaign), at }, user_agent: None, ..link_tap() };
    let bytes = of_tap(&tap, "a1b2c3", at);
    assert_eq!(time_of(&bytes), 1_700_000_000_123);
    let Ok(Record::Tap(read)) = super::read(&bytes) else { panic!("not a tap") };
    assert_same(&read, &tap);
}

#[test]
fn another_version_is_told_from_damage() {
    let tap = link_tap();
    let mut bytes = of_tap(&tap, tap.click_id().unwrap(), tap.at());
    assert_eq!(read(&bytes[..bytes.len() - 1]).err(), Some(Unreadable::Damaged));
    assert_eq!(read(&[]).err(), Some(Unreadable::Damaged));
    bytes[0] = 2;
    assert_eq!(read(&bytes).err(), Some(Unreadable::Version(2)));
}

#[test]
fn a_code_that_no_path_holds_is_damage() {
    let tap = link_tap();
    for code in ["4KdXyZ01abc?", "a#b", "a/b", "4KdXyZ01abc.", ""] {
        let mut record = Writer::new(LINK_TAP, tap.at());
        for field in [tap.click_id(), Some("203.0.113.9"), None, None, Some("GET"), Some(code)] {
            record.field(field.map(str::as_bytes));
        }
        assert_eq!(read(&record.finish()).err(), Some(Unreadable::Damaged), "{code}");
    }
}

proptest! {
    #[test]
    fn postbacks_come_back_as_they_were(
        query in proptest::option::of("[!-~]{0,300}"),
        body in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..400)),
        content_type in proptest::option::of("[ -~]{0,40}"),
        client in any::<std::net::IpAddr>(),
        is_post in any::<bool>(),
    ) {
        let query = query.map(|query| format!("?{}", query.replace(['#', '"', '<', '>', '`', '\\', '^', '{', '|', '}'], "_")));
        let Ok(target) = PathAndQuery::try_from(format!("/postback/tune/token{}", query.unwrap_or_default())) else {
            return Err(TestCaseError::reject("no target"));
        };
        let postback = Postback {
            id: new_id(3),
            client,
            body: body.map(Bytes::from),
            target,
            content_type: content_type.map(|text| HeaderValue::from_str(&text).unwrap()),
            is_post,
        };
        let Ok(Record::Postback(read)) = read(&of_postback(&postback)) else { panic!("not a postback") };
        prop_assert_eq!(read.id.as_str(), postback.id.as_str());
        prop_assert_eq!((read.client, &read.body, &read.target), (postback.client, &postback.body, &postback.target));
        prop_assert_eq!((&read.content_type, read.is_post), (&postback.content_type, postback.is_post));
        // jsonb takes the description.
        prop_assert!(!Record::Postback(read).described().to_string().contains("\\u0000"));
    }

    #[test]
    fn any_other_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_u8..5) {
        prop_assert!(read(&bytes).is_err());
        // With a right header, too, there is no panic and no length that is believed.
        let mut record = Writer::new(kind, UNIX_EPOCH);
        record.0.extend(&bytes);
        let _ = read(&record.finish());
    }

    #[test]
    fn a_flipped_bit_is_found(position in 8_usize..1000) {
        let tap = link_tap();
        let mut bytes = of_tap(&tap, tap.click_id().unwrap(), tap.at());
        let position = position % (bytes.len() * 8 - 8) + 8;
        bytes[position / 8] ^= 1 << (position % 8);
        prop_assert!(read(&bytes).is_err());
    }
}
