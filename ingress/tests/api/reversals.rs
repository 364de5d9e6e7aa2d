//! Tests of taking movements back, and of money in answers.

use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, id, sale};

fn reversal(n: u32, of: u32) -> Value {
    json!({"type": "reverse", "command_id": id(n), "item_id": "cola", "reverses": id(of), "note": "rung up twice"})
}

async fn take_back(client: &Client, n: u32, of: u32) -> Answer {
    client.post_waiting("/v1/commands", reversal(n, of)).await
}

/// Returns the code of a rejection and its text.
fn refused(answer: &Answer) -> (String, String) {
    let text = |name: &str| answer.body["rejection"][name].as_str().unwrap_or_default().to_owned();
    (text("code"), text("detail"))
}

#[tokio::test]
async fn a_sale_is_taken_back_once_and_history_shows_the_pair() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let mut sold = sale(1, "shop-1", "2");
    sold["amount"] = json!("3.98");
    manager.post_waiting("/v1/commands", sold).await;
    let done = take_back(&manager, 2, 1).await;
    assert_eq!((done.status, &done.body["status"], &done.body["type"]), (200, &json!("applied"), &json!("reverse")));
    let effect = &done.body["effects"][0];
    let fields = ["type", "reversed_type", "reverses", "quantity", "delta", "after", "amount", "cost"];
    let expected = [
        json!("reverse"),
        json!("sell"),
        json!(id(1)),
        json!("2"),
        json!("2"),
        json!("24"),
        json!("-3.98"),
        json!("0.82"),
    ];
    assert_eq!(fields.map(|name| effect[name].clone()), expected);

    let outcome = manager.get(&format!("/v1/items/cola/commands/{}", id(1))).await;
    assert_eq!(outcome.body["reversed_by"], json!(id(2)));
    assert_eq!(outcome.body["effects"][0]["reversed_by"], json!(id(2)));
    let history = manager.get("/v1/items/cola/movements?location_id=shop-1&limit=2").await;
    let pair = history.body["movements"].as_array().unwrap();
    assert_eq!((&pair[0]["reverses"], &pair[0]["occurred_at"]), (&json!(id(1)), &pair[1]["occurred_at"]));
    assert_eq!((&pair[1]["reversed_by"], &pair[1]["amount"]), (&json!(id(2)), &json!("3.98")));
    let only = manager.get("/v1/items/cola/movements?type=reverse").await;
    assert_eq!(only.body["movements"].as_array().unwrap().len(), 1);

    let again = take_back(&manager, 3, 1).await;
    let (code, detail) = refused(&again);
    assert_eq!(code, "not_reversible");
    assert!(detail.contains(&id(2)), "{detail}");
    assert_eq!(refused(&take_back(&manager, 4, 99).await).0, "unknown_command");
    assert_eq!(take_back(&manager, 5, 5).await.faults(), ["/reverses invalid_value"]);
    // The same reversal again answers as the first did.
    let replayed = take_back(&manager, 2, 1).await;
    assert_eq!(replayed.body["effects"], done.body["effects"]);
}

/// P10: only the fold knows whose a movement is, how old, and where.
#[tokio::test]
async fn staff_take_back_their_own_within_the_time_and_a_bound_token_only_what_is_there() {
    let server = Server::stocked_with(|config| config.staff_may = "reverse:60".parse().unwrap()).await;
    let limits = server.nobody().get("/v1/limits").await;
    assert_eq!(
        (&limits.body["staff_reverse_within_s"], &limits.body["command_money"]),
        (&json!(60), &json!("9999999999.9999"))
    );
    let (staff, manager) = (server.staff(), server.manager());
    for n in 1..=5 {
        staff.sell(n, "shop-1", "1").await;
    }
    server.memory.rename_submitter(2, "another");
    assert_eq!(take_back(&staff, 11, 1).await.body["status"], "applied");
    let (code, detail) = refused(&take_back(&staff, 12, 2).await);
    assert_eq!(code, "not_reversible");
    assert!(detail.contains("someone else"), "{detail}");
    assert_eq!(take_back(&manager, 13, 2).await.body["status"], "applied", "a manager may");

    server.clock.advance_ms(61_000);
    let (_, detail) = refused(&take_back(&staff, 14, 3).await);
    assert!(detail.contains("too long ago"), "{detail}");

    let there = server.client(&["Manager", "location.shop-2"]);
    let (code, detail) = refused(&take_back(&there, 15, 4).await);
    assert_eq!(code, "not_reversible");
    assert!(detail.contains("another location"), "{detail}");
    let here = server.client(&["Manager", "location.shop-1"]);
    assert_eq!(take_back(&here, 16, 4).await.body["status"], "applied");

    let strict = Server::stocked_with(|config| config.staff_may = "reverse:0".parse().unwrap()).await;
    assert_eq!(take_back(&strict.staff(), 17, 9_001).await.code(), "forbidden_command");
}

/// Costs are for managers, in every answer; what a customer paid is for all.
#[tokio::test]
async fn every_answer_with_money_hides_costs_from_staff() {
    let server = Server::stocked().await;
    let (staff, manager) = (server.staff(), server.manager());
    let mut sold = sale(1, "shop-1", "30");
    sold["amount"] = json!("59.7");
    manager.post_waiting("/v1/commands", sold.clone()).await;
    let received = json!({"type": "receive", "command_id": id(2), "item_id": "cola", "location_id": "shop-1", "quantity": "10", "unit_cost": "0.53"});
    manager.post_waiting("/v1/commands", received.clone()).await;
    take_back(&manager, 3, 1).await;

    let item = manager.get("/v1/items/cola").await.body;
    let shop = item["levels"].as_array().unwrap().iter().find(|level| level["location_id"] == "shop-1").unwrap();
    // 10 at 0.53, of which 6 covered what was sold below zero, and 30 that came back at 0.41.
    assert_eq!(
        (&shop["on_hand"], &shop["value"], &shop["average_cost"]),
        (&json!("34"), &json!("14.42"), &json!("0.4241"))
    );
    // 18.52 for 44 units.
    assert_eq!((&item["value"], &item["average_cost"]), (&json!("18.52"), &json!("0.4209")));
    let movements = manager.get("/v1/items/cola/movements?location_id=shop-1").await.body;
    let told: Vec<_> = movements["movements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["cost"].clone(), m["revaluation"].clone()))
        .collect();
    let expected = [("12.3", None), ("5.3", Some("-0.72")), ("-12.3", None), ("9.84", None)];
    assert_eq!(told, expected.map(|(cost, revalued)| (json!(cost), revalued.map_or(Value::Null, |r| json!(r)))));

    let (one, two) = (format!("/v1/items/cola/commands/{}", id(1)), format!("/v1/items/cola/commands/{}", id(2)));
    let paths = [
        "/v1/items",
        "/v1/items/cola",
        "/v1/stock",
        "/v1/items/cola/movements",
        "/v1/movements",
        "/v1/commands?status=applied",
        "/v1/items/cola/changes",
        "/v1/alerts",
        &one,
        &two,
    ];
    let names = ["unit_cost", "cost", "revaluation", "average_cost", "value"].map(|name| format!("\"{name}\":"));
    let shows = |text: &str| names.iter().any(|name| text.contains(name));
    let mut hidden = 0;
    for path in paths {
        let (seen, by_staff) = (manager.get(path).await, staff.get(path).await);
        assert_eq!((seen.status, by_staff.status), (200, 200), "{path}");
        assert!(!shows(&by_staff.text), "{path}: {}", by_staff.text);
        hidden += usize::from(shows(&seen.text));
        assert_eq!(seen.text.contains("\"amount\":\"59.7\""), by_staff.text.contains("\"amount\":\"59.7\""), "{path}");
    }
    assert_eq!(hidden, 9, "all but alerts show costs to a manager");
    let lines = json!({"commands": [sold, received, reversal(3, 1)]});
    let keys: Vec<_> = (1..=3).map(|n| json!({"item_id": "cola", "command_id": id(n)})).collect();
    let keys = json!({ "commands": keys });
    for (path, body) in [("/v1/commands/batch", lines), ("/v1/commands/status", keys)] {
        let (seen, by_staff) = (manager.post_waiting(path, body.clone()).await, staff.post_waiting(path, body).await);
        assert!(shows(&seen.text), "{path}: {}", seen.text);
        assert!(!shows(&by_staff.text), "{path}: {}", by_staff.text);
    }
}
