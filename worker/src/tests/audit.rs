use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use stockline_core::domain::{CommandKey, Quantity, Record, Status, StockState};
use stockline_core::ports::{AuditReader, ItemWithLevels, LedgerFrom, LedgerPage, Page, PageRequest, Part, StoreError};
use stockline_core::testing::{MemoryStore, Shop, Stock, at, id};

use super::{receive, register, send_everything};
use crate::audit::{AuditOptions, AuditReport, audit, audit_with};
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

/// A store whose pages have one item, so that a range may have one.
#[derive(Debug)]
struct OneByOne(MemoryStore);

#[async_trait]
impl AuditReader for OneByOne {
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        self.0.audit_items(PageRequest::new(asked.cursor, 1)).await
    }

    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError> {
        self.0.audit_ledger(from).await
    }

    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.0.audit_records(asked).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_goes_on_at_its_checkpoint_and_says_nothing_of_the_items_before_it() {
    let world = world().await;
    let store = OneByOne(world.store.clone());
    let mut checkpoints = Vec::new();
    let mut note = |read: &crate::audit::Progress| checkpoints.extend(read.checkpoint.clone());
    let options = AuditOptions { at_once: 1, ..AuditOptions::default() };
    let whole = audit_with(&store, &world.store, &mut note, options.clone()).await.unwrap();
    assert!(whole.is_sound(), "{:?}", whole.faults);
    let first = checkpoints.first().cloned().unwrap();
    assert_eq!(first.after, item("cola"));
    assert_eq!(first.to_string().parse(), Ok(first.clone()));
    for bad in ["", "abc", ":cola", "abc:"] {
        assert!(bad.parse::<crate::audit::Checkpoint>().is_err(), "{bad}");
    }

    world.store.stock().levels.get_mut(&cola()).unwrap().on_hand = one();
    let resumed = AuditOptions { resume: Some(first), ..options.clone() };
    let rest = audit_with(&store, &world.store, &mut |_| {}, resumed.clone()).await.unwrap();
    assert!(rest.is_sound(), "{:?}", rest.faults);
    assert_eq!((rest.after.as_ref(), rest.read.items), (Some(&item("cola")), 1));
    assert!(rest.to_text("").starts_with("only the items behind cola"), "{}", rest.to_text(""));

    world.store.stock().levels.get_mut(&(item("tea"), "main".parse().unwrap())).unwrap().on_hand = one();
    let rest = audit_with(&store, &world.store, &mut |_| {}, resumed).await.unwrap();
    assert!(!rest.is_sound() && rest.faults.iter().all(|fault| fault.item_id == Some(item("tea"))));
    let all = audit_with(&store, &world.store, &mut |_| {}, options).await.unwrap();
    assert!(all.fault_count > rest.fault_count);
}

type Damage = fn(&mut Stock);

#[tokio::test(start_paused = true)]
async fn each_damage_is_found_and_named() {
    let damages: [(&str, Damage); 17] = [
        ("says its stock is worth", |s| s.levels.get_mut(&cola()).unwrap().value = "1".parse().unwrap()),
        ("the level's average cost is", |s| s.levels.get_mut(&cola()).unwrap().average_cost = "1".parse().ok()),
        ("its cost is 1 and its revaluation 0", |s| s.chunks.values_mut().next().unwrap()[0].cost = "1".parse().ok()),
        ("its revaluation 1, its predecessors", |s| {
            s.chunks.values_mut().next().unwrap()[0].revaluation = "1".parse().unwrap();
        }),
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
        ("is not of the level's first entry", |s| {
            s.records.get_mut(&of_cola(5)).unwrap().alerts[0].opening = true;
        }),
        ("the level has counted", |s| s.levels.get_mut(&cola()).unwrap().alert_no = 0),
    ];
    for (expected, damage) in damages {
        let world = world().await;
        damage(&mut world.store.stock());
        let report = audited(&world).await;
        let ranges = AuditOptions { at_once: 1, ..AuditOptions::default() };
        let by_ranges = audit_with(&OneByOne(world.store.clone()), &world.store, &mut |_| {}, ranges).await.unwrap();
        let found = |report: &AuditReport| report.faults.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(found(&by_ranges), found(&report), "an audit of one item after the other finds the same");
        assert!(!report.is_sound(), "not found: {expected}");
        assert!(report.faults.iter().any(|fault| fault.what.contains(expected)), "{expected}: {:?}", report.faults);
        assert!(
            report.faults.iter().all(|fault| fault.item_id == Some(item("cola"))),
            "{expected}: {:?}",
            report.faults
        );
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

/// A store in which a bulk load ran while the audit read its items: the first time, they are not in the list.
#[derive(Debug)]
struct BesideABulkLoad {
    inner: MemoryStore,
    loaded: AtomicBool,
}

#[async_trait]
impl AuditReader for BesideABulkLoad {
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let mut page = self.inner.audit_items(asked).await?;
        let is_last = page.next_cursor.is_none();
        if !self.loaded.load(Ordering::Relaxed) {
            page.entries.retain(|view| !view.item.item_id.as_str().starts_with("new-"));
            self.loaded.store(is_last, Ordering::Relaxed);
        }
        Ok(page)
    }

    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError> {
        self.inner.audit_ledger(from).await
    }

    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.inner.audit_records(asked).await
    }

    fn audit_parts(&self) -> u32 {
        3
    }

    /// Deals the records out to the parts, so that those of an item are spread.
    async fn audit_part(&self, part: Part, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let mut page = self.inner.audit_records(asked).await?;
        let mine =
            |record: &Record| record.outcome.command_id.0.as_u128() % u128::from(part.of) == u128::from(part.number);
        page.entries.retain(mine);
        Ok(page)
    }
}

fn close(items: usize) -> AuditOptions {
    AuditOptions { close_items_max: items, ..AuditOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn more_new_items_than_can_be_examined_are_no_faults_and_damage_among_them_is_found() {
    let world = World::new();
    send_everything(&world);
    for n in 0..20 {
        let id = format!("new-{n}");
        world.send(&[register(1, &id), receive(2, &id, "main", 10)]);
    }
    world.work().await;
    let beside = || BesideABulkLoad { inner: world.store.clone(), loaded: AtomicBool::new(false) };
    let report = audit_with(&beside(), &world.store, &mut |_| {}, close(3)).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!(report.read.items, 2, "the items of the first run");

    let damaged = (item("new-7"), "main".parse().unwrap());
    world.store.stock().levels.get_mut(&damaged).unwrap().on_hand = one();
    let report = audit_with(&beside(), &world.store, &mut |_| {}, close(3)).await.unwrap();
    assert_eq!(report.fault_count, 1, "{:?}", report.faults);
    assert_eq!(report.faults[0].item_id, Some(item("new-7")));
}

/// Returns a store with a sale that was taken back, and one that was not.
async fn taken_back() -> MemoryStore {
    let mut shop = Shop::over(MemoryStore::default());
    shop.register("cola", "").await;
    shop.receive("cola", "main", 9, at(1)).await;
    for millis in [2, 3] {
        shop.run("sell", "cola", r#","quantity":1"#, at(millis)).await;
    }
    let back = shop.run("reverse", "cola", &format!(r#","reverses":"{}""#, id(3)), at(4)).await;
    assert_eq!(back.outcome.status, Status::Applied);
    shop.store
}

#[tokio::test]
async fn a_movement_and_the_reversal_that_names_it_must_agree() {
    let none = |_: &mut Stock| {};
    let damages: [(Option<&str>, Damage); 4] = [
        (None, none),
        (Some("marked as taken back by none"), |s| s.records.get_mut(&of_cola(3)).unwrap().outcome.reversed_by = None),
        (Some("and is taken back by none"), |s| {
            s.records.get_mut(&of_cola(4)).unwrap().outcome.reversed_by = Some(id(5));
        }),
        (Some("is taken back by"), |s| s.records.get_mut(&of_cola(3)).unwrap().outcome.reversed_by = Some(id(4))),
    ];
    for (expected, damage) in damages {
        let store = taken_back().await;
        damage(&mut store.stock());
        let report = audit(&store, &store, &mut |_| {}).await.unwrap();
        let found = report.faults.iter().any(|fault| expected.is_some_and(|expected| fault.what.contains(expected)));
        assert_eq!((report.is_sound(), found), (expected.is_none(), expected.is_some()), "{:?}", report.faults);
    }
}
