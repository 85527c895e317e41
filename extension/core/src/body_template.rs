//! Templates of request bodies: JSON or a form, checked once when they are saved, rendered for every delivery.
//!
//! A value cannot leave its place. In a form it is percent-encoded. In JSON a macro inside a string is escaped
//! (`"id": "{click_id}"`), and one that stands alone becomes a whole value (`"payout": {payout}`): a number, a string, or
//! `null` when there is none. Not for: the macros' meaning.

use crate::query_string;
use serde_json::Value;
use std::fmt;

/// The longest template, in bytes.
pub const MAX_LENGTH: usize = 65_536;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Form,
}

impl Format {
    /// The format of a content type; none for one that could not be escaped for.
    pub fn of(content_type: &str) -> Option<Format> {
        match content_type {
            "application/json" => Some(Format::Json),
            "application/x-www-form-urlencoded" => Some(Format::Form),
            _ => None,
        }
    }
}

/// Why a template was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than [`MAX_LENGTH`].
    TooLong,
    /// A name in braces that is not one of the known macros.
    UnknownMacro(String),
    /// Not JSON once its macros are filled in.
    NotJson,
    /// A form with a space, a control character, or a brace that belongs to no macro.
    BadCharacter(char),
    /// A macro right after the beginning of a percent escape of a form.
    BrokenEscape,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::TooLong => write!(formatter, "the body is longer than {MAX_LENGTH} bytes"),
            BodyError::UnknownMacro(name) => write!(formatter, "the macro \"{{{name}}}\" is unknown"),
            BodyError::NotJson => formatter.write_str("the body is not JSON once its macros are filled in"),
            BodyError::BadCharacter(character) => {
                write!(formatter, "the form contains the character \"{}\"", character.escape_default())
            }
            BodyError::BrokenEscape => formatter.write_str("the form has a macro inside a percent escape"),
        }
    }
}

impl std::error::Error for BodyError {}

/// How the value of a macro is written in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    InForm,
    InString,
    Number,
    Text,
}

#[derive(Clone, Debug)]
struct Part {
    text: String,
    name: String,
    place: Place,
}

/// A checked template, cut up for rendering.
#[derive(Clone, Debug)]
pub struct BodyTemplate {
    parts: Vec<Part>,
    tail: String,
}

impl BodyTemplate {
    /// Checks a template. `numbers` are those of the known macros that stand for a number.
    pub fn parse(text: &str, format: Format, known: &[&str], numbers: &[&str]) -> Result<BodyTemplate, BodyError> {
        if text.len() > MAX_LENGTH {
            return Err(BodyError::TooLong);
        }
        let mut template = BodyTemplate { parts: Vec::new(), tail: String::new() };
        let mut in_string = false;
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if let Some(name) = macro_name(rest) {
                if !known.contains(&name) {
                    return Err(BodyError::UnknownMacro(name.to_owned()));
                }
                let place = match format {
                    Format::Form if template.tail.bytes().rev().take(2).any(|byte| byte == b'%') => {
                        return Err(BodyError::BrokenEscape);
                    }
                    Format::Form => Place::InForm,
                    Format::Json if in_string => Place::InString,
                    Format::Json if numbers.contains(&name) => Place::Number,
                    Format::Json => Place::Text,
                };
                let text = std::mem::take(&mut template.tail);
                template.parts.push(Part { text, name: name.to_owned(), place });
                rest = &rest[name.len() + 2..];
                continue;
            }
            match format {
                Format::Form if character.is_whitespace() || character.is_control() || "{}".contains(character) => {
                    return Err(BodyError::BadCharacter(character));
                }
                Format::Json if character == '"' && !ends_in_escape(&template.tail) => in_string = !in_string,
                _ => {}
            }
            template.tail.push(character);
            rest = &rest[character.len_utf8()..];
        }
        if format == Format::Json {
            for sample in [None, Some("0")] {
                serde_json::from_str::<Value>(&template.render(|_| sample)).map_err(|_| BodyError::NotJson)?;
            }
        }
        Ok(template)
    }

    /// Fills in the macros. One without a value becomes empty, or `null` where a whole JSON value stands.
    pub fn render<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> String {
        let mut body = String::new();
        for part in &self.parts {
            body.push_str(&part.text);
            match (part.place, value(&part.name)) {
                (Place::InForm, Some(value)) => query_string::encode_into(value, &mut body),
                (Place::InString, Some(value)) => {
                    let quoted = Value::from(value).to_string();
                    body.push_str(&quoted[1..quoted.len() - 1]);
                }
                (Place::Number, Some(value)) => body.push_str(value),
                (Place::Text, Some(value)) => body.push_str(&Value::from(value).to_string()),
                (Place::InForm | Place::InString, None) => {}
                (Place::Number | Place::Text, None) => body.push_str("null"),
            }
        }
        body.push_str(&self.tail);
        body
    }
}

/// The name of the macro that a text begins with.
fn macro_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.bytes().all(legal)).then_some(name)
}

/// Whether the character after this text is escaped by a backslash that is not escaped itself.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests;
