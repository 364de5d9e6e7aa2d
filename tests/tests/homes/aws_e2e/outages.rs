use std::time::Instant;

use serde_json::{Value, json};
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::{PATIENCE, with_id};

use super::Fleet;

/// The receives that waited when the outage began, four of each worker, may each meet it with the same message; so may
/// a trial of each that finds out whether it is over.
const RECEIVES_MAX: u64 = 10;
/// Connections that broke before a publishing worker must have noticed: more than the attempts of one call.
const TRIES_SEEN: usize = 6;

/// P9: while the store is away commands are accepted and no status is made up; while the alert topic is away nothing is
/// acknowledged unpublished. Workers stop receiving, and catch up after. Answers the alert that was held up.
pub(crate) async fn p9_an_outage_stops_work_not_correctness(home: &Installation, fleet: &Fleet) -> String {
    home.stock_up("rice", "12", Some("5")).await;
    let sale = || with_id(json!({"type": "sell", "item_id": "rice", "location_id": "main", "quantity": "1"}));

    home.store.shut();
    let mut accepted = Vec::new();
    for _ in 0..5 {
        accepted.push(home.accept(&home.till, &sale()).await);
    }
    one_worker_is_unready(fleet).await;
    accepted.push(home.accept(&home.till, &sale()).await);
    for answer in &accepted {
        let path = answer["status_url"].as_str().unwrap();
        let (status, problem) = home.send(&home.till, "GET", path, None).await.unwrap();
        assert_eq!((status, &problem["code"]), (503, &json!("store_unavailable")), "{problem}");
    }
    receives_are_few(home).await;
    home.store.open();
    let mut balances = Vec::new();
    for answer in &accepted {
        let outcome = home.outcome(&home.till, answer["status_url"].as_str().unwrap()).await;
        balances.push(outcome["effects"][0]["after"].clone());
    }
    all_workers_are_ready(fleet).await;
    assert_eq!(balances, ["11", "10", "9", "8", "7", "6"].map(Value::from), "in the order of acceptance");

    // 12 − 8 < 5: the second crosses; it commits and can't be told.
    home.topic.shut();
    let broken = home.topic.broken();
    home.settle(&home.till, sale()).await;
    let crossing = home.settle(&home.till, sale()).await;
    assert_eq!(crossing["effects"][0]["after"], "4", "a status is what the store says");
    until(async || home.topic.broken() >= broken + TRIES_SEEN).await;
    let held_up = home.server.queue_messages(home.stack.output("QueueUrl")).await;
    assert!(!held_up.is_empty(), "a crossing was acknowledged and not published");
    receives_are_few(home).await;
    home.topic.open();
    let after = home.settle(&home.till, sale()).await;
    assert_eq!(after["effects"][0]["after"], "3", "{after}");
    "rice:main:1".to_owned()
}

async fn one_worker_is_unready(fleet: &Fleet) {
    until(async || {
        let mut unready = false;
        for worker in &fleet.workers {
            unready |= worker.ready().await == Some(false);
        }
        unready
    })
    .await;
}

async fn all_workers_are_ready(fleet: &Fleet) {
    until(async || {
        let mut ready = true;
        for worker in &fleet.workers {
            ready &= worker.ready().await == Some(true);
        }
        ready
    })
    .await;
}

async fn until(holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it did not come to that");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Healthy messages do not burn receives, so no outage dead-letters anything.
async fn receives_are_few(home: &Installation) {
    let waiting = home.server.queue_messages(home.stack.output("QueueUrl")).await;
    assert!(waiting.iter().all(|message| message["ReceiveCount"].as_u64() <= Some(RECEIVES_MAX)), "{waiting:#?}");
    assert!(home.server.queue_messages(home.stack.output("DlqUrl")).await.is_empty());
}
