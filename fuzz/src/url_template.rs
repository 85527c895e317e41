//! Wherever a template leads, it leads there whatever its values are: the same host, path depth and parameters.
//!
//! Input: the template, then one value a line.

use crate::{lines, value_of};
use hyper::header::HeaderValue;
use postback_core::url_template::{MACROS, UrlTemplate};
use url::Url;

pub fn check(data: &[u8]) {
    let (text, values) = lines(data);
    let values: Vec<String> = values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    let Ok(template) = UrlTemplate::parse(&text, MACROS) else { return };
    let Ok(typed) = Url::parse(&filled(&text)) else { panic!("the URL as typed cannot be read") };
    let sample = rendered(&template, |_| Some("0"));
    let empty = rendered(&template, |_| None);
    let real = rendered(&template, |name| value_of(name, &values).map(|place| values[place].as_str()));
    for url in [&sample, &empty, &real] {
        assert_eq!((url.scheme(), url.host_str(), url.port()), (typed.scheme(), typed.host_str(), typed.port()));
        assert_eq!((url.username(), url.password()), ("", None));
        assert_eq!(depth(url), depth(&typed), "{url}");
        assert_eq!(parameters(url), parameters(&typed), "{url}");
        assert_eq!(
            (url.query().is_some(), url.fragment().is_some()),
            (typed.query().is_some(), typed.fragment().is_some())
        );
    }
    values_arrive(&values);
}

/// What goes into the Location header, read as a browser reads it.
fn rendered<'a>(template: &UrlTemplate, value: impl Fn(&str) -> Option<&'a str>) -> Url {
    let text = template.render(value);
    assert!(HeaderValue::from_str(&text).is_ok_and(|header| header.as_bytes().is_ascii()));
    match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => panic!("{text:?} cannot be read: {error}"),
    }
}

/// The template with a zero for each macro, without our own reading of it.
fn filled(text: &str) -> String {
    MACROS.iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), "0"))
}

fn depth(url: &Url) -> usize {
    url.path_segments().map_or(0, Iterator::count)
}

fn parameters(url: &Url) -> usize {
    url.query().map_or(0, |query| query.split('&').count())
}

/// Each value reaches the network as it was.
fn values_arrive(values: &[String]) {
    let [first, second, ..] = values else { return };
    let Ok(template) = UrlTemplate::of_offer("https://n.example/o/{sub1}?aff={click_id}&s={sub2}#{sub1}") else {
        panic!("a good template is refused");
    };
    let url = rendered(&template, |name| Some(if name == "sub1" { first } else { second }));
    let found: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert_eq!(found, [("aff".to_owned(), second.clone()), ("s".to_owned(), second.clone())]);
    assert_eq!(url.path_segments().map(Iterator::count), Some(2));
}
