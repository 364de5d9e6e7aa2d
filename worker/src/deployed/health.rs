//! `/healthz`, `/readyz` and `/metrics` of the deployed worker.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use stockline_core::ports::Clock;
use stockline_worker::{Condition, Health};
use tokio_util::sync::CancellationToken;

/// Returns the routes `/healthz`, which answers while the process lives, and `/readyz`, which says whether it can work.
pub(crate) fn router(health: Arc<Health>, clock: Arc<dyn Clock>, shutdown: CancellationToken) -> Router {
    let ready = move || {
        let answer = readiness(health.condition(), clock.doubt(), shutdown.is_cancelled());
        async move { answer }
    };
    Router::new().route("/healthz", get(|| async { "alive\n" })).route("/readyz", get(ready))
}

fn readiness(condition: Condition, doubt: Option<String>, stopping: bool) -> (StatusCode, String) {
    let why = if stopping { Some("stopping".to_owned()) } else { condition.why().or(doubt) };
    match why {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        None => (StatusCode::OK, "ready\n".to_owned()),
    }
}

/// Returns the route `/metrics`, with the text that `render` writes.
pub(crate) fn metrics(render: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let answer = move || {
        let text = render();
        async move { ([(CONTENT_TYPE, TEXT)], text) }
    };
    Router::new().route("/metrics", get(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_that_works_is_ready_and_the_others_say_why() {
        assert_eq!(readiness(Condition::Ready, None, false).0, StatusCode::OK);
        let doubt = || Some("a year ahead".to_owned());
        let others = [
            (Condition::Ready, None, true, "stopping"),
            (Condition::Ready, doubt(), false, "a year ahead"),
            (Condition::Outage, doubt(), false, "does not answer"),
            (Condition::NewerMessages(3), None, false, "version 3"),
            (Condition::NewerStore, None, false, "later version"),
        ];
        for (condition, doubt, stopping, why) in others {
            let (status, text) = readiness(condition, doubt, stopping);
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(text.contains(why), "{text}");
        }
    }
}
