//! Query strings and signatures over anything a network or an attacker may send.

#![allow(clippy::unwrap_used)]

use postback_core::query_string::{self, Parameter, QueryError};
use postback_core::signature::{Scheme, SignatureError, Target, sign, sign_message, to_hex, verify, verify_message};
use proptest::prelude::*;

fn parameters() -> impl Strategy<Value = Vec<Parameter>> {
    let text = prop_oneof!["[a-z_0-9]{1,8}", "[^\0]{0,12}", "[&=%+; #é/?~.-]{0,6}"];
    let parameter = (text.clone(), text).prop_map(|(name, value)| Parameter { name, value });
    prop::collection::vec(parameter, 0..12)
}

fn without_repeats(mut list: Vec<Parameter>) -> Vec<Parameter> {
    list.sort_by(|left, right| left.name.cmp(&right.name));
    list.dedup_by(|left, right| left.name == right.name);
    list.retain(|parameter| parameter.name != "sig");
    list
}

fn hex(signature: [u8; 32]) -> String {
    String::from_utf8(to_hex(&signature).to_vec()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_canonical_form_says_the_same(list in parameters()) {
        let canonical = query_string::canonical(&list);
        let mut read = query_string::parse(canonical.as_bytes()).unwrap();
        prop_assert_eq!(&query_string::canonical(&read), &canonical);
        prop_assert_eq!(query_string::duplicated(&read).is_some(), query_string::duplicated(&list).is_some());
        let order = |left: &Parameter, right: &Parameter| left.name.cmp(&right.name);
        let mut expected = list;
        expected.sort_by(order);
        read.sort_by(order);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn different_lists_have_different_canonical_forms(left in parameters(), right in parameters()) {
        let (left, right) = (without_repeats(left), without_repeats(right));
        prop_assert_eq!(query_string::canonical(&left) == query_string::canonical(&right), left == right);
    }

    #[test]
    fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        match query_string::parse(&raw) {
            Ok(list) => prop_assert!(list.iter().all(|one| !one.name.contains('\0') && !one.value.contains('\0'))),
            Err(QueryError::Nul) => prop_assert!(raw.contains(&0) || raw.windows(3).any(|window| window == b"%00")),
            Err(_) => {}
        }
        for scheme in [Scheme::Raw1, Scheme::Sorted1] {
            prop_assert!(verify(scheme, None, &raw, &[b"some secret of 23 bytes"]).is_err());
        }
    }

    #[test]
    fn masked_values_are_gone_and_the_rest_is_not(list in parameters(), secret in "[A-Z]{12}", place in any::<u8>()) {
        let mut list: Vec<Parameter> = list.into_iter().filter(|one| !one.name.eq_ignore_ascii_case("token")).collect();
        let place = usize::from(place) % (list.len() + 1);
        list.insert(place, Parameter { name: "token".to_owned(), value: secret.clone() });
        let raw = query_string::canonical(&list);
        let masked = String::from_utf8(query_string::mask(raw.as_bytes(), &["token"])).unwrap();
        prop_assert!(!masked.contains(&secret));
        list[place].value = "***".to_owned();
        let expected = query_string::canonical(&list).replace("token=%2A%2A%2A", "token=***");
        prop_assert_eq!(masked, expected);
        prop_assert_eq!(query_string::mask(raw.as_bytes(), &[]), raw.as_bytes());
    }

    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not(
        list in parameters(),
        secret in prop::collection::vec(any::<u8>(), 1..100),
        other in prop::collection::vec(any::<u8>(), 1..100),
        with_target in any::<bool>(),
        extra in "[a-z]{9}",
    ) {
        // A shorter key and the same with NULs behind it are one HMAC key.
        prop_assume!(secret.len() > 64 || other.len() > 64 || {
            let trim = |key: &[u8]| key.iter().rposition(|&byte| byte != 0).map_or(0, |position| position + 1);
            secret[..trim(&secret)] != other[..trim(&other)]
        });
        prop_assume!(secret != other);
        let target = with_target.then_some(Target { method: "GET", path: "/postback/acme" });
        let query = query_string::canonical(&without_repeats(list));
        for scheme in [Scheme::Raw1, Scheme::Sorted1] {
            let signature = hex(sign(scheme, target, query.as_bytes(), &secret).unwrap());
            let signed = format!("{query}&sig={signature}");
            prop_assert_eq!(verify(scheme, target, signed.as_bytes(), &[&other, &secret]), Ok(()));
            prop_assert_eq!(verify(scheme, target, signed.as_bytes(), &[&other]), Err(SignatureError::Mismatch));
            let added = format!("{extra}=1&{signed}");
            prop_assert!(verify(scheme, target, added.as_bytes(), &[&secret]).is_err());
            let elsewhere = Some(Target { method: "POST", path: "/postback/acme" });
            prop_assert!(verify(scheme, elsewhere, signed.as_bytes(), &[&secret]).is_err());
        }
    }

    #[test]
    fn the_fast_forms_agree_with_the_plain_scheme(
        message in prop::collection::vec(any::<u8>(), 0..300),
        secret in prop::collection::vec(any::<u8>(), 1..200),
        text in any::<String>(),
    ) {
        let signature = hex(sign_message(&message, &secret));
        prop_assert!(verify_message(&message, &signature, &secret));
        prop_assert!(!verify_message(&message, &text, &secret));
        if let Ok(same) = sign(Scheme::Raw1, None, &message, &secret) {
            prop_assert_eq!(hex(same), signature);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn sorted1_signs_the_set_of_parameters_whatever_their_order(
        list in parameters(),
        other in parameters(),
        seed in prop::collection::vec(any::<u32>(), 12),
    ) {
        let sign = |query: &str| sign(Scheme::Sorted1, None, query.as_bytes(), b"some secret of 23 bytes").unwrap();
        // Written by hand, with lower-case escapes of everything, in an order of its own.
        let written = |list: &[Parameter]| {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            list.iter().map(|one| format!("{}={}", escape(&one.name), escape(&one.value))).collect::<Vec<_>>().join("&")
        };
        let (list, other) = (without_repeats(list), without_repeats(other));
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by_key(|&index| seed[index]);
        let shuffled: Vec<Parameter> = order.into_iter().map(|index| list[index].clone()).collect();
        let signature = sign(&query_string::canonical(&list));
        prop_assert_eq!(sign(&written(&shuffled)), signature);
        prop_assert_eq!(sign(&written(&other)) == signature, other == list);
    }

    #[test]
    fn raw1_signs_these_bytes_and_no_others(
        list in parameters(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        change in 0..3,
    ) {
        let secret = b"some secret of 23 bytes";
        let query = query_string::canonical(&without_repeats(list)).into_bytes();
        let signature = hex(sign(Scheme::Raw1, None, &query, secret).unwrap());
        let mut changed = query.clone();
        match change {
            0 => changed.insert(place.index(query.len() + 1), byte),
            1 if !query.is_empty() => drop(changed.remove(place.index(query.len()))),
            _ if !query.is_empty() => changed[place.index(query.len())] = byte,
            _ => {}
        }
        let signed = [&changed, b"&sig=".as_slice(), signature.as_bytes()].concat();
        prop_assert_eq!(verify(Scheme::Raw1, None, &signed, &[secret]).is_ok(), changed == query);
    }
}
