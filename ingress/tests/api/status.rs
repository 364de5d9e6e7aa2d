//! Tests the status rules of design.md §5.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::json;
use stockline_core::domain::{NotKept, Receipt, ReceiptKeys, Timestamp};

use crate::server::{DAY_MS, NOW_S, Server, command_id, id, sale};

#[tokio::test]
async fn without_a_receipt_an_unknown_id_is_404_and_says_that_sending_again_is_safe() {
    let server = Server::stocked().await;
    server.hold_workers();
    let staff = server.staff();
    let accepted = staff.post("/v1/commands", sale(1, "shop-1", "1")).await;
    let path = format!("/v1/items/cola/commands/{}", id(1));
    let answer = staff.get(&path).await;
    assert_eq!((answer.status, answer.code()), (404, "command_not_found"));
    assert!(answer.body["detail"].as_str().unwrap().contains("it is safe to send the same command"));
    let receipt = accepted.body["status_url"].as_str().unwrap().split_once('=').unwrap().1.to_owned();
    let foreign = staff.get(&format!("/v1/items/cola/commands/{}?receipt={receipt}", id(2))).await;
    assert_eq!((foreign.status, foreign.code()), (404, "command_not_found"), "of another command");
    for bad in ["x", &receipt[1..], "%20"] {
        let answer = staff.get(&format!("{path}?receipt={bad}")).await;
        assert_eq!((answer.status, answer.code()), (400, "receipt_invalid"), "{bad}");
    }
    server.memory.apply();
    let found = staff.get(&path).await;
    assert_eq!((found.status, &found.body["status"]), (200, &json!("applied")), "an outcome needs no receipt");
}

#[tokio::test]
async fn while_the_store_is_down_no_status_is_queued() {
    let server = Server::stocked().await;
    let staff = server.staff();
    server.memory.store_down.store(true, SeqCst);
    let accepted = staff.post("/v1/commands", sale(1, "shop-1", "1")).await;
    let url = accepted.body["status_url"].as_str().unwrap();
    let answer = staff.get(url).await;
    assert_eq!((answer.status, answer.code()), (503, "store_unavailable"));
    let lines = json!({"commands": [{"item_id": "cola", "command_id": id(1)}]});
    assert_eq!(staff.post("/v1/commands/status", lines).await.status, 503);
    server.memory.store_down.store(false, SeqCst);
    assert_eq!(staff.get(url).await.body["status"], "applied");
}

#[tokio::test]
async fn a_receipt_older_than_the_retention_without_an_outcome_is_410() {
    let server = Server::stocked().await;
    server.hold_workers();
    let staff = server.staff();
    let accepted = staff.post("/v1/commands", sale(1, "shop-1", "1")).await;
    let url = accepted.body["status_url"].as_str().unwrap();
    server.clock.advance_ms(28 * DAY_MS);
    assert_eq!(staff.get(url).await.body["status"], "queued");
    server.clock.advance_ms(1);
    let answer = staff.get(url).await;
    assert_eq!((answer.status, answer.code()), (410, "outcome_missing"));
    server.memory.apply();
    assert_eq!(staff.get(url).await.status, 200, "a late outcome is an outcome");
}

#[tokio::test]
async fn after_a_restore_the_receipt_of_a_later_command_without_an_outcome_is_404_and_says_send_again() {
    let old = || ReceiptKeys::new(&[[6_u8; 32]]).unwrap();
    let lost = NotKept { after: Timestamp::from_millis(NOW_S * 1_000), why: "stock was restored".into() };
    let keys = ReceiptKeys::new(&[[7_u8; 32], [6; 32]]).unwrap().not_kept_before(1, &lost);
    let server = Server::stocked_with(|config| config.receipt_keys = keys).await;
    server.hold_workers();
    let staff = server.staff();
    let accepted = staff.post("/v1/commands", sale(1, "shop-1", "1")).await;
    let (cola, key) = ("cola".parse().unwrap(), ReceiptKeys::new(&[[7_u8; 32]]).unwrap());
    let token = accepted.body["status_url"].as_str().unwrap().split_once('=').unwrap().1;
    let fingerprint = key.verify(&cola, command_id(1), token).unwrap().fingerprint;
    let url = |millis| {
        let receipt = Receipt { accepted_at: lost.after.plus_millis(millis), fingerprint, without_cost: None };
        let token = old().sign(&cola, command_id(1), receipt);
        format!("/v1/items/cola/commands/{}?receipt={token}", id(1))
    };
    let (before, after) = (url(0), url(1));
    assert_eq!(staff.get(&before).await.body["status"], "queued", "in the backup");
    let answer = staff.get(&after).await;
    assert_eq!((answer.status, answer.code()), (404, "command_not_found"));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("stock was restored, and") && detail.contains("safe to send the same command"),
        "{detail}"
    );
    let lines =
        json!({"commands": [{"item_id": "cola", "command_id": id(1), "receipt": after.split_once('=').unwrap().1}]});
    let answer = staff.post("/v1/commands/status", lines).await;
    assert_eq!(answer.body["results"][0]["problem"]["code"], "command_not_found");
    server.memory.apply();
    assert_eq!(staff.get(&after).await.body["status"], "applied", "an outcome is an outcome");
}

#[tokio::test]
async fn the_status_of_a_reused_id_shows_the_command_that_holds_it() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let first = staff.sell(1, "shop-1", "2").await;
    let other = staff.post("/v1/commands", sale(1, "shop-1", "3")).await;
    let answer = staff.get(other.body["status_url"].as_str().unwrap()).await;
    assert_eq!((answer.status, answer.code()), (409, "command_id_reused"));
    assert_eq!(answer.body["holder"]["command"], first.body["command"]);
}

#[tokio::test]
async fn a_status_request_may_wait() {
    let server = Server::stocked().await;
    server.hold_workers();
    let staff = server.staff();
    let accepted = staff.post("/v1/commands", sale(1, "shop-1", "1")).await;
    let url = accepted.body["status_url"].as_str().unwrap().to_owned();
    let get = |seconds: u32| staff.request(reqwest::Method::GET, &url).header("prefer", format!("wait={seconds}"));
    let answer = staff.send(get(1)).await;
    assert_eq!((&answer.body["status"], answer.header("preference-applied")), (&json!("queued"), "wait=1"));
    let waiting = tokio::spawn({
        let (staff, request) = (staff.clone(), get(10));
        async move { staff.send(request).await }
    });
    server.memory.apply();
    assert_eq!(waiting.await.unwrap().body["status"], "applied");
}

#[tokio::test]
async fn many_statuses_are_answered_line_by_line() {
    let server = Server::stocked().await;
    let staff = server.staff();
    staff.sell(1, "shop-1", "2").await;
    let reused = staff.post("/v1/commands", sale(1, "shop-1", "3")).await;
    server.hold_workers();
    let queued = staff.post("/v1/commands", sale(2, "shop-1", "1")).await;
    let receipt = |answer: &crate::server::Answer| {
        answer.body["status_url"].as_str().unwrap().split_once('=').unwrap().1.to_owned()
    };
    let body = json!({"commands": [
        {"item_id": "cola", "command_id": id(1)},
        {"item_id": "cola", "command_id": id(2), "receipt": receipt(&queued)},
        {"item_id": "cola", "command_id": id(3)},
        {"item_id": "cola", "command_id": id(1), "receipt": receipt(&reused)},
        {"item_id": "cola", "command_id": id(1), "receipt": "x"},
    ]});
    let answer = staff.post("/v1/commands/status", body).await;
    assert_eq!(answer.status, 200);
    let line = |n: usize, key: &str| answer.body["results"][n][key].clone();
    let statuses: Vec<_> = (0..5).map(|n| line(n, "status")).collect();
    assert_eq!(statuses, ["applied", "queued", "unknown", "unknown", "unknown"]);
    let codes: Vec<_> = (2..5).map(|n| line(n, "problem")["code"].clone()).collect();
    assert_eq!(codes, ["command_not_found", "command_id_reused", "receipt_invalid"]);
    assert_eq!(line(0, "outcome")["effects"][0]["after"], "22");
    let counts = ["settled", "queued", "unknown"].map(|key| answer.body[key].clone());
    assert_eq!(counts, [json!(1), json!(1), json!(3)]);

    let bad = json!({"commands": [{"item_id": "..", "command_id": id(1)}, {"item_id": "a", "id": "b"}]});
    let answer = staff.post("/v1/commands/status", bad).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid_body"));
    let expected =
        ["/commands/0/item_id invalid_value", "/commands/1/id unknown_field", "/commands/1/command_id missing_field"];
    assert_eq!(answer.faults(), expected);
}
