use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;
use stockline_core::domain::Alert;
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::PATIENCE;
use stockline_tests::stack::{ALERT_EMAILS, MAIL_FROM};

/// P6: low, out and oversold each raise one alert per episode. Enough opening stock raises none; a new episode raises new
/// ones. Returns the ids of the alerts that must be mailed.
pub(crate) async fn p6_each_kind_of_crossing(home: &Installation) -> Vec<String> {
    home.stock_up("milk", "8", Some("5")).await;
    let moved = async |kind: &str, quantity: &str| {
        let command = json!({"type": kind, "item_id": "milk", "location_id": "main", "quantity": quantity});
        let outcome = home.settle(&home.staff, command).await;
        assert_eq!(outcome["status"], "applied", "{outcome}");
    };
    for quantity in ["4", "1", "3", "1", "1"] {
        // The level falls to 4 (low), 3, 0 (out), −1 (oversold) and −2.
        moved("sell", quantity).await;
    }
    moved("receive", "10").await;
    moved("sell", "4").await;
    (1..=4).map(|number| format!("milk:main:{number}")).collect()
}

/// P6: in the end every crossing is in exactly one mail, each mail has the right recipients, and no mail has anything
/// else.
pub(crate) async fn p6_every_crossing_was_mailed_once(home: &Installation, mut expected: Vec<String>) {
    let deadline = Instant::now() + PATIENCE;
    while !nothing_waits(home).await {
        assert!(Instant::now() < deadline, "alerts are left in their queue:\n{}", home.server.log());
        tokio::time::sleep(POLL_EVERY).await;
    }

    let mut mailed: BTreeMap<String, usize> = BTreeMap::new();
    for mail in home.server.ses_messages().await {
        assert_eq!((&mail["Source"], &mail["To"]), (&json!(MAIL_FROM), &json!([ALERT_EMAILS])), "{mail}");
        let text = mail["BodyText"].as_str().unwrap();
        let ids = text.lines().filter_map(|line| line.strip_prefix("Alert ")).map(|id| id.trim().to_owned());
        for id in ids {
            *mailed.entry(id).or_default() += 1;
        }
    }
    expected.sort();
    assert_eq!(mailed, expected.iter().map(|id| (id.clone(), 1)).collect());

    let history = home.get("/v1/alerts?limit=1000").await;
    let alerts = history["alerts"].as_array().unwrap();
    assert!(alerts.iter().all(|alert| alert["sent_at"].is_string()), "{history}");
    let mut told: Vec<&str> = alerts.iter().filter_map(|alert| alert["alert_id"].as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, expected);
}

/// Reports whether the alert queue holds only duplicates. An alert may be published twice. A duplicate that arrives
/// while the first one is being mailed stays invisible for that queue's visibility, which is longer than this test.
async fn nothing_waits(home: &Installation) -> bool {
    let history = home.get("/v1/alerts?limit=1000").await;
    let is_sent = |id: &str| {
        let mut alerts = history["alerts"].as_array().unwrap().iter();
        alerts.any(|alert| alert["alert_id"] == id && alert["sent_at"].is_string())
    };
    let left = home.server.queue_messages(home.stack.output("AlertQueueUrl")).await;
    left.iter().all(|message| {
        let alert: Alert = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        message["ReceiveCount"].as_u64() > Some(0) && is_sent(&alert.id())
    })
}
