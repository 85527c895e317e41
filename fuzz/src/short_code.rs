//! A code stands for one link and a link has one code, under any key; what is cut from a path is a code or nothing.
//!
//! Input: 16 bytes of key, then what stands after the slash.

use postback_core::short_code::{CODE_LENGTH, CodeKey, LinkId, strip_glued};
use postback_proxy::redirect::code_in;

pub fn check(data: &[u8]) {
    let Some((key, rest)) = data.split_first_chunk::<16>() else { return };
    let Some(key) = CodeKey::new(key) else { panic!("a key of 16 bytes is refused") };
    let segment = String::from_utf8_lossy(rest);
    if let Some(link) = key.decode(&segment) {
        assert_eq!(key.encode(link).as_str(), segment);
        assert_eq!(LinkId::from_bigint(link.to_bigint()), link);
        assert_eq!(LinkId::new(link.send_id(), link.bucket(), link.counter()), Some(link));
        assert_eq!(code_in(&segment), Some(&*segment));
    }
    if let Some((number, _)) = rest.split_first_chunk::<8>() {
        let link = LinkId::from_bigint(i64::from_le_bytes(*number));
        let code = key.encode(link);
        assert_eq!(code.as_str().len(), CODE_LENGTH);
        assert_eq!(key.decode(code.as_str()), Some(link));
        assert_eq!(code_in(&format!("{}).", code.as_str())), Some(code.as_str()));
    }
    assert_eq!(strip_glued(strip_glued(&segment)), strip_glued(&segment));
    assert!(segment.starts_with(strip_glued(&segment)));
    if let Some(code) = code_in(&segment) {
        assert!(segment.starts_with(code) && (1..=64).contains(&code.len()));
        assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
        assert_eq!(code_in(code), Some(code));
    }
}
