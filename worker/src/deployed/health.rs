//! `/healthz`, `/readyz` and `/metrics` of the deployed worker.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use stockline_core::domain::ItemId;
use stockline_core::ports::Clock;
use stockline_worker::{Condition, Health};
use tokio_util::sync::CancellationToken;

/// The most items that `/readyz` names.
const NAMED_MAX: usize = 20;

/// Returns the routes `/healthz`, which answers while the process lives, and `/readyz`, which says whether it can work.
pub(crate) fn router(health: Arc<Health>, clock: Arc<dyn Clock>, shutdown: CancellationToken) -> Router {
    let ready = move || {
        let (status, mut text) = readiness(health.condition(), clock.doubt(), shutdown.is_cancelled());
        text.push_str(&set_aside(&health.items_set_aside()));
        async move { (status, text) }
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

/// Names the items that are set aside. They don't make the worker unready, because every other item goes on.
fn set_aside(items: &[(ItemId, String)]) -> String {
    let mut text = String::new();
    if !items.is_empty() {
        text = format!("{} item(s) set aside, whose commands wait for a repair:\n", items.len());
    }
    for (item_id, what) in items.iter().take(NAMED_MAX) {
        text.push_str(&format!("  {item_id}: {what}\n"));
    }
    text
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
    fn items_set_aside_are_named() {
        assert_eq!(set_aside(&[]), "");
        let items = [("cola".parse().unwrap(), "a wrong checksum".to_owned())];
        let text = set_aside(&items);
        assert!(text.contains("1 item(s) set aside") && text.contains("cola: a wrong checksum"), "{text}");
    }

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
