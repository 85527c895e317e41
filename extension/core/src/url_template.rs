//! URL templates of offers and destinations: checked once when they are saved, rendered for every redirect or delivery.
//!
//! What a request brings enters a rendered URL only percent-encoded and never before the path, so it cannot change
//! where the URL leads, how many parameters it has, or which path it names. Not for: deciding whether a host may be
//! promoted or called; private hosts are as good as any here.
//!
//! Dots in the path need care, because browsers resolve `..` and `%2E%2E` alike. A value that is `.` or `..` is
//! written `%252E` or `%252E%252E` when it stands in the path (and arrives there as `%2E`); in the query and the
//! fragment it stays as it is. Templates that an empty value would turn into a dot segment are refused.

use crate::query_string;
use serde_json::Value;
use std::fmt;
use url::Url;

/// The longest template, in bytes.
pub const MAX_LENGTH: usize = 4096;

/// The macro every offer's template has.
pub const CLICK_ID: &str = "click_id";

/// The macros of offer templates.
pub const MACROS: &[&str] = &[
    CLICK_ID,
    "campaign_id",
    "segment_id",
    "variant_id",
    "offer_id",
    "send_id",
    "network",
    "sub1",
    "sub2",
    "sub3",
    "sub4",
    "sub5",
    "sub6",
    "sub7",
    "sub8",
    "sub9",
    "sub10",
];

/// The numbers that a template may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub campaign_id: Option<i64>,
    pub segment_id: Option<i64>,
    pub variant_id: Option<i64>,
    pub offer_id: Option<i64>,
    pub send_id: Option<i64>,
}

impl Ids {
    fn get(&self, name: &str) -> Option<i64> {
        match name {
            "campaign_id" => self.campaign_id,
            "segment_id" => self.segment_id,
            "variant_id" => self.variant_id,
            "offer_id" => self.offer_id,
            "send_id" => self.send_id,
            _ => None,
        }
    }
}

/// Why a template was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// Longer than [`MAX_LENGTH`].
    TooLong,
    /// White space, a control character or a backslash, which programs read in different ways.
    BadCharacter(char),
    /// Not an absolute `http://` or `https://` URL.
    NotHttp,
    /// There is a user name or a password before the host.
    UserInfo,
    /// There is no host, or the URL cannot be read.
    BadHost,
    /// A macro in the host or the port.
    MacroInHost,
    /// A brace without its partner, or a brace inside braces.
    UnbalancedBrace,
    /// A name in braces that is not one of the known macros.
    UnknownMacro(String),
    /// A macro right after the beginning of a percent escape.
    BrokenEscape,
    /// A path segment that is `.` or `..` when its macros are empty, or a `..` behind a macro.
    DotSegment,
    /// `{click_id}` is missing: no postback could name the click.
    NoClickId,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::TooLong => write!(formatter, "the URL is longer than {MAX_LENGTH} bytes"),
            TemplateError::BadCharacter(character) => {
                write!(formatter, "the URL contains the character \"{}\"", character.escape_default())
            }
            TemplateError::NotHttp => formatter.write_str("the URL does not start with \"http://\" or \"https://\""),
            TemplateError::UserInfo => formatter.write_str("the URL has a user name or password before its host"),
            TemplateError::BadHost => formatter.write_str("the URL has no valid host"),
            TemplateError::MacroInHost => formatter.write_str("the URL has a macro in its host or port"),
            TemplateError::UnbalancedBrace => formatter.write_str("the URL has a brace without its partner"),
            TemplateError::UnknownMacro(name) => write!(formatter, "the macro \"{{{name}}}\" is unknown"),
            TemplateError::BrokenEscape => formatter.write_str("the URL has a macro inside a percent escape"),
            TemplateError::DotSegment => formatter.write_str(
                "the URL has a path segment that is only dots when its macros are empty, or \"..\" behind a macro",
            ),
            TemplateError::NoClickId => formatter.write_str("the URL lacks the macro \"{click_id}\""),
        }
    }
}

impl std::error::Error for TemplateError {}

/// Some text of the URL and the macro that follows it.
#[derive(Clone, Debug)]
struct Part {
    text: String,
    name: String,
    in_path: bool,
}

/// A checked template, cut up for rendering.
#[derive(Clone, Debug)]
pub struct UrlTemplate {
    parts: Vec<Part>,
    tail: String,
    text_length: usize,
}

impl UrlTemplate {
    /// Checks a template. Its host is turned into its ASCII form and non-ASCII elsewhere is percent-encoded;
    /// otherwise the URL stays as typed.
    pub fn parse(text: &str, known: &[&str]) -> Result<UrlTemplate, TemplateError> {
        if text.len() > MAX_LENGTH {
            return Err(TemplateError::TooLong);
        }
        let bad = |character: &char| character.is_control() || character.is_whitespace() || *character == '\\';
        if let Some(character) = text.chars().find(bad) {
            return Err(TemplateError::BadCharacter(character));
        }
        let (scheme, after_scheme) = text.split_once("://").ok_or(TemplateError::NotHttp)?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(TemplateError::NotHttp);
        }
        let end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
        let (authority, rest) = after_scheme.split_at(end);
        let mut template = UrlTemplate { parts: Vec::new(), tail: origin(scheme, authority)?, text_length: 0 };
        template.take_macros(rest, known)?;
        check_path(&rest[..rest.find(['?', '#']).unwrap_or(rest.len())])?;
        let text: usize = template.parts.iter().map(|part| part.text.len()).sum();
        template.text_length = text + template.tail.len();
        // Whatever the rules above may miss, the result has to be a URL to those who will follow it.
        Url::parse(&template.render(|_| Some("0"))).map_err(|_| TemplateError::BadHost)?;
        Ok(template)
    }

    /// Checks the template of an offer, which names the click.
    pub fn of_offer(text: &str) -> Result<UrlTemplate, TemplateError> {
        let template = UrlTemplate::parse(text, MACROS)?;
        if template.macros().any(|name| name == CLICK_ID) { Ok(template) } else { Err(TemplateError::NoClickId) }
    }

    /// The names of the template's macros, in order, repeats included.
    pub fn macros(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// Fills in the macros; one without a value becomes empty. Asks for each value twice, and allocates once.
    pub fn render<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> String {
        let values: usize = self.parts.iter().map(|part| encoded_length(value(&part.name).unwrap_or_default())).sum();
        let mut url = String::with_capacity(self.text_length + values);
        for part in &self.parts {
            url.push_str(&part.text);
            match value(&part.name) {
                Some(".") if part.in_path => url.push_str("%252E"),
                Some("..") if part.in_path => url.push_str("%252E%252E"),
                Some(value) => query_string::encode_into(value, &mut url),
                None => {}
            }
        }
        url.push_str(&self.tail);
        url
    }

    /// Renders an offer's URL for a click. The database and a proxy that is on its own both come here, so that a tap leads to
    /// the same place whoever answers it. `subs` is an object of texts, as `/click` brought them.
    pub fn render_offer(&self, click_id: &str, ids: &Ids, subs: Option<&Value>) -> String {
        let mut numbers: Vec<(&str, String)> = Vec::new();
        for name in self.macros() {
            numbers.extend(ids.get(name).map(|value| (name, value.to_string())));
        }
        self.render(|name| match name {
            CLICK_ID => Some(click_id),
            _ if name.starts_with("sub") => subs.and_then(|subs| subs.get(name)).and_then(Value::as_str),
            _ => numbers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()),
        })
    }

    /// Cuts path, query and fragment at their macros. The text collects in the tail.
    fn take_macros(&mut self, text: &str, known: &[&str]) -> Result<(), TemplateError> {
        let mut in_path = true;
        let mut rest = text;
        while let Some(position) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(position);
            let inside = brace.strip_prefix('{').ok_or(TemplateError::UnbalancedBrace)?;
            let (name, after) = inside.split_once('}').ok_or(TemplateError::UnbalancedBrace)?;
            if name.contains('{') {
                return Err(TemplateError::UnbalancedBrace);
            }
            if !known.contains(&name) {
                return Err(TemplateError::UnknownMacro(name.to_owned()));
            }
            if before.bytes().rev().take(2).any(|byte| byte == b'%') {
                return Err(TemplateError::BrokenEscape);
            }
            in_path = in_path && !before.contains(['?', '#']);
            push_ascii(before, &mut self.tail);
            let text = std::mem::take(&mut self.tail);
            self.parts.push(Part { text, name: name.to_owned(), in_path });
            rest = after;
        }
        push_ascii(rest, &mut self.tail);
        Ok(())
    }
}

/// Scheme, host and port in the form that goes into a header.
fn origin(scheme: &str, authority: &str) -> Result<String, TemplateError> {
    if authority.contains('@') {
        return Err(TemplateError::UserInfo);
    }
    if authority.contains(['{', '}']) {
        return Err(TemplateError::MacroInHost);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(TemplateError::BadHost);
    }
    let url = Url::parse(&format!("{scheme}://{authority}/")).map_err(|_| TemplateError::BadHost)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(TemplateError::BadHost)?;
    Ok(match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}

/// Refuses paths in which a macro without a value leaves a dot segment behind, or in which one takes a macro before it away.
fn check_path(path: &str) -> Result<(), TemplateError> {
    let mut follows_macro = false;
    for segment in path.split('/') {
        let has_macro = segment.contains('{');
        let mut static_text = segment.to_owned();
        while let (Some(start), Some(end)) = (static_text.find('{'), static_text.find('}')) {
            static_text.replace_range(start..=end, "");
        }
        let dots = static_text.to_ascii_lowercase().replace("%2e", ".");
        if has_macro && dots == "." || (has_macro || follows_macro) && dots == ".." {
            return Err(TemplateError::DotSegment);
        }
        follows_macro |= has_macro;
    }
    Ok(())
}

/// Appends a text with its non-ASCII bytes percent-encoded and everything else as typed.
fn push_ascii(text: &str, target: &mut String) {
    let mut buffer = [0; 4];
    for character in text.chars() {
        if character.is_ascii() {
            target.push(character);
        } else {
            query_string::encode_into(character.encode_utf8(&mut buffer), target);
        }
    }
}

/// At least as long as the value will be once it is encoded.
fn encoded_length(value: &str) -> usize {
    match value {
        "." | ".." => "%252E%252E".len(),
        _ => value.bytes().map(|byte| if query_string::is_unreserved(byte) { 1 } else { 3 }).sum(),
    }
}

#[cfg(test)]
mod tests;
