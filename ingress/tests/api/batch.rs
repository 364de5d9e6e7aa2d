//! Tests that batches are answered line by line, in input order.

use serde_json::{Value, json};

use crate::server::{Server, id, sale};

fn words(answer: &Value, key: &str) -> Vec<String> {
    let lines = answer["results"].as_array().unwrap();
    lines.iter().map(|line| line[key].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn each_line_is_answered_in_order_and_a_bad_one_does_not_affect_the_others() {
    let server = Server::stocked().await;
    let commands = json!({"commands": [
        sale(1, "shop-1", "1"),
        {"type": "sell", "command_id": id(2), "item_id": "cola", "quantity": 1.5},
        {"type": "adjust", "command_id": id(3), "item_id": "cola", "quantity": "1", "reason": "found"},
        7,
        sale(5, "shop-2", "2"),
        sale(6, "shop-1", "1"),
        sale(6, "shop-1", "2"),
    ]});
    let answer = server.staff().post("/v1/commands/batch", commands).await;
    assert_eq!(answer.status, 202);
    let body = &answer.body;
    assert_eq!(words(body, "status"), ["queued", "invalid", "invalid", "invalid", "queued", "invalid", "invalid"]);
    assert_eq!((&body["queued"], &body["invalid"], &body["failed"]), (&json!(2), &json!(5), &json!(0)));
    let codes: Vec<_> = (0..7).map(|n| body["results"][n]["problem"]["code"].as_str().unwrap_or("-")).collect();
    let expected = [
        "-",
        "invalid_command",
        "forbidden_command",
        "invalid_command",
        "-",
        "duplicate_in_request",
        "duplicate_in_request",
    ];
    assert_eq!(codes, expected);
    for n in 0..7 {
        assert_eq!(body["results"][n]["index"], n);
    }
    assert_eq!(body["results"][1]["command_id"], id(2), "shown where it can be read");
    assert_eq!(body["results"][1]["problem"]["errors"][0]["pointer"], "/commands/1/quantity");
    assert_eq!(
        body["results"][5]["problem"]["errors"][0]["detail"],
        "is also the id of line 6, for the same item and with other contents"
    );
    let url = body["results"][0]["status_url"].as_str().unwrap();
    assert_eq!(server.staff().get(url).await.body["status"], "applied");
}

#[tokio::test]
async fn the_same_id_on_two_items_is_no_duplicate() {
    let server = Server::stocked().await;
    let mut other = sale(1, "shop-1", "1");
    other["item_id"] = json!("water");
    let answer = server.staff().post("/v1/commands/batch", json!({"commands": [sale(1, "shop-1", "1"), other]})).await;
    assert_eq!(answer.body["queued"], 2);
}

#[tokio::test]
async fn the_same_command_twice_is_queued_once_and_both_lines_are_answered_alike() {
    let server = Server::stocked().await;
    let mut again = sale(1, "shop-1", "2.000");
    again["sent_at"] = json!("2027-01-15T07:30:00Z");
    let commands = json!({"commands": [sale(1, "shop-1", "2"), sale(2, "shop-1", "1"), again, {"x": 1}]});
    let answer = server.staff().post("/v1/commands/batch", commands.clone()).await;
    assert_eq!(words(&answer.body, "status"), ["queued", "queued", "queued", "invalid"]);
    assert_eq!((&answer.body["queued"], &answer.body["invalid"]), (&json!(3), &json!(1)));
    let lines = answer.body["results"].as_array().unwrap();
    for key in ["command_id", "receipt", "status_url"] {
        assert_eq!(lines[0][key], lines[2][key]);
        assert_ne!(lines[0][key], lines[1][key]);
    }
    let settled = server.staff().post_waiting("/v1/commands/batch", commands).await;
    assert_eq!(settled.body["results"][0]["outcome"], settled.body["results"][2]["outcome"]);
    assert_eq!(settled.body["settled"], 3);
    let movements = server.staff().get("/v1/items/cola/movements?type=sell").await;
    assert_eq!(movements.body["movements"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn all_lines_of_an_id_with_different_contents_are_refused() {
    let server = Server::stocked().await;
    let commands = json!({"commands": [sale(1, "shop-1", "1"), sale(1, "shop-1", "1"), sale(1, "shop-1", "2")]});
    let answer = server.staff().post("/v1/commands/batch", commands).await;
    assert_eq!(words(&answer.body, "status"), ["invalid"; 3]);
    let named: Vec<_> =
        (0..3).map(|n| answer.body["results"][n]["problem"]["errors"][0]["detail"].to_string()).collect();
    assert!(named[0].contains("line 2") && named[1].contains("line 2") && named[2].contains("line 0"), "{named:?}");
}

#[tokio::test]
async fn the_clock_of_the_batch_applies_to_lines_without_their_own() {
    let server = Server::stocked().await;
    let mut early = sale(1, "shop-1", "1");
    early["occurred_at"] = json!("2027-01-15T07:00:00Z");
    // The till is half an hour behind the server.
    let batch = json!({"sent_at": "2027-01-15T07:30:00Z", "commands": [early]});
    let answer = server.staff().post_waiting("/v1/commands/batch", batch).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["results"][0]["outcome"]["effects"][0]["occurred_at"], "2027-01-15T07:30:00.000Z");
}

#[tokio::test]
async fn with_prefer_wait_every_line_has_its_outcome() {
    let server = Server::stocked().await;
    let refused = json!({"type": "sell", "command_id": id(2), "item_id": "nothing", "quantity": "1"});
    let commands = json!({"commands": [sale(1, "shop-1", "1"), refused, {"x": 1}]});
    let answer = server.staff().post_waiting("/v1/commands/batch", commands).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (200, "wait=10"));
    assert_eq!(words(&answer.body, "status"), ["applied", "rejected", "invalid"]);
    assert_eq!(answer.body["results"][1]["outcome"]["rejection"]["code"], "unknown_item");
    let counts = ["queued", "settled", "invalid", "failed"].map(|key| answer.body[key].clone());
    assert_eq!(counts, [json!(0), json!(2), json!(1), json!(0)]);
}

#[tokio::test]
async fn lines_of_one_item_keep_their_order_through_the_queue() {
    let server = Server::stocked().await;
    server.hold_workers();
    let commands: Vec<_> = (1..=300).map(|n| sale(n, "shop-1", "1")).collect();
    let answer = server.staff().post("/v1/commands/batch", json!({ "commands": commands })).await;
    assert_eq!(answer.body["queued"], 300);
    let mut queued = Vec::new();
    for body in server.memory.waiting() {
        let message: Value = serde_json::from_str(&body).unwrap();
        let commands = message["commands"].as_array().unwrap();
        assert!(commands.len() <= 100 && body.len() <= 60 * 1024);
        queued.extend(commands.iter().map(|command| command["command"]["command_id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(queued, (1..=300).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_of_the_wrong_shape_is_refused_whole() {
    let server = Server::start().await;
    let staff = server.staff();
    let cases = [
        (json!([]), " wrong_type"),
        (json!({}), "/commands missing_field"),
        (json!({"commands": []}), "/commands invalid_value"),
        (json!({"commands": {}}), "/commands wrong_type"),
        (json!({"commands": [sale(1, "main", "1")], "mode": "fast"}), "/mode unknown_field"),
        (json!({"commands": [sale(1, "main", "1")], "sent_at": "noon"}), "/sent_at invalid_value"),
    ];
    for (body, fault) in cases {
        let answer = staff.post("/v1/commands/batch", body).await;
        assert_eq!((answer.status, answer.code(), answer.faults()), (422, "invalid_body", vec![fault.to_owned()]));
    }
    let many: Vec<_> = (0..501).map(|n| sale(n, "main", "1")).collect();
    let answer = staff.post("/v1/commands/batch", json!({ "commands": many })).await;
    assert_eq!((answer.status, answer.code()), (422, "too_many_commands"));
}
