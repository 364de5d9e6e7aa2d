//! The JSON of request bodies: parsed, and its objects read member by member.

use serde_json::error::Category;
use stockline_core::domain::{Fault, Json, JsonObject};

use crate::problem::{Problem, codes};

/// Parses a body; the text must outlive the value.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json<'_>, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = match error.classify() {
            Category::Eof if bytes.is_empty() => "the body is empty".to_owned(),
            Category::Eof => format!("the JSON ends too early, at {place}"),
            // The text of a serde_json error ends with the place and never holds the body.
            _ => format!("the body is not valid JSON: {error}"),
        };
        Problem::new(codes::MALFORMED_JSON, detail)
    })
}

/// The members of a JSON object, with every fault of its shape: a reader for the small bodies.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    members: &'a JsonObject<'a>,
    pointer: String,
    /// What was wrong so far.
    pub(crate) faults: Vec<Fault>,
}

/// The most members of an object that are looked at: bounds the search for repeats and the faults.
const MAX_MEMBERS: usize = 64;

impl<'a> Members<'a> {
    /// Of an object that has no members but `known`.
    pub(crate) fn of(json: &'a Json<'a>, pointer: String, known: &[&str]) -> Result<Self, Fault> {
        let Json::Object(members) = json else {
            let detail = format!("must be an object with {}, not {}", known.join(", "), json.kind());
            return Err(Fault { pointer, code: "wrong_type", detail });
        };
        if members.len() > MAX_MEMBERS {
            let detail = format!("has {} members; at most {MAX_MEMBERS} are read", members.len());
            return Err(Fault { pointer, code: "too_many_fields", detail });
        }
        let mut reader = Self { members, pointer, faults: Vec::new() };
        for (index, (key, _)) in members.iter().enumerate() {
            if members[..index].iter().any(|(earlier, _)| earlier == key) {
                reader.fault(key, "duplicate_field", "is given more than once");
            } else if !known.contains(&&**key) {
                reader.fault(key, "unknown_field", format!("is not known here; known are {}", known.join(", ")));
            }
        }
        Ok(reader)
    }

    /// Adds a fault of one member.
    pub(crate) fn fault(&mut self, field: &str, code: &'static str, detail: impl Into<String>) {
        let escaped = field.replace('~', "~0").replace('/', "~1");
        self.faults.push(Fault { pointer: format!("{}/{escaped}", self.pointer), code, detail: detail.into() });
    }

    /// A member that may be left out or null.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Json<'a>> {
        self.members.iter().find(|(key, _)| key == field).map(|(_, value)| value).filter(|value| **value != Json::Null)
    }

    /// As [`Members::get`], with a fault where it is missing.
    pub(crate) fn required(&mut self, field: &str) -> Option<&'a Json<'a>> {
        let value = self.get(field);
        if value.is_none() {
            self.fault(field, "missing_field", "is required");
        }
        value
    }

    /// A text.
    pub(crate) fn text(&mut self, field: &str, json: &'a Json<'a>) -> Option<&'a str> {
        if let Json::Str(text) = json {
            return Some(text);
        }
        self.fault(field, "wrong_type", format!("must be a string, not {}", json.kind()));
        None
    }

    /// A text that parses, where it is given.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, field: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let json = self.get(field)?;
        let text = self.text(field, json)?;
        text.parse().map_err(|error: T::Err| self.fault(field, "invalid_value", error.to_string())).ok()
    }

    /// As [`Members::parsed`], with a fault where it is missing.
    pub(crate) fn required_parsed<T: std::str::FromStr>(&mut self, field: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.required(field)?;
        self.parsed(field)
    }

    /// A list.
    pub(crate) fn array(&mut self, field: &str, json: &'a Json<'a>) -> Option<&'a [Json<'a>]> {
        if let Json::Array(values) = json {
            return Some(values);
        }
        self.fault(field, "wrong_type", format!("must be an array, not {}", json.kind()));
        None
    }
}
