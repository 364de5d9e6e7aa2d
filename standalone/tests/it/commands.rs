use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::server::{Ran, Server};

/// Starts a server with one item in stock.
fn with_cola(options: &[&str]) -> Server {
    let server = Server::start(options);
    let words = ["submit", "register_item", "--item", "cola", "--name", "Cola 0.33 l", "--shortage-policy", "reject"];
    server.run(&words).ok();
    server.run(&["submit", "receive", "--item", "cola", "--quantity", "10"]).ok();
    server
}

#[test]
fn a_sale_takes_stock_once_however_often_it_is_sent() {
    let server = with_cola(&[]);
    let id = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";
    for _ in 0..3 {
        let sold = server.run(&["submit", "sell", "--item", "cola", "--quantity", "2", "--id", id]).ok();
        assert!(sold.stdout.contains("main: -2 → 8 on hand"), "{sold:?}");
    }
    assert_eq!(server.on_hand("cola", "main"), "8");
    let other = server.run(&["submit", "sell", "--item", "cola", "--quantity", "3", "--id", id]);
    other.refused(1, "command_id_reused");
    assert_eq!(server.run(&["status", "cola", id, "--json"]).ok().json()["status"], "applied");
    let history = server.run(&["history", "cola"]).ok().stdout;
    assert_eq!(history.lines().count(), 4, "the name, headings, the sale, the delivery: {history}");
    assert!(history.lines().nth(2).unwrap().contains("sell"), "the newest first: {history}");
    let audit = server.run(&["audit"]).ok();
    assert!(audit.stdout.contains("the ledger explains the stock"), "{audit:?}");
}

#[test]
fn every_command_takes_the_ids_that_a_shop_writes() {
    let server = Server::start(&[]);
    for (item, location) in
        [("AB/12 x", "Café 1/2"), ("#7", "#1:2"), ("№5", "b#c"), ("Größe-L", "main"), ("りんご", "店")]
    {
        server.run(&["locations", "put", location, "--name", "a shop"]).ok();
        server.run(&["submit", "register_item", "--item", item, "--name", "thing", "--low-stock-threshold", "5"]).ok();
        server.run(&["submit", "receive", "--item", item, "--location", location, "--quantity", "9"]).ok();
        let id = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";
        let words = ["submit", "sell", "--item", item, "--location", location, "--quantity", "5", "--id", id];
        server.run(&words).ok();
        assert_eq!(server.run(&["status", item, id, "--json"]).ok().json()["status"], "applied");
        let history = server.run(&["history", item, "--location", location, "--json"]).ok().json();
        assert_eq!((&history[0]["command_id"], &history[0]["location_id"]), (&json!(id), &json!(location)));
        let stock = server.run(&["stock", item, "--json"]).ok().json();
        assert_eq!((&stock[0]["item_id"], &stock[0]["on_hand"]), (&json!(item), &json!("4")));
        let alerts = server.run(&["alerts", "--location", location, "--json"]).ok().json();
        assert_eq!(alerts[0]["item_id"], item);
        let refused = ["submit", "sell", "--item", item, "--location", "nowhere/#1", "--quantity", "1"];
        assert!(server.run(&refused).stdout.contains("unknown_location"));
        let words = ["refused", "--resubmit", "--to-location", location];
        server.run(&words).ok();
        assert!(server.run(&["items", item]).ok().stdout.contains(item));
    }
    let audit = server.run(&["audit"]).ok();
    assert!(audit.stdout.contains("the ledger explains the stock"), "{audit:?}");
}

#[test]
fn a_mistaken_sale_is_taken_back_once_and_history_shows_the_pair() {
    let server = with_cola(&[]);
    server.run(&["submit", "receive", "--item", "cola", "--quantity", "10", "--unit-cost", "0.41"]).ok();
    let (sale, back) = ("01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c");
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "2", "--amount", "3.98", "--id", sale]).ok();
    let taken = server.run(&["reverse", "cola", sale, "--note", "rung up twice", "--id", back]).ok();
    assert!(taken.stdout.contains("main: +2 → 20 on hand"), "{taken:?}");
    server.run(&["reverse", "cola", sale]).refused(1, &format!("was reversed already, by command {back}"));
    server.run(&["reverse", "cola", back]).refused(1, "is a reversal");
    let outcome = server.run(&["status", "cola", sale]).ok().stdout;
    assert!(outcome.contains(&format!("taken back by command {back}")), "{outcome}");
    let history = server.run(&["history", "cola", "--ids"]).ok().stdout.replace("\n    ", " ");
    for part in [
        format!("id {back}; takes back {sale}"),
        "amount -3.98".to_owned(),
        "cost 0.82".to_owned(),
        format!("id {sale}; taken back by {back}"),
        "amount 3.98; cost -0.82".to_owned(),
        "rung up twice".to_owned(),
    ] {
        assert!(history.contains(&part), "{part}: {history}");
    }
    let audit = server.run(&["audit"]).ok();
    assert!(audit.stdout.contains("the ledger explains the stock"), "{audit:?}");
}

#[test]
fn a_refused_sale_is_listed_and_can_be_sent_again_corrected() {
    let server = with_cola(&[]);
    let refused = server.run(&["submit", "sell", "--item", "cola", "--quantity", "11"]);
    refused.refused(1, "insufficient_stock");
    let list = server.run(&["refused"]).ok().stdout;
    assert!(list.contains("insufficient_stock"), "{list}");
    let unknown = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";
    server.run(&["refused", "--id", unknown]).refused(1, &format!("{unknown}: not among the refused commands"));
    server.run(&["refused", "--code", "insufficient_stock", "--resubmit", "--on-shortage", "allow"]).ok();
    assert_eq!(server.on_hand("cola", "main"), "-1");
    let again = server.run(&["refused", "--json"]).ok().json();
    assert_eq!(again, serde_json::json!([]), "a resubmitted command is no longer listed");
    let alerts = server.run(&["alerts"]).ok().stdout;
    assert!(alerts.contains("oversold") || alerts.lines().count() == 1, "{alerts}");
}

#[test]
fn a_refused_command_that_was_settled_otherwise_does_not_hold_up_the_others() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let command =
        |id: &str, status: &str| json!({"command_id": id, "item_id": "coal", "type": "sell", "status": status});
    let listed = ["good", "late", "other"].map(|id| command(id, "rejected"));
    let listed = json!({"commands": listed});
    let resubmit = move |Path(id): Path<String>| async move {
        match id.as_str() {
            "late" => (StatusCode::CONFLICT, Json(json!({"status": 409, "detail": "it came too late"}))),
            "other" => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"status": 422, "detail": "it is no sale"}))),
            _ => (StatusCode::OK, Json(command("new", "applied"))),
        }
    };
    let router = Router::new()
        .route("/v1/commands", get(move || async move { Json(listed) }))
        .route("/v1/items/coal/commands/{id}/resubmit", post(resubmit));
    runtime.spawn(axum::serve(listener, router).into_future());
    let ran = Ran::of(&["refused", "--resubmit", "--to-item", "cola", "--json", "--url", &url, "--token", "any"]);
    assert_eq!(ran.json()[0]["command_id"], "new", "{ran:?}");
    let told: Vec<serde_json::Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told[0]["error"], json!({"command": "coal other", "detail": "it is no sale"}));
    assert_eq!(told[1]["error"]["command"], "coal late");
    ran.refused(1, "it came too late");
}

#[test]
fn an_invalid_command_is_refused_with_every_fault() {
    let server = with_cola(&[]);
    let wrong = server.run(&["submit", "sell", "--item", "cola", "--quantity", "1.5.0", "--counted", "3"]);
    wrong.refused(1, "quantity is not").refused(1, "counted is not");
    assert_eq!(server.on_hand("cola", "main"), "10");
}

#[test]
fn locations_are_put_and_listed() {
    let server = with_cola(&[]);
    server
        .run(&["submit", "receive", "--item", "cola", "--quantity", "1", "--location", "a"])
        .refused(1, "unknown_location");
    server.run(&["locations", "put", "a", "b", "--time-zone", "Europe/Berlin"]).ok();
    let list = server.run(&["locations", "list"]).ok().stdout;
    assert!(list.contains("Europe/Berlin") && list.contains("main"), "{list}");
    let words = ["submit", "transfer", "--item", "cola", "--quantity", "4", "--from", "main", "--to", "b"];
    server.run(&words).ok();
    assert_eq!((server.on_hand("cola", "main"), server.on_hand("cola", "b")), ("6".into(), "4".into()));
}

#[test]
fn an_unknown_dead_letter_is_refused_with_and_without_a_running_server() {
    let mut server = with_cola(&[]);
    let id = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";
    server.run(&["dead-letters", "retry", "cola", id]).refused(1, "no command with this item and id");
    server.run(&["dead-letters", "discard", "cola", id]).refused(1, "no dead letter");
    server.run(&["dead-letters", "list"]).ok();
    assert!(server.terminate().success());
    server.run(&["dead-letters", "retry", "cola", id]).refused(1, "no command with this item and id");
}

#[test]
fn without_a_server_the_client_says_how_to_start_one() {
    let mut server = with_cola(&[]);
    assert!(server.terminate().success());
    server.run(&["stock"]).refused(3, "stockline serve --data");
}

#[test]
fn what_to_reorder_is_listed_at_once_and_opening_stock_is_among_the_alerts_before_its_mail() {
    let server = Server::start(&["--alert-email", "owner@example.com"]);
    for item in ["milk", "oil", "rice", "salt", "tea"] {
        let threshold = if item == "rice" { "none" } else { "5" };
        server.run(&["submit", "register_item", "--item", item, "--name", item, "--threshold", threshold]).ok();
    }
    server.run(&["submit", "receive", "--item", "milk", "--quantity", "3"]).ok();
    server.run(&["submit", "receive", "--item", "salt", "--quantity", "9"]).ok();
    server.run(&["submit", "count", "--item", "tea", "--counted", "0"]).ok();
    // The location carries rice by a threshold of its own, and oil not at all.
    server.run(&["submit", "set_threshold", "--item", "rice", "--location", "main", "--threshold", "4"]).ok();
    let listed = |words: &[&str]| {
        let levels = server.run(&[&["stock", "--json"], words].concat()).ok().json();
        let ids = levels.as_array().unwrap().iter().map(|level| level["item_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--state", "low", "--state", "out"]), ["milk", "rice", "tea"]);
    assert_eq!(listed(&["--state", "low,out", "--location", "main"]), ["milk", "rice", "tea"]);
    assert_eq!(listed(&["--state", "low"]), ["milk"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let alerts = server.run(&["alerts", "--json"]).ok().json();
        let of = |alert: &serde_json::Value| (alert["alert_id"].clone(), alert["opening"].clone());
        let mut known: Vec<_> = alerts.as_array().unwrap().iter().map(of).collect();
        known.sort_by_key(|(id, _)| id.to_string());
        if known == ["milk:main:1", "tea:main:1"].map(|id| (json!(id), json!(true))) {
            assert!(alerts.as_array().unwrap().iter().all(|alert| alert["sent_at"].is_null()), "{alerts}");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{alerts}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
