use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{for_generators, guide, page};

/// Bytes of the digest that make an entity tag.
const TAG_BYTES: usize = 16;
const HTML: &str = "text/html; charset=utf-8";

/// The description in all its forms, as it is served.
#[derive(Debug)]
pub(super) struct Served {
    json: Document,
    reference: Document,
    first: Document,
    till: Document,
    script: Document,
    /// The pages' `Content-Security-Policy`: their one style sheet, their one script and nothing else.
    policy: String,
}

/// A document that does not change while the process lives.
#[derive(Debug)]
struct Document {
    body: Bytes,
    /// Its `ETag`.
    tag: String,
}

impl Served {
    pub(super) fn of(mut description: Value) -> Self {
        let hash = STANDARD.encode(Sha256::digest(guide::STYLE));
        let reference = Document::of(page::render(&description));
        for_generators::rewrite(&mut description);
        Self {
            reference,
            json: Document::of(serde_json::to_string_pretty(&description).unwrap_or_default()),
            first: Document::of(guide::first()),
            till: Document::of(guide::till()),
            script: Document::of(guide::SCRIPT.to_owned()),
            policy: format!(
                "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }

    pub(super) fn json(&self, headers: &HeaderMap) -> Response {
        self.json.answer(headers, "application/json", None)
    }

    pub(super) fn reference(&self, headers: &HeaderMap) -> Response {
        self.reference.answer(headers, HTML, Some(&self.policy))
    }

    pub(super) fn first(&self, headers: &HeaderMap) -> Response {
        self.first.answer(headers, HTML, Some(&self.policy))
    }

    pub(super) fn till(&self, headers: &HeaderMap) -> Response {
        self.till.answer(headers, HTML, Some(&self.policy))
    }

    pub(super) fn script(&self, headers: &HeaderMap) -> Response {
        self.script.answer(headers, "text/javascript; charset=utf-8", None)
    }
}

impl Document {
    fn of(text: String) -> Self {
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..TAG_BYTES]));
        Self { body: text.into(), tag }
    }

    fn answer(&self, headers: &HeaderMap, kind: &'static str, policy: Option<&str>) -> Response {
        let known = headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == self.tag.as_bytes());
        let common = [(CACHE_CONTROL, "public, no-cache"), (ETAG, self.tag.as_str())];
        if known {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let policy = policy.map(|policy| [(CONTENT_SECURITY_POLICY, policy.to_owned())]);
        let kind = [(CONTENT_TYPE, kind), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        match policy {
            Some(policy) => (common, kind, policy, self.body.clone()).into_response(),
            None => (common, kind, self.body.clone()).into_response(),
        }
    }
}
