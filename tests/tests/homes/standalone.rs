//! Tests the standalone home as its users see it: one binary and one folder.

use std::process::Command;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use stockline_tests::process::{Server, audit, stockline, stockline_binary, with_id};

/// P5. In the same race WooCommerce ended at −16.
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

/// P2, P7: a replay returns the first answer, even after a restart.
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

/// P6: the crossing is mailed once, into a file that a person can open.
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

/// P1, P2 across `kill -9` during sending: every accepted sale is applied once. Only the batch whose answer was lost
/// has to be sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_survives_a_kill_while_sending() {
    const SALES_PER_BATCH: usize = 20;
    let sale = || with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}));
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    server.stock_up("cola", "1000000").await;
    let mut folder = server.stop();
    let mut sold = 0;
    for kill_after in [3, 20, 45] {
        let server = Server::start(&folder, &[]).await;
        let (pid, sent) = (server.pid(), std::sync::atomic::AtomicUsize::new(0));
        let mut accepted: Vec<Value> = Vec::new();
        let send = async {
            loop {
                let batch = json!({"commands": (0..SALES_PER_BATCH).map(|_| sale()).collect::<Vec<_>>()});
                sent.fetch_add(1, Ordering::SeqCst);
                match server.request("POST", "/v1/commands/batch", Some(&batch)).await {
                    Ok((status, answer)) => {
                        assert_eq!((status, &answer["queued"]), (202, &json!(SALES_PER_BATCH)), "{answer}");
                        accepted.push(batch);
                    }
                    Err(_) => return batch,
                }
            }
        };
        let kill = async {
            while sent.load(Ordering::SeqCst) < kill_after {
                tokio::task::yield_now().await;
            }
            assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        };
        let (unanswered, ()) = tokio::join!(send, kill);
        folder = server.kill();
        assert!(accepted.len() + 1 >= kill_after, "it was killed while it served");

        let server = Server::start(&folder, &[]).await;
        server.request("POST", "/v1/commands/batch", Some(&unanswered)).await.unwrap();
        // This sale is the last of its item in the queue. Once it is applied, all the others are applied.
        server.settle(sale()).await;
        sold += (accepted.len() + 1) * SALES_PER_BATCH + 1;
        let on_hand = async || server.get("/v1/items/cola").await["on_hand"].clone();
        assert_eq!(on_hand().await, json!((1_000_000 - sold).to_string()), "killed after {kill_after} batches");
        for batch in &accepted {
            server.request("POST", "/v1/commands/batch", Some(batch)).await.unwrap();
        }
        server.settle(sale()).await;
        sold += 1;
        assert_eq!(on_hand().await, json!((1_000_000 - sold).to_string()), "sent again, it counts once");
        folder = server.stop();
        audit(&folder);
    }
}

/// SIGHUP, which a closed terminal and `systemctl reload` send, stops nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_stops_nothing() {
    let data = tempfile::tempdir().unwrap();
    // The tests themselves may run under `nohup`.
    let mut plain = Command::new("env");
    plain.arg("--default-signal=HUP").arg(stockline_binary());
    let server = Server::start_by(plain, data.path(), &[]).await;
    server.signal("HUP");
    server.stock_up("cola", "10").await;
    server.signal("HUP");
    let sale = with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}));
    assert_eq!(server.settle(sale).await["status"], "applied");
    assert_eq!(server.get("/v1/items/cola").await["on_hand"], "9");
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_folder_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    let second = stockline(&["serve", "--listen", "127.0.0.1:0"], data.path());
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains(&server.pid().to_string()) && text.contains("uses the data folder"), "{text}");
    // The first process still works.
    server.stock_up("cola", "10").await;
    assert_eq!(server.get("/v1/items/cola").await["on_hand"], "10");
    audit(&server.stop());
}
