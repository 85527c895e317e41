use super::*;
use serde_json::json;

fn map() -> Value {
    json!({
        "click_id": ["click_id", "aff_click_id"], "transaction_id": ["transaction_id"], "event": ["goal_id"], "status": ["status"],
        "payout": ["payout", "amount"], "currency": ["currency"], "token": ["key"]
    })
}

fn said(query: &str) -> Message {
    read(
        query.as_bytes(),
        b"",
        None,
        &Map::new(&map()),
        &["transaction_id,event", "click_id,event"],
        MoneyTerms::default(),
    )
}

fn money_of(query: &str, currency: &str, joins_payouts: bool) -> (Option<String>, Option<String>) {
    let terms = MoneyTerms { currency: Some(currency), joins_payouts };
    let message = read(query.as_bytes(), b"", None, &Map::new(&map()), &[], terms);
    (message.payout, message.payout_problem)
}

#[test]
fn decimals_follow_the_currency_of_the_message_or_the_network() {
    let payout = |query, currency| money_of(query, currency, false).0;
    assert_eq!(payout("payout=100", "JPY").as_deref(), Some("100"));
    assert_eq!(payout("payout=100.00", "JPY").as_deref(), Some("100.00"));
    assert_eq!(payout("payout=100.50", "JPY"), None);
    assert_eq!(payout("payout=100.50&currency=USD", "JPY").as_deref(), Some("100.50"));
    assert_eq!(payout("payout=100.50&currency=jpy", "USD"), None);
    assert_eq!(payout("payout=1.234&currency=KWD", "USD").as_deref(), Some("1.234"));
    assert_eq!(payout("payout=0.123456789012345", "USD").as_deref(), Some("0.123456789012345"));
}

#[test]
fn joined_payouts_are_added_only_where_the_network_says_so() {
    assert_eq!(money_of("payout=1.50,2.50", "USD", true), (Some("4".to_owned()), None));
    assert_eq!(money_of("payout=1.50,2.50", "USD", false), (None, Some("payout: the amount has a comma".to_owned())));
    assert_eq!(money_of("payout=1.5,2.5", "JPY", true).0.as_deref(), Some("4"));
    assert_eq!(money_of("payout=1.5,2", "JPY", true).0, None);
    assert_eq!(money_of("payout=1.50,{rs}", "USD", true).0, None);
}

#[test]
fn first_name_with_a_value_counts() {
    assert_eq!(said("click_id=&aff_click_id=a1").click_id.as_deref(), Some("a1"));
    assert_eq!(said("aff_click_id=a1&click_id=b2").click_id.as_deref(), Some("b2"));
}

#[test]
fn macros_are_noted_and_passed_over() {
    let message = said("click_id={aff_sub}&aff_click_id=a1&goal_id=##GOAL##");
    assert_eq!((message.click_id.as_deref(), message.event), (Some("a1"), None));
    assert!(message.note.is_some_and(|note| note.contains("click_id") && note.contains("goal_id")));
}

#[test]
fn amount_that_is_there_but_unusable_is_never_no_amount() {
    for bad in [
        "payout=",
        "payout={payout}",
        "payout=NaN",
        "payout=1e3",
        "payout=12,50",
        "payout=-5",
        "payout=%2012",
        "payout=.5",
    ] {
        let message = said(bad);
        assert!(message.payout.is_none() && message.payout_problem.is_some(), "{bad}");
    }
    assert_eq!(said("amount=12.50").payout.as_deref(), Some("12.50"));
    let absent = said("click_id=a1");
    assert!(absent.payout.is_none() && absent.payout_problem.is_none());
}

#[test]
fn key_is_injective() {
    let keys = [
        "transaction_id=a&goal_id=b",
        "transaction_id=a%26event%3Db",
        "transaction_id=a%2526event%253Db",
        "click_id=a&goal_id=b",
    ]
    .map(|query| said(query).dedupe_key.unwrap());
    for (place, key) in keys.iter().enumerate() {
        assert!(!keys[place + 1..].contains(key), "{key}");
    }
    assert_eq!(keys[0], "transaction_id=a&event=b");
    assert_eq!(said("payout=1").dedupe_key, None);
}

#[test]
fn contradiction_is_a_problem() {
    assert!(said("click_id=a&click_id=b").problem.is_some());
    assert!(said("click_id=a&click_id=a").problem.is_none());
    assert!(said("click_id=a&status=x%00").problem.is_some());
}

#[test]
fn json_numbers_keep_their_digits() {
    let body = br#"{"click_id": "a1", "payout": 12.50, "status": "approved", "nested": {"payout": 1}}"#;
    let message =
        read(b"", body, Some("application/json; charset=utf-8"), &Map::new(&map()), &[], MoneyTerms::default());
    assert_eq!((message.click_id.as_deref(), message.payout.as_deref()), (Some("a1"), Some("12.50")));
    assert!(
        read(b"", b"[1]", Some("application/json"), &Map::new(&map()), &[], MoneyTerms::default()).problem.is_some()
    );
}

#[test]
fn amount_in_json_that_is_no_scalar_is_not_taken_for_none() {
    let message = |payout: &str| {
        let body = format!(r#"{{"click_id": "a1", "payout": {payout}}}"#);
        read(b"", body.as_bytes(), Some("application/json"), &Map::new(&map()), &[], MoneyTerms::default())
    };
    for payout in ["[12.50]", r#"{"amount": 12.50}"#, "{}"] {
        assert_eq!(message(payout).payout_problem.as_deref(), Some("payout: the amount is empty"), "{payout}");
    }
    assert_eq!(message("null"), Message { click_id: Some("a1".to_owned()), ..Message::default() });
}

#[test]
fn name_that_comes_twice_in_json_is_not_guessed_either() {
    let problem = |body: &str| {
        read(b"", body.as_bytes(), Some("application/json"), &Map::new(&map()), &[], MoneyTerms::default()).problem
    };
    assert!(
        problem(r#"{"click_id": "a", "payout": 1, "payout": 1000}"#).unwrap().contains("\"payout\" is given twice")
    );
    assert_eq!(problem(r#"{"click_id": "a", "payout": 1, "payout": 1}"#), None);
}

#[test]
fn tokens_are_masked_in_whatever_form_they_come() {
    let json = map();
    let masked = |raw: &str| String::from_utf8(mask_tokens(raw.as_bytes(), Some(&Map::new(&json)))).unwrap();
    assert_eq!(masked("a=1&token=s3cret&Key=s3cret"), "a=1&token=***&Key=***");
    assert_eq!(masked(r#"{"a": 1, "token" : "s3\"cret", "b": 2}"#), r#"{"a": 1, "token" : "***", "b": 2}"#);
    assert_eq!(masked(r#"[{"x": {"KEY":12345}}]"#), r#"[{"x": {"KEY":"***"}}]"#);
    assert_eq!(masked(r#"{"a": "token", "b": "s"}"#), r#"{"a": "token", "b": "s"}"#);
    for cut_off in [r#"{"token": "s3cret"#, r#"{"token":s3cret"#, r#"{"a":1,"token": "s3cret\"#] {
        assert!(!masked(cut_off).contains("s3cret"), "{cut_off}");
    }
    assert_eq!(masked("\"\"\"::\"token\""), "\"\"\"::\"token\"");
}
