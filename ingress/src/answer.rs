//! Successful answers: JSON bodies and entity tags.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::answer_budget::{Room, SMALL_ANSWER_BYTES};
use crate::problem::{Problem, codes};

/// Bytes of the digest that make an entity tag.
const TAG_BYTES: usize = 16;
/// Bytes of the pieces that a large answer is sent in. A piece is freed as soon as it is sent.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of most answers.
const USUAL_BYTES: usize = 512;

/// Returns an answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    Ok(of_bytes(status, Encoded::of(body)?))
}

/// As [`json`], in the room that was made for the answer.
pub(crate) fn json_in(room: Room, status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let encoded = Encoded::of(body)?;
    let bytes = encoded.bytes;
    in_room(room, bytes, of_bytes(status, encoded))
}

/// Lets the answer occupy the room; small answers have a part of the budget of their own.
fn in_room(mut room: Room, bytes: usize, response: Response) -> Result<Response, Problem> {
    match bytes {
        ..=SMALL_ANSWER_BYTES => Ok(response),
        _ if room.fit(bytes) => Ok(room.hold(response)),
        _ => Err(no_room()),
    }
}

fn of_bytes(status: StatusCode, bytes: Encoded) -> Response {
    let mut response = Response::new(bytes.into_body());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns the answer to a read: `200` with an `ETag`, or `304` if the client has it already (RFC 9110). The tag is made
/// of the bytes of the answer, so two callers who may see different things get different tags.
pub(crate) fn read(headers: &HeaderMap, body: &impl Serialize) -> Result<Response, Problem> {
    tagged(headers, Encoded::of(body)?)
}

/// As [`read`], in the room that was made for the answer before the store was read. `note` learns the bytes of the JSON.
pub(crate) fn read_in(
    room: Room,
    headers: &HeaderMap,
    body: &impl Serialize,
    note: impl FnOnce(usize),
) -> Result<Response, Problem> {
    let encoded = Encoded::of(body)?;
    let bytes = encoded.bytes;
    note(bytes);
    in_room(room, bytes, tagged(headers, encoded)?)
}

/// As [`read_in`], for a text of another type than JSON.
pub(crate) fn read_text_in(
    room: Room,
    headers: &HeaderMap,
    text: String,
    media_type: &'static str,
) -> Result<Response, Problem> {
    let encoded = Encoded::of_text(text);
    let bytes = encoded.bytes;
    let mut response = tagged(headers, encoded)?;
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    in_room(room, bytes, response)
}

/// Returns the problem of an answer for which there is no memory now.
pub(crate) fn no_room() -> Problem {
    let detail = "too many answers are being sent; nothing of this request was done, send it again";
    Problem::new(codes::OVERLOADED, detail)
}

fn tagged(headers: &HeaderMap, bytes: Encoded) -> Result<Response, Problem> {
    let tag = bytes.tag();
    let mut response = if has(headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        of_bytes(StatusCode::OK, bytes)
    };
    let out = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(ETAG, tag);
    }
    out.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    out.insert(VARY, HeaderValue::from_static("authorization, accept"));
    Ok(response)
}

/// Does `If-None-Match` name this tag? The comparison is weak.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|given| given == "*" || given.trim_start_matches("W/") == tag)
}

/// JSON in pieces.
#[derive(Debug)]
struct Encoded {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    last: Vec<u8>,
}

impl Encoded {
    fn of(body: &impl Serialize) -> Result<Self, Problem> {
        let mut encoded = Self { pieces: VecDeque::new(), bytes: 0, last: Vec::with_capacity(USUAL_BYTES) };
        serde_json::to_writer(&mut encoded, body).map_err(|error| {
            tracing::error!(%error, "an answer can't be encoded as JSON");
            Problem::new(codes::INTERNAL_ERROR, "the answer can't be encoded, which was logged")
        })?;
        if encoded.pieces.is_empty() || !encoded.last.is_empty() {
            encoded.last.shrink_to_fit();
            encoded.end_piece(Vec::new());
        }
        Ok(encoded)
    }

    fn of_text(text: String) -> Self {
        let mut encoded = Self { pieces: VecDeque::new(), bytes: 0, last: text.into_bytes() };
        encoded.end_piece(Vec::new());
        encoded
    }

    fn end_piece(&mut self, next: Vec<u8>) {
        let piece = std::mem::replace(&mut self.last, next);
        self.bytes += piece.len();
        self.pieces.push_back(piece.into());
    }

    fn tag(&self) -> String {
        let mut digest = Sha256::new();
        self.pieces.iter().for_each(|piece| digest.update(piece));
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.finalize()[..TAG_BYTES]))
    }

    fn into_body(mut self) -> Body {
        match self.pieces.len() {
            1 => self.pieces.pop_front().unwrap_or_default().into(),
            _ => Body::new(self),
        }
    }
}

impl io::Write for Encoded {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let free = PIECE_BYTES - self.last.len();
        let taken = text.len().min(free);
        self.last.extend_from_slice(&text[..taken]);
        if taken == free {
            self.end_piece(Vec::with_capacity(PIECE_BYTES));
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl hyper::body::Body for Encoded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.bytes -= piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes as u64)
    }
}
