//! What every request with a body shares: no parameters, and a body that is read once the caller's rights are judged.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Uri};

use crate::app::App;
use crate::body::{self, RequestBody};
use crate::params::Params;
use crate::problem::Problem;

/// A request with a JSON body. Its handler judges what the caller may do, then reads the body.
pub(crate) struct Sent {
    uri: Uri,
    pub(super) headers: HeaderMap,
    body: Body,
}

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self { uri: parts.uri, headers: parts.headers, body })
    }
}

impl Sent {
    /// Reads the body, once. It occupies its part of the budget of all bodies until it is dropped.
    ///
    /// # Errors
    /// `invalid_parameter` if the address has parameters, and the problems of [`body::read`].
    pub(super) async fn body<'a>(&mut self, app: &'a App) -> Result<RequestBody<'a>, Problem> {
        Params::of(&self.uri, &[]).finish()?;
        body::read(&self.headers, mem::take(&mut self.body), &app.limits, &app.body_budget).await
    }
}
