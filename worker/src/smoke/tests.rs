use stockline_core::ports::FixedClock;
use stockline_core::testing::{MemoryStore, at};

use super::*;

fn tools(store: MemoryStore) -> Tools {
    let all = Arc::new(store);
    #[expect(clippy::disallowed_methods, reason = "only has to be another one each time")]
    let new_id = Uuid::new_v4;
    Tools {
        store: all.clone(),
        queries: all.clone(),
        audit: all,
        sender: None,
        clock: Arc::new(FixedClock::at(at(0))),
        new_id,
    }
}

#[tokio::test]
async fn every_step_works_on_a_sound_store_and_leaves_nothing_in_stock() {
    let store = MemoryStore::default();
    let steps = smoke(&tools(store.clone())).await;
    let lines: Vec<_> = steps.iter().filter(|step| step.ended != Ended::Works).map(Step::line).collect();
    assert_eq!(
        lines,
        [
            "left out  a transfer: no second location is open",
            "left out  a command through the queue, applied by a running worker: it was not asked for",
        ]
    );
    let stock = store.stock();
    assert!(stock.items.len() == 3 && stock.items.values().all(|item| item.is_archived()));
    assert!(stock.levels.values().all(|level| level.on_hand.raw() == 0));
    assert!(stock.records.values().all(|record| record.alerts.is_empty()), "a test alarms nobody");
}

#[tokio::test]
async fn a_step_that_fails_is_named_and_the_others_go_on() {
    let store = MemoryStore::default();
    // The barcode of the test is somebody else's.
    let claim = stockline_core::domain::Claim::Barcode(format!("99{}", at(0).as_millis()));
    store.stock().claims.insert(claim, "other".parse().unwrap());
    let steps = smoke(&tools(store)).await;
    assert!(steps[0].line().starts_with("FAILS     an item with a barcode"), "{}", steps[0].line());
    assert!(steps.iter().any(|step| step.what == "a transfer" || step.ended == Ended::Works));
    assert!(steps.len() > 15);
}
