//! The standalone home as its users meet it: one binary, one folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use stockline_tests::process::{Server, audit, stockline, with_id};

/// P5: WooCommerce ended the same race at −16.
#[tokio::test(flavor = "multi_thread")]
async fn of_120_buyers_of_4_units_116_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    server.stock_up("print", "4").await;
    let sale = || json!({"type": "sell", "item_id": "print", "quantity": "1", "on_shortage": "reject"});
    let buyers = (0..120).map(|_| server.settle(sale()));
    let outcomes: Vec<Value> = futures_util::future::join_all(buyers).await;
    let count = |status: &str| outcomes.iter().filter(|outcome| outcome["status"] == status).count();
    assert_eq!((count("applied"), count("rejected")), (4, 116));
    assert!(outcomes.iter().all(|o| o["status"] == "applied" || o["rejection"]["code"] == "insufficient_stock"));
    assert_eq!(server.get("/v1/items/print").await["on_hand"], "0");
    audit(&server.stop());
}

/// P2, P7: a replay answers as the first did, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_sale_sent_again_and_again_takes_stock_once() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    server.stock_up("cola", "10").await;
    let sale = with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}));
    let first = server.settle(sale.clone()).await;
    for _ in 0..5 {
        assert_eq!(server.settle(sale.clone()).await, first);
    }
    let data = server.stop();
    let server = Server::start(&data, &[]).await;
    assert_eq!(server.settle(sale).await, first);
    assert_eq!(server.get("/v1/items/cola").await["on_hand"], "9");
    audit(&server.stop());
}

/// P6: the crossing is mailed once, in a file that a person can open.
#[tokio::test(flavor = "multi_thread")]
async fn falling_below_the_threshold_mails_once() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &["--alert-email", "owner@example.com"]).await;
    server.stock_up("cola", "10").await;
    let threshold = json!({"type": "set_threshold", "item_id": "cola", "low_stock_threshold": "5"});
    assert_eq!(server.settle(threshold).await["status"], "applied");
    for _ in 0..7 {
        server.settle(json!({"type": "sell", "item_id": "cola", "quantity": "1"})).await;
    }
    let deadline = std::time::Instant::now() + stockline_tests::process::PATIENCE;
    let told =
        |alerts: &Value| alerts["alerts"].as_array().is_some_and(|a| a.len() == 1 && a[0]["sent_at"].is_string());
    while !told(&server.get("/v1/alerts").await) {
        assert!(std::time::Instant::now() < deadline, "{}", server.get("/v1/alerts").await);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let data = server.stop();
    let mails: Vec<_> = std::fs::read_dir(data.join("mail")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(mails.len(), 1, "{mails:?}");
    let text = std::fs::read_to_string(&mails[0]).unwrap();
    assert!(text.contains("owner@example.com") && text.contains("cola:main:1"), "{text}");
    audit(&data);
}

/// P1, P2 across `kill -9`: every sale that was accepted is applied once, whenever the process dies.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_survives_a_kill_at_any_moment() {
    const ROUNDS: u64 = 3;
    const SALES: usize = 2_000;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    server.stock_up("cola", "1000000").await;
    let mut folder = server.stop();
    let mut sold = 0;
    for round in 0..ROUNDS {
        let server = std::sync::Arc::new(Server::start(&folder, &[]).await);
        let sales: Vec<Value> =
            (0..SALES).map(|_| with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}))).collect();
        // Killed in the middle of sending, each round a little later.
        let kill_after = SALES as u64 / 4 + round * 400;
        let mut accepted = 0;
        for (sent, chunk) in sales.chunks(20).enumerate() {
            if (sent * 20) as u64 >= kill_after {
                break;
            }
            let batch = json!({"commands": chunk});
            let (status, answer) = server.request("POST", "/v1/commands/batch", Some(&batch)).await.unwrap();
            assert_eq!((status, &answer["queued"]), (202, &json!(20)), "{answer}");
            accepted += 20;
        }
        folder = std::sync::Arc::into_inner(server).unwrap().kill();
        let server = Server::start(&folder, &[]).await;
        for sale in &sales[..accepted] {
            // Sent again, as a till does that got no answer: the outcome is the first one's.
            let batch = json!({"commands": [sale]});
            server.request("POST", "/v1/commands/batch", Some(&batch)).await.unwrap();
        }
        sold += accepted;
        let last = with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}));
        server.settle(last).await;
        sold += 1;
        let found = server.get("/v1/items/cola").await["on_hand"].clone();
        assert_eq!(found, json!((1_000_000 - sold).to_string()), "round {round}");
        folder = server.stop();
        audit(&folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_folder_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    let second = stockline(&["serve", "--listen", "127.0.0.1:0"], data.path());
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains(&server.pid().to_string()) && text.contains("uses the data folder"), "{text}");
}
