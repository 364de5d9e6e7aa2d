//! Tests the reads of items, stock, movements, alerts and locations.

use reqwest::Method;
use serde_json::{Value, json};
use stockline_core::ports::Clock as _;

use crate::server::{Server, id, sale};

fn column(rows: &Value, key: &str) -> Vec<Value> {
    rows.as_array().unwrap().iter().map(|row| row[key].clone()).collect()
}

#[tokio::test]
async fn an_item_shows_its_levels_and_their_sum() {
    let server = Server::stocked().await;
    let manager = server.manager();
    manager.sell(1, "shop-2", "6").await;
    let item = manager.get("/v1/items/cola").await.body;
    assert_eq!(item["on_hand"], "28");
    assert_eq!(item["unit_cost"], "0.41");
    assert_eq!(column(&item["levels"], "location_id"), ["shop-1", "shop-2"]);
    assert_eq!(column(&item["levels"], "state"), ["normal", "low"]);
    assert_eq!(column(&item["levels"], "low_stock_threshold"), ["6", "6"]);
    let found = manager.get("/v1/items?barcode=4006381333931").await.body;
    assert_eq!(column(&found["items"], "item_id"), ["cola"]);
    assert_eq!(found["next_cursor"], Value::Null);
    let missing = manager.get("/v1/items/Cola").await;
    assert_eq!((missing.status, missing.code()), (404, "item_not_found"));
}

#[tokio::test]
async fn movements_are_paged_newest_first_and_filtered() {
    let server = Server::stocked().await;
    let staff = server.staff();
    for n in 1..=3 {
        server.clock.advance_ms(1_000);
        staff.sell(n, "shop-1", "1").await;
    }
    let first = staff.get("/v1/items/cola/movements?type=sell&limit=2").await.body;
    assert_eq!(column(&first["movements"], "seq"), [4, 3]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = staff.get(&format!("/v1/items/cola/movements?type=sell&limit=2&cursor={cursor}")).await.body;
    assert_eq!((column(&second["movements"], "seq"), &second["next_cursor"]), (vec![json!(2)], &Value::Null));
    let there = staff.get("/v1/items/cola/movements?location_id=shop-2").await.body;
    assert_eq!(column(&there["movements"], "type"), ["receive"]);
}

#[tokio::test]
async fn movements_of_all_items_are_listed_by_operator_type_and_place() {
    let server = Server::stocked().await;
    let (manager, staff) = (server.manager(), server.staff());
    let register = json!({"type": "register_item", "command_id": id(1), "item_id": "tea", "name": "Tea"});
    manager.post_waiting("/v1/commands", register).await;
    for (n, item, operator) in [(2, "tea", "7"), (3, "cola", "7"), (4, "tea", "8")] {
        server.clock.advance_ms(1_000);
        let mut sale = sale(n, "shop-1", "1");
        sale.as_object_mut().unwrap().extend([("item_id".into(), item.into()), ("operator".into(), operator.into())]);
        staff.post_waiting("/v1/commands", sale).await;
    }
    let first = staff.get("/v1/movements?limit=2&type=sell").await.body;
    assert_eq!(column(&first["movements"], "item_id"), ["tea", "cola"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = staff.get(&format!("/v1/movements?limit=2&type=sell&cursor={cursor}")).await.body;
    assert_eq!((column(&second["movements"], "operator"), &second["next_cursor"]), (vec![json!("7")], &Value::Null));
    let of_7 = staff.get("/v1/movements?operator=7").await.body;
    assert_eq!(column(&of_7["movements"], "item_id"), ["cola", "tea"]);
    let of_7_here = staff.get("/v1/items/tea/movements?operator=7&location_id=shop-1").await.body;
    assert_eq!(column(&of_7_here["movements"], "command_id"), [id(2)]);
    let since = staff.get("/v1/movements?from=2027-01-15T08:00:03Z&location_id=shop-1").await.body;
    assert_eq!(column(&since["movements"], "command_id"), [id(4)]);
}

#[tokio::test]
async fn who_changed_what_is_listed_of_one_item_and_of_all() {
    let server = Server::stocked().await;
    let (manager, staff) = (server.manager(), server.staff());
    for (n, kind, item, fields) in [
        (1, "register_item", "tea", json!({"name": "Tea"})),
        (2, "update_item", "cola", json!({"name": "Cola 0.33 l", "unit_cost": "0.42"})),
        (3, "set_threshold", "cola", json!({"location_id": "shop-2", "low_stock_threshold": "3"})),
    ] {
        server.clock.advance_ms(1_000);
        let mut command = json!({"type": kind, "command_id": id(n), "item_id": item});
        command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(manager.post_waiting("/v1/commands", command).await.body["status"], "applied");
    }
    let of_cola = staff.get("/v1/items/cola/changes").await.body;
    assert_eq!(column(&of_cola["commands"], "type"), ["set_threshold", "update_item", "register_item"]);
    assert_eq!(of_cola["commands"][1]["submitted_by"], "ann");
    assert_eq!(of_cola["commands"][1]["command"]["name"], "Cola 0.33 l");
    assert!(!of_cola.to_string().contains("0.42"), "Staff see no cost");
    let updates = manager.get("/v1/commands?status=applied&type=update_item").await.body;
    assert_eq!(updates["commands"][0]["command"]["unit_cost"], "0.42");
    let registered = staff.get("/v1/commands?status=applied&type=register_item&limit=1").await.body;
    assert_eq!(column(&registered["commands"], "item_id"), ["tea"]);
    assert!(registered["next_cursor"].is_string());
    let at_shop_2 = staff.get("/v1/commands?status=applied&location_id=shop-2").await.body;
    assert_eq!(column(&at_shop_2["commands"], "command_id"), [id(3)]);
    let bound = server.client(&["Staff", "location.shop-1"]);
    let seen = bound.get("/v1/items/cola/changes").await.body;
    assert_eq!(column(&seen["commands"], "type"), ["update_item", "register_item"], "not the other shop's threshold");
    assert_eq!(bound.get("/v1/commands?status=applied&location_id=shop-2").await.code(), "forbidden_location");
}

#[tokio::test]
async fn stock_is_known_at_any_time() {
    let server = Server::stocked().await;
    let staff = server.staff();
    server.clock.advance_ms(60_000);
    staff.sell(1, "shop-1", "4").await;
    let then = staff.get("/v1/items/cola/stock?as_of=2027-01-15T08:00:30Z").await.body;
    assert_eq!((&then["on_hand"], &then["as_of"]), (&json!("34"), &json!("2027-01-15T08:00:30.000Z")));
    assert_eq!(staff.get("/v1/items/cola/stock").await.body["on_hand"], "30");
    assert_eq!(staff.get("/v1/items/nothing/stock").await.code(), "item_not_found");
}

#[tokio::test]
async fn entries_that_a_clock_ahead_recorded_hide_nothing() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let server = Server::stocked().await;
    let staff = server.staff();
    server.clock.advance_ms(YEAR_MS);
    staff.sell(1, "shop-1", "4").await;
    server.clock.advance_ms(60_000 - YEAR_MS);
    staff.sell(2, "shop-1", "2").await;
    let now = server.clock.now();
    for as_of in [String::new(), format!("?as_of={now}"), format!("?as_of={}", now.plus_millis(1_000))] {
        let stock = staff.get(&format!("/v1/items/cola/stock{as_of}")).await.body;
        assert_eq!(stock["on_hand"], "28", "{as_of}");
    }
    let before = format!("/v1/items/cola/stock?as_of={}", now.plus_millis(-1));
    assert_eq!(staff.get(&before).await.body["on_hand"], "34");
    let movements = format!("/v1/items/cola/movements?location_id=shop-1&limit=1&to={now}");
    let mut page = staff.get(&movements).await.body;
    let mut seqs = column(&page["movements"], "seq");
    while let Some(cursor) = page["next_cursor"].as_str() {
        // The end is past when the next page is asked for.
        server.clock.advance_ms(1_000);
        page = staff.get(&format!("{movements}&cursor={cursor}")).await.body;
        seqs.extend(column(&page["movements"], "seq"));
    }
    assert_eq!(seqs, [3, 2, 1]);
    let past = format!("/v1/items/cola/movements?location_id=shop-1&to={now}");
    assert_eq!(column(&staff.get(&past).await.body["movements"], "seq"), [1]);
}

#[tokio::test]
async fn low_levels_are_listed_and_alerted() {
    let server = Server::stocked().await;
    let staff = server.staff();
    staff.sell(1, "shop-2", "12").await;
    let oversold = staff.get("/v1/stock?state=oversold").await.body;
    assert_eq!(column(&oversold["levels"], "on_hand"), ["-2"]);
    assert_eq!(column(&staff.get("/v1/stock?state=low").await.body["levels"], "on_hand"), Vec::<Value>::new());
    for several in ["state=low,oversold", "state=low&state=oversold", "state=out&state=low,oversold"] {
        let levels = staff.get(&format!("/v1/stock?{several}")).await.body;
        assert_eq!(column(&levels["levels"], "on_hand"), ["-2"], "{several}");
    }
    let alerts = staff.get("/v1/alerts?location_id=shop-2").await.body;
    assert_eq!(column(&alerts["alerts"], "alert_id"), ["cola:shop-2:1"]);
    assert_eq!(column(&alerts["alerts"], "kind"), ["oversold"]);
}

#[tokio::test]
async fn an_unchanged_read_is_304() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let first = staff.get("/v1/items/cola").await;
    let tag = first.header("etag").to_owned();
    let again = |tag: String| staff.request(reqwest::Method::GET, "/v1/items/cola").header("if-none-match", tag);
    for given in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
        let answer = staff.send(again(given)).await;
        assert_eq!((answer.status, answer.text.as_str(), answer.header("etag")), (304, "", tag.as_str()));
    }
    staff.sell(1, "shop-1", "1").await;
    let changed = staff.send(again(tag.clone())).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
    assert_ne!(server.manager().get("/v1/items/cola").await.header("etag"), changed.header("etag"), "who sees more");
}

#[tokio::test]
async fn locations_are_put_by_managers_and_listed() {
    let server = Server::start().await;
    let manager = server.manager();
    let settings =
        json!({"name": "Shop 9", "time_zone": "Europe/Berlin", "alert_emails": ["nine@example.com"], "closed": false});
    let created = manager.put("/v1/locations/shop-9", settings.clone()).await;
    assert_eq!((created.status, &created.body["time_zone"]), (201, &json!("Europe/Berlin")));
    assert_eq!(manager.put("/v1/locations/shop-9", settings.clone()).await.status, 200);
    let list = manager.get("/v1/locations?limit=1").await.body;
    assert_eq!(column(&list["locations"], "location_id"), ["main"]);
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = server.staff().get(&format!("/v1/locations?cursor={cursor}")).await.body;
    assert_eq!(column(&rest["locations"], "location_id"), ["shop-9"]);
    assert!(rest["locations"][0].get("alert_emails").is_none(), "whom mails go to is a setting");
    assert_eq!(manager.get("/v1/locations/shop-9").await.body["alert_emails"], settings["alert_emails"]);
    let bound = server.client(&["Manager", "location.shop-9"]);
    assert_eq!(
        bound.get("/v1/locations/shop-9").await.body["alert_emails"],
        settings["alert_emails"],
        "may put it back"
    );
    assert_eq!(bound.get("/v1/locations").await.body["locations"][0]["alert_emails"], settings["alert_emails"]);
    assert_eq!(server.staff().put("/v1/locations/shop-9", settings).await.status, 403);
    assert_eq!(manager.get("/v1/locations/nowhere").await.code(), "location_not_found");
    let bad = json!({"name": "", "time_zone": "Mars/Base", "alert_emails": ["a@b", "x@example.com\r\nBcc: y@example.com"], "closed": "no", "colour": 1});
    let answer = manager.put("/v1/locations/shop-9", bad).await;
    let mut faults = answer.faults();
    faults.sort();
    let expected = [
        "/alert_emails/0 invalid_value",
        "/alert_emails/1 invalid_value",
        "/closed wrong_type",
        "/colour unknown_field",
        "/name invalid_value",
        "/time_zone invalid_value",
    ];
    assert_eq!(faults, expected);
}

#[tokio::test]
async fn a_list_of_what_is_not_registered_is_an_error_and_an_empty_one_is_a_page() {
    let server = Server::stocked().await;
    let manager = server.manager();
    for path in [
        "/v1/stock?location_id=nowhere",
        "/v1/alerts?location_id=nowhere",
        "/v1/commands?location_id=nowhere",
        "/v1/items/cola/movements?location_id=nowhere",
    ] {
        let answer = manager.get(path).await;
        assert_eq!((answer.status, answer.code()), (404, "location_not_found"), "{path}");
    }
    let unknown = manager.get("/v1/items/nothing/movements").await;
    assert_eq!((unknown.status, unknown.code()), (404, "item_not_found"));
    for path in [
        "/v1/stock?location_id=main&state=low",
        "/v1/alerts?location_id=main",
        "/v1/items/cola/movements?location_id=main",
    ] {
        assert_eq!(manager.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_list_of_levels_names_the_items_and_items_are_found_by_a_part_of_the_name() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let levels = staff.get("/v1/stock").await.body;
    let found = staff.get("/v1/items?name=OL").await.body;
    assert_eq!(
        column(&levels["levels"], "item_name"),
        [found["items"][0]["name"].clone(), found["items"][0]["name"].clone()]
    );
    assert!(found["items"][0]["levels"][0].get("item_name").is_none(), "an item names itself once");
    assert_eq!(staff.get("/v1/items?name=xyz").await.body["items"], json!([]));
}

#[tokio::test]
async fn location_ids_differ_by_more_than_their_case() {
    let server = Server::start().await;
    let manager = server.manager();
    let settings = json!({"name": "Shop"});
    assert_eq!(manager.put("/v1/locations/shop-9", settings.clone()).await.status, 201);
    for other in ["Shop-9", "SHOP-9", "MAIN"] {
        let answer = manager.put(&format!("/v1/locations/{other}"), settings.clone()).await;
        assert_eq!((answer.status, answer.code()), (409, "location_exists"), "{other}");
    }
    assert_eq!(manager.put("/v1/locations/shop-9", settings).await.status, 200);
}

#[tokio::test]
async fn a_damaged_or_foreign_cursor_is_refused_by_every_list() {
    let server = Server::stocked().await;
    let manager = server.manager();
    for n in 1..=3 {
        manager.sell(n, "shop-1", "1").await;
        let (id, item) = (crate::server::id(100 + n), format!("new-{n}"));
        let new = json!({"type": "register_item", "command_id": id, "item_id": item, "name": "New"});
        assert_eq!(manager.post("/v1/commands", new).await.status, 202);
    }
    let lists = ["/v1/items", "/v1/stock", "/v1/items/cola/movements", "/v1/commands", "/v1/alerts", "/v1/locations"];
    let mut cursors = Vec::new();
    for list in lists {
        let page = manager.get(&format!("{list}?limit=1")).await.body;
        cursors.extend(page["next_cursor"].as_str().map(|cursor| (list, cursor.to_owned())));
    }
    assert!(cursors.len() >= 4, "{cursors:?}");
    for (of, cursor) in &cursors {
        let damaged = format!("{}x", &cursor[..cursor.len() - 1]);
        for list in lists {
            let answer = manager.get(&format!("{list}?limit=1&cursor={cursor}")).await;
            let expected = if list == *of { (200, "") } else { (400, "cursor_invalid") };
            assert_eq!((answer.status, answer.code()), expected, "{list} with a cursor of {of}");
            let answer = manager.get(&format!("{list}?limit=1&cursor={damaged}")).await;
            assert_eq!((answer.status, answer.code()), (400, "cursor_invalid"), "{list} with a damaged cursor of {of}");
        }
    }
}

#[tokio::test]
async fn a_till_goes_on_where_its_last_reading_ended_and_an_unchanged_page_is_304() {
    let server = Server::stocked().await;
    let manager = server.manager();
    let all = manager.get("/v1/stock?location_id=shop-1&updated_since=1970-01-01T00:00:00Z").await;
    assert_eq!((all.body["levels"].as_array().unwrap().len(), &all.body["next_cursor"]), (1, &Value::Null));
    let mark = all.body["next_updated_since"].as_str().unwrap();
    let path = format!("/v1/stock?location_id=shop-1&updated_since={mark}");
    let next = manager.get(&path).await;
    let etag = next.header("etag").to_owned();
    let again = manager.request(Method::GET, &path).header("if-none-match", etag);
    assert_eq!(manager.send(again).await.status, 304);
    manager.sell(9_050, "shop-1", "1").await;
    let changed = manager.get(&path).await.body;
    assert_eq!(changed["levels"][0]["on_hand"], "23");
    let archive = json!({"type": "archive_item", "command_id": id(9_051), "item_id": "cola"});
    manager.post_waiting("/v1/commands", archive).await;
    assert_eq!(manager.get(&path).await.body["levels"][0]["archived"], true);
    let items = manager.get("/v1/items?updated_since=1970-01-01T00:00:00Z").await.body;
    assert_eq!((&items["items"][0]["archived"], items["next_updated_since"].is_string()), (&json!(true), true));
    for (since, code) in [("yester day", "invalid_parameter"), ("WyJ4Il0", "cursor_invalid")] {
        for list in ["items", "stock"] {
            let answer = manager.get(&format!("/v1/{list}?updated_since={since}")).await;
            assert_eq!((answer.status, answer.code()), (400, code), "{list} {since}");
        }
    }
    let export = manager.request(Method::GET, &path).header("accept", "text/csv");
    assert_eq!(manager.send(export).await.code(), "cursor_invalid");
}
