//! Reports over a small till log are equal, digit by digit, to figures that an independent program computes from the log
//! (`tests/analytics/figures.py`), and to those that DuckDB adds up from the exported day totals (`tests/analytics/days.py`).
//!
//! The log has seven items at two shops in New York over both changes of the clock: sales, returns, receipts, transfers,
//! adjustments, goods by weight, sales that arrive after later ones, and levels below zero. It has no counts: no server takes a
//! count that is years old.

use std::process::Command;

use serde_json::{Map, Value, json};
use stockline_deploy_checks::python::{self, assert_ran};
use stockline_tests::process::{Server, audit, stockline_ok, with_id};

const REQUIREMENTS: &str = include_str!("../../analytics/requirements.txt");
const TILLS: &str = include_str!("../../analytics/tills.csv");
const FIGURES: &str = include_str!("../../analytics/figures.py");
const DAYS: &str = include_str!("../../analytics/days.py");

/// The item, its category, its decimals, and its supplier.
const ITEMS: [(&str, &str, u8, Option<&str>); 7] = [
    ("apple", "fruit", 0, Some("Farm")),
    ("pear", "fruit", 3, Some("Farm")),
    ("cola", "drinks", 0, Some("Drinks Ltd")),
    ("tea", "drinks", 0, Some("Drinks Ltd")),
    ("soap", "home", 0, Some("Mill")),
    ("lamp", "home", 0, None),
    ("dust", "home", 0, None),
];

const SPRING: &str = "from=2017-03-06&to=2017-04-03";
const AUTUMN: &str = "from=2017-10-30&to=2017-11-13";

/// Submits the log line by line, in its order.
async fn sell(server: &Server) {
    for shop in ["bronx", "queens"] {
        let settings = json!({"name": shop, "time_zone": "America/New_York"});
        let (status, answer) = server.request("PUT", &format!("/v1/locations/{shop}"), Some(&settings)).await.unwrap();
        assert_eq!(status, 201, "{answer}");
    }
    for (item, category, decimals, supplier) in ITEMS {
        let item = json!({"type": "register_item", "item_id": item, "name": item, "category": category, "decimals": decimals,
            "supplier": supplier});
        assert_eq!(server.settle(item).await["status"], "applied");
    }
    let own = json!({"type": "set_planning", "item_id": "tea", "location_id": "queens", "supplier": "Next Door"});
    assert_eq!(server.settle(own).await["status"], "applied");
    for line in TILLS.lines().skip(1) {
        let [at, kind, item, location, quantity, reason, to, amount] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let mut command = json!({"type": kind, "item_id": item, "occurred_at": at});
        command[if kind == "count" { "counted" } else { "quantity" }] = quantity.into();
        if kind == "transfer" {
            (command["from_location_id"], command["to_location_id"]) = (location.into(), to.into());
        } else {
            command["location_id"] = location.into();
        }
        if !amount.is_empty() {
            command["amount"] = amount.into();
        }
        if !reason.is_empty() {
            command["reason"] = reason.into();
        }
        let outcome = server.settle(with_id(command)).await;
        assert_eq!(outcome["status"], "applied", "{line}: {outcome}");
    }
}

/// Returns the queries of all reports, over both halves of the year.
fn queries() -> Vec<String> {
    let mut queries = Vec::new();
    for period in [SPRING, AUTUMN, "from=2017-01-01&to=2018-01-01", "week=2017-W10", "month=2017-11"] {
        for groups in [
            "day",
            "week",
            "month",
            "location",
            "item",
            "category",
            "supplier",
            "day,location",
            "week,category",
            "item,location",
        ] {
            queries.push(format!("sales?{period}&group={groups}"));
        }
        for report in [
            "velocity",
            "cover",
            "lost-sales",
            "sell-through",
            "abc",
            "value?group=location",
            "value?group=category",
            "value?group=supplier",
        ] {
            let (name, more) =
                report.split_once('?').map_or((report, String::new()), |(name, more)| (name, format!("&{more}")));
            queries.push(format!("{name}?{period}{more}"));
        }
        for groups in ["location", "item,location", "category", "supplier"] {
            queries.push(format!("shrinkage?{period}&group={groups}"));
        }
    }
    queries.push("dead-stock".into());
    // No level was three weeks in stock and out of it within a week.
    queries.retain(|query| {
        !(query.starts_with("lost-sales")
            && (query.contains("week=") || query.contains("month=") || query.contains(AUTUMN)))
    });
    queries
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_over_a_till_log_is_what_an_independent_program_computes() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &["--max-age-days", "9000"]).await;
    sell(&server).await;
    let mut answers = Map::new();
    for query in queries() {
        let joint = if query.contains('?') { '&' } else { '?' };
        let answer = server.get(&format!("/v1/analytics/{query}{joint}limit=1000")).await;
        assert_eq!(answer["next_cursor"], Value::Null, "{query}: {answer}");
        assert_eq!(answer["time_zone"], "America/New_York, UTC", "main is in UTC: {query}");
        answers.insert(query, answer);
    }
    let shown = stockline_ok(
        &["report", "sales", "--from", "2017-03-06", "--to", "2017-03-12", "--url", &server.url],
        data.path(),
    );
    assert!(shown.starts_with("sales, 2017-03-06 to 2017-03-12") && shown.contains('█'), "{shown}");
    let csv = stockline_ok(&["report", "value", "--from", "2017-03-06", "--csv", "--url", &server.url], data.path());
    assert_eq!(csv.lines().next(), Some("item_id,location_id,name,on_hand,average_cost,value"), "{csv}");

    let orders = ["report", "reorder", "--supplier", "Next Door", "--explain", "--csv", "--url", &server.url];
    let orders = stockline_ok(&orders, data.path());
    let lines: Vec<&str> = orders.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains(",supplier,unit,on_hand,on_order,target,order,order_by"), "{orders}");
    assert!(lines[1].starts_with("tea,queens,tea,Next Door,piece,"), "{orders}");

    let days = stockline_ok(&["export", "days", "--url", &server.url], data.path());

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let python = python::environment("analytics", REQUIREMENTS);
    let script = file("figures.py", FIGURES);
    let (tills, answers) = (file("tills.csv", TILLS), file("answers.json", &Value::from(answers).to_string()));
    let output = Command::new(&python).args([&script, &tills, &answers]).output().unwrap();
    assert_ran(&output, "figures.py");
    println!("{}", String::from_utf8_lossy(&output.stdout).trim());

    let (script, days) = (file("days.py", DAYS), file("days.csv", &days));
    let output = Command::new(python).args([&script, &days, &answers]).output().unwrap();
    assert_ran(&output, "days.py");
    println!("{}", String::from_utf8_lossy(&output.stdout).trim());
    audit(&server.stop());
}
