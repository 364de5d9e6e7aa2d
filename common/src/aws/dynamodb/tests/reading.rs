use super::*;
use crate::domain::{CommandKind, Entry, Quantity};
use crate::ports::{AuditReader, Movement, MovementFilter, Queries, StoreError};

/// Two levels with some hundred entries in chunks and tails, recorded a few in the same millisecond.
async fn busy_shop(options: DynamoOptions) -> (Shop, Vec<Movement>) {
    let mut shop = Shop::with(options).await;
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let mut expected = Vec::new();
    for batch in 0..30_i64 {
        let now = at(10 + batch);
        let slots = (batch * 4..batch * 4 + 4).map(|n| match n % 5 {
            4 => {
                let legs = r#","from_location_id":"main","to_location_id":"north","quantity":1"#;
                shop.slot("transfer", "cola", legs, now)
            }
            n => {
                let location = if n % 2 == 0 { "main" } else { "north" };
                let fields = format!(r#","location_id":"{location}","quantity":{}"#, n + 1);
                shop.slot("receive", "cola", &fields, now)
            }
        });
        let slots = slots.collect();
        for Record { outcome, .. } in shop.settle("cola", slots, now).await {
            expected.extend(outcome.effects.iter().filter_map(|effect| Movement::of_effect(&outcome, effect)));
        }
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
    let (shop, expected) = busy_shop(DynamoOptions::default()).await;
    for limit in [1, 7, 1_000] {
        assert_eq!(all_movements(&shop, &MovementFilter::default(), limit).await, expected, "{limit}");
    }
    let only = |keep: &dyn Fn(&Movement) -> bool| expected.iter().filter(|m| keep(m)).cloned().collect::<Vec<_>>();
    let north = MovementFilter { location_id: Some(place("north")), ..Default::default() };
    assert_eq!(all_movements(&shop, &north, 5).await, only(&|m| m.location_id == place("north")));
    let legs = MovementFilter { kind: Some(CommandKind::Transfer), ..Default::default() };
    assert_eq!(all_movements(&shop, &legs, 3).await, only(&|m| m.entry.counterpart.is_some()));
    for (from, to) in [(15, 30), (0, 11), (12, 13), (39, 90), (50, 60)] {
        let between = MovementFilter { from: Some(at(from)), to: Some(at(to)), ..Default::default() };
        let inside = |m: &Movement| m.entry.recorded_at >= at(from) && m.entry.recorded_at < at(to);
        assert_eq!(all_movements(&shop, &between, 3).await, only(&inside), "{from} {to}");
    }
    let before_all = MovementFilter { to: Some(Timestamp::EPOCH), ..Default::default() };
    assert!(all_movements(&shop, &before_all, 3).await.is_empty());
    let from_nowhere = shop.store.movements(&item_id("cola"), &MovementFilter::default(), Some("¿"), 3).await.unwrap();
    assert_eq!(from_nowhere.entries, expected[..3]);
    let unknown = shop.store.movements(&item_id("fanta"), &MovementFilter::default(), None, 3).await.unwrap();
    assert_eq!((unknown.entries.len(), unknown.next_cursor), (0, None));
}

#[tokio::test]
async fn a_page_goes_on_rightly_while_the_tail_moves_into_chunks() {
    let (mut shop, expected) = busy_shop(DynamoOptions::default()).await;
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
    let (shop, movements) = busy_shop(DynamoOptions::default()).await;
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
    let (shop, movements) = busy_shop(DynamoOptions::default()).await;
    let mut ledger: Vec<_> =
        movements.into_iter().filter(|m| m.location_id == place("main")).map(|m| m.entry).collect();
    ledger.reverse();
    for since in [-1, 10, 17, 25, 99] {
        let (found, complete, before_tail) = history(&shop, at(since)).await;
        let expected = ledger.iter().filter(|e| e.recorded_at > at(since) && e.seq <= before_tail);
        assert!(complete);
        assert_eq!(found, expected.cloned().collect::<Vec<_>>(), "{since}");
    }
    let (shop, _) = busy_shop(DynamoOptions { late_count_entries_max: 20, ..Default::default() }).await;
    let (found, complete, before_tail) = history(&shop, at(-1)).await;
    assert!(!complete);
    assert_eq!((found.len(), found.last().map(|e| e.seq)), (20, Some(before_tail)));
}

#[tokio::test]
async fn the_audit_reads_every_entry_and_record_in_order() {
    let (mut shop, movements) = busy_shop(DynamoOptions::default()).await;
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
    let (mut records, mut cursor) = (Vec::new(), None);
    loop {
        let page = shop.store.audit_records(cursor.as_deref(), 50).await.unwrap();
        assert!(page.entries.len() <= 50);
        records.extend(page.entries.into_iter().map(|record| record.outcome.command_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    records.sort();
    assert_eq!(records, (1..=121).map(id).collect::<Vec<_>>());

    shop.register("ale", "").await;
    shop.run("archive_item", "ale", "", at(900)).await;
    let first = shop.store.audit_items(None, 1).await.unwrap();
    assert_eq!(first.entries[0].item.item_id, item_id("ale"));
    let second = shop.store.audit_items(first.next_cursor.as_deref(), 1).await.unwrap();
    assert_eq!(second.entries[0].levels.len(), 2);
    assert_eq!(second.next_cursor, None);
}

/// The chunks of cola at main, oldest first.
async fn chunk_rows(shop: &Shop) -> Vec<Row> {
    let pk = Key::ledger_pk(&item_id("cola"), &place("main"));
    shop.store.pages(shop.store.query_partition(pk, None)).await.unwrap()
}

#[tokio::test]
async fn a_chunk_that_is_gone_is_reported_and_the_audit_mends_nothing() {
    let (shop, _) = busy_shop(DynamoOptions::default()).await;
    let chunks = chunk_rows(&shop).await;
    let gone = Key::of(&chunks[2]).unwrap();
    let delete = shop.engine.client.delete_item().table_name(TABLE).set_key(Some(gone.attributes()));
    delete.send().await.unwrap();
    let page = shop.store.audit_ledger(&item_id("cola"), &place("main"), 1, 1_000).await.unwrap();
    let gapless = page.entries.iter().zip(1..).all(|(entry, n)| entry.seq == n);
    assert!(!gapless);
    let found = shop.store.movements(&item_id("cola"), &MovementFilter::default(), None, 1_000).await;
    assert!(matches!(&found, Err(StoreError::Unreadable(what)) if what.contains("LEDGER#cola#main")), "{found:?}");
}

#[tokio::test]
async fn entries_in_the_tail_and_in_a_chunk_come_once() {
    let (shop, expected) = busy_shop(DynamoOptions::default()).await;
    // A level read before its tail moved: it still holds what is in a chunk by now, and not what is above it.
    let mut level = shop.store.levels_of(&item_id("cola"), true).await.unwrap().remove(0);
    let last_chunk = row::chunk(chunk_rows(&shop).await.last().unwrap()).unwrap();
    level.tail = last_chunk[1..3].to_vec();
    level.seq = level.tail[1].seq;
    let ledger = ledger::Ledger::new(&shop.store, &item_id("cola"), &level.location_id, false);
    let mut walk = ledger::Backwards::below(ledger, &level, u64::MAX);
    let mut seqs = Vec::new();
    while let Some(entry) = walk.peek().await.unwrap() {
        seqs.push(entry.seq);
        walk.take();
    }
    assert_eq!(seqs, (1..=level.seq).rev().collect::<Vec<_>>());
    assert!(expected.iter().any(|m| m.location_id == place("main") && m.entry.seq > level.seq));
}
