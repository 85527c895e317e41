//! Published vectors, and the forgeries that a careless scheme would let through.

use super::*;

const SECRET: &[u8] = b"0123456789abcdef";
const QUERY: &[u8] = b"click_id=a1b2c3&payout=12.50&status=approved";

fn hex(bytes: &[u8; 32]) -> String {
    String::from_utf8(to_hex(bytes).to_vec()).unwrap()
}

/// The query with its signature at the end.
fn signed(scheme: Scheme, query: &[u8], secret: &[u8]) -> Vec<u8> {
    let signature = hex(&sign(scheme, None, query, secret).unwrap());
    [query, b"&sig=", signature.as_bytes()].concat()
}

fn check_one(scheme: Scheme, query: &[u8], secret: &[u8]) -> Result<(), SignatureError> {
    verify(scheme, None, query, &[secret])
}

#[test]
fn rfc_4231_vectors() {
    let counting: Vec<u8> = (1..=25).collect();
    let long_text = b"This is a test using a larger than block-size key and a larger than block-size data. \
                      The key needs to be hashed before being used by the HMAC algorithm.";
    let cases: [(&[u8], &[u8], &str); 6] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (&[0xaa; 131], long_text, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ];
    for (secret, message, expected) in cases {
        assert_eq!(hex(&sign_message(message, secret)), expected);
        assert!(verify_message(message, expected, secret));
    }
}

#[test]
fn a_vector_from_a_webhook_sender() {
    let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert!(verify_message(b"Hello, World!", expected, b"It's a Secret to Everybody"));
}

#[test]
fn keys_of_one_block_and_one_byte_more() {
    let expected = "f91c4c403625fb06910ef93999265bbd2d62baeaec6ff36455498cc124fe3e66";
    assert_eq!(hex(&sign_message(b"x", &[b'k'; 64])), expected);
    let expected = "75092ca3ee2b307470c227697b42b3e65376aa3bae98fb5a1f7b7536daa9588a";
    assert_eq!(hex(&sign_message(b"x", &[b'k'; 65])), expected);
}

#[test]
fn truncated_tags_are_refused() {
    assert!(!verify_message(b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b", &[0x0c; 20]));
    for length in 0..64 {
        let mut query = signed(Scheme::Raw1, QUERY, SECRET);
        query.truncate(query.len() - 64 + length);
        assert_eq!(check_one(Scheme::Raw1, &query, SECRET), Err(SignatureError::NotHex));
    }
}

#[test]
fn raw1_without_target_is_plain_hmac() {
    let signature = sign(Scheme::Raw1, None, QUERY, SECRET).unwrap();
    assert_eq!(signature, sign_message(QUERY, SECRET));
    let query = signed(Scheme::Raw1, QUERY, SECRET);
    assert_eq!(check_one(Scheme::Raw1, &query, SECRET), Ok(()));
    assert_eq!(check_one(Scheme::Raw1, &query, b"0123456789abcdeg"), Err(SignatureError::Mismatch));
}

#[test]
fn every_flipped_bit_is_noticed() {
    for scheme in [Scheme::Raw1, Scheme::Sorted1] {
        let signature = sign(scheme, None, QUERY, SECRET).unwrap();
        for bit in 0..256 {
            let mut forged = signature;
            forged[bit / 8] ^= 1 << (bit % 8);
            let query = [QUERY, b"&sig=", hex(&forged).as_bytes()].concat();
            assert_eq!(check_one(scheme, &query, SECRET), Err(SignatureError::Mismatch));
            assert!(!verify_message(QUERY, &hex(&forged), SECRET));
        }
        let good = signed(scheme, QUERY, SECRET);
        for bit in 0..QUERY.len() * 8 {
            let mut forged = good.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(check_one(scheme, &forged, SECRET).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn hex_of_any_case_and_nothing_else() {
    let signature = hex(&sign_message(QUERY, SECRET));
    let with = |text: &str| [QUERY, b"&sig=", text.as_bytes()].concat();
    assert_eq!(check_one(Scheme::Raw1, &with(&signature.to_ascii_uppercase()), SECRET), Ok(()));
    assert!(verify_message(QUERY, &signature.to_ascii_uppercase(), SECRET));
    for wrong in ["", "dXEH6g6yUJ/CESIczphLijdXC21/hsIsRvQ3nIsEPhc=", &format!("0x{}", &signature[2..])] {
        assert_eq!(check_one(Scheme::Raw1, &with(wrong), SECRET), Err(SignatureError::NotHex));
    }
    assert_eq!(check_one(Scheme::Raw1, &with(&format!("{signature}0")), SECRET), Err(SignatureError::NotHex));
}

#[test]
fn raw1_wants_sig_once_and_last() {
    let good = signed(Scheme::Raw1, QUERY, SECRET);
    let outcome = |query: &[u8]| check_one(Scheme::Raw1, query, SECRET);
    assert_eq!(outcome(QUERY), Err(SignatureError::Missing));
    assert_eq!(outcome(b""), Err(SignatureError::Missing));
    assert_eq!(outcome(&[&good[..], b"&payout=99"].concat()), Err(SignatureError::NotLast));
    assert_eq!(outcome(&[&good[..], b"&"].concat()), Err(SignatureError::NotLast));
    assert_eq!(outcome(&[b"sig=0&", &good[..]].concat()), Err(SignatureError::Repeated));
    assert_eq!(outcome(&[b"%73ig=0&", &good[..]].concat()), Err(SignatureError::Repeated));
    let escaped = String::from_utf8(good.clone()).unwrap().replace("&sig=", "&s%69g=");
    assert_eq!(outcome(escaped.as_bytes()), Err(SignatureError::NotLast));
    assert_eq!(outcome(b"a=1&sig"), Err(SignatureError::NotLast));
    let empty = [b"sig=", hex(&sign_message(b"", SECRET)).as_bytes()].concat();
    assert_eq!(outcome(&empty), Ok(()));
}

#[test]
fn signed_query_is_not_signed_again() {
    for scheme in [Scheme::Raw1, Scheme::Sorted1] {
        for query in [&signed(scheme, QUERY, SECRET)[..], b"sig=", b"a=1&s%69g=x"] {
            assert_eq!(sign(scheme, None, query, SECRET), Err(SignatureError::Repeated), "{scheme}");
        }
    }
}

#[test]
fn order_matters_to_raw1_only() {
    let reordered = |scheme| {
        let signature = hex(&sign(scheme, None, QUERY, SECRET).unwrap());
        let query = format!("status=approved&payout=12.50&click_id=a1b2c3&sig={signature}");
        check_one(scheme, query.as_bytes(), SECRET)
    };
    assert_eq!(reordered(Scheme::Raw1), Err(SignatureError::Mismatch));
    assert_eq!(reordered(Scheme::Sorted1), Ok(()));
}

#[test]
fn sorted1_takes_sig_anywhere_and_equal_spellings() {
    let signature = hex(&sign(Scheme::Sorted1, None, b"b=x+y~&a=%2f", SECRET).unwrap());
    assert_eq!(signature, hex(&sign_message(b"a=%2F&b=x%20y~", SECRET)));
    let outcome = |query: String| check_one(Scheme::Sorted1, query.as_bytes(), SECRET);
    assert_eq!(outcome(format!("sig={signature}&b=x%20y%7E&a=/")), Ok(()));
    assert_eq!(outcome(format!("b=x%2By~&sig={signature}&a=/")), Err(SignatureError::Mismatch));
    assert_eq!(outcome(format!("b=x+y~&a=/&sig={signature}&c=1")), Err(SignatureError::Mismatch));
    assert_eq!(outcome(format!("b=x+y~&a=/&sig={signature}&sig={signature}")), Err(SignatureError::Repeated));
    assert_eq!(outcome(format!("b=x+y~&a=/&a=/&sig={signature}")), Err(SignatureError::Duplicate));
    assert_eq!(outcome(format!("b=x+y~&a=/&sig={signature}&c")), Err(SignatureError::NoValue));
    assert_eq!(outcome(format!("b=%zz&sig={signature}")), Err(SignatureError::Query(QueryError::BadEscape)));
    assert_eq!(outcome(format!("b=%00&sig={signature}")), Err(SignatureError::Query(QueryError::Nul)));
    assert_eq!(outcome("a=1".to_owned()), Err(SignatureError::Missing));
    assert_eq!(outcome("a=1&sig".to_owned()), Err(SignatureError::NoValue));
}

#[test]
fn lists_that_collide_when_glued_have_different_signatures() {
    let pairs = [
        ("click_id=1&payout=2500&status=approved", "click_id=1payout2500&status=approved"),
        ("click_id=abc&payout=1&sub1=z", "click_id=abc%26payout%3D1&sub1=z"),
        ("user=1&tx=23", "user=12&tx=3"),
        ("a=&b=1", "b=1"),
        ("a=b%3Dc", "a%3Db=c"),
    ];
    for (left, right) in pairs {
        for scheme in [Scheme::Raw1, Scheme::Sorted1] {
            let macs = [left, right].map(|query| sign(scheme, None, query.as_bytes(), SECRET).unwrap());
            assert_ne!(macs[0], macs[1], "{left} {right}");
        }
    }
}

#[test]
fn the_target_is_signed_with_the_scheme() {
    let get = Target { method: "GET", path: "/postback/acme" };
    let signature = sign(Scheme::Raw1, Some(get), QUERY, SECRET).unwrap();
    assert_eq!(signature, sign_message(&[b"raw1\nGET\n/postback/acme\n", QUERY].concat(), SECRET));
    let query = [QUERY, b"&sig=", hex(&signature).as_bytes()].concat();
    let outcome = |scheme, target| verify(scheme, target, &query, &[SECRET]);
    assert_eq!(outcome(Scheme::Raw1, Some(get)), Ok(()));
    assert_eq!(outcome(Scheme::Sorted1, Some(get)), Err(SignatureError::Mismatch));
    assert_eq!(outcome(Scheme::Raw1, None), Err(SignatureError::Mismatch));
    for other in [
        Target { method: "POST", ..get },
        Target { path: "/postback/Acme", ..get },
        Target { path: "/postback/acme/", ..get },
        Target { path: "//postback/acme", ..get },
    ] {
        assert_eq!(outcome(Scheme::Raw1, Some(other)), Err(SignatureError::Mismatch));
    }
    let broken = Target { method: "GET\n/postback", path: "acme" };
    assert_eq!(outcome(Scheme::Raw1, Some(broken)), Err(SignatureError::BadTarget));
}

#[test]
fn any_active_secret_verifies() {
    let secrets: [&[u8]; 3] = [b"first secret 0123", b"second secret 012", b"third secret 0123"];
    for secret in secrets {
        assert_eq!(verify(Scheme::Raw1, None, &signed(Scheme::Raw1, QUERY, secret), &secrets), Ok(()));
    }
    let query = signed(Scheme::Raw1, QUERY, SECRET);
    assert_eq!(verify(Scheme::Raw1, None, &query, &secrets), Err(SignatureError::Mismatch));
    assert_eq!(verify(Scheme::Raw1, None, &query, &[]), Err(SignatureError::Mismatch));
    assert_eq!(verify(Scheme::Raw1, None, &query, &[SECRET; 4]), Err(SignatureError::TooManySecrets));
}

#[test]
fn an_empty_secret_signs_nothing() {
    assert_eq!(sign(Scheme::Raw1, None, QUERY, b""), Err(SignatureError::EmptySecret));
    let query = [QUERY, b"&sig=", hex(&sign_message(QUERY, b"")).as_bytes()].concat();
    assert_eq!(verify(Scheme::Raw1, None, &query, &[SECRET, b""]), Err(SignatureError::EmptySecret));
    assert!(!verify_message(QUERY, &hex(&sign_message(QUERY, b"")), b""));
    assert_eq!(check_secret(b""), Err(SignatureError::EmptySecret));
    assert_eq!(check_secret(b"12345678"), Err(SignatureError::ShortSecret));
    assert_eq!(check_secret(SECRET), Ok(()));
    assert_eq!(check_secret(&[7; 200]), Ok(()));
}

#[test]
fn tokens_are_compared_whole() {
    assert!(equal_secret(b"token", b"token"));
    for wrong in [&b"toke"[..], b"token\0", b"tokem", b"", b"TOKEN"] {
        assert!(!equal_secret(b"token", wrong));
    }
}

#[test]
fn scheme_names_are_exact() {
    assert_eq!("raw1".parse(), Ok(Scheme::Raw1));
    assert_eq!("sorted1".parse(), Ok(Scheme::Sorted1));
    assert_eq!("RAW1".parse::<Scheme>(), Err(UnknownScheme));
}
