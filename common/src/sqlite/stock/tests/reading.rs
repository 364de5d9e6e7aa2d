use super::*;
use crate::domain::{CommandKind, Entry};

/// Two levels with some hundred entries in chunks and tails, recorded a few in the same millisecond.
async fn busy_shop() -> (Shop, Vec<Movement>) {
    let mut shop = Shop::new();
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let mut expected = Vec::new();
    for n in 0..120_i64 {
        let now = at(10 + n / 4);
        let record = match n % 5 {
            4 => {
                let legs = r#","from_location_id":"main","to_location_id":"north","quantity":1"#;
                shop.run("transfer", "cola", legs, now).await
            }
            n => shop.receive("cola", if n % 2 == 0 { "main" } else { "north" }, n + 1, now).await,
        };
        let outcome = &record.outcome;
        expected.extend(outcome.effects.iter().filter_map(|effect| Movement::of_effect(outcome, effect)));
    }
    expected.sort_by_cached_key(newest_first);
    (shop, expected)
}

fn newest_first(movement: &Movement) -> (std::cmp::Reverse<(Timestamp, u64)>, LocationId) {
    (std::cmp::Reverse((movement.entry.recorded_at, movement.entry.seq)), movement.location_id.clone())
}

async fn all_movements(shop: &Shop, filter: &MovementFilter, limit: usize) -> Vec<Movement> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = shop.store.movements(&item_id("cola"), filter, cursor.as_deref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        seen.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn movements_page_newest_first_across_chunks_tails_and_locations() {
    let (shop, expected) = busy_shop().await;
    for limit in [1, 7, 1_000] {
        assert_eq!(all_movements(&shop, &MovementFilter::default(), limit).await, expected, "{limit}");
    }
    let only = |keep: &dyn Fn(&Movement) -> bool| expected.iter().filter(|m| keep(m)).cloned().collect::<Vec<_>>();
    let north = MovementFilter { location_id: Some(place("north")), ..Default::default() };
    assert_eq!(all_movements(&shop, &north, 5).await, only(&|m| m.location_id == place("north")));
    let legs = MovementFilter { kind: Some(CommandKind::Transfer), ..Default::default() };
    assert_eq!(all_movements(&shop, &legs, 3).await, only(&|m| m.entry.counterpart.is_some()));
    let between = MovementFilter { from: Some(at(15)), to: Some(at(30)), ..Default::default() };
    let inside = |m: &Movement| m.entry.recorded_at >= at(15) && m.entry.recorded_at < at(30);
    assert_eq!(all_movements(&shop, &between, 3).await, only(&inside));
    let from_nowhere = shop.store.movements(&item_id("cola"), &MovementFilter::default(), Some("¿"), 3).await.unwrap();
    assert_eq!(from_nowhere.entries, expected[..3]);
}

#[tokio::test]
async fn a_page_goes_on_rightly_while_the_tail_moves_into_chunks() {
    let (mut shop, expected) = busy_shop().await;
    let filter = MovementFilter::default();
    let first = shop.store.movements(&item_id("cola"), &filter, None, 3).await.unwrap();
    let (mut seen, mut cursor) = (first.entries, first.next_cursor);
    while let Some(at_cursor) = cursor {
        for _ in 0..9 {
            shop.receive("cola", "main", 1, at(500)).await;
        }
        let page = shop.store.movements(&item_id("cola"), &filter, Some(&at_cursor), 11).await.unwrap();
        seen.extend(page.entries);
        cursor = page.next_cursor;
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_stock_at_any_time_is_the_balance_after_its_last_entry() {
    let (shop, movements) = busy_shop().await;
    for millis in 0..45 {
        let mut expected: Vec<(LocationId, Quantity, u64)> = ["main", "north"]
            .into_iter()
            .filter_map(|location| {
                let mut there = movements.iter().filter(|m| m.location_id == place(location));
                let last = there.find(|m| m.entry.recorded_at <= at(millis))?;
                Some((place(location), last.entry.after, last.entry.seq))
            })
            .collect();
        expected.sort();
        let found = shop.store.stock_as_of(&item_id("cola"), at(millis)).await.unwrap();
        assert_eq!(found, Some(expected), "{millis}");
    }
    assert_eq!(shop.store.stock_as_of(&item_id("fanta"), at(9)).await.unwrap(), None);
}

async fn history(shop: &Shop, since: Timestamp) -> (Vec<Entry>, bool, u64) {
    let mut request = LoadRequest::for_rejudge(item_id("cola"));
    request.since.insert(place("main"), since);
    let loaded = shop.store.load(&[request]).await.remove(0).unwrap();
    let level = &loaded.levels[&place("main")];
    (level.history.clone(), level.history_complete, level.level.seq - level.level.tail.len() as u64)
}

#[tokio::test]
async fn a_late_count_gets_the_history_back_to_its_time_and_no_further_than_the_bound() {
    let (shop, movements) = busy_shop().await;
    let mut ledger: Vec<_> =
        movements.into_iter().filter(|m| m.location_id == place("main")).map(|m| m.entry).collect();
    ledger.reverse();
    for since in [-1, 10, 17, 25, 99] {
        let (found, complete, before_tail) = history(&shop, at(since)).await;
        let expected = ledger.iter().filter(|e| e.recorded_at > at(since) && e.seq <= before_tail);
        assert!(complete);
        assert_eq!(found, expected.cloned().collect::<Vec<_>>(), "{since}");
    }
    let Shop { folder, store, next_id } = shop;
    drop(store);
    let options = StoreOptions { late_count_entries_max: 20, ..Default::default() };
    let store = SqliteStore::open(&folder.path().join("stock.db"), options, &OpenOptions::default()).unwrap();
    let shop = Shop { folder, store, next_id };
    let (found, complete, before_tail) = history(&shop, at(-1)).await;
    assert!(!complete && found.len() <= 20);
    assert_eq!(found.last().map(|e| e.seq), Some(before_tail));
}

#[tokio::test]
async fn the_audit_reads_every_entry_and_record_in_order() {
    let (shop, movements) = busy_shop().await;
    for location in ["main", "north"] {
        let (mut seqs, mut next) = (Vec::new(), Some(1));
        while let Some(from) = next {
            let page = shop.store.audit_ledger(&item_id("cola"), &place(location), from, 5).await.unwrap();
            seqs.extend(page.entries.iter().map(|entry| entry.seq));
            next = page.next_seq;
        }
        let count = movements.iter().filter(|m| m.location_id == place(location)).count() as u64;
        assert_eq!(seqs, (1..=count).collect::<Vec<_>>());
        let late = shop.store.audit_ledger(&item_id("cola"), &place(location), count - 1, 5).await.unwrap();
        assert_eq!(late.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [count - 1, count]);
    }
    let (mut records, mut cursor) = (0, None);
    loop {
        let page = shop.store.audit_records(cursor.as_deref(), 50).await.unwrap();
        records += page.entries.len();
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(records, 121);
    assert_eq!(shop.store.audit_items(None, 5).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn the_audit_mends_nothing() {
    let (shop, _) = busy_shop().await;
    shop.store
        .write(|connection, _| {
            Ok(connection.execute_batch(
                "DELETE FROM chunk WHERE chunk_no = 3;
         UPDATE chunk SET entries = (SELECT entries FROM chunk WHERE chunk_no = 1) WHERE chunk_no = 5;",
            )?)
        })
        .await
        .unwrap();
    let mut seqs = Vec::new();
    for location in ["main", "north"] {
        let page = shop.store.audit_ledger(&item_id("cola"), &place(location), 1, 1_000).await.unwrap();
        seqs.push(page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>());
    }
    let gapless = |seqs: &[u64]| seqs.iter().zip(1..).all(|(seq, n)| *seq == n);
    assert!(!gapless(&seqs[0]) || !gapless(&seqs[1]));
}
