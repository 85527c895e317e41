//! The published vectors of Standard Webhooks, one of the plain HMAC, and what is no secret.

use super::{Message, Signing, SigningError, headers, key};

const MESSAGE: Message = Message {
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    unix_seconds: 1_614_265_330,
    method: "POST",
    url: "https://example.com/p?a=1",
    body: "{\"test\": 2432232314}",
};
const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[test]
fn standard_webhooks_sign_as_its_specification_does() {
    let signed = headers(Signing::StandardWebhooks, MESSAGE, &[FIRST]).expect("headers");
    assert_eq!(
        signed,
        [
            ("webhook-id", MESSAGE.id.to_owned()),
            ("webhook-timestamp", "1614265330".to_owned()),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()),
        ]
    );
}

#[test]
fn while_secrets_are_rotated_both_sign() {
    let signed = headers(Signing::StandardWebhooks, MESSAGE, &[SECOND, FIRST]).expect("headers");
    let signatures: Vec<&str> = signed[2].1.split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert_eq!(signatures[1], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let plain = headers(Signing::HmacSha256, MESSAGE, &[SECOND, FIRST]).expect("headers");
    assert_eq!(plain[0].1.matches(",v1=").count(), 2);
}

#[test]
fn plain_hmac_covers_time_method_url_and_body() {
    let sign = |message| headers(Signing::HmacSha256, message, &["0123456789abcdef"]).expect("headers").remove(0);
    // printf '%s' '1614265330.POST.https://example.com/p?a=1.{"test": 2432232314}' | openssl dgst -sha256 -hmac 0123456789abcdef
    let expected = "t=1614265330,v1=56d9044c1651a05786fe6e990171d8d6aff04a58bb4035caeaeb6a0d610c8029";
    assert_eq!(sign(MESSAGE), ("X-Postback-Signature", expected.to_owned()));
    for other in [
        Message { unix_seconds: 1, ..MESSAGE },
        Message { method: "PUT", ..MESSAGE },
        Message { url: "https://example.com/p?a=2", ..MESSAGE },
        Message { body: "", ..MESSAGE },
    ] {
        assert_ne!(sign(other).1.split_once("v1="), expected.split_once("v1="));
    }
}

#[test]
fn a_secret_that_is_none_signs_nothing() {
    for secret in [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_c2hvcnQ=",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\n",
        "whsec_!",
    ] {
        assert_eq!(key(Signing::StandardWebhooks, secret).err(), Some(SigningError::NotStandard), "{secret}");
    }
    let long = format!("whsec_{}", "A".repeat(88));
    assert_eq!(key(Signing::StandardWebhooks, &long).err(), Some(SigningError::NotStandard));
    assert_eq!(key(Signing::HmacSha256, "too-short").err(), Some(SigningError::ShortSecret));
    assert_eq!(headers(Signing::HmacSha256, MESSAGE, &[]), Err(SigningError::NoSecret));
    assert_eq!(headers(Signing::StandardWebhooks, MESSAGE, &[FIRST, ""]), Err(SigningError::NotStandard));
    assert_eq!(headers(Signing::None, MESSAGE, &[]), Ok(Vec::new()));
}
