#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

const SECRET: &str = "a secret of the wall";
const TEMPLATE: &str = "{user}.{offer_id}.{transaction_id}.{secret}";
// printf %s '42.789.txn_1.a secret of the wall' | md5sum, sha1sum, sha256sum
const MD5: &str = "2395af32a48cdfe42a795c6dac48be8b";
const SHA1: &str = "5daf3a4e596deee8f406764360b49aa44577e85f";
const SHA256: &str = "3df50d3ff899b9ce0c2c0b597ea79e6397dd4adbefc333392a9199ff6ad621f8";

fn check(query: &str) -> Result<(), HashError> {
    let message = parameters(query.as_bytes(), b"", None).unwrap();
    verify(Algorithm::Md5, TEMPLATE, &message, &Map::new(&json!({})), &[SECRET])
}

#[test]
fn vectors_made_with_coreutils() {
    for (name, hash) in [("md5", MD5), ("sha1", SHA1), ("sha256", SHA256)] {
        let query = format!("user=42&offer_id=789&transaction_id=txn_1&sig={hash}");
        let message = parameters(query.as_bytes(), b"", None).unwrap();
        let algorithm = name.parse().unwrap();
        assert_eq!(verify(algorithm, TEMPLATE, &message, &Map::new(&json!({})), &[SECRET]), Ok(()), "{name}");
        assert_eq!(
            verify(algorithm, TEMPLATE, &message, &Map::new(&json!({})), &["another secret", SECRET, "a third"]),
            Ok(())
        );
        for secrets in [&[][..], &["another secret"], &[""]] {
            assert_eq!(
                verify(algorithm, TEMPLATE, &message, &Map::new(&json!({})), secrets),
                Err(HashError::Mismatch),
                "{name}"
            );
        }
    }
    assert_eq!("MD5".parse::<Algorithm>(), Err(UnknownAlgorithm));
}

#[test]
fn every_covered_parameter_counts_in_any_order_and_spelling() {
    let missing = |name: &str| Err(HashError::Missing(name.to_owned()));
    let repeated = |name: &str| Err(HashError::Repeated(name.to_owned()));
    for (query, expected) in [
        (format!("sig={MD5}&transaction_id=txn%5F1&offer_id=789&user=42"), Ok(())),
        (format!("user=42&offer_id=789&transaction_id=txn_1&sig={}", MD5.to_uppercase()), Ok(())),
        (format!("user=42&user=42&offer_id=789&transaction_id=txn_1&sig={MD5}"), Ok(())),
        (format!("user=43&offer_id=789&transaction_id=txn_1&sig={MD5}"), Err(HashError::Mismatch)),
        (format!("user=42.789&offer_id=&transaction_id=txn_1&sig={MD5}"), Err(HashError::Mismatch)),
        (format!("user=42&offer_id=789&transaction_id=txn_1&sig={}", &MD5[..31]), Err(HashError::Mismatch)),
        (format!("user=42&offer_id=789&transaction_id=txn_1&sig={MD5}0"), Err(HashError::Mismatch)),
        ("user=42&offer_id=789&transaction_id=txn_1&sig=".to_owned(), Err(HashError::Mismatch)),
        ("user=42&offer_id=789&transaction_id=txn_1".to_owned(), Err(HashError::NoHash)),
        (format!("offer_id=789&transaction_id=txn_1&sig={MD5}"), missing("user")),
        (format!("User=42&offer_id=789&transaction_id=txn_1&sig={MD5}"), missing("user")),
        (format!("user=42&user=43&offer_id=789&transaction_id=txn_1&sig={MD5}"), repeated("user")),
        (format!("user=42&offer_id=789&transaction_id=txn_1&sig={MD5}&user="), repeated("user")),
        (format!("user=42&offer_id=789&transaction_id=txn_1&sig={MD5}&sig=0"), repeated("sig")),
    ] {
        assert_eq!(check(&query), expected, "{query}");
    }
}

#[test]
fn the_first_named_carrier_that_is_there_counts() {
    let rest = "user=42&offer_id=789&transaction_id=txn_1";
    assert_eq!(check(&format!("{rest}&signature={MD5}&hash=0&sig=0")), Ok(()));
    assert_eq!(check(&format!("{rest}&hash={MD5}&sig=0")), Ok(()));
    assert_eq!(check(&format!("{rest}&hash=0&sig={MD5}")), Err(HashError::Mismatch));
    let message = parameters(format!("{rest}&check={MD5}&sig=0").as_bytes(), b"", None).unwrap();
    let fields = json!({"signature": ["digest", "check"]});
    assert_eq!(verify(Algorithm::Md5, TEMPLATE, &message, &Map::new(&fields), &[SECRET]), Ok(()));
}

#[test]
fn another_name_of_a_covered_field_is_refused() {
    let fields = json!({"transaction_id": ["order", "transaction_id", "tx"], "click_id": ["sub1", "sub2"]});
    let rest = format!("user=42&offer_id=789&transaction_id=txn_1&sig={MD5}");
    for (extra, expected) in [
        ("&sub1=a&sub2=b&payout=9", Ok(())),
        ("&tx=", Ok(())),
        ("&order=txn_2", Err(HashError::NotCovered("order".to_owned()))),
        ("&tx=txn_1", Err(HashError::NotCovered("tx".to_owned()))),
    ] {
        let message = parameters(format!("{rest}{extra}").as_bytes(), b"", None).unwrap();
        assert_eq!(verify(Algorithm::Md5, TEMPLATE, &message, &Map::new(&fields), &[SECRET]), expected, "{extra}");
    }
}

#[test]
fn parameters_come_from_query_form_and_json() {
    let all = |query: &str, body: &str, kind| {
        let message = parameters(query.as_bytes(), body.as_bytes(), kind)?;
        verify(Algorithm::Md5, TEMPLATE, &message, &Map::new(&json!({})), &[SECRET])
    };
    let form = format!("offer_id=789&transaction_id=txn_1&sig={MD5}");
    let json = format!(r#"{{"offer_id":789,"transaction_id":"txn_1","sig":"{MD5}","items":[1]}}"#);
    assert_eq!(all("user=42", &form, None), Ok(()));
    assert_eq!(all("user=42", &json, Some("Application/JSON; charset=utf-8")), Ok(()));
    assert_eq!(all("user=42", &json, Some("application/vnd.acme+json")), Ok(()));
    assert_eq!(all("user=42&user=43", &form, None), Err(HashError::Repeated("user".to_owned())));
    let again = json.replace("items", "user");
    assert_eq!(all("user=42", &again, Some("application/json")), Err(HashError::Repeated("user".to_owned())));
    for (query, body, kind) in [
        ("user=%zz", "", None),
        ("user=42", "x=%zz", None),
        ("user=42", "[]", Some("application/json")),
        ("user=42", json.as_str(), Some("text/plain")),
        ("user=42", format!(" {json}").as_str(), None),
    ] {
        assert_eq!(all(query, body, kind), Err(HashError::Unreadable), "{query} {body}");
    }
}

#[test]
fn templates_are_filled_in_one_pass() {
    let message = parameters(b"a=%7Bb%7D&b=%7Bsecret%7D&c=", b"", None).unwrap();
    for (template, text) in [
        ("{a}{b}{secret}", "{b}{secret}s"),
        ("{secret}-{c}-{secret}", "s--s"),
        ("x{y {secret} {", "x{y s {"),
        ("{{secret}", "{s"),
        ("é{b}|", "é{secret}|"),
        ("}{secret}{a", "}s{a"),
    ] {
        assert_eq!(fill(template, &message, "s").as_deref(), Ok(text), "{template}");
    }
    assert_eq!(fill("{a}{}{secret}", &message, "s"), Err(HashError::Missing(String::new())));
}
