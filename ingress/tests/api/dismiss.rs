//! Tests that a Manager takes refused commands off the list, with a reason and by name.

use serde_json::{Value, json};

use crate::server::{Client, Server, id};

const REASON: &str = "a typing error, nothing was sold";

/// Submits a sale of an item that is not registered. Returns the path of the command.
async fn refused(client: &Client, n: u32) -> String {
    let command =
        json!({"type": "sell", "command_id": id(n), "item_id": "coal", "location_id": "shop-1", "quantity": "2"});
    let answer = client.post_waiting("/v1/commands", command).await;
    assert_eq!(answer.body["rejection"]["code"], "unknown_item");
    format!("/v1/items/coal/commands/{}", id(n))
}

fn because(reason: &str) -> Value {
    json!({ "reason": reason })
}

#[tokio::test]
async fn a_dismissed_refusal_says_who_when_and_why_and_can_still_be_resubmitted() {
    let server = Server::stocked().await;
    let (staff, manager) = (server.staff(), server.manager());
    let old = refused(&staff, 1).await;
    server.clock.advance_ms(60_000);
    let answer = manager.post(&format!("{old}/dismiss"), because(REASON)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rejection = &answer.body["rejection"];
    assert_eq!(rejection["dismissed_because"], REASON);
    assert_eq!(rejection["dismissed_at"], "2027-01-15T08:01:00.000Z");
    let who = rejection["dismissed_by"].as_str().unwrap().to_owned();
    let sold = manager.sell(9, "shop-1", "1").await;
    assert_eq!(sold.body["submitted_by"], *who, "the token's own name, not one that the body gives");
    assert_eq!(staff.get("/v1/commands").await.body["commands"], json!([]));
    let all = staff.get("/v1/commands?all=true").await.body;
    assert_eq!(all["commands"][0]["rejection"]["dismissed_by"], *who);

    server.clock.advance_ms(60_000);
    let again = manager.post(&format!("{old}/dismiss"), because(REASON)).await;
    assert_eq!((again.status, again.body), (200, answer.body), "the first answer may be lost");
    let other = manager.post(&format!("{old}/dismiss"), because("another reason")).await;
    assert_eq!((other.status, other.code()), (409, "already_dismissed"));
    let detail = other.body["detail"].as_str().unwrap();
    assert!([&*who, REASON, "2027-01-15T08:01"].iter().all(|part| detail.contains(part)), "{detail}");

    let mended = manager.post_waiting(&format!("{old}/resubmit"), json!({"item_id": "cola"})).await;
    assert_eq!(mended.body["status"], "applied", "{}", mended.text);
    let late = manager.post(&format!("{old}/dismiss"), because(REASON)).await;
    assert_eq!((late.status, late.code()), (409, "not_dismissable"));
    assert_eq!(
        late.body["status_url"],
        mended.body["effects"][0]["command_id"]
            .as_str()
            .map_or(json!(null), |new| { json!(format!("/v1/items/cola/commands/{new}")) })
    );
}

#[tokio::test]
async fn only_a_rejected_command_is_dismissed_with_a_reason_of_one_line() {
    let server = Server::stocked().await;
    let (staff, manager) = (server.staff(), server.manager());
    let old = refused(&staff, 1).await;
    manager.sell(2, "shop-1", "1").await;
    let applied = manager.post(&format!("/v1/items/cola/commands/{}/dismiss", id(2)), because(REASON)).await;
    assert_eq!((applied.status, applied.code()), (409, "not_dismissable"));
    let unknown = manager.post(&format!("/v1/items/cola/commands/{}/dismiss", id(3)), because(REASON)).await;
    assert_eq!((unknown.status, unknown.code()), (404, "command_not_found"));
    let path = format!("{old}/dismiss");
    assert_eq!(staff.post(&path, because(REASON)).await.code(), "forbidden");
    for wrong in ["", "  ", "two\nlines", &"x".repeat(501)] {
        let answer = manager.post(&path, because(wrong)).await;
        assert_eq!((answer.status, answer.faults()), (422, vec!["/reason invalid_value".to_owned()]), "{wrong:?}");
    }
    let answer = manager.post(&path, json!({"because": REASON})).await;
    assert_eq!(answer.faults(), ["/because unknown_field", "/reason missing_field"]);
    assert_eq!(manager.post(&path, json!({"reason": 7})).await.faults(), ["/reason wrong_type"]);
    assert_eq!(staff.get("/v1/commands").await.body["commands"].as_array().unwrap().len(), 1, "nothing is dismissed");
    assert_eq!(manager.post(&path, because(&"ü".repeat(500))).await.status, 200);
}
