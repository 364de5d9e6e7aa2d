//! Tests that refused commands are listed, corrected and sent again.

use serde_json::json;
use stockline_core::domain::CommandId;

use crate::server::{Client, Server, command_id, id, sale};

/// Submits a sale of an item that is not registered.
async fn refused(client: &Client, n: u32) -> String {
    let command =
        json!({"type": "sell", "command_id": id(n), "item_id": "coal", "location_id": "shop-1", "quantity": "2"});
    let answer = client.post_waiting("/v1/commands", command).await;
    assert_eq!(answer.body["rejection"]["code"], "unknown_item");
    format!("/v1/items/coal/commands/{}", id(n))
}

/// Returns the id under which a refused sale of coal is resubmitted.
fn resubmission(n: u32) -> CommandId {
    command_id(n).of_resubmission(&"coal".parse().unwrap())
}

#[tokio::test]
async fn a_refused_sale_is_listed_and_resubmitted_once_with_its_own_time() {
    let server = Server::stocked().await;
    let (staff, manager) = (server.staff(), server.manager());
    let old = refused(&staff, 1).await;
    let listed = staff.get("/v1/commands?status=rejected&code=unknown_item").await;
    assert_eq!(listed.body["commands"][0]["command_id"], id(1));
    server.clock.advance_ms(60_000);
    let answer = manager.post_waiting(&format!("{old}/resubmit"), json!({"item_id": "cola"})).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("applied")), "{}", answer.text);
    let new_id = resubmission(1).to_string();
    assert_eq!(answer.body["command_id"], new_id);
    assert_eq!(answer.body["item_id"], "cola");
    assert_eq!(answer.body["resubmits"], json!({"item_id": "coal", "command_id": id(1)}));
    assert_eq!(answer.body["effects"][0]["occurred_at"], "2027-01-15T08:00:00.000Z", "when it was first accepted");
    let marked = manager.get(&old).await;
    assert_eq!(marked.body["resubmitted_as"], json!({"item_id": "cola", "command_id": new_id}));
    assert_eq!(staff.get("/v1/commands").await.body["commands"], json!([]), "nothing is left to do");
    assert_eq!(staff.get("/v1/commands?all=true").await.body["commands"].as_array().unwrap().len(), 1);
    let again = manager.post_waiting(&format!("{old}/resubmit"), json!({"item_id": "cola"})).await;
    assert_eq!((again.status, again.body), (200, answer.body), "as the first time, whose answer may be lost");
    assert_eq!(staff.get("/v1/items/cola/movements?type=sell").await.body["movements"].as_array().unwrap().len(), 1);
    let elsewhere = json!({"item_id": "cola", "location_id": "main"});
    let other = manager.post_waiting(&format!("{old}/resubmit"), elsewhere).await;
    assert_eq!((other.status, other.code()), (409, "command_id_reused"));
    let other = manager.post(&format!("{old}/resubmit"), json!({"item_id": "mint"})).await;
    assert_eq!((other.status, other.code()), (409, "already_resubmitted"));
    assert_eq!(other.body["status_url"], format!("/v1/items/cola/commands/{new_id}"));
}

#[tokio::test]
async fn a_batch_may_replace_refused_commands_with_any_correction() {
    let server = Server::stocked().await;
    let (staff, manager) = (server.staff(), server.manager());
    for n in [1, 2, 3] {
        refused(&staff, n).await;
    }
    let mended = |n: u32| {
        let mut sale = sale(n, "shop-1", "3");
        sale["command_id"] = json!(resubmission(n).to_string());
        sale
    };
    let old = |n: u32| json!({"item_id": "coal", "command_id": id(n)});
    server.clock.advance_ms(60_000);
    let batch = json!({"commands": [mended(1), sale(9, "shop-1", "1")], "resubmits": [old(1), old(2)]});
    let answer = manager.post_waiting("/v1/commands/batch", batch.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["results"][0]["outcome"]["resubmits"], old(1));
    assert_eq!(answer.body["results"][0]["outcome"]["first_accepted_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!(
        answer.body["results"][1]["outcome"].get("resubmits"),
        None,
        "only its own resubmission replaces a command"
    );
    let open = manager.get("/v1/commands").await.body;
    let open: Vec<_> =
        open["commands"].as_array().unwrap().iter().map(|command| command["command_id"].clone()).collect();
    assert_eq!(open, [id(3), id(2)]);
    let again = manager.post_waiting("/v1/commands/batch", batch).await;
    assert_eq!(again.body["results"][0]["outcome"], answer.body["results"][0]["outcome"], "it takes effect once");

    // Who may not resubmit changes nothing.
    let by_staff = json!({"commands": [mended(2), sale(10, "shop-1", "1")], "resubmits": [old(2)]});
    let answer = staff.post_waiting("/v1/commands/batch", by_staff).await.body;
    assert_eq!(
        (&answer["results"][0]["problem"]["code"], &answer["results"][1]["status"]),
        (&json!("forbidden"), &json!("applied"))
    );
    assert_eq!(manager.get("/v1/commands").await.body["commands"].as_array().unwrap().len(), 2);
    // What was resubmitted for another item is not done twice.
    let elsewhere = json!({"item_id": "mint", "on_shortage": "allow"});
    manager.post_waiting(&format!("/v1/items/coal/commands/{}/resubmit", id(2)), elsewhere).await;
    let second = json!({"commands": [mended(2)], "resubmits": [old(2)]});
    let second = manager.post_waiting("/v1/commands/batch", second).await.body;
    assert_eq!(second["results"][0]["problem"]["code"], "already_resubmitted", "{second}");
    let unknown = json!({"commands": [mended(7)], "resubmits": [old(7)]});
    assert_eq!(manager.post_waiting("/v1/commands/batch", unknown).await.body["results"][0]["status"], "applied");
    let faulty =
        json!({"commands": [mended(8)], "resubmits": [{"item_id": "coal", "command_id": "x"}, 7, {"item": "coal"}]});
    let answer = manager.post("/v1/commands/batch", faulty).await;
    let expected = [
        "/resubmits/0/command_id invalid_value",
        "/resubmits/1 wrong_type",
        "/resubmits/2/item unknown_field",
        "/resubmits/2/item_id missing_field",
        "/resubmits/2/command_id missing_field",
    ];
    assert_eq!((answer.status, answer.faults()), (422, expected.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn an_applied_or_unknown_command_is_not_resubmitted() {
    let server = Server::stocked().await;
    let manager = server.manager();
    manager.sell(1, "shop-1", "1").await;
    let answer = manager.post(&format!("/v1/items/cola/commands/{}/resubmit", id(1)), json!({})).await;
    assert_eq!((answer.status, answer.code()), (409, "already_applied"));
    let answer = manager.post(&format!("/v1/items/cola/commands/{}/resubmit", id(2)), json!({})).await;
    assert_eq!((answer.status, answer.code()), (404, "command_not_found"));
}

#[tokio::test]
async fn a_correction_names_every_fault_and_needs_a_manager() {
    let server = Server::stocked().await;
    let old = refused(&server.staff(), 1).await;
    let path = format!("{old}/resubmit");
    let answer = server.staff().post(&path, json!({})).await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden"));
    let answer = server.manager().post(&path, json!({"quantity": "3", "item_id": "..", "on_shortage": "x"})).await;
    let expected = ["/quantity unknown_field", "/item_id invalid_value", "/on_shortage invalid_value"];
    assert_eq!((answer.status, answer.faults()), (422, expected.map(str::to_owned).to_vec()));
    let bare = server.manager();
    let answer = bare.send(bare.request(reqwest::Method::POST, &path)).await;
    assert_eq!(answer.status, 202, "without a body it goes as it was");
}

#[tokio::test]
async fn the_tills_clock_is_corrected_by_its_first_acceptance() {
    let server = Server::stocked().await;
    let mut command = sale(1, "shop-1", "1");
    command["item_id"] = json!("coal");
    command["occurred_at"] = json!("2027-01-15T07:00:00Z");
    command["sent_at"] = json!("2027-01-15T07:30:00Z");
    server.staff().post_waiting("/v1/commands", command).await;
    server.clock.advance_ms(3_600_000);
    let path = format!("/v1/items/coal/commands/{}/resubmit", id(1));
    let answer = server.manager().post_waiting(&path, json!({"item_id": "cola"})).await;
    assert_eq!(answer.body["effects"][0]["occurred_at"], "2027-01-15T07:30:00.000Z");
}

#[tokio::test]
async fn of_two_resubmissions_at_once_the_later_one_is_not_sent_again() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let old = refused(&server.staff(), 1).await;
    server.hold_workers();
    for item in ["cola", "mint"] {
        let answer = manager.post(&format!("{old}/resubmit"), json!({"item_id": item})).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    server.memory.apply();
    let later = format!("/v1/items/mint/commands/{}", resubmission(1));
    assert_eq!(manager.get(&later).await.body["rejection"]["code"], "precondition_failed");
    let again = manager.post(&format!("{later}/resubmit"), json!({"item_id": "cola"})).await;
    assert_eq!((again.status, again.code()), (409, "already_resubmitted"));
    assert_eq!(again.body["status_url"], old);
}

#[tokio::test]
async fn a_resubmission_that_was_set_aside_is_retried_and_not_resubmitted() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let old = refused(&server.staff(), 1).await;
    server.hold_workers();
    manager.post(&format!("{old}/resubmit"), json!({"item_id": "cola"})).await;
    server.memory.set_aside();
    let later = format!("/v1/items/cola/commands/{}", resubmission(1));
    assert_eq!(manager.get(&later).await.body["status"], "dead_lettered");
    let again = manager.post(&format!("{later}/resubmit"), json!({})).await;
    assert_eq!((again.status, again.code()), (409, "not_resubmittable"), "{}", again.text);
    assert_eq!(again.body["status_url"], old);
    let again = manager.post(&format!("{old}/resubmit"), json!({"item_id": "cola"})).await;
    assert_eq!((again.status, again.code()), (409, "not_resubmittable"), "{}", again.text);
    assert_eq!(again.body["status_url"], later);
    assert!(again.text.contains("dead-letters retry"), "{}", again.text);
    server.memory.discard();
    for of_command in [&old, &later] {
        let again = manager.post(&format!("{of_command}/resubmit"), json!({"item_id": "cola"})).await;
        assert_eq!((again.status, again.code()), (409, "not_resubmittable"), "{}", again.text);
        assert!(again.text.contains("discarded for good; submit a new one"), "{}", again.text);
    }
    assert!(server.memory.waiting().is_empty());
}

#[tokio::test]
async fn a_refused_sale_can_be_corrected_more_than_a_month_later_and_again() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let server = Server::stocked().await;
    let manager = server.manager();
    let old = refused(&server.staff(), 1).await;
    server.clock.advance_ms(35 * DAY_MS);
    let answer = manager.post_waiting(&format!("{old}/resubmit"), json!({"item_id": "kohle"})).await;
    assert_eq!(answer.body["rejection"]["code"], "unknown_item", "{}", answer.text);
    server.clock.advance_ms(35 * DAY_MS);
    let path = format!("/v1/items/kohle/commands/{}/resubmit", resubmission(1));
    let answer = manager.post_waiting(&path, json!({"item_id": "cola"})).await;
    assert_eq!(answer.body["effects"][0]["occurred_at"], "2027-01-15T08:00:00.000Z", "{}", answer.text);
}

#[tokio::test]
async fn refused_commands_of_two_items_with_one_id_are_both_resubmitted_for_a_third() {
    let server = Server::stocked().await;
    let manager = server.manager();
    for item in ["coal", "kohle"] {
        let mut command = sale(1, "shop-1", "1");
        command["item_id"] = json!(item);
        server.staff().post_waiting("/v1/commands", command).await;
    }
    for (item, left) in [("coal", "-1"), ("kohle", "-1")] {
        let path = format!("/v1/items/{item}/commands/{}/resubmit", id(1));
        let answer = manager.post_waiting(&path, json!({"item_id": "cola"})).await;
        assert_eq!(answer.body["resubmits"]["item_id"], item, "{}", answer.text);
        assert_eq!(answer.body["effects"][0]["delta"], left, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_resubmission_that_was_refused_itself_is_resubmitted() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let old = refused(&server.staff(), 1).await;
    let answer = manager.post_waiting(&format!("{old}/resubmit"), json!({"item_id": "mint"})).await;
    assert_eq!(answer.body["rejection"]["code"], "unknown_item");
    let path = format!("/v1/items/mint/commands/{}/resubmit", resubmission(1));
    let answer = manager.post_waiting(&path, json!({"item_id": "cola"})).await;
    assert_eq!(answer.body["status"], "applied", "{}", answer.text);
}
