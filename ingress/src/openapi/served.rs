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

use super::{for_generators, page};

/// Bytes of the digest that make an entity tag.
const TAG_BYTES: usize = 16;

/// The description in both forms, as it is served.
#[derive(Debug)]
pub(super) struct Served {
    json: Document,
    html: Document,
    /// The page's `Content-Security-Policy`: its one style sheet and nothing else.
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
        let hash = STANDARD.encode(Sha256::digest(page::STYLE));
        let html = Document::of(page::render(&description));
        for_generators::rewrite(&mut description);
        Self {
            html,
            json: Document::of(serde_json::to_string_pretty(&description).unwrap_or_default()),
            policy: format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }

    pub(super) fn json(&self, headers: &HeaderMap) -> Response {
        self.json.answer(headers, "application/json", None)
    }

    pub(super) fn html(&self, headers: &HeaderMap) -> Response {
        self.html.answer(headers, "text/html; charset=utf-8", Some(&self.policy))
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
