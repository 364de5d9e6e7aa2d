//! Registered clients: who may act as one, what its row allows, and how soon a change of it is followed.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use stockline_core::domain::{ClientId, ClientSettings};
use stockline_core::ports::Clients;

use crate::server::{CLIENT, Client, Server, sale, token_of};

const TILLS: &str = "1h57kf5cpq17m0eml12EXAMPLE";
const SCOPES: [&str; 2] = ["stockline/commands", "stockline/read"];

fn tills(server: &Server) -> Client {
    Client { token: Some(token_of(TILLS, &[], &SCOPES)), ..server.nobody() }
}

fn settings(locations: Value) -> Value {
    json!({"name": "Tills of shop 1", "rights": ["commands", "read"], "locations": locations})
}

async fn registered(server: &Server) -> Client {
    let answer = server.manager().put(&format!("/v1/clients/{TILLS}"), settings(json!(["shop-1"]))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    tills(server)
}

/// Changes the row as another ingress does.
async fn change_elsewhere(server: &Server, change: impl FnOnce(&mut ClientSettings)) {
    let id: ClientId = TILLS.parse().unwrap();
    let mut settings = server.memory.client(&id).await.unwrap().unwrap();
    change(&mut settings);
    server.memory.put_client(&settings).await.unwrap();
}

fn advance(server: &Server, seconds: i64) {
    server.clock.advance_ms(seconds * 1_000);
}

#[tokio::test]
async fn a_client_acts_where_its_row_says_and_nowhere_before_it_is_registered() {
    let server = Server::stocked().await;
    let answer = tills(&server).post("/v1/commands", sale(1, "shop-1", "1")).await;
    assert_eq!((answer.status, answer.code()), (401, "token_wrong_client"), "{answer:?}");

    let tills = registered(&server).await;
    assert_eq!(tills.post("/v1/commands", sale(1, "shop-1", "1")).await.status, 202);
    let elsewhere = tills.post("/v1/commands", sale(2, "shop-2", "1")).await;
    assert_eq!(elsewhere.code(), "forbidden_location", "{elsewhere:?}");
    let locations = tills.get("/v1/locations").await.text;
    assert!(locations.contains("shop-1") && !locations.contains("shop-2"), "{locations}");
    // The scopes of the token still bound it.
    let reader = Client { token: Some(token_of(TILLS, &[], &["stockline/read"])), ..tills.clone() };
    assert_eq!(reader.post("/v1/commands", sale(3, "shop-1", "1")).await.code(), "forbidden_command");
    // A group in the token of a registered client gives it no more than its row.
    let raised = Client { token: Some(token_of(TILLS, &["Manager"], &[])), ..tills };
    assert_eq!(raised.get("/v1/clients").await.status, 403);
}

#[tokio::test]
async fn a_stolen_till_is_cut_off_at_once_here_and_within_a_minute_elsewhere() {
    let server = Server::stocked().await;
    let tills = registered(&server).await;
    assert_eq!(tills.get("/v1/stock").await.status, 200);
    let path = format!("/v1/clients/{TILLS}");
    let mut cut_off = settings(json!(["shop-1"]));
    cut_off["disabled"] = json!(true);
    assert_eq!(server.manager().put(&path, cut_off).await.status, 200);
    let answer = tills.get("/v1/stock").await;
    assert_eq!((answer.status, answer.code()), (401, "token_client_disabled"), "{answer:?}");
    assert_eq!(server.manager().put(&path, settings(json!(["shop-1"]))).await.status, 200);
    assert_eq!(tills.get("/v1/stock").await.status, 200);

    change_elsewhere(&server, |client| client.disabled = true).await;
    advance(&server, 60);
    assert_eq!(tills.get("/v1/stock").await.code(), "token_client_disabled");
}

#[tokio::test]
async fn known_tills_go_on_while_the_store_is_down_and_unknown_ones_are_asked_to_wait() {
    let server = Server::stocked().await;
    let tills = registered(&server).await;
    assert_eq!(tills.post("/v1/commands", sale(1, "shop-1", "1")).await.status, 202);
    server.memory.store_down.store(true, Ordering::SeqCst);
    for (n, seconds) in [(2, 1), (3, 60), (4, 3_600)] {
        advance(&server, seconds);
        let answer = tills.post("/v1/commands", sale(n, "shop-1", "1")).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(tills.post("/v1/commands", sale(n, "shop-2", "1")).await.code(), "forbidden_location");
    }
    let unknown = Client { token: Some(token_of("other", &[], &SCOPES)), ..tills };
    let answer = unknown.post("/v1/commands", sale(5, "shop-1", "1")).await;
    assert_eq!((answer.status, answer.code()), (503, "auth_unavailable"), "{answer:?}");
}

#[tokio::test]
async fn clients_are_listed_and_every_fault_of_their_settings_is_named() {
    let server = Server::start().await;
    let manager = server.manager();
    for n in 1..=3 {
        let answer = manager.put(&format!("/v1/clients/tills-{n}"), settings(Value::Null)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let page = manager.get("/v1/clients?limit=2").await.body;
    assert_eq!(page["clients"].as_array().unwrap().len(), 2);
    let rest = manager.get(&format!("/v1/clients?cursor={}", page["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((&rest["clients"][0]["client_id"], &rest["next_cursor"]), (&json!("tills-3"), &Value::Null));
    let one = manager.get("/v1/clients/tills-1").await;
    let expected = json!({
        "client_id": "tills-1", "name": "Tills of shop 1", "rights": ["commands", "read"], "locations": null,
        "disabled": false, "updated_by": "ann", "updated_at": one.body["updated_at"],
    });
    assert_eq!(one.body, expected);
    assert_eq!(manager.get("/v1/clients/tills-9").await.code(), "client_not_found");
    assert_eq!(manager.put(&format!("/v1/clients/{CLIENT}"), settings(Value::Null)).await.code(), "client_configured");
    assert_eq!(manager.put("/v1/clients/a%20b", settings(Value::Null)).await.code(), "invalid_id");
    for (body, faults) in [
        (json!({}), vec!["/name missing_field", "/rights missing_field", "/locations missing_field"]),
        (
            json!({"name": "", "rights": ["sell", 1], "locations": ["a  b"], "disabled": 1, "x": 1}),
            vec![
                "/x unknown_field",
                "/name invalid_value",
                "/rights/0 invalid_value",
                "/rights/1 wrong_type",
                "/locations/0 invalid_value",
                "/disabled wrong_type",
            ],
        ),
        (json!({"name": "a", "rights": "read", "locations": 1}), vec!["/rights wrong_type", "/locations wrong_type"]),
    ] {
        let answer = manager.put("/v1/clients/tills-1", body).await;
        assert_eq!((answer.code(), answer.faults()), ("invalid_body", faults.iter().map(|f| (*f).into()).collect()));
    }
}
