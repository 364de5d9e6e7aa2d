//! Tests ids with every character that a shop may write: in paths, queries, headers, cursors and files.

use stockline_core::domain::path_segment;
use stockline_core::testing::{AWKWARD_ITEMS, AWKWARD_PLACES};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Client, Server, id};

/// Starts a server with the awkward items at the awkward locations, a different quantity at each.
async fn stocked() -> Server {
    let server = Server::start().await;
    let manager = server.manager();
    open_places(&manager).await;
    let mut n = 20_000;
    let mut commands = Vec::new();
    for item in AWKWARD_ITEMS {
        n += 1;
        commands.push(json!({"type": "register_item", "command_id": id(n), "item_id": item, "name": item, "low_stock_threshold": "3"}));
        for location in AWKWARD_PLACES {
            n += 1;
            commands.push(json!({"type": "receive", "command_id": id(n), "item_id": item, "location_id": location, "quantity": (n - 20_000).to_string()}));
        }
    }
    let answer = manager.post_waiting("/v1/commands/batch", json!({ "commands": commands })).await;
    assert_eq!(answer.body["settled"], commands.len());
    server
}

async fn open_places(manager: &Client) {
    for location in AWKWARD_PLACES {
        let path = format!("/v1/locations/{}", path_segment(location));
        assert_eq!(manager.put(&path, json!({ "name": "a shop" })).await.status, 201, "{location}");
        assert_eq!(manager.get(&path).await.body["location_id"], location);
    }
}

#[tokio::test]
async fn every_path_takes_every_id() {
    let server = stocked().await;
    let manager = server.manager();
    for (n, item) in (30_000..).zip(AWKWARD_ITEMS) {
        let at_item = format!("/v1/items/{}", path_segment(item));
        let sale = json!({"type": "sell", "command_id": id(n), "item_id": item, "location_id": AWKWARD_PLACES[0], "quantity": "1"});
        let sent = manager.post("/v1/commands", sale).await;
        assert_eq!((sent.status, &sent.body["item_id"]), (202, &json!(item)));
        let status_url = sent.body["status_url"].as_str().unwrap();
        assert_eq!(sent.header("location"), status_url);
        assert!(status_url.starts_with(&format!("{at_item}/commands/")), "{status_url}");
        let settled = manager.send(manager.request(Method::GET, status_url).header("prefer", "wait=10")).await;
        assert_eq!((&settled.body["status"], &settled.body["item_id"]), (&json!("applied"), &json!(item)));
        let shown = manager.get(&at_item).await.body;
        assert_eq!(
            (&shown["item_id"], shown["levels"].as_array().unwrap().len()),
            (&json!(item), AWKWARD_PLACES.len())
        );
        let movements = manager.get(&format!("{at_item}/movements?type=sell")).await.body;
        assert_eq!(movements["movements"][0]["command_id"], id(n), "{item}");
        for location in AWKWARD_PLACES {
            let narrowed = format!("{at_item}/movements?type=receive&location_id={}", path_segment(location));
            let found = manager.get(&narrowed).await.body;
            assert_eq!(found["movements"][0]["location_id"], location, "{item}");
        }
        for path in ["/stock", "/changes"] {
            assert_eq!(manager.get(&format!("{at_item}{path}")).await.status, 200, "{item}{path}");
        }
    }
}

#[tokio::test]
async fn a_refused_command_of_any_id_is_found_and_resubmitted() {
    let server = stocked().await;
    let manager = server.manager();
    for (n, item) in (40_000..).zip(AWKWARD_ITEMS) {
        let sale =
            json!({"type": "sell", "command_id": id(n), "item_id": item, "location_id": "nowhere/#1", "quantity": "1"});
        assert_eq!(manager.post_waiting("/v1/commands", sale).await.body["status"], "rejected");
        let path = format!("/v1/items/{}/commands/{}/resubmit", path_segment(item), id(n));
        let corrected = manager.post_waiting(&path, json!({"location_id": AWKWARD_PLACES[1]})).await;
        assert_eq!(corrected.body["status"], "applied", "{item}: {}", corrected.text);
    }
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = manager.get(&format!("/v1/commands?status=rejected&limit=5{cursor}")).await.body;
        listed.extend(page["commands"].as_array().unwrap().iter().map(|command| command["item_id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", path_segment(next));
    }
    assert!(listed.is_empty(), "a resubmitted command is settled otherwise: {listed:?}");
}

#[tokio::test]
async fn lists_page_through_every_id() {
    let server = stocked().await;
    let manager = server.manager();
    for (path, key, count) in [
        ("/v1/items", "items", AWKWARD_ITEMS.len()),
        ("/v1/stock", "levels", AWKWARD_ITEMS.len() * AWKWARD_PLACES.len()),
        ("/v1/locations", "locations", AWKWARD_PLACES.len() + 1),
    ] {
        let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), String::new());
        loop {
            let page = manager.get(&format!("{path}?limit=4{cursor}")).await.body;
            let ids = |entry: &Value| format!("{}\n{}", entry["item_id"], entry["location_id"]);
            for entry in page[key].as_array().unwrap() {
                assert!(seen.insert(ids(entry)), "{entry} stands twice");
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={}", path_segment(next));
        }
        assert_eq!(seen.len(), count, "{path}");
    }
    for location in AWKWARD_PLACES {
        let page = manager.get(&format!("/v1/stock?location_id={}&limit=1000", path_segment(location))).await.body;
        assert_eq!(page["levels"].as_array().unwrap().len(), AWKWARD_ITEMS.len(), "{location}");
    }
}

#[tokio::test]
async fn what_is_exported_of_any_id_is_imported_elsewhere_and_runs_in_no_spreadsheet() {
    let (from, to) = (stocked().await, Server::start().await);
    let (there, here) = (from.manager(), to.manager());
    open_places(&here).await;
    let export = async |client: &Client, path: &str| {
        client.send(client.request(Method::GET, path).header("accept", "text/csv")).await.text
    };
    for (kind, path) in [("items", "/v1/items"), ("stock", "/v1/stock")] {
        let file = export(&there, path).await;
        for line in file.lines() {
            let cell = line.trim_start_matches('"');
            assert!(!cell.starts_with(['=', '+', '-', '@']), "a spreadsheet would run {line}");
        }
        let judged = here.send_file(Method::POST, &format!("/v1/imports?type={kind}"), file.clone().into_bytes()).await;
        assert_eq!(judged.body["faults_total"], 0, "{}\n{file}", judged.text);
        let import_id = judged.body["import_id"].as_str().unwrap();
        here.send_file(Method::POST, &format!("/v1/imports/{import_id}/apply"), Vec::new()).await;
        while here.get(&format!("/v1/imports/{import_id}")).await.body["status"] == "applying" {
            tokio::task::yield_now().await;
        }
    }
    for item in AWKWARD_ITEMS {
        let path = format!("/v1/items/{}", path_segment(item));
        let (before, after) = (there.get(&path).await.body, here.get(&path).await.body);
        let stock = |shown: &Value| -> Vec<(Value, Value)> {
            let levels = shown["levels"].as_array().unwrap().iter();
            levels.map(|level| (level["location_id"].clone(), level["on_hand"].clone())).collect()
        };
        assert_eq!((&before["name"], stock(&before)), (&after["name"], stock(&after)), "{item}");
    }
}

#[tokio::test]
async fn a_spreadsheet_may_write_an_id_in_decomposed_form() {
    let server = stocked().await;
    let file = "item_id,counted\nGro\u{308}\u{df}e-L,3\n";
    let manager = server.manager();
    let path = format!("/v1/imports?type=counts&location_id={}", path_segment(AWKWARD_PLACES[0]));
    let judged = manager.send_file(Method::POST, &path, file.as_bytes().to_vec()).await;
    assert_eq!(judged.body["faults_total"], 0, "{}", judged.text);
}
