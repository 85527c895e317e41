#![allow(clippy::unwrap_used)]

use super::*;

// Made with: openssl enc -aes-256-cbc -iv 000102…0f -K <hex of the first 32 hex digits of sha1(secret)> [-nopad]
const SECRET: &[u8] = b"0123456789ABCDEF";
const IV: &str = "AAECAwQFBgcICQoLDA0ODw==";
const PLAIN: &str = concat!(
    r#"{"receipt":"ABCD1234","transactionType":"SALE","totalAccountAmount":12.50,"test":false,"#,
    r#""trackingCodes":["a1b2c3","second"],"customer":{"email":"x@example.com"},"nothing":null}"#
);
const PKCS7: &str = concat!(
    "y2lQ71u3vZqcnDOuXEXRJvsJBs6q3oeNEOZCfgjK1r7fhhd7u6hRcuzgXiyXupQGYaN0j/dqd8bpIja7CeSKrM4S/WL+VJJ3J9eG",
    "NLa5d1Ng6Po4zk8IPD646Jlrf4/w/qF1lqRDLWE5xyHJVK9VAhN8oSGWQos/oZoPapbL5Fea082pFfx1t6AAWMYqO+8I69R5iLvQ",
    "q8SHTrZvFWhwglti3jO27uytGbkIo+CWAiM="
);
const NULS: &str = concat!(
    "y2lQ71u3vZqcnDOuXEXRJvsJBs6q3oeNEOZCfgjK1r7fhhd7u6hRcuzgXiyXupQGYaN0j/dqd8bpIja7CeSKrM4S/WL+VJJ3J9eG",
    "NLa5d1Ng6Po4zk8IPD646Jlrf4/w/qF1lqRDLWE5xyHJVK9VAhN8oSGWQos/oZoPapbL5Fea082pFfx1t6AAWMYqO+8I69R5iLvQ",
    "q8SHTrZvFWhwgnJmHJ9lGgW0XXGetQsQqqc="
);
const TEXT: &str = "Y6kxmdkN7wc/VrtzgdbO38VuOjE2zYgJL/pcmd2q6Bc=";
const ARRAY: &str = "VICfYzuqYc1HH3DL6bedvduvqqgff20Xqd6FSp1nvD4=";

fn body(notification: &str, iv: &str) -> Vec<u8> {
    format!(r#"{{"notification":"{notification}","iv":"{iv}"}}"#).into_bytes()
}

#[test]
fn either_padding_is_opened_and_trimmed() {
    for notification in [PKCS7, NULS] {
        assert_eq!(decrypt(&body(notification, IV), &[SECRET]).unwrap(), PLAIN.as_bytes());
    }
    for written in [PKCS7.replace('/', "\\/"), format!("{}\\r\\n{}\\n", &PKCS7[..76], &PKCS7[76..])] {
        assert_eq!(decrypt(&body(&written, IV), &[SECRET]).unwrap(), PLAIN.as_bytes(), "{written}");
    }
}

#[test]
fn any_of_the_secrets_opens_it_and_no_other() {
    let body = body(PKCS7, IV);
    assert!(decrypt(&body, &[b"another secret, longer", b"0123456789ABCDEE", SECRET]).is_some());
    for secrets in [&[][..], &[b"0123456789ABCDEE".as_slice()], &[b"0123456789abcdef"], &[b""]] {
        assert_eq!(decrypt(&body, secrets), None);
    }
}

#[test]
fn what_is_no_encrypted_object_is_refused() {
    let short = &PKCS7[..16];
    for body in [
        body(TEXT, IV),
        body(ARRAY, IV),
        body("", IV),
        body(short, IV),
        body(PKCS7, ""),
        body(PKCS7, "AAECAwQFBgcICQoLDA0O"),
        body(PKCS7, "not base64!"),
        body(PLAIN_IN_THE_CLEAR, IV),
        PLAIN.into(),
        b"".into(),
        b"[]".into(),
        b"{\"notification\":1,\"iv\":2}".into(),
        format!(r#"{{"notification":"{PKCS7}"}}"#).into(),
    ] {
        assert_eq!(decrypt(&body, &[SECRET]), None, "{}", String::from_utf8_lossy(&body));
    }
}

const PLAIN_IN_THE_CLEAR: &str = "eyJyZWNlaXB0IjoiQUJDRDEyMzQifQ==";

#[test]
fn scalars_and_the_first_tracking_code_are_left() {
    let flat = |text: &str| flatten(text.as_bytes()).map(|json| serde_json::from_slice::<Value>(&json).unwrap());
    let expected = serde_json::from_str::<Value>(
        r#"{"receipt":"ABCD1234","transactionType":"SALE","totalAccountAmount":12.50,"test":false,"tid":"a1b2c3"}"#,
    );
    assert_eq!(flat(PLAIN), Some(expected.unwrap()));
    for (text, tid) in [
        (r#"{"trackingCodes":[],"tid":"own"}"#, Some("own")),
        (r#"{"trackingCodes":["code"],"tid":"own"}"#, Some("code")),
        (r#"{"trackingCodes":[["nested"]]}"#, None),
        (r#"{"trackingCodes":"text"}"#, None),
    ] {
        assert_eq!(flat(text).unwrap().get("tid").and_then(Value::as_str), tid, "{text}");
    }
    assert_eq!(flat("[]"), None);
}
