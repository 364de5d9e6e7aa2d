//! Tests exports over HTTP: their forms, who sees what, and the way back through imports.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, id};

async fn export(client: &Client, path: &str, accept: &str) -> Answer {
    client.send(client.request(Method::GET, path).header("accept", accept)).await
}

#[tokio::test]
async fn a_list_is_exported_whole_in_the_form_that_is_asked_for() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let many: Vec<Value> = (0..450)
        .map(|n| json!({"type": "register_item", "command_id": id(20_000 + n), "item_id": format!("item-{n:04}"), "name": format!("=cmd {n}")}))
        .collect();
    for _ in 0..3 {
        manager.post("/v1/commands/batch", json!({ "commands": many })).await;
    }
    let csv = export(&manager, "/v1/items", "text/csv").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
    assert_eq!(csv.text.lines().count(), 452);
    assert!(csv.text.starts_with("item_id,name,unit,"), "{}", &csv.text[..80]);
    assert!(csv.text.contains("\nitem-0007,'=cmd 7,piece,"), "a spreadsheet runs no name");
    let lines = export(&manager, "/v1/stock?location_id=shop-1", "application/x-ndjson").await;
    let entry: Value = serde_json::from_str(lines.text.lines().next().unwrap()).unwrap();
    let page = manager.get("/v1/stock?location_id=shop-1").await;
    assert_eq!((lines.text.lines().count(), &entry), (1, &page.body["levels"][0]));
    for (path, says) in
        [("/v1/items?limit=5", "?limit"), ("/v1/stock?cursor=x", "?cursor"), ("/v1/alerts?limit=1", "?limit")]
    {
        let refused = export(&manager, path, "text/csv").await;
        assert_eq!((refused.code(), refused.faults()), ("invalid_parameter", vec![format!("{says} invalid_value")]));
    }
    assert_eq!(export(&manager, "/v1/stock?location_id=nowhere", "text/csv").await.code(), "location_not_found");
    for path in ["/v1/commands", "/v1/commands?status=applied", "/v1/alerts"] {
        let csv = export(&manager, path, "text/csv").await;
        assert!(csv.status == 200 && csv.text.contains("item_id"), "{path}: {}", csv.text);
    }
}

#[tokio::test]
async fn staff_export_no_cost_and_only_their_shop() {
    let server = Server::stocked().await;
    for path in ["/v1/items", "/v1/movements", "/v1/commands", "/v1/commands?status=applied"] {
        for accept in ["text/csv", "application/x-ndjson"] {
            let seen = export(&server.staff(), path, accept).await;
            assert!(!seen.text.contains("0.41") && !seen.text.contains("unit_cost"), "{path}: {}", seen.text);
        }
    }
    assert!(export(&server.manager(), "/v1/items", "text/csv").await.text.contains("0.41"));
    let bound = server.client(&["Staff", "location.shop-1"]);
    let stock = export(&bound, "/v1/stock", "text/csv").await;
    assert!(stock.text.contains("shop-1") && !stock.text.contains("shop-2"), "{}", stock.text);
    assert_eq!(export(&server.client(&[]), "/v1/stock", "text/csv").await.code(), "no_role");
}

#[tokio::test]
async fn what_is_exported_is_imported_elsewhere_and_is_the_same() {
    let (from, to) = (Server::stocked().await, Server::start().await);
    let (there, here) = (from.manager(), to.manager());
    let commands = json!({"commands": [
        {"type": "register_item", "command_id": id(700), "item_id": "coal", "name": "+Charcoal, \"fine\"", "decimals": 3, "category": "garden",
         "barcodes": ["96385074", "4006381333948"], "shortage_policy": "reject", "low_stock_threshold": "2.5", "unit_cost": "1.2050",
         "supplier": "=Garden & Sons", "lead_time_days": 14, "order_multiple": "12.5", "order_minimum": 25, "service_level": "97.5"},
        {"type": "receive", "command_id": id(701), "item_id": "coal", "location_id": "shop-2", "quantity": "7.125"},
        {"type": "set_threshold", "command_id": id(702), "item_id": "coal", "location_id": "shop-2", "low_stock_threshold": "9"},
        {"type": "sell", "command_id": id(703), "item_id": "coal", "location_id": "shop-1", "quantity": "0.5", "on_shortage": "allow"},
    ]});
    there.post("/v1/commands/batch", commands).await;
    for shop in ["shop-1", "shop-2"] {
        here.put(&format!("/v1/locations/{shop}"), json!({"name": shop})).await;
    }
    for (kind, path) in [("items", "/v1/items"), ("stock", "/v1/stock")] {
        let file = export(&there, path, "text/csv").await.text;
        let judged = here.send_file(Method::POST, &format!("/v1/imports?type={kind}"), file.clone().into_bytes()).await;
        assert_eq!(judged.body["faults_total"], 0, "{}\n{file}", judged.text);
        let import_id = judged.body["import_id"].as_str().unwrap();
        here.send_file(Method::POST, &format!("/v1/imports/{import_id}/apply"), Vec::new()).await;
        while here.get(&format!("/v1/imports/{import_id}")).await.body["status"] == "applying" {
            tokio::task::yield_now().await;
        }
    }
    // What is counted anew: versions and times.
    let columns = |text: &str, kept: usize| -> Vec<String> {
        text.lines().map(|line| line.split(',').take(kept).collect::<Vec<_>>().join(",")).collect()
    };
    let (before, after) =
        (export(&there, "/v1/items", "text/csv").await.text, export(&here, "/v1/items", "text/csv").await.text);
    assert!(before.contains("Garden & Sons,14,12.5,25,97.5"), "{before}");
    assert_eq!(columns(&before, 15), columns(&after, 15));
    let (before, after) =
        (export(&there, "/v1/stock", "text/csv").await.text, export(&here, "/v1/stock", "text/csv").await.text);
    assert_eq!(columns(&before, 7), columns(&after, 7));
}
