//! The ingress's metrics: names as constants, bounded labels, counters that start at zero so that the first failure shows.
//!
//! Each part of the ingress registers its handles once, when it is made.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics::{Counter, Gauge, Histogram};

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
/// Commands that are accepted and not yet in the queue.
pub const BUFFERED_COMMANDS: &str = "stockline_ingress_buffered_commands";
/// Requests that wait for outcomes.
pub const WAITERS: &str = "stockline_ingress_waiters";
/// Accepted commands without an outcome after the retention of queue and dead letter queue: alarm on any.
pub const OUTCOME_MISSING: &str = "stockline_ingress_outcome_missing_total";
/// Until when the TLS certificate is valid, in seconds since 1970; only where HTTPS is served.
pub const CERTIFICATE_UNTIL: &str = "stockline_tls_certificate_valid_until_seconds";
/// Time to answer a request, in seconds, by `route` and `status` class.
pub const REQUEST_SECONDS: &str = "stockline_ingress_request_duration_seconds";

/// Describes every metric and starts the counters at zero; `problem_codes` are the values of [`PROBLEMS`]' label.
pub(crate) fn begin(problem_codes: impl Iterator<Item = &'static str>) {
    metrics::describe_counter!(COMMANDS_ACCEPTED, "Commands that are durable in the queue");
    metrics::describe_counter!(COMMANDS_FAILED, "Commands that did not reach the queue");
    metrics::describe_counter!(PROBLEMS, "Answers that are problems, by code");
    metrics::describe_counter!(PACKS, "Messages made for the queue");
    metrics::describe_histogram!(PACK_COMMANDS, "Commands of a message");
    metrics::describe_gauge!(BUFFERED_COMMANDS, "Commands that are accepted and not yet in the queue");
    metrics::describe_gauge!(WAITERS, "Requests that wait for outcomes");
    metrics::describe_counter!(OUTCOME_MISSING, "Accepted commands without an outcome after the retention");
    metrics::describe_gauge!(
        CERTIFICATE_UNTIL,
        metrics::Unit::Seconds,
        "Until when the TLS certificate is valid, since 1970"
    );
    metrics::describe_histogram!(REQUEST_SECONDS, metrics::Unit::Seconds, "Time to answer a request");
    for counter in [COMMANDS_ACCEPTED, COMMANDS_FAILED, PACKS, OUTCOME_MISSING] {
        metrics::counter!(counter).absolute(0);
    }
    for code in problem_codes {
        metrics::counter!(PROBLEMS, "code" => code).absolute(0);
    }
    metrics::gauge!(BUFFERED_COMMANDS).set(0.0);
    metrics::gauge!(WAITERS).set(0.0);
}

#[expect(clippy::cast_precision_loss, reason = "a metric; exact far beyond any count here")]
const fn float(count: usize) -> f64 {
    count as f64
}

/// Counts commands by whether they reached the queue.
#[derive(Debug)]
pub(crate) struct CommandMetrics {
    accepted: Counter,
    failed: Counter,
}

impl CommandMetrics {
    pub(crate) fn register() -> Self {
        Self { accepted: metrics::counter!(COMMANDS_ACCEPTED), failed: metrics::counter!(COMMANDS_FAILED) }
    }

    pub(crate) fn submitted(&self, accepted: usize, failed: usize) {
        self.accepted.increment(accepted as u64);
        self.failed.increment(failed as u64);
    }
}

/// Measures the packer.
#[derive(Debug, Clone)]
pub(crate) struct PackMetrics {
    packs: Counter,
    commands: Histogram,
    buffered: Gauge,
}

impl PackMetrics {
    pub(crate) fn register() -> Self {
        Self {
            packs: metrics::counter!(PACKS),
            commands: metrics::histogram!(PACK_COMMANDS),
            buffered: metrics::gauge!(BUFFERED_COMMANDS),
        }
    }

    pub(crate) fn packed(&self, commands: usize) {
        self.packs.increment(1);
        self.commands.record(float(commands));
    }

    pub(crate) fn buffered(&self, commands: usize) {
        self.buffered.set(float(commands));
    }
}

/// Measures the requests that wait for outcomes.
#[derive(Debug, Clone)]
pub(crate) struct WaitMetrics(Gauge);

impl WaitMetrics {
    pub(crate) fn register() -> Self {
        Self(metrics::gauge!(WAITERS))
    }

    pub(crate) fn waiting(&self, requests: usize) {
        self.0.set(float(requests));
    }
}

/// Counts the accepted commands that have no outcome.
#[derive(Debug)]
pub(crate) struct MissingOutcomes(Counter);

impl MissingOutcomes {
    pub(crate) fn register() -> Self {
        Self(metrics::counter!(OUTCOME_MISSING))
    }

    pub(crate) fn found(&self) {
        self.0.increment(1);
    }
}

/// The classes of HTTP statuses, as labels.
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Measures requests, and counts the answers that are problems.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    problems: HashMap<&'static str, Counter>,
    /// By route and status class. There are as many entries as routes.
    seconds: RwLock<HashMap<Box<str>, [OnceLock<Histogram>; STATUS_CLASSES.len()]>>,
}

impl RequestMetrics {
    pub(crate) fn register(problem_codes: impl Iterator<Item = &'static str>) -> Self {
        let problems = problem_codes.map(|code| (code, metrics::counter!(PROBLEMS, "code" => code))).collect();
        Self { problems, seconds: RwLock::default() }
    }

    pub(crate) fn problem(&self, code: &'static str) {
        if let Some(counter) = self.problems.get(code) {
            counter.increment(1);
        }
    }

    pub(crate) fn request(&self, route: &str, status: u16, took: Duration) {
        let class = match status / 100 {
            1 | 2 => 0,
            3 => 1,
            4 => 2,
            _ => 3,
        };
        // Every change leaves the map usable, even if a thread panics elsewhere.
        let known = self.seconds.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_route) = known.get(route) {
            return record(of_route, route, class, took);
        }
        drop(known);
        let mut seconds = self.seconds.write().unwrap_or_else(PoisonError::into_inner);
        record(seconds.entry(route.into()).or_default(), route, class, took);
    }
}

fn record(of_route: &[OnceLock<Histogram>; STATUS_CLASSES.len()], route: &str, class: usize, took: Duration) {
    let (Some(handle), Some(status)) = (of_route.get(class), STATUS_CLASSES.get(class)) else { return };
    let handle =
        handle.get_or_init(|| metrics::histogram!(REQUEST_SECONDS, "route" => route.to_owned(), "status" => *status));
    handle.record(took.as_secs_f64());
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
