use std::time::Instant;

use serde_json::{Value, json};
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::{PATIENCE, with_id};

use super::Fleet;

/// When the outage begins, four receives of each of the two workers wait. Each may get the same message. So may one
/// trial of each worker, which finds out whether the outage is over.
const RECEIVES_MAX: u64 = 10;
/// This many broken connections are more than the attempts of one call, so a publishing worker has noticed the outage.
const TRIES_SEEN: usize = 6;

/// P9: while the store is down, the ingress accepts commands and invents no status. While the alert topic is down, no
/// message is acknowledged before its alert is published. Workers stop receiving, and catch up afterwards. Returns the
/// id of the delayed alert.
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

    // 12 − 8 < 5: the second sale crosses the threshold. It commits, but its alert can't be published.
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

/// Checks that waiting messages use up few receives, so that an outage dead-letters nothing.
async fn receives_are_few(home: &Installation) {
    let waiting = home.server.queue_messages(home.stack.output("QueueUrl")).await;
    assert!(waiting.iter().all(|message| message["ReceiveCount"].as_u64() <= Some(RECEIVES_MAX)), "{waiting:#?}");
    assert!(home.server.queue_messages(home.stack.output("DlqUrl")).await.is_empty());
}
