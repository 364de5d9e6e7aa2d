use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::{PATIENCE, with_id};

use super::Fleet;

const ITEMS: usize = 10;
const BATCHES: usize = 5;
const SALES_PER_BATCH: usize = 10;
/// The commands before the sales of an item: one `register_item` and one `receive`.
const OPENING: usize = 2;
const COMMANDS: usize = ITEMS * (OPENING + BATCHES * SALES_PER_BATCH);
/// The opening stock. Each sale takes 1.
const OPENED_WITH: usize = 100;
/// Each item crosses this threshold once, during the kills.
const THRESHOLD: usize = 80;

/// The answers that the tills received.
#[derive(Debug, Default)]
struct Told {
    /// The accepted commands with item, id and receipt, once each.
    accepted: Mutex<Vec<Value>>,
    count: AtomicUsize,
}

/// Runs ten tills. Each sells its own item, in its own order. It sends every batch twice, and again if the answer was
/// lost. Meanwhile one worker is killed, the ingress is restarted, and the other worker is killed. Then it checks:
///
/// - P1: every accepted command is applied;
/// - P2: it is applied once;
/// - P3: the commands are applied in the order of sending;
/// - P7: no status went back and no outcome changed.
///
/// Returns the fleet afterwards, and the alerts that the sales raised.
pub(crate) async fn p1_p2_p3_p7_under_kills_and_duplicates(home: &Installation, fleet: Fleet) -> (Fleet, Vec<String>) {
    let told = Told::default();
    let items: Vec<String> = (0..ITEMS).map(|number| format!("load-{number}")).collect();
    let tills = join_all(items.iter().map(|item_id| sell(home, &told, item_id)));
    let (sent, fleet, ()) = tokio::join!(tills, disturb(home, &told, fleet), statuses_never_go_back(home, &told));

    for (item_id, commands) in items.iter().zip(&sent) {
        let ledger = home.ledger(item_id).await;
        let recorded: Vec<&Value> = ledger.iter().map(|entry| &entry["command_id"]).collect();
        let movements: Vec<&Value> = commands.iter().map(|command| &command["command_id"]).skip(1).collect();
        assert_eq!(recorded, movements, "P1, P2, P3 of {item_id}");
        let left = OPENED_WITH - BATCHES * SALES_PER_BATCH;
        assert_eq!(home.get(&format!("/v1/items/{item_id}")).await["on_hand"], left.to_string(), "P2 of {item_id}");
    }
    (fleet, items.iter().map(|item_id| format!("{item_id}:main:1")).collect())
}

/// Sends all commands of one till in order, and returns them.
async fn sell(home: &Installation, told: &Told, item_id: &str) -> Vec<Value> {
    let opening = vec![
        with_id(json!({
            "type": "register_item", "item_id": item_id, "name": item_id,
            "low_stock_threshold": THRESHOLD.to_string(),
        })),
        with_id(json!({
            "type": "receive", "item_id": item_id, "location_id": "main", "quantity": OPENED_WITH.to_string(),
        })),
    ];
    send_until_queued(home, told, &home.manager, &opening).await;
    let mut sent = opening;
    for _ in 0..BATCHES {
        let sale = json!({"type": "sell", "item_id": item_id, "location_id": "main", "quantity": "1"});
        let batch: Vec<Value> = (0..SALES_PER_BATCH).map(|_| with_id(sale.clone())).collect();
        send_until_queued(home, told, &home.till, &batch).await;
        // This till did not receive the first answer.
        send_until_queued(home, &Told::default(), &home.till, &batch).await;
        sent.extend(batch);
    }
    sent
}

/// Sends a batch, and repeats it unchanged until every line is accepted, as a client must.
async fn send_until_queued(home: &Installation, told: &Told, token: &str, batch: &[Value]) {
    let body = json!({"commands": batch});
    let deadline = Instant::now() + PATIENCE;
    loop {
        match home.send(token, "POST", "/v1/commands/batch", Some(&body)).await {
            Ok((202, answer)) if answer["queued"] == batch.len() => {
                let mut accepted = told.accepted.lock().unwrap();
                for (command, line) in batch.iter().zip(answer["results"].as_array().unwrap()) {
                    let receipt = line["status_url"].as_str().unwrap().split_once("receipt=").unwrap().1;
                    accepted.push(json!({
                        "item_id": command["item_id"], "command_id": command["command_id"], "receipt": receipt,
                    }));
                }
                told.count.store(accepted.len(), Ordering::SeqCst);
                return;
            }
            Ok((202 | 429 | 503, _)) | Err(_) => {}
            Ok((status, answer)) => panic!("{status} {answer}"),
        }
        assert!(Instant::now() < deadline, "the batch was not accepted in time");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Kills and restarts processes while the tills send.
async fn disturb(home: &Installation, told: &Told, fleet: Fleet) -> Fleet {
    let Fleet { ingress, mut workers } = fleet;
    accepted(told, COMMANDS / 4).await;
    workers.remove(0).kill();
    workers.push(home.worker().await);

    accepted(told, COMMANDS / 2).await;
    ingress.kill();
    let ingress = home.ingress().await;

    accepted(told, COMMANDS * 3 / 4).await;
    workers.remove(0).kill();
    workers.push(home.worker().await);
    Fleet { ingress, workers }
}

async fn accepted(told: &Told, commands: usize) {
    let deadline = Instant::now() + PATIENCE;
    while told.count.load(Ordering::SeqCst) < commands {
        assert!(Instant::now() < deadline, "only {told:?} of {commands}");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Reads the status of every accepted command until all are settled.
async fn statuses_never_go_back(home: &Installation, told: &Told) {
    let mut outcomes: HashMap<String, Value> = HashMap::new();
    let deadline = Instant::now() + 2 * PATIENCE;
    while outcomes.len() < COMMANDS {
        let known = told.accepted.lock().unwrap().clone();
        for asked in known.chunks(500) {
            let body = json!({"commands": asked});
            let Ok((200, answer)) = home.send(&home.till, "POST", "/v1/commands/status", Some(&body)).await else {
                continue;
            };
            for line in answer["results"].as_array().unwrap() {
                let before = outcomes.get(line["command_id"].as_str().unwrap());
                match line["status"].as_str().unwrap() {
                    "queued" => assert_eq!(before, None, "P7: back to queued"),
                    "applied" => {
                        assert!(before.is_none_or(|before| *before == line["outcome"]), "P7: {before:?} {line}");
                        outcomes.insert(line["command_id"].as_str().unwrap().to_owned(), line["outcome"].clone());
                    }
                    _ => panic!("P1: {line}"),
                }
            }
        }
        assert!(Instant::now() < deadline, "P1: {} of {COMMANDS} are settled", outcomes.len());
        tokio::time::sleep(POLL_EVERY).await;
    }
}
