//! The JSON of request bodies: parsed, and its objects read member by member.

use serde_json::error::Category;
use stockline_core::domain::{Fault, Json, JsonObject};

use crate::problem::{Problem, codes};

/// Parses a body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json<'_>, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        if let Some(detail) = wrong_encoding(bytes) {
            return Problem::new(codes::MALFORMED_JSON, detail);
        }
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = match error.classify() {
            Category::Eof if bytes.is_empty() => "the body is empty".to_owned(),
            Category::Eof => format!("the JSON ends too early, at {place}"),
            // The text of a serde_json error ends with the place and never contains the body.
            _ => format!("the body is not valid JSON: {error}"),
        };
        Problem::new(codes::MALFORMED_JSON, detail)
    })
}

/// Says how a body is encoded, if it is not UTF-8 without a byte order mark (RFC 8259, section 8.1).
fn wrong_encoding(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => Some(
            "the body begins with a byte order mark (the bytes EF BB BF), which JSON must not have: send UTF-8 without it (in .NET new UTF8Encoding(false))"
                .to_owned(),
        ),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..] => {
            Some("the body is UTF-16 or UTF-32, and JSON must be UTF-8: encode it as UTF-8 without a byte order mark".to_owned())
        }
        // A text that ends within a character ends too early.
        _ => std::str::from_utf8(bytes).err().filter(|error| error.error_len().is_some()).map(|error| {
            let byte = error.valid_up_to() + 1;
            format!("byte {byte} of the body is not UTF-8, as in Latin-1 or Windows-1252 texts: encode the body as UTF-8")
        }),
    }
}

/// The members of a JSON object, and the faults of its shape. It reads small bodies.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    members: &'a JsonObject<'a>,
    pointer: String,
    /// The faults that were found so far.
    pub(crate) faults: Vec<Fault>,
}

/// Members of an object; bounds the search for repeated ones, and the faults.
const MAX_MEMBERS: usize = 64;

impl<'a> Members<'a> {
    /// Reads an object; all members but `known` ones are faults.
    pub(crate) fn of(json: &'a Json<'a>, pointer: String, known: &[&str]) -> Result<Self, Fault> {
        let Json::Object(members) = json else {
            let detail = format!("must be an object with {}, not {}", known.join(", "), json.kind());
            return Err(Fault { pointer, code: "wrong_type", detail });
        };
        if members.len() > MAX_MEMBERS {
            let detail = format!("has {} members and may have {MAX_MEMBERS}", members.len());
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

    /// Returns a member; `None` if it is missing or null.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Json<'a>> {
        self.members.iter().find(|(key, _)| key == field).map(|(_, value)| value).filter(|value| **value != Json::Null)
    }

    /// Reports whether a member is there, also if it is null.
    pub(crate) fn is_given(&self, field: &str) -> bool {
        self.members.iter().any(|(key, _)| key == field)
    }

    /// Returns a member, and adds a fault if it is missing.
    pub(crate) fn required(&mut self, field: &str) -> Option<&'a Json<'a>> {
        let value = self.get(field);
        if value.is_none() {
            self.fault(field, "missing_field", "is required");
        }
        value
    }

    /// Returns a value as text.
    pub(crate) fn text(&mut self, field: &str, json: &'a Json<'a>) -> Option<&'a str> {
        if let Json::Str(text) = json {
            return Some(text);
        }
        self.fault(field, "wrong_type", format!("must be a string, not {}", json.kind()));
        None
    }

    /// Returns a parsed text, if the member is present.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, field: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let json = self.get(field)?;
        let text = self.text(field, json)?;
        text.parse().map_err(|error: T::Err| self.fault(field, "invalid_value", error.to_string())).ok()
    }

    /// Returns a parsed text, and adds a fault if the member is missing.
    pub(crate) fn required_parsed<T: std::str::FromStr>(&mut self, field: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.required(field)?;
        self.parsed(field)
    }

    /// Returns a value as an array.
    pub(crate) fn array(&mut self, field: &str, json: &'a Json<'a>) -> Option<&'a [Json<'a>]> {
        if let Json::Array(values) = json {
            return Some(values);
        }
        self.fault(field, "wrong_type", format!("must be an array, not {}", json.kind()));
        None
    }
}
