//! Every spelling of an inside address, and the parts of a URL that a delivery has no use for.

use super::{DestinationError, Target, check_url};
use crate::url_template::TemplateError;

fn refusal(host: &str) -> Option<&'static str> {
    check_url(&format!("https://{host}/p?c={{click_id}}")).expect(host).refusal
}

#[test]
fn every_spelling_of_loopback_is_loopback() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0x7F000001",
        "127.1",
        "0177.0.0.01",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "127.0.0.1:8080",
        "１２７.0.0.1",
        "%31%32%37.0.0.1",
    ] {
        assert_eq!(refusal(host), Some("loopback"), "{host}");
    }
}

#[test]
fn inside_addresses_are_refused() {
    for (host, what) in [
        ("169.254.169.254", "link-local"),
        ("2852039166", "link-local"),
        ("10.0.0.1", "private"),
        ("192.168.257", "private"),
        ("[fd00:ec2::254]", "private"),
        ("[::ffff:127.0.0.1]", "an IPv4 address inside an IPv6 one"),
        ("[::ffff:7f00:1]", "an IPv4 address inside an IPv6 one"),
        ("[64:ff9b::7f00:1]", "an IPv4 address inside an IPv6 one"),
        ("[2002:7f00:1::]", "an IPv4 address inside an IPv6 one"),
        ("0", "unspecified"),
    ] {
        assert_eq!(refusal(host), Some(what), "{host}");
    }
}

#[test]
fn names_of_inside_networks_are_refused() {
    for host in [
        "localhost",
        "LOCALHOST",
        "ⓛocalhost",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "db",
        "x.home.arpa",
    ] {
        assert_eq!(refusal(host), Some("a name of an inside network"), "{host}");
    }
    for host in [
        "example.com",
        "localhost.example.com",
        "mylocal.net",
        "internal.example.com",
        "notlocalhost.com",
        "8.8.8.8",
        "[2606:4700::1111]",
    ] {
        assert_eq!(refusal(host), None, "{host}");
    }
}

#[test]
fn a_literal_is_told_with_its_address() {
    let address = "127.0.0.1".parse().ok();
    assert_eq!(check_url("http://0x7f.1/"), Ok(Target { address, refusal: Some("loopback") }));
    assert_eq!(check_url("http://example.com/"), Ok(Target { address: None, refusal: None }));
}

#[test]
fn what_is_no_plain_http_url_is_refused() {
    let template = |error| Err(DestinationError::Template(error));
    for (url, refused) in [
        ("file:///etc/passwd", template(TemplateError::NotHttp)),
        ("gopher://example.com/", template(TemplateError::NotHttp)),
        ("https://user:secret@example.com/", template(TemplateError::UserInfo)),
        ("https://{click_id}.example.com/", template(TemplateError::MacroInHost)),
        ("https://example.com/\r\nHost: x", template(TemplateError::BadCharacter('\r'))),
        ("https://example.com/{password}", template(TemplateError::UnknownMacro("password".to_owned()))),
        ("https://127.0.0.0.1/", template(TemplateError::BadHost)),
        ("https://example.com/#{click_id}", Err(DestinationError::Fragment)),
        ("https://example.com/#", Err(DestinationError::Fragment)),
        ("https://example.com:25/", Err(DestinationError::Port(25))),
        ("http://example.com:5432/", Err(DestinationError::Port(5432))),
        ("https://example.com./", Err(DestinationError::TrailingDot)),
        ("https://localhost./", Err(DestinationError::TrailingDot)),
    ] {
        assert_eq!(check_url(url), refused, "{url}");
    }
    assert!(check_url("https://example.com:8443/a?b={status}").is_ok());
}
