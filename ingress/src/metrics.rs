//! The ingress's metrics: names as constants, labels bounded, counters started at zero so that the first failure shows.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

/// Commands that are durable in the queue.
pub const COMMANDS_ACCEPTED: &str = "stockline_ingress_commands_accepted_total";
/// Commands that did not reach the queue.
pub const COMMANDS_FAILED: &str = "stockline_ingress_commands_failed_total";
/// Answers that are problems, by `code`.
pub const PROBLEMS: &str = "stockline_ingress_problems_total";
/// Messages made for the queue.
pub const PACKS: &str = "stockline_ingress_packs_total";
/// Commands of a message.
pub const PACK_COMMANDS: &str = "stockline_ingress_pack_commands";
/// Commands taken in and not yet in the queue.
pub const BUFFERED_COMMANDS: &str = "stockline_ingress_buffered_commands";
/// Requests waiting for outcomes.
pub const WAITERS: &str = "stockline_ingress_waiters";
/// Accepted commands without an outcome after the retention of queue and dead letter queue: alarm on any.
pub const OUTCOME_MISSING: &str = "stockline_ingress_outcome_missing_total";
/// Time to answer a request, in seconds, by `route` and `status` class.
pub const REQUEST_SECONDS: &str = "stockline_ingress_request_duration_seconds";

/// Describes every metric and starts the counters at zero.
pub(crate) fn begin() {
    metrics::describe_counter!(COMMANDS_ACCEPTED, "Commands that are durable in the queue");
    metrics::describe_counter!(COMMANDS_FAILED, "Commands that did not reach the queue");
    metrics::describe_counter!(PROBLEMS, "Answers that are problems, by code");
    metrics::describe_counter!(PACKS, "Messages made for the queue");
    metrics::describe_histogram!(PACK_COMMANDS, "Commands of a message");
    metrics::describe_gauge!(BUFFERED_COMMANDS, "Commands taken in and not yet in the queue");
    metrics::describe_gauge!(WAITERS, "Requests waiting for outcomes");
    metrics::describe_counter!(OUTCOME_MISSING, "Accepted commands without an outcome after the retention");
    metrics::describe_histogram!(REQUEST_SECONDS, metrics::Unit::Seconds, "Time to answer a request");
    for counter in [COMMANDS_ACCEPTED, COMMANDS_FAILED, PACKS, OUTCOME_MISSING] {
        metrics::counter!(counter).absolute(0);
    }
    for code in crate::problem::CODES {
        metrics::counter!(PROBLEMS, "code" => code.code).absolute(0);
    }
    metrics::gauge!(BUFFERED_COMMANDS).set(0.0);
    metrics::gauge!(WAITERS).set(0.0);
}

#[expect(clippy::cast_precision_loss, reason = "a metric; exact far beyond any count here")]
const fn float(count: usize) -> f64 {
    count as f64
}

pub(crate) fn accepted(commands: usize) {
    metrics::counter!(COMMANDS_ACCEPTED).increment(commands as u64);
}

pub(crate) fn failed(commands: usize) {
    metrics::counter!(COMMANDS_FAILED).increment(commands as u64);
}

pub(crate) fn problem(code: &'static str) {
    metrics::counter!(PROBLEMS, "code" => code).increment(1);
}

pub(crate) fn pack(commands: usize) {
    metrics::counter!(PACKS).increment(1);
    metrics::histogram!(PACK_COMMANDS).record(float(commands));
}

pub(crate) fn buffered_commands(commands: usize) {
    metrics::gauge!(BUFFERED_COMMANDS).set(float(commands));
}

pub(crate) fn waiters(waiters: usize) {
    metrics::gauge!(WAITERS).set(float(waiters));
}

pub(crate) fn outcome_missing() {
    metrics::counter!(OUTCOME_MISSING).increment(1);
}

pub(crate) fn request(route: &str, status: u16, took: Duration) {
    let class = match status / 100 {
        1 | 2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    metrics::histogram!(REQUEST_SECONDS, "route" => route.to_owned(), "status" => class).record(took.as_secs_f64());
}

/// `GET /metrics`, for a port of its own: `render` writes the Prometheus text format.
pub fn metrics_router(render: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    Router::new().route(
        "/metrics",
        get(move || {
            let text = render();
            async move { ([(CONTENT_TYPE, TEXT)], text) }
        }),
    )
}
