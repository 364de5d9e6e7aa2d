//! Every route, and the middleware around each request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt;
use stockline_service::trace;
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::{App, Shared};
use crate::config::Limits;
use crate::openapi;
use crate::problem::{Code, Problem, codes};
use crate::routes::{
    about, analytics, barcodes, batch, clients, commands, dismiss, history, imports, items, locations, resubmit,
    status, stock, submit,
};

/// Names a request, in it and in its answer.
const X_REQUEST_ID: &str = "x-request-id";

/// Returns the API: every route with its middleware.
pub(crate) fn router(app: Arc<App>) -> Router {
    routes()
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&app), measured))
        .with_state(app)
}

/// Measures the requests to pages beside the API, as those to the API are.
pub(crate) fn measured_beside(pages: Router, app: Arc<App>) -> Router {
    pages.layer(from_fn_with_state(app, measured))
}

/// Every route; `openapi` documents the same ones, which a test compares, but for its pages for people.
fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/commands", post(submit::submit).get(commands::commands))
        .route("/v1/commands/batch", post(batch::submit_batch))
        .route("/v1/commands/status", post(status::statuses))
        .route("/v1/items", get(items::items))
        .route("/v1/items/{item_id}", get(items::item))
        .route("/v1/items/{item_id}/movements", get(items::movements))
        .route("/v1/items/{item_id}/changes", get(history::item_changes))
        .route("/v1/items/{item_id}/stock", get(items::stock_as_of))
        .route("/v1/items/{item_id}/commands/{command_id}", get(status::status))
        .route("/v1/items/{item_id}/commands/{command_id}/resubmit", post(resubmit::resubmit))
        .route("/v1/items/{item_id}/commands/{command_id}/dismiss", post(dismiss::dismiss))
        .route("/v1/barcodes/{code}", get(barcodes::barcode))
        .route("/v1/stock", get(stock::levels))
        .route("/v1/movements", get(history::all_movements))
        .route("/v1/alerts", get(stock::alerts))
        .route("/v1/analytics/days", get(analytics::days))
        .route("/v1/analytics/{report}", get(analytics::report))
        .route("/v1/locations", get(locations::locations))
        .route("/v1/locations/{location_id}", get(locations::location).put(locations::put_location))
        .route("/v1/imports", post(imports::create))
        .route("/v1/import-templates/{type}", get(imports::import_template))
        .route("/v1/imports/{import_id}", get(imports::import))
        .route("/v1/imports/{import_id}/apply", post(imports::apply))
        .route("/v1/imports/{import_id}/result", get(imports::result))
        .route("/v1/clients", get(clients::clients))
        .route("/v1/clients/{client_id}", get(clients::client).put(clients::put_client))
        .route("/v1/limits", get(about::limits))
        .route("/v1/login", get(about::login))
        .route("/healthz", get(about::healthz))
        .route("/readyz", get(about::readyz))
        .route("/openapi.json", get(openapi::openapi_json))
        .route("/docs", get(openapi::docs))
        .merge(openapi::pages())
}

async fn no_such_path() -> Problem {
    Problem::new(codes::NOT_FOUND, "there is nothing at this path; /docs lists every path")
}

async fn no_such_method(method: Method, headers: HeaderMap) -> Problem {
    let page = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).filter(|_| method == Method::OPTIONS);
    let detail = match page {
        Some(origin) => format!(
            "no web page may call this API from {origin}; the operator allows an origin by --cors-origin (on AWS CorsOrigins)"
        ),
        None => format!("this path does not accept {method}; the Allow header names the methods that it accepts"),
    };
    Problem::new(codes::METHOD_NOT_ALLOWED, detail)
}

/// Answers a request and measures it. A request to the API is admitted and bounded in time; health checks and the
/// documentation always get through.
async fn measured(State(app): Shared, matched: Option<MatchedPath>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let response = if route.starts_with("/v1/") {
        let incoming = trace::incoming(header(&request, X_REQUEST_ID), header(&request, "traceparent"));
        let (span, own) = trace::request(&incoming, request.method().as_str(), route);
        // A request id has no character that a header refuses.
        let request_id = HeaderValue::from_str(own.request_id.as_str()).ok();
        request.extensions_mut().insert(own);
        let mut response = admitted(&app, request, next).instrument(span.clone()).await;
        span.record("status", response.status().as_u16());
        response.headers_mut().extend(request_id.map(|id| (HeaderName::from_static(X_REQUEST_ID), id)));
        response
    } else {
        unpanicked(next.run(request)).await
    };
    if let Some(code) = response.extensions().get::<&'static Code>() {
        app.request_metrics.problem(code.code);
    }
    app.request_metrics.request(route, response.status().as_u16(), began.elapsed());
    response
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

async fn admitted(app: &App, request: Request, next: Next) -> Response {
    let Some(_admitted) = app.admission.admit(head_bytes(&request)).await else {
        let detail = "too many requests are in progress; nothing of this request was done, send it again";
        return Problem::new(codes::OVERLOADED, detail).into_response();
    };
    let within = time_limit(&app.limits, request.headers());
    match tokio::time::timeout(within, unpanicked(next.run(request))).await {
        // It still counts as in progress while it waits for memory.
        Ok(response) => app.answer_budget.count(response).await.unwrap_or_else(|| {
            let detail = "too many answers are being sent; what the request submitted may have been queued";
            Problem::new(codes::TIMEOUT, detail).into_response()
        }),
        Err(_) => {
            tracing::warn!(seconds = within.as_secs(), "a request took too long and was cancelled");
            let detail =
                format!("there was no answer within {} s; what it submitted may have been queued", within.as_secs());
            Problem::new(codes::TIMEOUT, detail).into_response()
        }
    }
}

/// Returns the bytes that the head of a request takes in memory, about.
fn head_bytes(request: &Request) -> usize {
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    uri + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

/// Returns how long a request may take. The time of its `Prefer: wait` is added.
fn time_limit(limits: &Limits, headers: &HeaderMap) -> Duration {
    let waits = if headers.contains_key("prefer") { limits.wait_s } else { 0 };
    Duration::from_secs(limits.request_timeout_s + waits)
}

/// Turns a panic into a problem.
async fn unpanicked(answer: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(panic = panic_text(panic.as_ref()), "a request panicked");
            Problem::new(codes::INTERNAL_ERROR, "the request failed because of a fault of the server, which was logged")
                .into_response()
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of an unknown kind")
}
