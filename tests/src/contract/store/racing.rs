//! Readers and writers at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stockline_core::domain::{FoldLimits, Slot, Status, Timestamp};
use stockline_core::ports::{CommitOutcome, MovementFilter};
use tokio::sync::oneshot;

use super::{Shop, at, item_id, reading};

const BUYERS: usize = 120;

/// Loads, folds and commits until the command is decided, as several workers would.
async fn decide(shop: &Shop, item: &str, slot: Slot, now: Timestamp) -> Status {
    loop {
        let commit = shop.fold(item, std::slice::from_ref(&slot), now).await.commit;
        let status = commit.records[0].outcome.status;
        match shop.commit(commit).await {
            CommitOutcome::Committed => return status,
            CommitOutcome::Conflict => {}
            other => panic!("{other:?}"),
        }
    }
}

pub async fn many_buyers_never_oversell(shop: Shop) {
    shop.register("cola", r#","shortage_policy":"reject""#).await;
    shop.receive("cola", "main", 4, at(1)).await;
    let shop = Arc::new(shop);
    let buy = |_| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let slot = shop.sale("cola", 1, at(3));
            decide(&shop, "cola", slot, at(3)).await
        })
    };
    let buyers: Vec<_> = (0..BUYERS).map(buy).collect();
    let mut applied = 0;
    for buyer in buyers {
        applied += usize::from(buyer.await.unwrap() == Status::Applied);
    }
    assert_eq!((applied, shop.on_hand("cola").await), (4, vec![("main".into(), 0, 5)]));
    shop.audit().await;
}

/// Runs commands of this kind over and over while `read` runs. `read` begins after the first command.
async fn while_writing(shop: &Arc<Shop>, kind: &'static str, fields: &'static str, read: impl Future<Output = ()>) {
    let done = Arc::new(AtomicBool::new(false));
    let (begun, begins) = oneshot::channel();
    let writing = tokio::spawn({
        let (shop, done) = (shop.clone(), done.clone());
        async move {
            shop.run(kind, "cola", fields, at(1_000)).await;
            begun.send(()).unwrap();
            while !done.load(Ordering::SeqCst) {
                shop.run(kind, "cola", fields, at(1_000)).await;
            }
        }
    });
    begins.await.unwrap();
    read.await;
    done.store(true, Ordering::SeqCst);
    writing.await.unwrap();
}

pub async fn an_item_is_never_shown_in_the_middle_of_a_transfer(shop: Shop) {
    shop.open_location("north").await;
    shop.register("cola", "").await;
    shop.receive("cola", "main", 1_000, at(1)).await;
    shop.receive("cola", "north", 1_000, at(1)).await;
    let shop = Arc::new(shop);
    let read = async {
        let mut moved = 0;
        while moved < 20 {
            let levels = shop.on_hand("cola").await;
            assert_eq!(levels[0].1 + levels[1].1, 2_000, "{levels:?}");
            assert_eq!(levels[0].2, levels[1].2, "{levels:?}");
            moved = levels[0].2;
        }
    };
    let legs = r#","from_location_id":"main","to_location_id":"north","quantity":1"#;
    while_writing(&shop, "transfer", legs, read).await;
    shop.audit().await;
}

/// Returns a busy shop, whose tails move into chunks every few entries, and its movements.
async fn moving(mut shop: Shop) -> (Arc<Shop>, Vec<stockline_core::ports::Movement>) {
    shop.limits = FoldLimits { max_tail_bytes: 150, ..FoldLimits::default() };
    let expected = reading::busy(&shop).await;
    (Arc::new(shop), expected)
}

pub async fn movements_page_rightly_while_the_ledger_moves(shop: Shop) {
    let (shop, expected) = moving(shop).await;
    let before = MovementFilter { to: Some(at(1_000)), ..MovementFilter::default() };
    let read = async {
        for limit in [1_000, 40, 17] {
            assert_eq!(reading::movements(&shop, &before, limit).await, expected, "{limit}");
            let all = reading::movements(&shop, &MovementFilter::default(), limit).await;
            let main: Vec<_> = all.iter().filter(|m| m.location_id == super::place("main")).collect();
            assert!(main.windows(2).all(|pair| pair[0].entry.seq == pair[1].entry.seq + 1), "a gap or a double");
            assert!(all.ends_with(&expected));
        }
    };
    while_writing(&shop, "receive", r#","quantity":1"#, read).await;
    shop.audit().await;
}

pub async fn the_past_stays_as_it_was_while_the_ledger_moves(shop: Shop) {
    let (shop, expected) = moving(shop).await;
    let read = async {
        for millis in (0..45).step_by(3) {
            let found = shop.ports().queries.stock_as_of(&item_id("cola"), at(millis)).await.unwrap();
            assert_eq!(found, Some(reading::balances(&expected, at(millis))), "{millis}");
        }
    };
    while_writing(&shop, "receive", r#","quantity":1"#, read).await;
    shop.audit().await;
}
