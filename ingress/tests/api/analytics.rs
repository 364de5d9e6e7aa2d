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
async fn an_order_follows_the_planning_of_the_location_else_of_the_item_and_says_so() {
    let server = sold().await;
    let manager = server.manager();
    for (n, command) in [
        (
            5,
            json!({"type": "update_item", "item_id": "cola", "supplier": "Drinks Ltd", "lead_time_days": 3, "order_multiple": 6}),
        ),
        (
            6,
            json!({"type": "set_planning", "item_id": "cola", "location_id": "shop-2", "supplier": "Next Door", "lead_time_days": 0,
            "service_level": "99.9"}),
        ),
    ] {
        let mut command = command;
        command["command_id"] = json!(id(n));
        let answer = manager.post_waiting("/v1/commands", command).await;
        assert_eq!(answer.body["status"], "applied", "{answer:?}");
    }
    // Six weeks later, with a sale each week.
    for week in 0..6_u32 {
        server.clock.advance_ms(7 * 86_400_000);
        let sale = json!({"type": "sell", "command_id": id(10 + week), "item_id": "cola", "location_id": "shop-1", "quantity": "4"});
        assert_eq!(manager.post_waiting("/v1/commands", sale).await.body["status"], "applied");
    }
    let explained = manager.get("/v1/analytics/reorder?explain=true&item_id=cola").await.body;
    let row =
        |place: &str| explained["rows"].as_array().unwrap().iter().find(|row| row["location_id"] == place).unwrap();
    let terms = |place: &str| {
        [
            "supplier",
            "supplier_from",
            "lead_time_days",
            "lead_time_from",
            "service_level",
            "service_level_from",
            "order_multiple",
            "order_multiple_from",
            "order_minimum",
            "order_minimum_from",
        ]
        .map(|name| row(place)[name].as_str().unwrap().to_owned())
        .join(" ")
    };
    assert_eq!(terms("shop-1"), "Drinks Ltd item 3 item 95 default 6 item 0 default");
    assert_eq!(terms("shop-2"), "Next Door location 0 location 99.9 location 6 item 0 default");
    let order = row("shop-1")["order"].as_str().unwrap().parse::<u32>().unwrap();
    let missing = row("shop-1")["missing"].as_str().unwrap().parse::<u32>().unwrap();
    assert!(missing > 0 && order == missing.next_multiple_of(6), "{explained}");
    let list = manager.get("/v1/analytics/reorder?supplier=Drinks+Ltd").await.body;
    assert_eq!(list["rows"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!((&list["rows"][0]["supplier"], &list["rows"][0]["unit"]), (&json!("Drinks Ltd"), &json!("bottle")));
    let asked = manager
        .get("/v1/analytics/reorder?explain=true&lead_time_days=30&service_level=50&location_id=shop-2")
        .await
        .body;
    assert_eq!(
        (&asked["rows"][0]["lead_time_from"], &asked["rows"][0]["service_level"]),
        (&json!("asked"), &json!("50"))
    );
    let by_supplier = manager.get("/v1/analytics/sales?from=2027-01-15&group=supplier").await.body;
    let net: Vec<_> =
        by_supplier["rows"].as_array().unwrap().iter().map(|row| (&row["supplier"], &row["net"])).collect();
    let text = |supplier: &str, net: &str| (json!(supplier), json!(net));
    let expected = [text("", "1"), text("Drinks Ltd", "26"), text("Next Door", "0")];
    assert!(net.into_iter().eq(expected.iter().map(|(supplier, net)| (supplier, net))), "{by_supplier}");
    let items = manager.get("/v1/items?supplier=Drinks+Ltd").await.body;
    assert_eq!((items["items"].as_array().unwrap().len(), &items["items"][0]["lead_time_days"]), (1, &json!(3)));
    assert_eq!(
        items["items"][0]["overrides"],
        json!([{"location_id": "shop-2", "supplier": "Next Door", "lead_time_days": 0,
        "service_level": "99.9"}])
    );
    let bound = server.client(&["Manager", "location.shop-1"]).get("/v1/items/cola").await.body;
    assert!(bound.get("overrides").is_none(), "what other locations have is not shown: {bound}");
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
        ("reorder?service_level=49.9", "?service_level"),
        ("reorder?service_level=99.95", "?service_level"),
        ("reorder?lead_time_days=366", "?lead_time_days"),
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

#[tokio::test]
async fn day_totals_are_exported_whole_to_those_who_see_reports() {
    let server = sold().await;
    let manager = server.manager();
    manager.put("/v1/locations/shop-1", json!({"name": "shop-1", "time_zone": "Pacific/Auckland"})).await;
    let csv = manager.get("/v1/analytics/days").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
    let mut lines = csv.text.lines();
    let headings: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        headings[..9],
        ["day", "location_id", "item_id", "category", "supplier", "closing", "out_of_stock_ms", "sold", "returned"]
    );
    let rows: Vec<Vec<_>> = lines.map(|line| line.split(',').collect()).collect();
    let cola = rows.iter().find(|row| row[1..3] == ["shop-1", "cola"]).unwrap();
    assert_eq!((cola[0], cola[7], cola[8]), ("2027-01-15", "3", "1"));
    let at = |name: &str| headings.iter().position(|heading| *heading == name).unwrap();
    assert_eq!((cola[at("sold_cost")], cola[at("returned_cost")]), ("1.23", "0.41"));
    assert!(rows.iter().any(|row| row[2] == "tea" && row[5] == "-1"), "{}", csv.text);

    let lines = manager
        .send(
            manager
                .request(reqwest::Method::GET, "/v1/analytics/days?location_id=shop-2&from=2027-01-15")
                .header("accept", "application/x-ndjson"),
        )
        .await;
    let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["location_id"] == "shop-2"), "{lines:?}");
    assert!(lines.iter().any(|line| line["item_id"] == "tea" && line["sold"] == "1" && line["category"] == "hot"));
    let none = manager.get("/v1/analytics/days?to=2027-01-15").await;
    assert_eq!(none.text.lines().count(), 1, "{}", none.text);
    let bound = server.client(&["Manager", "location.shop-2"]).get("/v1/analytics/days").await;
    assert!(bound.text.contains("shop-2") && !bound.text.contains("shop-1"), "{}", bound.text);
    for (query, fault) in [("from=2027-01-15&to=2027-01-15", "?to"), ("from=soon", "?from"), ("limit=5", "?limit")] {
        let refused = manager.get(&format!("/v1/analytics/days?{query}")).await;
        assert!(
            refused.code() == "invalid_parameter" && refused.faults()[0].starts_with(fault),
            "{query}: {refused:?}"
        );
    }
    assert_eq!(manager.get("/v1/analytics/days?location_id=moon").await.code(), "location_not_found");
    assert_eq!(server.staff().get("/v1/analytics/days").await.code(), "forbidden");
}

#[tokio::test]
async fn a_report_that_costs_reads_is_kept_for_five_minutes_for_those_who_see_the_same() {
    let server = sold().await;
    let (manager, bound) = (server.manager(), server.client(&["Manager", "location.shop-2"]));
    let path = "/v1/analytics/sales?from=2027-01-15&group=location";
    let free = manager.get(path).await.body;
    server.memory.store.stock().pays_for_days = true;
    let first = manager.get(path).await.body;
    assert_eq!((&first["rows"], &first["totals"]), (&free["rows"], &free["totals"]), "location by location");

    let sale =
        json!({"type": "sell", "command_id": id(5), "item_id": "cola", "location_id": "shop-1", "quantity": "5"});
    assert_eq!(manager.post_waiting("/v1/commands", sale).await.body["status"], "applied");
    server.clock.advance_ms(299_000);
    let kept = manager.get(path).await.body;
    assert_eq!((&kept["rows"], &kept["as_of"]), (&first["rows"], &first["as_of"]));
    let other = manager.get(&format!("{path}&sort=-net")).await.body;
    assert_eq!(other["totals"]["sold"], "9", "another question is answered anew");
    let theirs = bound.get(path).await.body;
    assert_eq!(theirs["rows"].as_array().unwrap().len(), 1, "{theirs}");
    server.clock.advance_ms(2_000);
    let anew = manager.get(path).await.body;
    assert_eq!((&anew["totals"]["sold"], anew["as_of"] != first["as_of"]), (&json!("9"), true));
}
