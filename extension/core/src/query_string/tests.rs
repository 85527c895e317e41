//! What is read, what is refused, and what is hidden.

use super::*;
use proptest::prelude::*;

fn pairs(raw: &str) -> Vec<(String, String)> {
    parse(raw.as_bytes()).unwrap().into_iter().map(|parameter| (parameter.name, parameter.value)).collect()
}

fn canonical_text(raw: &str) -> String {
    canonical(&parse(raw.as_bytes()).unwrap())
}

#[test]
fn ampersand_separates_and_semicolon_does_not() {
    assert_eq!(pairs("a=1;b=2&&c=x=y&d&"), [("a", "1;b=2"), ("c", "x=y"), ("d", "")].map(own));
    assert_eq!(pairs("=v"), [("", "v")].map(own));
    assert!(pairs("").is_empty());
}

fn own(pair: (&str, &str)) -> (String, String) {
    (pair.0.to_owned(), pair.1.to_owned())
}

#[test]
fn escapes_are_decoded_once() {
    assert_eq!(pairs("sub%31=a+b%20c%2Bd%2525"), [("sub1", "a b c+d%25")].map(own));
    assert_eq!(pairs("n=%C3%a9&m=é"), [("n", "é"), ("m", "é")].map(own));
}

#[test]
fn what_cannot_be_read_is_refused() {
    for raw in ["a=%", "a=%4", "a=%zz", "%=1", "a=%+1"] {
        assert_eq!(parse(raw.as_bytes()), Err(QueryError::BadEscape), "{raw}");
    }
    for raw in ["a=%C0%AF", "a=%ED%A0%80", "a=%FF", "%FF=a"] {
        assert_eq!(parse(raw.as_bytes()), Err(QueryError::NotUtf8), "{raw}");
    }
    assert_eq!(parse(b"a=\xff"), Err(QueryError::NotUtf8));
    assert_eq!(parse(b"a=%00"), Err(QueryError::Nul));
    assert_eq!(parse(b"a=b\0"), Err(QueryError::Nul));
    assert_eq!(parse("a=1&".repeat(256).as_bytes()).map(|list| list.len()), Ok(256));
    assert_eq!(parse("a=1&".repeat(257).as_bytes()), Err(QueryError::TooMany));
}

#[test]
fn canonical_form_is_shared_by_equal_queries() {
    assert_eq!(canonical_text("sub1=a+b"), "sub1=a%20b");
    assert_eq!(canonical_text("sub1=a%20b"), "sub1=a%20b");
    assert_eq!(canonical_text("sub1=a%2Bb"), "sub1=a%2Bb");
    assert_eq!(canonical_text("p=%7e%2f"), canonical_text("p=~%2F"));
    assert_eq!(canonical_text("b=2&a=1&B=3"), "B=3&a=1&b=2");
    assert_eq!(canonical_text("a=2&a=1"), "a=2&a=1");
    assert_eq!(canonical_text("ab=1&a%21=2&a=3"), "a=3&a%21=2&ab=1");
    assert_ne!(canonical_text("click_id=abc%26payout%3D1"), canonical_text("click_id=abc&payout=1"));
    assert_eq!(canonical_text("%C3%A9=%c3%a9"), "%C3%A9=%C3%A9");
}

#[test]
fn names_are_found_and_repeats_reported() {
    let parameters = parse(b"b=1&a=2&a=3&b=4").unwrap();
    assert_eq!(first(&parameters, "a"), Some("2"));
    assert_eq!(first(&parameters, "c"), None);
    assert_eq!(duplicated(&parameters), Some("b"));
    assert_eq!(duplicated(&parameters[..2]), None);
}

#[test]
fn unresolved_macros_are_recognised_in_every_syntax() {
    for value in [
        "{click_id}",
        "{{clickid}}",
        "##CLICKID##",
        "[payout]",
        "#s2#",
        "#s2##s3#",
        "${SUBID}",
        "%subid%",
        "[[[subid]]]",
        "#{click.publisher.clickId}",
        "<clickid>",
        "(event-revenue)",
        "!!!clickRef!!!",
        "xxc1xx",
        "xxpayoutxx",
        "xxx1xx",
        "REPLACE",
        "[REPLACE]",
        "OPTIONAL",
        "${(event_data.revenue)!}",
        "{status:lead=0 sale=1}",
        "##CPA_AMOUNT##,##RS_AMOUNT##",
        "{{ click_id }}",
        "{a}{b}",
        "#S2#",
        "{transaction_id}",
        "[[subid]]",
        "#{payout.theyGetInDollars}",
        "${(last_attributed_touch_data.click_id)!}",
        "!!!clickRef6!!!",
        "[afp1]",
        "(clickid)(encode)",
        "%aff_sub%",
    ] {
        assert!(is_unresolved_macro(value), "{value}");
    }
    for value in [
        "",
        "abc",
        "xxabcxx",
        "xxxx",
        "replace",
        "REPLACED",
        "{}",
        "{click_id}x",
        "x{click_id}",
        "{click_id},",
        "{\"a\":1}",
        "[1,2]",
        "(12)",
        "#1#",
        "100%",
        "12.50",
        "018f2d3c-7a6b-7c12-9d3e-4f5a6b7c8d9e",
        "~.-_",
        "xxc12xx",
        "xxclickxx",
        "REPLACE-1",
        "OPTIONAL2",
        "optional",
        "{ }",
        "##",
        "# #",
        "<3>",
        "(1)",
        "%%",
        "a#b#",
        "$5",
    ] {
        assert!(!is_unresolved_macro(value), "{value}");
    }
}

proptest! {
    #[test]
    fn no_legal_click_id_but_the_fixed_words_is_taken_for_a_macro(id in "[A-Za-z0-9._~-]{1,64}|xx[a-z0-9]{0,6}xx") {
        let fixed = ["REPLACE", "OPTIONAL", "xxpayoutxx", "xxhitidxx", "xxtransidxx", "xxofferidxx"];
        let numbered = id.len() == 6 && (id.starts_with("xxc") || id.starts_with("xxx")) && id.as_bytes()[3].is_ascii_digit();
        prop_assert_eq!(is_unresolved_macro(&id), fixed.contains(&id.as_str()) || (numbered && id.ends_with("xx")));
    }
}

#[test]
fn masking_changes_only_the_named_values() {
    let masked = |raw: &[u8]| String::from_utf8(mask(raw, &["token", "sig"])).unwrap();
    assert_eq!(masked(b"a=1&token=s3&b=%zz&sig=00&"), "a=1&token=***&b=%zz&sig=***&");
    assert_eq!(masked(b"%74oken=s3&Token=s3&tokens=1&token"), "%74oken=***&Token=***&tokens=1&token");
    assert_eq!(masked(b"token==&token="), "token=***&token=***");
    assert_eq!(masked(b""), "");
    assert_eq!(mask(b"x=\xff&token=\0", &["token"]), b"x=\xff&token=***");
}
