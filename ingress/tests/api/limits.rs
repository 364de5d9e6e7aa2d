//! Tests limits, readiness and shutdown.

use std::sync::atomic::Ordering::SeqCst;

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _};
use reqwest::Method;
use serde_json::json;

use crate::server::{Server, sale, streamed};

#[tokio::test]
async fn the_limits_are_published_as_configured() {
    let server = Server::with(|config| {
        config.limits.batch_commands = 7;
        config.limits.waited_commands = 9;
    })
    .await;
    let limits = server.nobody().get("/v1/limits").await.body;
    assert_eq!(limits["waited_commands"], 9);
    assert_eq!(
        (&limits["batch_commands"], &limits["body_bytes"], &limits["rate_per_s"]),
        (&json!(7), &json!(1_048_576), &json!(null))
    );
    let many: Vec<_> = (0..8).map(|n| sale(n, "main", "1")).collect();
    assert_eq!(
        server.staff().post("/v1/commands/batch", json!({ "commands": many })).await.code(),
        "too_many_commands"
    );
}

#[tokio::test]
async fn more_commands_than_the_buffer_holds_are_shed_whole() {
    let server = Server::with(|config| config.limits.buffered_commands = 2).await;
    let three: Vec<_> = (0..3).map(|n| sale(n, "main", "1")).collect();
    let answer = server.staff().post("/v1/commands/batch", json!({ "commands": three })).await;
    assert_eq!((answer.status, answer.code()), (503, "overloaded"));
    assert_eq!(server.staff().post("/v1/commands", sale(1, "main", "1")).await.status, 202);
}

#[tokio::test]
async fn more_requests_than_may_be_in_progress_are_shed_and_health_checks_are_not() {
    let server = Server::with(|config| config.limits.concurrent_requests = 1).await;
    server.hold_workers();
    let staff = server.staff();
    let waiting = tokio::spawn({
        let staff = staff.clone();
        async move { staff.post_waiting("/v1/commands", sale(1, "main", "1")).await }
    });
    while server.memory.waiting().is_empty() {
        tokio::task::yield_now().await;
    }
    let answer = staff.get("/v1/items").await;
    assert_eq!((answer.status, answer.code()), (503, "overloaded"));
    assert_eq!(staff.get("/healthz").await.status, 200);
    // A waiting request is served as soon as a place is free.
    let (next, ()) = tokio::join!(staff.get("/v1/items"), async { server.memory.apply() });
    assert_eq!(next.status, 200);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(staff.get("/v1/items").await.status, 200);
}

#[tokio::test]
async fn a_request_that_finds_no_place_to_wait_is_answered_at_once() {
    let server = Server::with(|config| config.limits.waiters = 0).await;
    server.hold_workers();
    let answer = server.staff().post_waiting("/v1/commands", sale(1, "main", "1")).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (202, ""));
}

#[tokio::test]
async fn more_commands_than_may_be_waited_for_are_answered_at_once_and_free_their_places() {
    let server = Server::with(|config| config.limits.waited_commands = 2).await;
    let staff = server.staff();
    let batch = |from: u32, to: u32| json!({"commands": (from..to).map(|n| sale(n, "main", "1")).collect::<Vec<_>>()});
    server.hold_workers();
    let three = staff.post_waiting("/v1/commands/batch", batch(0, 3)).await;
    assert_eq!((three.status, three.header("preference-applied")), (202, ""), "no place for three");
    server.memory.lookups.store(0, SeqCst);
    let waiting = tokio::spawn({
        let (staff, two) = (staff.clone(), batch(3, 5));
        async move { staff.post_waiting("/v1/commands/batch", two).await }
    });
    // The two commands have their places as soon as their outcomes are read.
    while server.memory.lookups.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let one = staff.post_waiting("/v1/commands", sale(5, "main", "1")).await;
    assert_eq!((one.status, one.header("preference-applied")), (202, ""), "both places are taken");
    server.memory.apply();
    assert_eq!(waiting.await.unwrap().status, 200);
    server.memory.applies.store(true, SeqCst);
    let after = staff.post_waiting("/v1/commands", sale(6, "main", "1")).await;
    assert_eq!((after.status, after.header("preference-applied")), (200, "wait=10"), "the places are free again");
}

#[tokio::test]
async fn a_token_faster_than_its_rate_is_429() {
    let server = Server::with(|config| {
        config.limits.rate_per_s = Some(1);
        config.limits.rate_burst = 2;
    })
    .await;
    let staff = server.staff();
    let statuses =
        [staff.get("/v1/items").await.status, staff.get("/v1/items").await.status, staff.get("/v1/items").await.status];
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(server.manager().get("/v1/items").await.status, 200, "each token has its own");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let server = Server::with(|config| config.limits.request_timeout_s = 1).await;
    let staff = server.staff();
    let body = streamed(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = staff.request(Method::POST, "/v1/commands").header("content-type", "application/json").body(body);
    let answer = staff.send(request).await;
    assert_eq!((answer.status, answer.code()), (408, "request_timeout"));
}

#[tokio::test]
async fn slow_large_bodies_leave_room_for_others() {
    let server = Server::with(|config| {
        // The budget fits two bodies.
        (config.limits.body_bytes, config.limits.large_bodies_bytes) = (30_000, 0);
    })
    .await;
    let staff = server.staff();
    let slow = || {
        let begun = stream::iter([Ok::<_, std::io::Error>(vec![b' '; 20_000])]);
        let body = streamed(begun.chain(stream::pending()));
        let request = staff.request(Method::POST, "/v1/commands").header("content-type", "application/json");
        Box::pin(staff.send(request.body(body)))
    };
    let (Either::Left((refused, held)) | Either::Right((refused, held))) = select(slow(), slow()).await;
    assert_eq!((refused.status, refused.code()), (503, "overloaded"), "{}", refused.text);
    let large = sale(1, "main", "1").to_string() + &" ".repeat(20_000);
    let request = staff.request(Method::POST, "/v1/commands").header("content-type", "application/json");
    assert_eq!(staff.send(request.body(large)).await.status, 202);
    assert_eq!(staff.post("/v1/commands", sale(2, "main", "1")).await.status, 202);
    drop(held);
}

#[tokio::test]
async fn a_shutdown_finishes_the_requests_in_progress() {
    let server = Server::start().await;
    server.hold_workers();
    let staff = server.staff();
    assert_eq!(staff.get("/readyz").await.status, 200);
    let waiting = tokio::spawn({
        let staff = staff.clone();
        async move { staff.post_waiting("/v1/commands", sale(1, "main", "1")).await }
    });
    while server.memory.waiting().is_empty() {
        tokio::task::yield_now().await;
    }
    server.request_shutdown();
    server.memory.apply();
    assert_eq!(waiting.await.unwrap().status, 200);
    server.ended().await;
}

#[tokio::test]
async fn metrics_begin_at_zero_and_count_by_route_and_code() {
    let handle = stockline_service::install_metrics().unwrap();
    let metrics = stockline_ingress::metrics_router(move || handle.render());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, metrics).await });
    let server = Server::start().await;
    let read = || async { reqwest::get(&url).await.unwrap().text().await.unwrap() };
    let begun = read().await;
    for code in ["outcome_missing", "queue_unavailable", "internal_error"] {
        assert!(begun.contains(&format!("stockline_ingress_problems_total{{code=\"{code}\"}}")), "{code} in {begun}");
    }
    assert!(begun.contains("stockline_ingress_outcome_missing_total "));
    server.staff().get("/v1/items/cola").await;
    let after = read().await;
    let counted = after.contains("route=\"/v1/items/{item_id}\",status=\"4xx\"");
    assert!(counted && !after.contains("cola"), "{after}");
}
