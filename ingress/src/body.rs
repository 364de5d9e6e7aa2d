//! Request bodies: bounded in bytes and in time, JSON only; every failure is a problem.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;

use crate::body_budget::{BodyBudget, LargeBody, SMALL_BODY_BYTES, SlowShare};
use crate::config::Limits;
use crate::problem::{Problem, codes};

/// How many bytes of a refused body are read and discarded, so that its sender gets to read the answer.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;

/// How long a refused slow body is read and discarded.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// A body that has not arrived after this time is slow.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// A body that was read. It occupies its bytes of the budget until it is dropped.
#[derive(Debug)]
pub(crate) struct RequestBody<'a> {
    bytes: Bytes,
    _large: Option<LargeBody<'a>>,
}

impl RequestBody<'_> {
    /// Returns the bytes, for another thread; they are counted until this is dropped.
    pub(crate) fn shared(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl Deref for RequestBody<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a JSON body of at most `limits.body_bytes`, within half of the time that a request may take.
pub(crate) async fn read<'a>(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    budget: &'a BodyBudget,
) -> Result<RequestBody<'a>, Problem> {
    let body = read_bytes(headers, body, limits.body_bytes, limits, budget).await?;
    is_json(headers, body.is_empty())?;
    Ok(body)
}

/// Reads a file of at most `limits.import_bytes`, within half of the time that a request may take.
pub(crate) async fn read_file<'a>(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    budget: &'a BodyBudget,
) -> Result<RequestBody<'a>, Problem> {
    is_not_encoded(headers)?;
    read_bytes(headers, body, limits.import_bytes, limits, budget).await
}

async fn read_bytes<'a>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    limits: &Limits,
    budget: &'a BodyBudget,
) -> Result<RequestBody<'a>, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    let mut reader = Reader::new(body, bytes_max, announced, budget);
    if let Some(bytes) = announced {
        reader.grow(bytes, bytes).await;
    }
    match tokio::time::timeout(SLOW_AFTER, reader.read()).await {
        Ok(read) => read?,
        Err(_) => read_slowly(&mut reader, limits, budget).await?,
    }
    reader.finish()
}

async fn read_slowly(reader: &mut Reader<'_>, limits: &Limits, budget: &BodyBudget) -> Result<(), Problem> {
    let Some(_place) = budget.slow_body() else {
        return Err(reader.refusal_or(too_many_slow));
    };
    reader.slow_down();
    if matches!(reader.state, State::Refused(_)) {
        // Some clients read the answer only after they have sent the whole body.
        return tokio::time::timeout(DISCARD_WITHIN, reader.read()).await.unwrap_or(Ok(()));
    }
    let within = Duration::from_secs(limits.request_timeout_s) / 2;
    tokio::time::timeout(within.saturating_sub(SLOW_AFTER), reader.read()).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s; send it again", within.as_secs());
        reader.refusal_or(|| Problem::new(codes::REQUEST_TIMEOUT, detail))
    })?
}

fn too_many_slow() -> Problem {
    let detail = "too many bodies are arriving slowly; nothing of this request was done, send it again";
    Problem::new(codes::OVERLOADED, detail)
}

fn is_not_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Problem::new(
            codes::UNSUPPORTED_MEDIA_TYPE,
            "the body has a Content-Encoding, which is not supported; send it plain",
        )),
        _ => Ok(()),
    }
}

fn is_json(headers: &HeaderMap, empty: bool) -> Result<(), Problem> {
    is_not_encoded(headers)?;
    let text = match headers.get(CONTENT_TYPE) {
        None if empty => return Ok(()),
        None => {
            return Err(Problem::new(
                codes::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Type header is missing; send application/json",
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

/// The state of a body that is being read.
///
/// ```text
///             over 16 KiB, and
///             the budget has room
///   Small ────────────────────────▶ Large
///     │                               │
///     │ 250 ms                        │ 250 ms, and slow bodies
///     ▼                               ▼ have bytes left
/// SlowSmall ─────────────────────▶ SlowLarge
///             over 16 KiB, and both
///             have room
/// ```
///
/// If there is no room, or the body is over the limit, any state becomes `Refused`. A refused body stays refused, and its
/// bytes are discarded.
enum State<'a> {
    Small,
    Large(LargeBody<'a>),
    SlowSmall,
    SlowLarge { large: LargeBody<'a>, _share: SlowShare<'a> },
    Refused(Problem),
}

struct Reader<'a> {
    body: Body,
    limit: usize,
    announced: Option<usize>,
    budget: &'a BodyBudget,
    state: State<'a>,
    pieces: Pieces,
    /// Bytes that have arrived.
    total: usize,
}

impl<'a> Reader<'a> {
    fn new(body: Body, limit: usize, announced: Option<usize>, budget: &'a BodyBudget) -> Self {
        Self { body, limit, announced, budget, state: State::Small, pieces: Pieces::default(), total: 0 }
    }

    /// Makes room for a body that has at least `known` bytes and may have `most`.
    async fn grow(&mut self, known: usize, most: usize) {
        let is_slow = match self.state {
            State::Refused(_) => return,
            _ if known > self.limit => {
                let detail = format!("the body must be at most {} bytes; nothing of this request was done", self.limit);
                return self.refuse(Problem::new(codes::BODY_TOO_LARGE, detail));
            }
            State::Large(_) | State::SlowLarge { .. } => return,
            State::Small => false,
            State::SlowSmall => true,
        };
        if known <= SMALL_BODY_BYTES {
            return;
        }
        match self.budget.large_body(most).await {
            Some(large) if is_slow => self.slow_large(large),
            Some(large) => self.state = State::Large(large),
            None => {
                let detail = "too many large bodies are being read; nothing of this request was done, send it again";
                self.refuse(Problem::new(codes::OVERLOADED, detail));
            }
        }
    }

    fn slow_down(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::SlowSmall) {
            State::Small => State::SlowSmall,
            State::Large(large) => return self.slow_large(large),
            other => other,
        };
    }

    fn slow_large(&mut self, large: LargeBody<'a>) {
        match self.budget.slow_share(&large) {
            Some(share) => self.state = State::SlowLarge { large, _share: share },
            None => self.refuse(too_many_slow()),
        }
    }

    fn refuse(&mut self, refusal: Problem) {
        self.pieces = Pieces::default();
        self.state = State::Refused(refusal);
    }

    /// Returns the refusal of this body, or `other` if it was not refused.
    fn refusal_or(&mut self, other: impl FnOnce() -> Problem) -> Problem {
        match std::mem::replace(&mut self.state, State::Small) {
            State::Refused(refusal) => refusal,
            _ => other(),
        }
    }

    /// Reads to the end, or until enough of a refused body is discarded. If the future is dropped, the next call
    /// continues from there.
    async fn read(&mut self) -> Result<(), Problem> {
        loop {
            // A body without a Content-Length may grow up to the limit.
            self.grow(self.total, self.limit).await;
            let is_refused = matches!(self.state, State::Refused(_));
            if is_refused && self.total > self.limit.saturating_add(DISCARD_BYTES) {
                return Ok(());
            }
            let Some(frame) = self.body.frame().await else { return Ok(()) };
            let Ok(frame) = frame else {
                let detail = "the connection ended before the whole body had arrived";
                return Err(self.refusal_or(|| Problem::new(codes::MALFORMED_JSON, detail)));
            };
            if let Ok(bytes) = frame.into_data() {
                self.total += bytes.len();
                if !is_refused {
                    self.pieces.add(bytes, self.announced);
                }
            }
        }
    }

    fn finish(self) -> Result<RequestBody<'a>, Problem> {
        let large = match self.state {
            State::Refused(refusal) => return Err(refusal),
            State::Small | State::SlowSmall => None,
            State::Large(large) | State::SlowLarge { large, .. } => Some(large),
        };
        Ok(RequestBody { bytes: self.pieces.join(), _large: large })
    }
}

/// The bytes so far. A body that arrives in one piece is not copied.
#[derive(Default)]
struct Pieces {
    /// The only piece.
    first: Bytes,
    /// All pieces, from the second one on.
    joined: Vec<u8>,
}

impl Pieces {
    fn add(&mut self, bytes: Bytes, announced: Option<usize>) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = bytes;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(announced.unwrap_or(0).max(self.first.len() + bytes.len()));
            self.joined.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.joined.extend_from_slice(&bytes);
    }

    fn join(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.into() }
    }
}
