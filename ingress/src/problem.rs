//! Problems (RFC 9457): the answers that are not a success, with one table of all codes.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use stockline_core::domain::Fault;
use stockline_core::ports::StoreError;
use utoipa::ToSchema;

pub(crate) mod table;

pub(crate) use table::{CODES, Code, FAULT_CODES, codes};

use crate::auth::{AuthError, Forbidden};
use crate::view::StatusView;
use crate::view::words::{FaultCodeWord, ProblemCodeWord};
use crate::web::link;

/// How long a client should wait after a problem that passes, in seconds.
const RETRY_AFTER_S: u64 = 1;

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ProblemError {
    /// A JSON pointer (RFC 6901) into the body, or `?name` for a query parameter; empty for the whole request.
    #[schema(example = "/quantity")]
    pub(crate) pointer: String,
    /// A stable name.
    #[schema(value_type = FaultCodeWord)]
    pub(crate) code: &'static str,
    /// A text for people.
    #[schema(example = "must be a decimal string, because a JSON float is not exact: write \"1.5\"")]
    pub(crate) detail: String,
}

impl From<Fault> for ProblemError {
    fn from(fault: Fault) -> Self {
        debug_assert!(FAULT_CODES.contains(&fault.code), "{} is a code that the API describes", fault.code);
        Self { pointer: fault.pointer, code: fault.code, detail: fault.detail }
    }
}

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct Problem {
    code: &'static Code,
    detail: Cow<'static, str>,
    errors: Vec<ProblemError>,
    extra: Option<Box<Extra>>,
}

/// The parts that only some problems have. They are boxed, so that a problem stays small in results.
#[derive(Debug, Default)]
struct Extra {
    retry_after_s: Option<u64>,
    holder: Option<Box<RawValue>>,
    status_url: Option<String>,
    www_authenticate: Option<HeaderValue>,
}

/// A problem, as it is written in an answer or in a line of a batch.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Where the code is explained, relative to this server.
    #[serde(rename = "type")]
    #[schema(example = "/docs#problem-invalid_command")]
    kind: String,
    /// The title of every problem with this code.
    #[schema(example = "The command is not valid")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What was wrong here, and what to do.
    detail: &'a str,
    /// A stable name.
    #[schema(value_type = ProblemCodeWord)]
    code: &'a str,
    /// May the same request succeed later, unchanged?
    #[schema(example = false)]
    retryable: bool,
    /// Every single fault, if there are any.
    errors: &'a [ProblemError],
    /// `command_id_reused`: the outcome that holds the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<StatusView<'static>>, nullable = false)]
    holder: Option<&'a RawValue>,
    /// `already_resubmitted`: the resubmission.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status_url: Option<&'a str>,
}

impl Problem {
    /// Makes a problem with a code of the table; `detail` says what was wrong here.
    pub(crate) fn new(code: &'static Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), extra: None }
    }

    /// Returns what was wrong here.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Returns the problem of a command with faults.
    pub(crate) fn invalid_command(faults: Vec<Fault>) -> Self {
        Self::new(codes::INVALID_COMMAND, "the command was not queued; errors names every fault").with_faults(faults)
    }

    /// Returns the problem of a body with the wrong shape.
    pub(crate) fn invalid_body(faults: Vec<Fault>) -> Self {
        Self::new(codes::INVALID_BODY, "nothing of the request was done; errors names every fault").with_faults(faults)
    }

    /// Returns the problem of a full buffer of commands.
    pub(crate) fn overloaded() -> Self {
        Self::new(
            codes::OVERLOADED,
            "too many commands wait for the queue; nothing of this request was done, send it again",
        )
    }

    /// Returns the problem of a process that should not be sent requests now.
    pub(crate) fn not_ready(why: &str) -> Self {
        Self::new(codes::NOT_READY, format!("this process can't take requests now: {why}"))
    }

    /// Returns the problem of a caller who is not authenticated.
    pub(crate) fn unauthorized(error: AuthError) -> Self {
        let code = code_named(error.code).unwrap_or(codes::TOKEN_MALFORMED);
        let extra = Extra {
            www_authenticate: error.www_authenticate(),
            retry_after_s: error.retry_after_s,
            ..Extra::default()
        };
        Self { extra: Some(Box::new(extra)), ..Self::new(code, error.detail) }
    }

    /// Returns the problem of a caller without the right.
    pub(crate) fn forbidden(forbidden: Forbidden) -> Self {
        let code = code_named(forbidden.code).unwrap_or(codes::FORBIDDEN);
        let mut problem = Self::new(code, forbidden.detail.clone());
        problem.extra().www_authenticate = Some(HeaderValue::from_static(forbidden.www_authenticate()));
        problem
    }

    pub(crate) fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.errors = faults.into_iter().map(ProblemError::from).collect();
        self
    }

    pub(crate) fn with_retry_after(mut self, seconds: u64) -> Self {
        self.extra().retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn with_holder(mut self, holder: Option<Box<RawValue>>) -> Self {
        self.extra().holder = holder;
        self
    }

    pub(crate) fn with_status_url(mut self, status_url: String) -> Self {
        self.extra().status_url = Some(status_url);
        self
    }

    /// Returns the problem as it is written.
    pub(crate) fn body(&self) -> ProblemBody<'_> {
        let extra = self.extra.as_deref();
        ProblemBody {
            kind: link(&format!("/docs#problem-{}", self.code.code)),
            title: self.code.title,
            status: self.code.status,
            detail: &self.detail,
            code: self.code.code,
            retryable: self.code.retryable,
            errors: &self.errors,
            holder: extra.and_then(|extra| extra.holder.as_deref()),
            status_url: extra.and_then(|extra| extra.status_url.as_deref()),
        }
    }
}

impl From<StoreError> for Problem {
    /// Logs the failure of a read, and says what the caller can do.
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Cursor) {
            let detail = "the cursor is not next_cursor of a page of this list, or the server was restored from a \
                          backup since; begin again: without a cursor, and with a time as updated_since";
            return Self::new(codes::CURSOR_INVALID, detail);
        }
        tracing::warn!(%error, "a read failed");
        match error {
            StoreError::Unavailable(_) | StoreError::Busy(_) => {
                Self::new(codes::STORE_UNAVAILABLE, "the stock store can't be read now; try again")
            }
            StoreError::Newer(_) => Self::new(
                codes::STORE_UNAVAILABLE,
                "the answer was stored by a later version than the one that read it; try again",
            ),
            StoreError::Unreadable(_) | StoreError::Cursor => Self::new(
                codes::STORE_UNREADABLE,
                "the stock store holds something that this version can't read; tell the operator",
            ),
        }
    }
}

fn code_named(name: &str) -> Option<&'static Code> {
    CODES.iter().copied().find(|code| code.code == name)
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body().serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // No part of the body can fail to serialize.
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let extra = self.extra.map(|extra| *extra).unwrap_or_default();
        let is_passing = self.code.retryable && matches!(self.code.status, 429 | 503);
        if let Some(seconds) = extra.retry_after_s.or(is_passing.then_some(RETRY_AFTER_S)) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(value) = extra.www_authenticate {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        // The router counts problems by their code.
        response.extensions_mut().insert(self.code);
        response
    }
}
