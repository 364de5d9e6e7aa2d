//! Request bodies: bounded, JSON only, every failure a problem.

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use serde_json::error::Category;
use stockline_common::domain::{Fault, Json, JsonObject};

use crate::Limits;
use crate::problem::{Problem, codes};
use crate::room::Room;

/// What is read and thrown away of a body that is too large, in bytes, so that its sender reads the answer.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;

/// A body that is not here by then is slow.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// Reads a JSON body of at most `limits.body_bytes`, within half of the time that a request may take. Slow ones have a
/// share of the requests in work, so that the others have the rest.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limits: &Limits, room: &Room) -> Result<Bytes, Problem> {
    let mut reading = pin!(read_bounded(headers, body, limits.body_bytes));
    let read = match tokio::time::timeout(SLOW_AFTER, &mut reading).await {
        Ok(read) => read?,
        Err(_) => slow(reading, limits, room).await?,
    };
    is_json(headers, read.is_empty())?;
    Ok(read)
}

async fn slow(
    reading: impl Future<Output = Result<Bytes, Problem>>,
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Problem> {
    let Some(_place) = room.slow_body() else {
        let detail = "too many bodies are arriving slowly; nothing of this one was taken, send it again";
        return Err(Problem::new(codes::OVERLOADED, detail));
    };
    let within = Duration::from_secs(limits.request_timeout_s) / 2;
    tokio::time::timeout(within.saturating_sub(SLOW_AFTER), reading).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s; send it again", within.as_secs());
        Problem::new(codes::REQUEST_TIMEOUT, detail)
    })?
}

fn is_json(headers: &HeaderMap, empty: bool) -> Result<(), Problem> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Problem::new(codes::UNSUPPORTED_MEDIA_TYPE, "a Content-Encoding is not taken: send plain JSON"));
    }
    let text = match headers.get(CONTENT_TYPE) {
        None if empty => return Ok(()),
        None => {
            return Err(Problem::new(
                codes::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Type header is missing: send application/json",
            ));
        }
        Some(value) => value.to_str().unwrap_or_default(),
    };
    if text == "application/json" {
        return Ok(());
    }
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || (media.starts_with("application/") && media.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(codes::UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json"))
}

async fn read_bounded(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    let mut first = Bytes::new();
    let mut more = Vec::new();
    let mut total = 0_usize;
    let mut too_large = announced.is_some_and(|bytes| bytes > limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(codes::MALFORMED_JSON, "the body ended before its end"))?;
        let Ok(bytes) = frame.into_data() else { continue };
        total += bytes.len();
        too_large |= total > limit;
        if too_large {
            (first, more) = (Bytes::new(), Vec::new());
            if total > limit.saturating_add(DISCARD_BYTES) {
                break;
            }
        } else if first.is_empty() && more.is_empty() {
            first = bytes;
        } else {
            if more.is_empty() {
                more.reserve(announced.unwrap_or(0).max(first.len() + bytes.len()));
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&bytes);
        }
    }
    if too_large {
        return Err(Problem::new(
            codes::BODY_TOO_LARGE,
            format!("the body must be at most {limit} bytes; nothing of it was taken"),
        ));
    }
    Ok(if more.is_empty() { first } else { more.into() })
}

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
