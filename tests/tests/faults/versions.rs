//! Tests that one version reads what another has written: messages, tails, chunks and receipts (design.md §6).

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use stockline_core::domain::{
    Entry, FoldLimits, LoadRequest, Money, Receipt, ReceiptKeys, Slot, Timestamp, decode_entries, decode_message,
    encode_entries, encode_message, seal,
};
use stockline_core::ports::{FixedClock, LedgerFrom, StoreError};
use stockline_core::testing::MemoryQueue;
use stockline_sqlite::{OpenOptions, SqliteStore, StoreOptions};
use stockline_tests::contract::store::{Bounds, Home, Ports, Shop, at, id, item_id, place, queued};
use stockline_tests::faulty::{Faulty, Plan};
use stockline_tests::in_process::{PATIENCE, RunningWorker, worker_config};
use stockline_worker::{Adapters, Condition};

/// Version 1 wrote these files. Each later version adds its own, and these stay.
const MESSAGE_1: &str = include_str!("../../golden/message.v1.json");
/// The same message with the checksums that version 1 has today.
const MESSAGE_1_SEALED: &str = include_str!("../../golden/message.v1.sealed.json");
const TAIL_3: &str = include_str!("../../golden/tail.v3.hex");
const CHUNK_3: &str = include_str!("../../golden/chunk.v3.hex");
const TAIL_2: &str = include_str!("../../golden/tail.v2.hex");
const CHUNK_2: &str = include_str!("../../golden/chunk.v2.hex");
const TAIL_1: &str = include_str!("../../golden/tail.v1.hex");
const CHUNK_1: &str = include_str!("../../golden/chunk.v1.hex");
const RECEIPT_1: &str = include_str!("../../golden/receipt.v1.txt");

#[derive(Debug)]
struct Folder(tempfile::TempDir);

#[async_trait]
impl Home for Folder {
    async fn open(&self, _bounds: Bounds) -> Ports {
        Ports::of(open(self.0.path()))
    }
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("stock.db"), StoreOptions::default(), &OpenOptions::default()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Returns a shop and its folder. The first entries of its level are in a chunk and the last are in the tail.
async fn shop() -> (Shop, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let mut shop = Shop::new(Box::new(Folder(folder))).await;
    shop.limits = FoldLimits { max_tail_bytes: 150, ..FoldLimits::default() };
    shop.open_location("north").await;
    shop.register("cola", "").await;
    shop.run("receive", "cola", r#","quantity":20,"unit_cost":"0.41","reference":"PO-1","note":"pünktlich""#, at(1))
        .await;
    shop.run(
        "sell",
        "cola",
        r#","quantity":"2","occurred_at":"2026-01-31T08:00:00Z","device_id":"d","operator":"o""#,
        at(2),
    )
    .await;
    let legs = r#","from_location_id":"main","to_location_id":"north","quantity":1"#;
    shop.run("transfer", "cola", legs, at(3)).await;
    shop.run("adjust", "cola", r#","quantity":-1,"reason":"damaged""#, at(4)).await;
    shop.run("count", "cola", r#","counted":15"#, at(5)).await;
    shop.run("return", "cola", r#","quantity":1"#, at(6)).await;
    (shop, path)
}

async fn chunk_and_tail(shop: &Shop) -> (Vec<Entry>, Vec<Entry>) {
    let level = shop.levels("cola").await.into_iter().find(|level| level.location_id == place("main")).unwrap();
    let page =
        shop.ports().audit.audit_ledger(LedgerFrom::new(&item_id("cola"), &place("main"), 1, 100)).await.unwrap();
    let in_tail = |entry: &Entry| level.tail.iter().any(|other| other.seq == entry.seq);
    let (tail, chunk): (Vec<_>, Vec<_>) = page.entries.into_iter().partition(in_tail);
    (chunk, tail)
}

#[tokio::test]
async fn tails_and_chunks_of_earlier_versions_still_read_and_version_3_is_still_written() {
    let (shop, _) = shop().await;
    let (chunk, tail) = chunk_and_tail(&shop).await;
    assert!(!chunk.is_empty() && !tail.is_empty());
    for (older, golden, entries) in [([CHUNK_1, CHUNK_2], CHUNK_3, chunk), ([TAIL_1, TAIL_2], TAIL_3, tail)] {
        assert_eq!(hex(&encode_entries(&entries)), golden.trim());
        assert_eq!(decode_entries(&unhex(golden)).as_deref(), Ok(&*entries));
        // Programs that wrote these kept no costs.
        let without = |entry: Entry| Entry { cost: None, revaluation: Money::ZERO, ..entry };
        let entries: Vec<_> = entries.into_iter().map(without).collect();
        for older in older {
            assert_eq!(decode_entries(&unhex(older)).as_deref(), Ok(&*entries));
        }
    }
}

#[test]
fn messages_of_version_1_still_read_and_are_still_written() {
    let mut sale =
        queued(id(1), "sell", "cola", r#","quantity":"1.5","note":"ünï","sent_at":"2026-01-31T08:15:00Z""#, at(0));
    sale.retry = 2;
    let commands = [queued(id(2), "register_item", "cola", r#","name":"Cola","barcodes":["1"]"#, at(0)), sale];
    assert_eq!(encode_message(&item_id("cola"), &commands), MESSAGE_1_SEALED.trim());
    let expected = commands.map(|queued| Slot::Command(Box::new(queued)));
    for golden in [MESSAGE_1, MESSAGE_1_SEALED] {
        let slots = decode_message(&item_id("cola"), "m", golden.trim(), Timestamp::EPOCH).unwrap();
        assert_eq!(slots, expected);
    }
}

#[test]
fn receipts_of_version_1_still_verify() {
    let keys = ReceiptKeys::new(&[[7_u8; 32]]).unwrap();
    let sale = queued(id(1), "sell", "cola", r#","quantity":2"#, at(0));
    let receipt = Receipt::of(&sale.command, at(0));
    assert_eq!(keys.sign(&item_id("cola"), id(1), receipt), RECEIPT_1.trim());
    assert_eq!(keys.verify(&item_id("cola"), id(1), RECEIPT_1.trim()), Ok(receipt));
}

/// Starts a worker over a queue and a shop.
fn worker(queue: &Arc<MemoryQueue>, ports: &Ports) -> RunningWorker {
    let faulty = Faulty::new(&Plan::none(), queue.clone(), &ports.store);
    let clock = Arc::new(FixedClock::at(at(9_000)));
    let adapters = Adapters { queue: faulty.clone(), store: faulty.clone(), alerts: faulty, clock };
    RunningWorker::start(worker_config(), adapters)
}

async fn becomes(worker: &RunningWorker, condition: Condition) {
    let mut conditions = worker.health.subscribe();
    let becomes = conditions.wait_for(|now| *now == condition);
    tokio::time::timeout(PATIENCE, becomes).await.expect("the worker notices").unwrap();
    assert!(!worker.health.is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_worker_takes_what_an_old_ingress_queued() {
    let (shop, _) = shop().await;
    let queue = Arc::new(MemoryQueue::new(PATIENCE).giving_back_at_once());
    queue.put("tea", &MESSAGE_1.trim().replace("cola", "tea"));
    let worker = worker(&queue, shop.ports());
    tokio::time::timeout(PATIENCE, queue.drained()).await.unwrap();
    worker.stop().await;
    assert!(shop.record("tea", id(1)).await.is_some() && shop.record("tea", id(2)).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_worker_returns_what_a_new_ingress_queued_and_reports_unready() {
    let (shop, _) = shop().await;
    let queue = Arc::new(MemoryQueue::new(PATIENCE).giving_back_at_once());
    queue.put("cola", &seal(MESSAGE_1.trim().replace(r#""v":1"#, r#""v":2"#)));
    queue.put("tea", &MESSAGE_1.trim().replace("cola", "tea"));
    let old = worker(&queue, shop.ports());
    becomes(&old, Condition::NewerMessages(2)).await;
    old.stop().await;
    assert_eq!(queue.receives(), [1], "received once, returned, and the work in hand finished");
    // The shop's own commands have the same ids.
    assert_eq!(shop.record("cola", id(1)).await.unwrap().retry, 0);
    assert_eq!(shop.record("tea", id(1)).await.unwrap().retry, 2);
}

/// Changes the version of every level or chunk, with both checksums: that of the entries and that of the row.
fn of_version(connection: &rusqlite::Connection, (table, column): (&str, &str), from: u8, to: u8) -> usize {
    let mut select = connection.prepare(&format!("SELECT {column} FROM {table} WHERE length({column}) > 5")).unwrap();
    let rows: Vec<Vec<u8>> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for row in &rows {
        let mut entries = row[5..row.len() - 4].to_vec();
        assert_eq!(entries[0], from);
        entries[0] = to;
        entries.extend_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        // CRC is linear: the row's checksum changes as that of the difference does.
        let zeroes = vec![0; entries.len()];
        let difference: Vec<u8> = entries.iter().zip(&row[5..]).map(|(a, b)| a ^ b).collect();
        let changed = crc32fast::hash(&difference) ^ crc32fast::hash(&zeroes);
        let sum = u32::from_le_bytes(row[1..5].try_into().unwrap()) ^ changed;
        let new = [&[row[0]], &sum.to_le_bytes()[..], &entries].concat();
        let sql = format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1");
        connection.execute(&sql, (row, new)).unwrap();
    }
    rows.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_worker_keeps_its_hands_off_stock_that_a_later_version_wrote() {
    for (table, column) in [("level", "tail"), ("chunk", "entries")] {
        let (shop, folder) = shop().await;
        let before = chunk_and_tail(&shop).await;
        let late = "2026-01-31T08:15:00.002Z";
        // The file is changed through its own connection, as by the process of a later version.
        let rewrite = |from: u8, to: u8| {
            let connection = rusqlite::Connection::open(folder.join("stock.db")).unwrap();
            assert!(of_version(&connection, (table, column), from, to) > 0);
        };
        rewrite(3, 4);
        let mut request = LoadRequest::of(item_id("cola"));
        request.since.insert(place("main"), Timestamp::EPOCH);
        let answer = shop.ports().store.load(&[request]).await.remove(0);
        assert!(matches!(answer, Err(StoreError::Newer(_))), "{answer:?}");

        let queue = Arc::new(MemoryQueue::new(PATIENCE).giving_back_at_once());
        queue.put_commands(&[queued(
            id(900),
            "count",
            "cola",
            &format!(r#","counted":5,"occurred_at":"{late}""#),
            at(7),
        )]);
        let old = worker(&queue, shop.ports());
        becomes(&old, Condition::NewerStore).await;
        old.stop().await;
        assert_eq!(queue.receives(), [1], "returned once, never set aside");
        assert_eq!(shop.record("cola", id(900)).await, None);

        // Now a worker of the later version starts, and reads the store.
        rewrite(4, 3);
        assert_eq!(chunk_and_tail(&shop).await, before);
        queue.expire_all();
        let later = worker(&queue, shop.ports());
        tokio::time::timeout(PATIENCE, queue.drained()).await.unwrap();
        later.stop().await;
        assert!(shop.record("cola", id(900)).await.is_some());
        shop.audit().await;
    }
}
