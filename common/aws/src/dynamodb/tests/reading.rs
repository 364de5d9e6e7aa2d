use super::*;
use stockline_core::ports::{AuditReader, LedgerFrom, MovementFilter, PageRequest, Queries, StoreError};

/// A level with chunks and a tail.
async fn busy_shop() -> Shop {
    let mut shop = Shop::new().await;
    shop.register("cola", "").await;
    for n in 0..30 {
        let slots = (0..4).map(|_| shop.slot("receive", "cola", r#","quantity":1"#, at(n))).collect();
        shop.settle("cola", slots, at(n)).await;
    }
    shop
}

/// The chunks of cola at main, oldest first.
async fn chunk_rows(shop: &Shop) -> Vec<Row> {
    let pk = Key::ledger_pk(&item_id("cola"), &place("main"));
    shop.store.pages(shop.store.query_partition(pk, None)).await.unwrap()
}

#[tokio::test]
async fn a_chunk_that_is_gone_is_reported_and_the_audit_mends_nothing() {
    let shop = busy_shop().await;
    let chunks = chunk_rows(&shop).await;
    let gone = Key::of(&chunks[2]).unwrap();
    let delete = shop.engine.client.delete_item().table_name(TABLE).set_key(Some(gone.attributes()));
    delete.send().await.unwrap();
    let page = shop.store.audit_ledger(LedgerFrom::new(&item_id("cola"), &place("main"), 1, 1_000)).await.unwrap();
    let gapless = page.entries.iter().zip(1..).all(|(entry, n)| entry.seq == n);
    assert!(!gapless);
    let found = shop.store.movements(&item_id("cola"), &MovementFilter::default(), PageRequest::first(1_000)).await;
    assert!(matches!(&found, Err(StoreError::Unreadable(what)) if what.contains("LEDGER#cola#main")), "{found:?}");
}

#[tokio::test]
async fn entries_in_the_tail_and_in_a_chunk_come_once() {
    let shop = busy_shop().await;
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
    assert!(level.seq < 120);
}
