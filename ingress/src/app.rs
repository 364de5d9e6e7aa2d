//! What every request shares, the router, and what stands around each request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use stockline_core::domain::{LocationId, ReceiptKeys};
use stockline_core::ports::{Clock, Queries};
use tokio::time::Instant;

use crate::access::Gate;
use crate::packer::Packer;
use crate::problem::{Problem, codes};
use crate::room::Room;
use crate::routes;
use crate::wait::Waiting;
use crate::{Limits, LoginConfig, StaffMay, metrics};

/// What every request shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) limits: Limits,
    pub(crate) staff_may: StaffMay,
    /// `None`: people can't log in here.
    pub(crate) login: Option<LoginConfig>,
    pub(crate) receipt_keys: ReceiptKeys,
    pub(crate) retention_ms: i64,
    /// Meant where a movement names none; `None` where it must name one.
    pub(crate) default_location: Option<LocationId>,
    pub(crate) queries: Arc<dyn Queries>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) packer: Packer,
    pub(crate) waiting: Waiting,
    pub(crate) gate: Gate,
    pub(crate) draining: AtomicBool,
    pub(crate) room: Room,
}

/// How handlers get at it.
pub(crate) type Shared = State<Arc<App>>;

/// Every route, with everything around it.
pub(crate) fn router(app: Arc<App>) -> Router {
    let around = axum::middleware::from_fn_with_state(Arc::clone(&app), around);
    routes::all().fallback(no_such_path).method_not_allowed_fallback(no_such_method).layer(around).with_state(app)
}

async fn no_such_path() -> Problem {
    Problem::new(codes::NOT_FOUND, "there is nothing at this path; /docs lists every one")
}

async fn no_such_method(method: Method) -> Problem {
    Problem::new(
        codes::METHOD_NOT_ALLOWED,
        format!("this path does not take {method}; the Allow header names what it does"),
    )
}

/// Sheds load, bounds the time, turns panics into problems, measures.
async fn around(State(app): Shared, matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = if matched.as_ref().is_some_and(|path| path.as_str().starts_with("/v1/")) {
        bounded(&app, request, next).await
    } else {
        caught(next.run(request)).await
    };
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    metrics::request(route, response.status().as_u16(), began.elapsed());
    response
}

async fn bounded(app: &App, request: Request, next: Next) -> Response {
    let Some(_place) = app.room.enter().await else {
        let detail = "too many requests are in work; nothing of this one was taken, send it again";
        return Problem::new(codes::OVERLOADED, detail).into_response();
    };
    let within = time_of(&app.limits, request.headers());
    match tokio::time::timeout(within, caught(next.run(request))).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(seconds = within.as_secs(), "a request was given up because it took too long");
            let detail =
                format!("there was no answer within {} s; what it submitted may have been queued", within.as_secs());
            Problem::new(codes::TIMEOUT, detail).into_response()
        }
    }
}

/// How long a request may take: what `Prefer: wait` may ask for comes on top.
fn time_of(limits: &Limits, headers: &HeaderMap) -> Duration {
    let waits = if headers.contains_key("prefer") { limits.wait_s } else { 0 };
    Duration::from_secs(limits.request_timeout_s + waits)
}

async fn caught(answer: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(panic = panic_text(panic.as_ref()), "a request panicked");
            Problem::new(codes::INTERNAL_ERROR, "the request failed for a reason of ours, which was logged")
                .into_response()
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of an unknown kind")
}

impl App {
    /// Is it to be sent requests?
    pub(crate) fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Acquire) && self.gate.is_ready() && self.packer.is_running()
    }
}
