//! Request bodies: bounded, JSON only, every failure a problem.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use serde_json::error::Category;
use stockline_core::domain::{Fault, Json, JsonObject};
use tokio::sync::SemaphorePermit;

use crate::Limits;
use crate::problem::{Problem, codes};
use crate::room::{LargeBody, Room, SMALL_BODY_BYTES};

/// What is read and thrown away of a body that is not taken, in bytes, so that its sender reads the answer.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;

/// And for so long, of one that is slow.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// A body that is not here by then is slow.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// A body, with the room that it takes until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    bytes: Bytes,
    _large: Option<LargeBody<'a>>,
}

impl Deref for Held<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a JSON body of at most `limits.body_bytes`, within half of the time that a request may take. Slow ones have a
/// share of the requests in work, so that the others have the rest; large ones have so many bytes in all.
pub(crate) async fn read<'a>(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    room: &'a Room,
) -> Result<Held<'a>, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    let mut reader = Reader::new(body, limits.body_bytes, announced, room);
    if let Some(bytes) = announced {
        reader.make_room(bytes, bytes).await;
    }
    match tokio::time::timeout(SLOW_AFTER, reader.read()).await {
        Ok(read) => read?,
        Err(_) => slow(&mut reader, limits, room).await?,
    }
    let held = reader.held()?;
    is_json(headers, held.is_empty())?;
    Ok(held)
}

async fn slow(reader: &mut Reader<'_>, limits: &Limits, room: &Room) -> Result<(), Problem> {
    let Some(_place) = room.slow_body() else {
        return Err(reader.refusal.take().unwrap_or_else(too_many_slow));
    };
    reader.is_slow = true;
    reader.take_slow_share();
    if reader.refusal.is_some() {
        // For those who read the answer only when they have sent all.
        return tokio::time::timeout(DISCARD_WITHIN, reader.read()).await.unwrap_or(Ok(()));
    }
    let within = Duration::from_secs(limits.request_timeout_s) / 2;
    tokio::time::timeout(within.saturating_sub(SLOW_AFTER), reader.read()).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s; send it again", within.as_secs());
        reader.refusal.take().unwrap_or_else(|| Problem::new(codes::REQUEST_TIMEOUT, detail))
    })?
}

fn too_many_slow() -> Problem {
    let detail = "too many bodies are arriving slowly; nothing of this one was taken, send it again";
    Problem::new(codes::OVERLOADED, detail)
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

struct Reader<'a> {
    body: Body,
    limit: usize,
    announced: Option<usize>,
    room: &'a Room,
    large: Option<LargeBody<'a>>,
    is_slow: bool,
    slow_share: Option<SemaphorePermit<'a>>,
    /// Why nothing of the body is kept.
    refusal: Option<Problem>,
    /// What came first, and from the second piece on all of it.
    first: Bytes,
    more: Vec<u8>,
    total: usize,
}

impl<'a> Reader<'a> {
    fn new(body: Body, limit: usize, announced: Option<usize>, room: &'a Room) -> Self {
        let (large, slow_share, refusal) = (None, None, None);
        let (first, more, total) = (Bytes::new(), Vec::new(), 0);
        Self { body, limit, announced, room, large, is_slow: false, slow_share, refusal, first, more, total }
    }

    /// Room for a body that has `known` bytes at least, and may have `most`.
    async fn make_room(&mut self, known: usize, most: usize) {
        if self.refusal.is_some() {
            return;
        }
        if known > self.limit {
            let detail = format!("the body must be at most {} bytes; nothing of it was taken", self.limit);
            self.refuse(Problem::new(codes::BODY_TOO_LARGE, detail));
        } else if known > SMALL_BODY_BYTES && self.large.is_none() {
            self.large = self.room.large_body(most).await;
            if self.large.is_none() {
                let detail = "too many large bodies are being read; nothing of this one was taken, send it again";
                self.refuse(Problem::new(codes::OVERLOADED, detail));
            } else if self.is_slow {
                self.take_slow_share();
            }
        }
    }

    fn take_slow_share(&mut self) {
        if let Some(large) = &self.large {
            self.slow_share = self.room.slow_large_body(large);
            if self.slow_share.is_none() {
                self.refuse(too_many_slow());
            }
        }
    }

    fn refuse(&mut self, refusal: Problem) {
        (self.first, self.more) = (Bytes::new(), Vec::new());
        (self.large, self.slow_share) = (None, None);
        self.refusal = Some(refusal);
    }

    /// Reads to the end, or as far as is discarded. Goes on where it was dropped.
    async fn read(&mut self) -> Result<(), Problem> {
        loop {
            // Who did not say how long it is may go on to the limit.
            self.make_room(self.total, self.limit).await;
            if self.refusal.is_some() && self.total > self.limit.saturating_add(DISCARD_BYTES) {
                return Ok(());
            }
            let Some(frame) = self.body.frame().await else { return Ok(()) };
            let Ok(frame) = frame else {
                let problem = Problem::new(codes::MALFORMED_JSON, "the body ended before its end");
                return Err(self.refusal.take().unwrap_or(problem));
            };
            if let Ok(bytes) = frame.into_data() {
                self.total += bytes.len();
                self.keep(bytes);
            }
        }
    }

    fn keep(&mut self, bytes: Bytes) {
        if self.refusal.is_some() {
            return;
        }
        if self.first.is_empty() && self.more.is_empty() {
            self.first = bytes;
            return;
        }
        if self.more.is_empty() {
            self.more.reserve(self.announced.unwrap_or(0).max(self.first.len() + bytes.len()));
            self.more.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.more.extend_from_slice(&bytes);
    }

    fn held(self) -> Result<Held<'a>, Problem> {
        match self.refusal {
            Some(refusal) => Err(refusal),
            None => {
                let bytes = if self.more.is_empty() { self.first } else { self.more.into() };
                Ok(Held { bytes, _large: self.large })
            }
        }
    }
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
