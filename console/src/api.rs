//! The API, called in process with the token of the person who is signed in.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fault::Fault;

mod shapes;

pub(crate) use shapes::*;

/// The most bytes of an answer that are read: more than a page of any list has.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest wait for the outcome of a command. After it, the page says that the command is accepted.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// What stands unchanged in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Writes a text as one segment of a path, or as one value of a query.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The API's router.
#[derive(Debug, Clone)]
pub(crate) struct Api(pub(crate) Router);

/// The API as one person may use it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    api: Api,
    authorization: String,
}

/// An answer that is not a success (RFC 9457).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) errors: Vec<ProblemError>,
}

/// One fault of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemError {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

impl Api {
    /// Returns the API for the holder of a token.
    pub(crate) fn with_token(&self, token: &str) -> Caller {
        Caller { api: self.clone(), authorization: format!("Bearer {token}") }
    }
}

impl Caller {
    /// Reads something. What is not found is a [`Fault::Problem`].
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        self.call(Method::GET, path, None).await
    }

    /// Reads something that may not exist.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Fault> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Fault::Problem(problem))
                if problem.status == 404 || ["invalid_id", "invalid_barcode"].contains(&problem.code.as_str()) =>
            {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Posts something. Commands are waited for.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Fault> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Puts something.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Fault> {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, Fault> {
        let is_post = method == Method::POST;
        let mut request = Request::builder().method(method).uri(path).header(AUTHORIZATION, &self.authorization);
        if is_post {
            request = request.header("prefer", format!("wait={}", WAIT.as_secs()));
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| Fault::broken(&error))?;
        let answer = match self.api.0.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = bytes.map_err(|error| Fault::broken(&error))?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| Fault::broken(&error));
        }
        let mut problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
        problem.status = status.as_u16();
        match status {
            StatusCode::UNAUTHORIZED => Err(Fault::SignedOut),
            _ => Err(Fault::Problem(Box::new(problem))),
        }
    }
}
