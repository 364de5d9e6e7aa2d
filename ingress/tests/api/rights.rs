//! Tests the rights of callers.

use serde_json::{Value, json};

use crate::server::{Server, id, sale};

#[tokio::test]
async fn without_a_valid_token_only_the_description_is_answered() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let answer = nobody.post("/v1/commands", sale(1, "main", "1")).await;
    assert_eq!((answer.status, answer.code()), (401, "token_missing"));
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    for path in ["/v1/items", "/v1/stock", "/v1/alerts", "/v1/commands", "/v1/locations"] {
        assert_eq!(nobody.get(path).await.status, 401, "{path}");
        let answer = server.client(&[]).get(path).await;
        assert_eq!((answer.status, answer.code()), (403, "no_role"), "{path}");
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs", "/v1/limits"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn staff_never_see_a_cost() {
    let server = Server::stocked().await;
    let (staff, manager) = (server.staff(), server.manager());
    let command =
        json!({"type": "receive", "command_id": id(1), "item_id": "coal", "quantity": "1", "unit_cost": "0.41"});
    manager.post_waiting("/v1/commands", command).await;
    let paths = [
        "/v1/items".to_owned(),
        "/v1/items/cola".into(),
        "/v1/items/cola/movements".into(),
        "/v1/commands".into(),
        format!("/v1/items/cola/commands/{}", id(9_000)),
        format!("/v1/items/cola/commands/{}", id(9_001)),
    ];
    for path in paths {
        assert!(manager.get(&path).await.text.contains("0.41"), "{path}");
        let seen = staff.get(&path).await;
        assert_eq!(seen.status, 200);
        assert!(!seen.text.contains("unit_cost") && !seen.text.contains("0.41"), "{path}: {}", seen.text);
    }
    let lines = json!({"commands": [{"item_id": "cola", "command_id": id(9_001)}]});
    assert!(!staff.post("/v1/commands/status", lines).await.text.contains("unit_cost"));
}

/// Submits `receive` as Staff with an id that is taken and a guessed cost. Returns the answer to it, the status by its
/// receipt, and the status in a list.
async fn guess(server: &Server, n: u32, cost: &str) -> [(u16, Value); 3] {
    let staff = server.staff();
    let command = json!({"type": "receive", "command_id": id(n), "item_id": "cola", "location_id": "shop-1", "quantity": "24", "unit_cost": cost});
    let waited = staff.post_waiting("/v1/commands", command.clone()).await;
    let queued = staff.post("/v1/commands", command).await;
    let url = queued.body["status_url"].as_str().unwrap();
    let looked = staff.get(url).await;
    let receipt = url.split_once('=').unwrap().1;
    let lines = json!({"commands": [{"item_id": "cola", "command_id": id(n), "receipt": receipt}]});
    let listed = staff.post("/v1/commands/status", lines).await;
    [waited, looked, listed].map(|answer| (answer.status, answer.body))
}

#[tokio::test]
async fn staff_cant_guess_a_cost_by_submitting_it_under_the_id_that_holds_it() {
    let server = Server::stocked().await;
    server.memory.rename_submitter(9_001, "the-manager");
    let (right, wrong) = (guess(&server, 9_001, "0.41").await, guess(&server, 9_001, "0.42").await);
    assert_eq!(right, wrong, "a right guess is answered as a wrong one");
    for (status, body) in right {
        let outcome = body["results"][0].get("outcome").unwrap_or(&body);
        assert_eq!(
            (status, &outcome["status"], &outcome["submitted_by"]),
            (200, &json!("applied"), &json!("the-manager"))
        );
        assert!(!body.to_string().contains("unit_cost"), "{body}");
    }
}

/// A till that reuses the id of a manager's delivery must learn that its sale did not take effect.
#[tokio::test]
async fn a_sale_under_the_id_of_a_delivery_with_a_cost_is_reported_as_reused() {
    let server = Server::stocked().await;
    server.memory.rename_submitter(9_001, "the-manager");
    let staff = server.staff();
    let delivery = |quantity: &str| json!({"type": "receive", "command_id": id(9_001), "item_id": "cola", "location_id": "shop-1", "quantity": quantity});
    let mut costly = delivery("23");
    costly["unit_cost"] = json!("0.41");
    for other in [sale(9_001, "shop-1", "24"), delivery("23"), costly] {
        let waited = staff.post_waiting("/v1/commands", other.clone()).await;
        let queued = staff.post("/v1/commands", other.clone()).await;
        let looked = staff.get(queued.body["status_url"].as_str().unwrap()).await;
        let lines = json!({"commands": [other]});
        let batch = staff.post_waiting("/v1/commands/batch", lines).await;
        assert_eq!(batch.body["results"][0]["problem"]["code"], "command_id_reused", "{}", batch.text);
        for answer in [waited, looked, batch] {
            assert!(!answer.text.contains("unit_cost") && !answer.text.contains("0.41"), "{}", answer.text);
            assert!(
                answer.status == 202 || answer.status == 409 && answer.code() == "command_id_reused",
                "{}",
                answer.text
            );
        }
    }
    let same = staff.post_waiting("/v1/commands", delivery("24")).await;
    assert_eq!((same.status, &same.body["status"]), (200, &json!("applied")), "but for the cost, which it can't see");
}

#[tokio::test]
async fn a_caller_who_may_compare_costs_learns_that_an_id_is_reused() {
    let server = Server::stocked().await;
    let codes = |answers: [(u16, Value); 3]| {
        answers.map(|(_, body)| body["results"][0].get("problem").unwrap_or(&body)["code"].clone())
    };
    assert_eq!(codes(guess(&server, 9_001, "0.41").await), [Value::Null, Value::Null, Value::Null], "their own");
    assert_eq!(codes(guess(&server, 9_001, "0.42").await), ["command_id_reused"; 3].map(Value::from), "their own");
    server.memory.rename_submitter(9_001, "the-manager");
    let dearer = json!({"type": "receive", "command_id": id(9_001), "item_id": "cola", "location_id": "shop-1", "quantity": "24", "unit_cost": "0.42"});
    let manager = server.manager();
    assert_eq!(manager.post_waiting("/v1/commands", dearer).await.code(), "command_id_reused", "a manager sees costs");
    server.memory.rename_submitter(9_002, "the-manager");
    let answer = server.staff().post_waiting("/v1/commands", sale(9_002, "shop-2", "10")).await;
    assert_eq!(answer.code(), "command_id_reused", "there is no cost in it");
}

#[tokio::test]
async fn the_login_is_answered_without_a_token() {
    let login = stockline_ingress::LoginConfig::cognito("https://acme.example.com", "people").unwrap();
    let server = Server::with(|config| config.login = Some(login)).await;
    let answer = server.nobody().get("/v1/login").await;
    let expected = json!({
        "authorization_endpoint": "https://acme.example.com/oauth2/authorize",
        "token_endpoint": "https://acme.example.com/oauth2/token",
        "client_id": "people", "scope": "openid",
    });
    assert_eq!((answer.status, &answer.body), (200, &expected));
    let answer = Server::start().await.nobody().get("/v1/login").await;
    assert_eq!((answer.status, answer.code()), (404, "login_not_configured"));
}

#[tokio::test]
async fn a_token_bound_to_a_location_acts_only_there() {
    let server = Server::stocked().await;
    let bound = server.client(&["Staff", "location.shop-1"]);
    assert_eq!(bound.post("/v1/commands", sale(1, "shop-1", "1")).await.status, 202);
    let answer = bound.post("/v1/commands", sale(2, "shop-2", "1")).await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden_location"));
    let away = |from: &str, to: &str, n: u32| json!({"type": "transfer", "command_id": id(n), "item_id": "cola", "from_location_id": from, "to_location_id": to, "quantity": "1"});
    assert_eq!(bound.post("/v1/commands", away("shop-1", "shop-2", 3)).await.status, 202);
    assert_eq!(bound.post("/v1/commands", away("shop-2", "shop-1", 4)).await.code(), "forbidden_location");
    let batch =
        bound.post("/v1/commands/batch", json!({"commands": [sale(5, "shop-1", "1"), sale(6, "shop-2", "1")]})).await;
    assert_eq!(batch.body["results"][1]["problem"]["code"], "forbidden_location");
}

#[tokio::test]
async fn a_token_bound_to_a_location_sees_only_that_location() {
    let server = Server::stocked().await;
    let manager = server.manager();
    manager.sell(1, "shop-2", "12").await;
    let refused = json!({"type": "sell", "command_id": id(2), "item_id": "cola", "location_id": "shop-2", "quantity": "1", "on_shortage": "reject"});
    manager.post_waiting("/v1/commands", refused).await;
    let transfer = json!({"type": "transfer", "command_id": id(3), "item_id": "cola", "from_location_id": "shop-2", "to_location_id": "shop-1", "quantity": "1"});
    manager.post_waiting("/v1/commands", transfer).await;
    for groups in [&["Staff", "location.shop-1"][..], &["Staff", "location.shop-1", "location.shop-7"]] {
        let bound = server.client(groups);
        let item = bound.get("/v1/items/cola").await.body;
        assert_eq!((&item["on_hand"], item["levels"].as_array().unwrap().len()), (&json!("25"), 1));
        for path in [
            "/v1/items",
            "/v1/stock",
            "/v1/items/cola/movements",
            "/v1/alerts",
            "/v1/commands",
            "/v1/locations",
            "/v1/items/cola/stock",
        ] {
            let text = bound.get(path).await.text;
            assert!(!text.contains("\"location_id\":\"shop-2\""), "{path}: {text}");
        }
        for path in [
            "/v1/stock?location_id=shop-2",
            "/v1/alerts?location_id=shop-2",
            "/v1/commands?location_id=shop-2",
            "/v1/locations/shop-2",
            "/v1/items/cola/movements?location_id=shop-2",
        ] {
            let answer = bound.get(path).await;
            assert_eq!((answer.status, answer.code()), (403, "forbidden_location"), "{path}");
        }
        assert_eq!(bound.get(&format!("/v1/items/cola/commands/{}", id(1))).await.code(), "command_not_found");
        let arrived = bound.get(&format!("/v1/items/cola/commands/{}", id(3))).await.body;
        let effects: Vec<_> =
            arrived["effects"].as_array().unwrap().iter().map(|effect| &effect["location_id"]).collect();
        assert_eq!(effects, [&json!("shop-1")]);
    }
}

#[tokio::test]
async fn the_holder_of_a_reused_id_is_hidden_from_callers_who_may_not_see_it() {
    let server = Server::stocked().await;
    server.manager().sell(1, "shop-2", "1").await;
    let bound = server.client(&["Staff", "location.shop-1"]);
    let answer = bound.post_waiting("/v1/commands", sale(1, "shop-1", "1")).await;
    assert_eq!((answer.status, answer.code(), &answer.body["holder"]), (409, "command_id_reused", &Value::Null));
}

#[tokio::test]
async fn staff_may_do_more_if_configured() {
    let server = Server::with(|config| config.staff_may.count = true).await;
    let count = json!({"type": "count", "command_id": id(1), "item_id": "cola", "counted": "1"});
    assert_eq!(server.staff().post("/v1/commands", count).await.status, 202);
    let adjust = json!({"type": "adjust", "command_id": id(2), "item_id": "cola", "quantity": "1", "reason": "found"});
    assert_eq!(server.staff().post("/v1/commands", adjust).await.code(), "forbidden_command");
}
