//! What one postback says: parameters of query and body, read through a network's map of names.
//!
//! Here is only reading: which field holds what, which values are macros that the network did not resolve, which key
//! the dedupe recipe gives. Whether the message is true, and what it changes, is decided in `sql/functions/postbacks`.

use crate::click_id;
use crate::money::{self, MoneyError};
use crate::query_string::{self, Parameter};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The longest transaction id, event, status word or offer number that is accepted, in characters.
pub const MAX_FIELD_LENGTH: usize = 255;

/// Names under which networks send a token; masked also where the network is not known.
const TOKEN_NAMES: [&str; 4] = ["token", "security_token", "secure", "verification_token"];

/// A network's map: field to the parameter names that may hold it, as stored in `networks.parameters`.
pub struct Map<'a>(&'a Value);

impl<'a> Map<'a> {
    /// Wraps the stored JSON object.
    pub fn new(json: &'a Value) -> Self {
        Map(json)
    }

    /// The fields that the map has.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'a str> {
        self.0.as_object().into_iter().flat_map(serde_json::Map::keys).map(String::as_str)
    }

    /// The parameter names that may hold a field.
    pub(crate) fn names(&self, field: &str) -> impl Iterator<Item = &'a str> {
        self.0.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

/// What a message says; every field as text, `None` where it is absent, empty or an unresolved macro.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Why the message cannot be read at all.
    pub problem: Option<String>,
    /// What was left out on the way, in words.
    pub note: Option<String>,
    pub click_id: Option<String>,
    pub transaction_id: Option<String>,
    pub event: Option<String>,
    pub raw_status: Option<String>,
    /// A strict decimal.
    pub payout: Option<String>,
    /// Why the payout is not one.
    pub payout_problem: Option<String>,
    /// ISO 4217, upper case.
    pub currency: Option<String>,
    pub network_offer_id: Option<String>,
    pub event_time: Option<String>,
    pub token: Option<String>,
    /// The fields of the first recipe that fits, as `name=value&name=value`.
    pub dedupe_key: Option<String>,
}

/// How a network writes money.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoneyTerms<'a> {
    /// The currency of a message that names none.
    pub currency: Option<&'a str>,
    /// Whether a payout may be several amounts joined by commas.
    pub joins_payouts: bool,
}

/// Reads a message. Each recipe is a comma list of fields; the first whose leading field is present makes the key.
pub fn read(
    query: &[u8],
    body: &[u8],
    content_type: Option<&str>,
    map: &Map,
    recipes: &[&str],
    terms: MoneyTerms,
) -> Message {
    match parameters(query, body, content_type) {
        Ok(parameters) => {
            Reader { parameters: &parameters, map, message: Message::default(), notes: Vec::new() }.read(recipes, terms)
        }
        Err(problem) => Message { problem: Some(problem), ..Message::default() },
    }
}

/// The bytes of a query or body with the values of its tokens replaced, fit to be stored; every other byte as it came.
///
/// What cannot be read is masked all the same: as a form and as JSON, whatever its content type says.
pub fn mask_tokens(raw: &[u8], map: Option<&Map>) -> Vec<u8> {
    let mut names = TOKEN_NAMES.to_vec();
    names.extend(map.into_iter().flat_map(|map| map.names("token")));
    mask_members(&query_string::mask(raw, &names), &names)
}

/// Replaces what follows `"name":`, at any depth of JSON that may be broken or cut off; names in any case.
fn mask_members(raw: &[u8], names: &[&str]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(quote) = rest.iter().position(|&byte| byte == b'"') {
        let (name, after_name) = string_at(&rest[quote..]);
        masked.extend_from_slice(&rest[..quote + name.len()]);
        rest = after_name;
        let is_secret = names.iter().any(|secret| {
            name[1..].strip_suffix(b"\"").is_some_and(|name| name.eq_ignore_ascii_case(secret.as_bytes()))
        });
        let space = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let colon = space(rest);
        if !is_secret || rest.get(colon) != Some(&b':') {
            continue;
        }
        let start = colon + 1 + space(&rest[colon + 1..]);
        let value = &rest[start..];
        let (_, after_value) = match value.first() {
            Some(b'"') => string_at(value),
            _ => value.split_at(value.iter().position(|byte| b",}] \t\r\n".contains(byte)).unwrap_or(value.len())),
        };
        masked.extend_from_slice(&rest[..start]);
        masked.extend_from_slice(b"\"***\"");
        rest = after_value;
    }
    masked.extend_from_slice(rest);
    masked
}

/// A JSON string with its quotes, and what follows it; without an end it is all there is.
fn string_at(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = bytes.iter().skip(1).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    bytes.split_at(end.map_or(bytes.len(), |end| end + 2))
}

pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    })
}

/// The decoded parameters of query and body, a form or flat JSON by content type; the error says what cannot be read.
pub(crate) fn parameters(query: &[u8], body: &[u8], content_type: Option<&str>) -> Result<Vec<Parameter>, String> {
    let mut parameters = query_string::parse(query).map_err(|error| format!("the query cannot be read: {error}"))?;
    if body.is_empty() {
        return Ok(parameters);
    }
    if is_json(content_type) {
        parameters.extend(json_parameters(body)?);
    } else {
        parameters.extend(query_string::parse(body).map_err(|error| format!("the body cannot be read: {error}"))?);
    }
    Ok(parameters)
}

/// The members of a flat JSON object, repeats of a name included; numbers keep their digits, and a list or an object is empty.
fn json_parameters(body: &[u8]) -> Result<Vec<Parameter>, String> {
    let Ok(Members(members)) = serde_json::from_slice(body) else {
        return Err("the body is not a JSON object".to_owned());
    };
    let given = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(value) => Some(Parameter { name, value }),
        Value::Number(value) => Some(Parameter { name, value: value.to_string() }),
        Value::Bool(value) => Some(Parameter { name, value: value.to_string() }),
        // An amount that is there and cannot be read is not the same as none.
        Value::Array(_) | Value::Object(_) => Some(Parameter { name, value: String::new() }),
        Value::Null => None,
    });
    let parameters: Vec<Parameter> = given.collect();
    if parameters.iter().any(|parameter| parameter.name.contains('\0') || parameter.value.contains('\0')) {
        return Err("the body holds a NUL".to_owned());
    }
    Ok(parameters)
}

/// The members of a JSON object as they came. A map would keep the last of a name that comes twice, and hide that it did.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

struct Reader<'a> {
    parameters: &'a [Parameter],
    map: &'a Map<'a>,
    message: Message,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn read(mut self, recipes: &[&str], terms: MoneyTerms) -> Message {
        self.message.click_id = self.click_id();
        let transaction_id = self.short_field("transaction_id");
        let conversion_id = self.short_field("conversion_id");
        self.message.event = self.short_field("event");
        self.message.raw_status = self.short_field("status");
        self.message.network_offer_id = self.short_field("offer_id");
        self.message.event_time = self.short_field("time");
        self.message.token = self.field("token");
        self.read_money(terms);
        self.message.dedupe_key =
            recipes.iter().find_map(|recipe| self.key(recipe, transaction_id.as_deref(), conversion_id.as_deref()));
        self.message.transaction_id = transaction_id.or(conversion_id);
        self.message.note = (!self.notes.is_empty()).then(|| self.notes.join("; "));
        self.message
    }

    /// The first name of the field whose value is there and no macro.
    fn field(&mut self, field: &str) -> Option<String> {
        for name in self.map.names(field) {
            let mut values = self.parameters.iter().filter(|p| p.name == name && !p.value.is_empty()).map(|p| &p.value);
            let Some(value) = values.next() else { continue };
            if values.any(|other| other != value) {
                self.problem(format!("parameter \"{name}\" is given twice with different values"));
            }
            if query_string::is_unresolved_macro(value) {
                self.notes.push(format!("parameter \"{name}\" holds a macro that the network did not resolve"));
                continue;
            }
            if value.chars().any(char::is_control) {
                self.problem(format!("parameter \"{name}\" holds a control character"));
            }
            return Some(value.clone());
        }
        None
    }

    fn short_field(&mut self, field: &str) -> Option<String> {
        let value = self.field(field)?;
        if value.chars().count() > MAX_FIELD_LENGTH {
            self.problem(format!("the {field} is longer than {MAX_FIELD_LENGTH} characters"));
            return None;
        }
        Some(value)
    }

    fn click_id(&mut self) -> Option<String> {
        let value = self.field("click_id")?;
        if click_id::is_legal(&value) {
            return Some(value);
        }
        self.notes.push("the click id is not 1 to 64 of [A-Za-z0-9._~-]".to_owned());
        None
    }

    fn read_money(&mut self, terms: MoneyTerms) {
        let mut currency = terms.currency.and_then(|code| money::currency(code).ok());
        if let Some(word) = self.short_field("currency") {
            match money::currency(&word) {
                Ok(named) => {
                    self.message.currency = Some(named.as_str().to_owned());
                    currency = Some(named);
                }
                Err(error) => self.message.payout_problem = Some(format!("currency: {error}")),
            }
        }
        let given = self.map.names("payout").find_map(|name| self.parameters.iter().find(|p| p.name == name));
        let Some(given) = given else { return };
        // An amount that is there but unusable is never taken for "no amount": that would make it 0.
        let amount = match self.field("payout") {
            Some(amount) if terms.joins_payouts => money::sum_amounts(&amount),
            Some(amount) => money::parse_amount(&amount).map(str::to_owned),
            None if given.value.is_empty() => Err(MoneyError::Empty),
            None => Err(MoneyError::Macro),
        };
        let checked = amount.and_then(|amount| {
            currency.map_or(Ok(()), |currency| money::check_scale(&amount, currency))?;
            Ok(amount)
        });
        match checked {
            Ok(amount) => self.message.payout = Some(amount),
            Err(error) => self.message.payout_problem = Some(format!("payout: {error}")),
        }
    }

    fn key(&self, recipe: &str, transaction_id: Option<&str>, conversion_id: Option<&str>) -> Option<String> {
        let mut key = String::new();
        for (place, field) in recipe.split(',').enumerate() {
            let value = match field {
                "click_id" => self.message.click_id.as_deref(),
                "transaction_id" => transaction_id,
                "conversion_id" => conversion_id,
                "event" => self.message.event.as_deref(),
                "offer_id" => self.message.network_offer_id.as_deref(),
                _ => None,
            };
            if place == 0 {
                value?;
            } else {
                key.push('&');
            }
            key.push_str(field);
            key.push('=');
            for character in value.unwrap_or_default().chars() {
                match character {
                    '%' => key.push_str("%25"),
                    '&' => key.push_str("%26"),
                    '=' => key.push_str("%3D"),
                    other => key.push(other),
                }
            }
        }
        Some(key)
    }

    fn problem(&mut self, problem: String) {
        self.message.problem.get_or_insert(problem);
    }
}

#[cfg(test)]
mod tests;
