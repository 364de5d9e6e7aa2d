//! What keeps a page from being shown, as pages.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Why a page can't be shown.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is no session, or its token is no longer valid. The middleware makes the page, which keeps what was typed.
    SignedOut,
    /// The API refuses the request.
    Problem(Box<Problem>),
    /// The person may not see or do this.
    Forbidden,
    /// The address or the form is not one of our pages'.
    NotFound,
    /// The form does not fit the page: a field is missing that the page always sends.
    BadForm,
    /// A posted file is larger than any that is imported.
    TooLarge,
    /// Others take the place for now; nothing was done.
    Busy,
    /// A fault of the server, which was logged.
    Broken,
}

impl Fault {
    /// Logs a fault of the server.
    pub(crate) fn broken(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a page of the console failed");
        Self::Broken
    }

    /// Returns the status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Problem(problem) => StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY),
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadForm => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A fault that a middleware still has to make a page of.
#[derive(Debug, Clone)]
pub(crate) struct Unshown {
    /// The API's own words, if it refused the request.
    pub(crate) detail: Option<String>,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = self.status();
        let detail = match self {
            Self::Problem(problem) => Some(problem.detail),
            _ => None,
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(Unshown { detail });
        response
    }
}
