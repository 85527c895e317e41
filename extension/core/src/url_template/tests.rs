//! What may be saved as a template, and what a value can never do to a rendered URL.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<UrlTemplate, TemplateError> {
    UrlTemplate::of_offer(text)
}

fn render(text: &str, value: &'static str) -> String {
    parse(text).unwrap().render(|_| Some(value))
}

#[test]
fn values_are_filled_in() {
    let template =
        parse("https://network.example.com/offer/789?aff_click_id={click_id}&s={sub1}&c={campaign_id}#x").unwrap();
    let url = template.render(|name| match name {
        "click_id" => Some("a1b2c3"),
        "campaign_id" => Some("456"),
        _ => None,
    });
    assert_eq!(url, "https://network.example.com/offer/789?aff_click_id=a1b2c3&s=&c=456#x");
    assert_eq!(template.macros().collect::<Vec<_>>(), ["click_id", "sub1", "campaign_id"]);
}

#[test]
fn values_are_encoded() {
    assert_eq!(render("http://a.example/?c={click_id}", "a&offer=1"), "http://a.example/?c=a%26offer%3D1");
    assert_eq!(render("http://a.example/?c={click_id}", "a#f+ é"), "http://a.example/?c=a%23f%2B%20%C3%A9");
    assert_eq!(render("http://a.example/{click_id}", "../.."), "http://a.example/..%2F..");
    assert_eq!(
        render("http://a.example/?{click_id}", "x\r\nSet-Cookie: y"),
        "http://a.example/?x%0D%0ASet-Cookie%3A%20y"
    );
    assert_eq!(render("http://a.example/?{click_id}", "{sub1}"), "http://a.example/?%7Bsub1%7D");
    assert_eq!(render("http://a.example/?c={click_id}", "A-z0.9_~"), "http://a.example/?c=A-z0.9_~");
}

#[test]
fn dots_do_not_climb_the_path() {
    assert_eq!(render("http://a.example/x/{click_id}/y", ".."), "http://a.example/x/%252E%252E/y");
    assert_eq!(render("http://a.example/x/{click_id}{click_id}", "."), "http://a.example/x/%252E%252E");
    assert_eq!(render("http://a.example/x/.{click_id}a", "."), "http://a.example/x/.%252Ea");
    assert_eq!(render("http://a.example/x?c={click_id}", ".."), "http://a.example/x?c=..");
    assert_eq!(render("http://a.example/#{click_id}", ".."), "http://a.example/#..");
    assert_eq!(parse("http://a.example/.{click_id}/b").err(), Some(TemplateError::DotSegment));
    assert_eq!(parse("http://a.example/%2E{click_id}.").err(), Some(TemplateError::DotSegment));
    assert_eq!(parse("http://a.example/{click_id}/x/.%2e/b").err(), Some(TemplateError::DotSegment));
    assert_eq!(render("http://a.example/x/../{click_id}/./b", "id"), "http://a.example/x/../id/./b");
    assert_eq!(parse("http://a.example/%2{click_id}").err(), Some(TemplateError::BrokenEscape));
    assert_eq!(parse("http://a.example/?a=%{click_id}").err(), Some(TemplateError::BrokenEscape));
}

#[test]
fn the_url_stays_as_typed_but_for_host_and_non_ascii() {
    let url = "https://a.example:8443/A//b;c/%7e%zz/./?q=a+b&&x=[1]&c={click_id}&r=http://b.example/?y#~!$'()*,";
    assert_eq!(render(url, "id"), url.replace("{click_id}", "id"));
    assert_eq!(render("HTTPS://Bücher.EXAMPLE:443?c={click_id}", "id"), "https://xn--bcher-kva.example?c=id");
    assert_eq!(render("http://a.example/é?ü={click_id}", "id"), "http://a.example/%C3%A9?%C3%BC=id");
    assert_eq!(render("http://[::1]:80/?c={click_id}", "id"), "http://[::1]/?c=id");
    assert_eq!(render("http://127.1/?c={click_id}", "id"), "http://127.0.0.1/?c=id");
    assert_eq!(render("http://a。example/?c={click_id}", "id"), "http://a.example/?c=id");
}

#[test]
fn what_is_no_offer_url_is_refused() {
    use TemplateError::*;
    let cases = [
        ("javascript:alert(1)//{click_id}", NotHttp),
        ("JaVaScRiPt://a/{click_id}", NotHttp),
        ("data:text/html,{click_id}", NotHttp),
        ("\tjavascript:{click_id}", BadCharacter('\t')),
        ("//evil.example/{click_id}", NotHttp),
        ("/path/{click_id}", NotHttp),
        ("https:/\\evil.example/{click_id}", BadCharacter('\\')),
        ("http:evil.example/{click_id}", NotHttp),
        ("ftp://a.example/{click_id}", NotHttp),
        ("{sub1}://a.example/{click_id}", NotHttp),
        ("https://good@evil.example/{click_id}", UserInfo),
        ("https://{sub1}@evil.example/{click_id}", UserInfo),
        ("https://good\\@evil.example/{click_id}", BadCharacter('\\')),
        ("https://{sub1}.example/{click_id}", MacroInHost),
        ("https://a.example:{sub1}/{click_id}", MacroInHost),
        ("https://a.example{click_id}", MacroInHost),
        ("https:///{click_id}", BadHost),
        ("https://:80/{click_id}", BadHost),
        ("https://a.example:99999/{click_id}", BadHost),
        ("https://a.example:x/{click_id}", BadHost),
        ("https://a<b/{click_id}", BadHost),
        ("https://a%00b/{click_id}", BadHost),
        ("https://a.example/ {click_id}", BadCharacter(' ')),
        ("https://a.example/\n{click_id}", BadCharacter('\n')),
        ("https://a.example/\0{click_id}", BadCharacter('\0')),
        ("https://a.example/\u{a0}{click_id}", BadCharacter('\u{a0}')),
        ("https://a.example/{click_id", UnbalancedBrace),
        ("https://a.example/click_id}", UnbalancedBrace),
        ("https://a.example/{{click_id}}", UnbalancedBrace),
        ("https://a.example/{click_id}}", UnbalancedBrace),
        ("https://a.example/{}{click_id}", UnknownMacro(String::new())),
        ("https://a.example/{clickid}", UnknownMacro("clickid".to_owned())),
        ("https://a.example/?c={sub1}", NoClickId),
        ("https://a.example", NoClickId),
        ("", NotHttp),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text).err(), Some(error), "{text:?}");
    }
    let long = format!("http://a.example/{{click_id}}{}", "a".repeat(MAX_LENGTH));
    assert_eq!(parse(&long).err(), Some(TemplateError::TooLong));
}

#[test]
fn rendering_allocates_what_it_needs_and_no_more() {
    let template = parse("https://a.example/{sub1}?c={click_id}").unwrap();
    for value in ["", "a1b2c3", "é &", "..."] {
        let url = template.render(|_| Some(value));
        assert_eq!(url.len(), url.capacity(), "{value}");
    }
}

const TEMPLATES: [&str; 4] = [
    "https://a.example:8443/x/{sub1}/{click_id}{sub2}/y?c={click_id}&{sub1}={sub2}&d#f={click_id}",
    "http://[::1]/{click_id}",
    "http://bücher.example?{click_id}&a=.{sub1}",
    "https://a.example/../a{sub1}.{click_id}.",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_value_changes_where_a_url_leads(
        which in 0..TEMPLATES.len(),
        first in value(),
        second in value(),
        third in value(),
    ) {
        let template = parse(TEMPLATES[which]).unwrap();
        let url = template.render(|name| match name {
            "click_id" => first.as_deref(),
            "sub1" => second.as_deref(),
            _ => third.as_deref(),
        });
        let plain = Url::parse(&template.render(|_| Some("0"))).unwrap();
        let rendered = Url::parse(&url).unwrap();
        prop_assert_eq!(rendered.origin(), plain.origin());
        prop_assert_eq!(rendered.username(), "");
        prop_assert_eq!(
            rendered.query().map(|query| query.split('&').count()),
            plain.query().map(|query| query.split('&').count())
        );
        prop_assert_eq!(rendered.path().split('/').count(), plain.path().split('/').count());
        prop_assert_eq!(rendered.fragment().is_some(), plain.fragment().is_some());
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn any_legal_click_id_comes_back(id in "[A-Za-z0-9._~-]{1,64}") {
        prop_assert!(crate::click_id::is_legal(&id));
        let template = parse("https://a.example/o?x=1&aff_click_id={click_id}&y=2").unwrap();
        let url = Url::parse(&template.render(|_| Some(id.as_str()))).unwrap();
        let parameters = query_string::parse(url.query().unwrap().as_bytes()).unwrap();
        prop_assert_eq!(query_string::first(&parameters, "aff_click_id"), Some(id.as_str()));
    }
}

fn value() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        any::<String>().prop_map(Some),
        "[.%2eE/\\\\?#&=@:{}\r\n \t]{0,6}".prop_map(Some),
        prop::sample::select(vec![".", "..", "%2e", "%2E.", "/../", "//b.example", "@b.example", ":80"])
            .prop_map(|text| Some(text.to_owned())),
    ]
}
