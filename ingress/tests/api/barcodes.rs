//! Tests what a scanned code means: `GET /v1/barcodes/{code}`.

use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, id};

/// Starts a server with cola in bottles and cases, ham by weight, and rules for the labels of a scale.
async fn shop() -> Server {
    let server = Server::stocked_with(|config| {
        config.scale_labels = "21IIIIIWW.WWW,22IIIIIPPP.PP".parse().unwrap();
    })
    .await;
    let packs = json!(["4006381333931", {"code": "14006381333938", "quantity": "12"}, "AB/12 x"]);
    let commands = json!({"commands": [
        {"type": "update_item", "command_id": id(1), "item_id": "cola", "barcodes": packs},
        {"type": "register_item", "command_id": id(2), "item_id": "ham", "name": "Ham", "unit": "kg", "decimals": 3, "barcodes": ["12345", "00036000291452"]},
    ]});
    assert_eq!(server.manager().post("/v1/commands/batch", commands).await.body["queued"], 2);
    server
}

async fn scan(client: &Client, code: &str) -> Answer {
    client.get(&format!("/v1/barcodes/{}", stockline_core::domain::path_segment(code))).await
}

#[tokio::test]
async fn a_scan_names_the_item_and_the_quantity_it_means() {
    let server = shop().await;
    for (code, kind, item, quantity) in [
        ("4006381333931", "code", "cola", json!("1")),
        ("04006381333931", "code", "cola", json!("1")),
        ("14006381333938", "code", "cola", json!("12")),
        ("AB/12 x", "code", "cola", json!("1")),
        ("036000291452", "code", "ham", json!("1")),
        ("(01)14006381333938(30)2", "gs1", "cola", json!("24")),
        ("]C10114006381333938302", "gs1", "cola", json!("24")),
        ("(01)00036000291452(3103)000512", "gs1", "ham", json!("0.512")),
        ("https://id.gs1.org/01/04006381333931", "digital_link", "cola", json!("1")),
        ("2112345005126", "scale_label", "ham", json!("0.512")),
        ("2212345012992", "scale_label", "ham", Value::Null),
    ] {
        let answer = scan(&server.staff(), code).await;
        let found = &answer.body;
        assert_eq!(answer.status, 200, "{code}: {answer:?}");
        assert_eq!((&found["kind"], &found["item"]["item_id"]), (&json!(kind), &json!(item)), "{code}");
        assert_eq!((&found["quantity"], &found["scanned"]), (&quantity, &json!(code)), "{code}");
    }
    let said =
        scan(&server.staff(), "(01)04006381333931(10)AB/12(17)270200(21)7(15)261231(3103)001500(37)3").await.body;
    for (name, value) in [
        ("gtin", json!("4006381333931")),
        ("batch", json!("AB/12")),
        ("expires_on", json!("2027-02-28")),
        ("serial", json!("7")),
        ("best_before", json!("2026-12-31")),
        ("net_weight_kg", json!("1.5")),
        ("count", json!(3)),
        ("barcode", json!({"code": "4006381333931", "quantity": "1"})),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    assert_eq!(scan(&server.staff(), "2212345012992").await.body["price"], "12.99");
    assert_eq!(said["item"]["on_hand"], "34");
    assert_eq!(said["item"].get("unit_cost"), None, "Staff see no costs");
    assert_eq!(scan(&server.manager(), "AB/12 x").await.body["item"]["unit_cost"], "0.41");
}

#[tokio::test]
async fn a_code_that_is_nobodys_or_ruined_says_why() {
    let server = shop().await;
    for (code, status, problem, detail) in [
        ("4006381333948", 404, "barcode_not_found", "no item has the barcode 4006381333948"),
        ("2112399005127", 404, "barcode_not_found", "no item has the barcode 2112399005127"),
        ("unknown", 404, "barcode_not_found", "unknown"),
        ("4006381333932", 400, "invalid_barcode", "its last digit would be 1"),
        ("4.00583E+12", 400, "invalid_barcode", "a spreadsheet has shortened"),
        ("(01)04006381333931(17)261345", 400, "invalid_barcode", "(17)261345, which must be a day"),
        (" ", 400, "invalid_barcode", "the code is blank"),
    ] {
        let answer = scan(&server.staff(), code).await;
        assert_eq!((answer.status, answer.code()), (status, problem), "{code}: {answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains(detail), "{code}: {answer:?}");
    }
}

#[tokio::test]
async fn a_label_of_a_scale_without_a_rule_names_the_rule() {
    let server = Server::with(|_| {}).await;
    for (code, told) in [("2340119005007", true), ("0212345012994", true), ("4006381333948", false)] {
        let answer = scan(&server.staff(), code).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.body["detail"].as_str().unwrap().contains("--scale-labels"), told, "{code}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_shows_every_barcode_with_its_quantity() {
    let server = shop().await;
    let both = json!([
        {"code": "12345", "quantity": "1"},
        {"code": "036000291452", "quantity": "1"}
    ]);
    assert_eq!(server.staff().get("/v1/items/ham").await.body["barcodes"], both);
    // The form of an answer is a form of a command.
    let again = json!({"type": "update_item", "command_id": id(3), "item_id": "ham", "barcodes": both});
    assert_eq!(server.manager().post("/v1/commands", again).await.status, 202);
    assert_eq!(server.staff().get("/v1/items/ham").await.body["barcodes"], both);
    let found = server.staff().get("/v1/items?barcode=00036000291452").await.body;
    assert_eq!(found["items"][0]["item_id"], "ham");
}
