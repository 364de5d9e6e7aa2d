//! Tests the reports: their answers, parameters, pages and CSV. `tests/homes/analytics.rs` checks the figures.

use serde_json::{Value, json};

use crate::server::{Server, id};

/// Starts a server at which three of one item and one of another were sold, and one came back.
async fn sold() -> Server {
    let server = Server::stocked().await;
    let manager = server.manager();
    let register = json!({"type": "register_item", "command_id": id(1), "item_id": "tea", "name": "=Tea, \"green\"", "category": "hot"});
    manager.post_waiting("/v1/commands", register).await;
    for (n, fields) in [
        (2, json!({"type": "sell", "item_id": "cola", "location_id": "shop-1", "quantity": "3"})),
        (3, json!({"type": "return", "item_id": "cola", "location_id": "shop-1", "quantity": "1"})),
        (4, json!({"type": "sell", "item_id": "tea", "location_id": "shop-2", "quantity": "1"})),
    ] {
        let mut command = fields;
        command["command_id"] = json!(id(n));
        let answer = manager.post_waiting("/v1/commands", command).await;
        assert_eq!(answer.body["status"], "applied", "{answer:?}");
    }
    server
}

#[tokio::test]
async fn a_report_names_its_definition_period_zone_and_moment_and_what_it_left_out() {
    let server = sold().await;
    let manager = server.manager();
    let zone = json!({"name": "shop-1", "time_zone": "Pacific/Auckland"});
    manager.put("/v1/locations/shop-1", zone).await;
    let sales = manager.get("/v1/analytics/sales?from=2027-01-15&group=location,day").await.body;
    assert_eq!(sales["report"], "sales");
    assert!(sales["definition"].as_str().unwrap().contains("net = sold"), "{sales}");
    assert_eq!(sales["period"], json!({"from": "2027-01-15", "to": "2027-01-16"}));
    assert_eq!(sales["time_zone"], "Pacific/Auckland, UTC");
    assert!(sales["as_of"].as_str().unwrap().starts_with("2027-01-15T08:00"), "{sales}");
    let none = Value::Null;
    let row = |place: &str, sold: &str, returned: &str, net: &str, cost: Value| {
        json!({"location_id": place, "day": "2027-01-15", "sold": sold, "returned": returned, "net": net,
            "amount": none, "cost": cost, "margin": none})
    };
    let known = row("shop-1", "3", "1", "2", json!("0.82"));
    assert_eq!(sales["rows"], json!([known, row("shop-2", "1", "0", "1", Value::Null)]));
    assert_eq!(sales["totals"], json!({"sold": "4", "returned": "1", "net": "3"}));
    let without_amount = sales["excluded"].as_array().unwrap();
    assert!(without_amount.iter().any(|left_out| left_out["count"] == "5"), "{sales}");
    // 28 whole days: nothing was sold before today.
    let last = manager.get("/v1/analytics/sales").await.body;
    assert_eq!((&last["period"]["to"], &last["rows"]), (&json!("2027-01-15"), &json!([])));
    let value = manager.get("/v1/analytics/value?from=2027-01-15&item_prefix=co&location_id=shop-2").await.body;
    assert_eq!((&value["rows"][0]["on_hand"], &value["rows"][0]["value"]), (&json!("10"), &json!("4.1")));
}

#[tokio::test]
async fn pages_go_on_and_csv_is_quoted_and_never_a_formula() {
    let server = sold().await;
    let manager = server.manager();
    let path = "/v1/analytics/velocity?from=2027-01-15&sort=-net&limit=2";
    let first = manager.get(path).await.body;
    assert_eq!((first["row_count"].as_u64(), first["rows"].as_array().unwrap().len()), (Some(3), 2));
    assert_eq!(first["rows"][0]["net"], "2");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = manager.get(&format!("{path}&cursor={cursor}")).await.body;
    assert_eq!((second["rows"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    assert_eq!(manager.get(&format!("{path}&cursor=x{cursor}")).await.code(), "cursor_invalid");

    let csv = |path: String| {
        let request = manager.request(reqwest::Method::GET, &path).header("accept", "text/csv");
        manager.send(request)
    };
    let first = csv(path.to_owned()).await;
    assert!(first.header("content-type").starts_with("text/csv"), "{first:?}");
    assert_eq!(first.header("vary"), "authorization, accept");
    let link = first.header("link").to_owned();
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let second = csv(next.to_owned()).await;
    assert!(second.header("link").is_empty());
    let lines: Vec<&str> = first.text.lines().chain(second.text.lines().skip(1)).collect();
    assert_eq!(lines[0], "item_id,location_id,name,net,days,days_in_stock,per_day,per_day_in_stock");
    assert!(lines[2].starts_with("tea,shop-2,\" =Tea, \"\"green\"\"\",1,"), "{lines:?}");
    assert_eq!(lines.len(), 4);
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_refused_by_name() {
    let server = sold().await;
    let manager = server.manager();
    for (query, fault) in [
        ("sales?from=2027-02-01&to=2027-01-01", "?to"),
        ("sales?from=2027-01-16", "?to"),
        ("sales?from=2028-01-01&to=2028-02-01", "?from"),
        ("sales?from=1970-01-01&to=2100-01-01", "?to"),
        ("sales?last=7d&week=2027-W01", "?from"),
        ("sales?week=2027-W60", "?week"),
        ("sales?group=colour", "?group"),
        ("sales?group=day,week", "?group"),
        ("sales?group=item,item", "?group"),
        ("velocity?group=item", "?group"),
        ("abc?group=day", "?group"),
        ("reorder?service_level=0.4", "?service_level"),
        ("reorder?review_days=0", "?review_days"),
        ("dead-stock?days=-1", "?days"),
        ("sales?colour=red", "?colour"),
    ] {
        let answer = manager.get(&format!("/v1/analytics/{query}")).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{query}: {answer:?}");
        assert!(answer.faults().iter().any(|found| found.starts_with(fault)), "{query}: {answer:?}");
    }
    let unknown = manager.get("/v1/analytics/profit").await;
    assert_eq!((unknown.status, unknown.code()), (400, "invalid_id"));
    assert!(unknown.text.contains("sell-through"), "{unknown:?}");
    assert_eq!(manager.get("/v1/analytics/sales?location_id=moon").await.code(), "location_not_found");
    let sorted = manager.get("/v1/analytics/sales?sort=colour").await;
    assert_eq!((sorted.status, sorted.code()), (400, "invalid_parameter"));
    assert_eq!(server.staff().get("/v1/analytics/sales").await.code(), "forbidden");
}
