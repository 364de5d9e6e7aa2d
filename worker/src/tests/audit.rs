use std::sync::Arc;

use stockline_core::domain::{CommandKey, Quantity, Status, StockState};
use stockline_core::testing::Stock;

use super::send_everything;
use crate::audit::{AuditReport, audit};
use crate::testing::{World, item, key};

async fn audited(world: &Arc<World>) -> AuditReport {
    let mut pages = 0;
    let report = audit(&world.store, &world.store, &mut |_| pages += 1).await.unwrap();
    assert!(pages >= 2);
    report
}

async fn world() -> Arc<World> {
    let world = World::new();
    send_everything(&world);
    world.work().await;
    world
}

fn cola() -> (stockline_core::domain::ItemId, stockline_core::domain::LocationId) {
    (item("cola"), "main".parse().unwrap())
}

fn of_cola(n: u128) -> CommandKey {
    key("cola", n)
}

fn one() -> Quantity {
    "1".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sound_store_has_no_faults() {
    let report = audited(&world().await).await;
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!((report.read.items, report.read.levels), (2, 4));
    assert!(report.read.entries > 30 && report.read.records > 40, "{:?}", report.read);
}

type Damage = fn(&mut Stock);

#[tokio::test(start_paused = true)]
async fn each_damage_is_found_and_named() {
    let damages: [(&str, Damage); 12] = [
        ("on hand, its ledger", |s| s.levels.get_mut(&cola()).unwrap().on_hand = one()),
        ("its ledger ends at", |s| s.levels.get_mut(&cola()).unwrap().seq += 1),
        ("the alert state is", |s| s.levels.get_mut(&cola()).unwrap().state = StockState::Normal),
        ("before its last entry", |s| {
            s.levels.get_mut(&cola()).unwrap().updated_at = stockline_core::domain::Timestamp::EPOCH;
        }),
        ("follows entry", |s| {
            let key = s.chunks.keys().find(|key| key.0 == item("cola")).unwrap().clone();
            s.chunks.remove(&key);
        }),
        ("is late, yet moves", |s| s.chunks.values_mut().next().unwrap()[0].late = true),
        ("begins at", |s| s.chunks.values_mut().next().unwrap()[0].delta = one()),
        ("differs from the outcome", |s| s.chunks.values_mut().next().unwrap()[0].submitted_by = "someone".into()),
        ("has no applied outcome", |s| drop(s.records.remove(&of_cola(6)))),
        ("its effects are not those of its command", |s| {
            s.records.get_mut(&of_cola(7)).unwrap().outcome.effects.pop();
        }),
        ("its status says no effect", |s| {
            s.records.get_mut(&of_cola(6)).unwrap().outcome.status = Status::Rejected;
        }),
        ("the level has counted", |s| s.levels.get_mut(&cola()).unwrap().alert_no = 0),
    ];
    for (expected, damage) in damages {
        let world = world().await;
        damage(&mut world.store.stock());
        let report = audited(&world).await;
        assert!(!report.is_sound(), "not found: {expected}");
        assert!(report.faults.iter().any(|fault| fault.what.contains(expected)), "{expected}: {:?}", report.faults);
        assert!(report.faults.iter().all(|fault| fault.item_id == item("cola")), "{expected}: {:?}", report.faults);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_without_its_entry_and_an_item_that_is_gone_are_found() {
    let world = world().await;
    world.store.stock().levels.remove(&cola());
    let report = audited(&world).await;
    assert!(report.faults.iter().any(|fault| fault.what.contains("is not in the ledger")), "{:?}", report.faults);
    world.store.stock().items.remove(&item("tea"));
    let report = audited(&world).await;
    assert!(report.faults.iter().any(|fault| fault.what.contains("there is no such item")), "{:?}", report.faults);
}
