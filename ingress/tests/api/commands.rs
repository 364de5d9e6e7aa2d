//! Tests that one command is accepted, waited for and repeated.

use reqwest::Method;
use serde_json::json;

use crate::server::{Server, id, sale};

#[tokio::test]
async fn a_command_is_accepted_with_a_receipt_and_its_status_follows() {
    let server = Server::stocked().await;
    server.hold_workers();
    let staff = server.staff();
    let answer = staff.post("/v1/commands", sale(1, "shop-1", "2")).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.body["status"], "queued");
    assert_eq!(answer.body["command_id"], id(1));
    assert_eq!(answer.body["item_id"], "cola");
    assert_eq!(answer.body["accepted_at"], "2027-01-15T08:00:00.000Z");
    let url = answer.body["status_url"].as_str().unwrap();
    assert_eq!(answer.header("location"), url);
    let receipt = answer.body["receipt"].as_str().unwrap();
    assert!(url.ends_with(&format!("?receipt={receipt}")));
    assert!(url.starts_with(&format!("/v1/items/cola/commands/{}?receipt=", id(1))));
    assert_eq!(staff.get(url).await.body, answer.body, "queued, as it was accepted");
    server.memory.apply();
    let outcome = staff.get(url).await;
    assert_eq!((outcome.status, &outcome.body["status"]), (200, &json!("applied")));
    assert_eq!(outcome.body["effects"][0]["after"], "22");
    assert_eq!(outcome.body["effects"][0]["item_id"], "cola");
    assert_eq!(outcome.body["submitted_by"], "ann");
}

#[tokio::test]
async fn with_prefer_wait_the_outcome_is_answered() {
    let server = Server::stocked().await;
    let answer = server.staff().sell(1, "shop-1", "2").await;
    assert_eq!(answer.header("preference-applied"), "wait=10");
    assert_eq!(answer.body["status"], "applied");
    assert_eq!(answer.body["type"], "sell");
    assert_eq!(answer.body["command"]["quantity"], "2");
    let effect = &answer.body["effects"][0];
    let found = ["before", "delta", "after", "seq", "location_id"].map(|key| effect[key].clone());
    assert_eq!(found, [json!("24"), json!("-2"), json!("22"), json!(2), json!("shop-1")]);
    let refused = json!({"type": "sell", "command_id": id(2), "item_id": "cola", "location_id": "shop-1", "quantity": "100", "on_shortage": "reject"});
    let answer = server.staff().post_waiting("/v1/commands", refused).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("rejected")));
    assert_eq!(answer.body["rejection"]["code"], "insufficient_stock");
    assert_eq!(answer.body["rejection"]["available"], "22");
}

#[tokio::test]
async fn a_wait_that_ends_without_an_outcome_is_202() {
    let server = Server::stocked().await;
    server.hold_workers();
    let staff = server.staff();
    let request = staff
        .request(Method::POST, "/v1/commands")
        .header("prefer", "respond-async, wait=1")
        .json(&sale(1, "shop-1", "1"));
    let answer = staff.send(request).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (202, "wait=1"));
    for prefer in ["wait=0", "wait=abc", "return=minimal", "wait"] {
        let request =
            staff.request(Method::POST, "/v1/commands").header("prefer", prefer).json(&sale(1, "shop-1", "1"));
        let answer = staff.send(request).await;
        assert_eq!((answer.status, answer.header("preference-applied")), (202, ""), "{prefer}");
    }
}

#[tokio::test]
async fn an_outcome_that_arrives_while_a_request_waits_ends_the_wait() {
    let server = Server::stocked().await;
    server.hold_workers();
    let staff = server.staff();
    let waiting = tokio::spawn(async move { staff.post_waiting("/v1/commands", sale(1, "shop-1", "1")).await });
    while server.memory.waiting().is_empty() {
        tokio::task::yield_now().await;
    }
    server.memory.apply();
    assert_eq!(waiting.await.unwrap().body["status"], "applied");
}

#[tokio::test]
async fn a_replayed_command_answers_as_the_first_time_and_takes_effect_once() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let first = staff.sell(1, "shop-1", "2").await;
    server.clock.advance_ms(1_000);
    let spelled_otherwise =
        json!({"type": "sell", "command_id": id(1), "item_id": "cola", "location_id": "shop-1", "quantity": 2});
    let again = staff.post_waiting("/v1/commands", spelled_otherwise).await;
    assert_eq!(again.body, first.body);
    assert_eq!(staff.get("/v1/items/cola").await.body["on_hand"], "32");
}

#[tokio::test]
async fn another_payload_under_an_id_that_took_effect_is_409_and_shows_the_holder() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let first = staff.sell(1, "shop-1", "2").await;
    let other = staff.post_waiting("/v1/commands", sale(1, "shop-1", "3")).await;
    assert_eq!((other.status, other.code()), (409, "command_id_reused"));
    assert_eq!(other.body["holder"], first.body);
}

#[tokio::test]
async fn the_id_may_come_as_idempotency_key() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let mut command = sale(1, "shop-1", "1");
    command.as_object_mut().unwrap().remove("command_id");
    let post = |key: String| staff.request(Method::POST, "/v1/commands").header("idempotency-key", key);
    for (n, key) in [(1, id(1)), (2, format!("\"{}\"", id(2)))] {
        let answer = staff.send(post(key).json(&command)).await;
        assert_eq!((answer.status, &answer.body["command_id"]), (202, &json!(id(n))));
    }
    let answer = staff.send(post(id(3)).json(&sale(4, "shop-1", "1"))).await;
    assert_eq!((answer.status, answer.faults()), (422, vec!["/command_id idempotency_key_mismatch".to_owned()]));
    let answer = staff.send(post("7".into()).json(&command)).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_header"));
}

#[tokio::test]
async fn if_locations_are_required_a_movement_without_one_is_refused() {
    let server = Server::with(|config| config.require_location = true).await;
    let mut command = sale(1, "x", "1");
    command.as_object_mut().unwrap().remove("location_id");
    let answer = server.staff().post("/v1/commands", command).await;
    assert_eq!(answer.faults(), ["/location_id missing_field"]);
}

#[tokio::test]
async fn a_queue_that_does_not_acknowledge_is_503_and_nothing_is_said_to_be_accepted() {
    let server = Server::stocked().await;
    server.memory.queue_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let staff = server.staff();
    let (one, batch) = tokio::join!(
        staff.post("/v1/commands", sale(1, "shop-1", "1")),
        staff.post("/v1/commands/batch", json!({"commands": [sale(2, "shop-1", "1"), sale(3, "shop-2", "1")]})),
    );
    for answer in [one, batch] {
        assert_eq!((answer.status, answer.code()), (503, "queue_unavailable"));
        assert_eq!(answer.body["retryable"], true);
    }
}
