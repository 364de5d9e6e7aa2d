//! A fold stays under its limits, whatever is in it: [`assert_within`](super::worker::assert_within) weighs every commit.

use proptest::prelude::*;
use stockline_common::domain::{Action, CataloguePatch, FoldLimits, Quantity, Slot, Timestamp};

use super::script::{read, slots, world};
use super::spec::{T0, item_id};
use super::worker::Worker;

fn full_worker(limits: FoldLimits) -> Worker {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let mut register = read("register")[0].queued();
    if let Action::RegisterItem(catalogue) = &mut register.command.action {
        catalogue.name = "\"".repeat(200);
        catalogue.unit = "\\".repeat(16);
        catalogue.low_stock_threshold = Some(Quantity::from_raw(9_999_999_999));
        catalogue.barcodes = (0..20).map(|n| format!("{n:->64}")).collect();
    }
    worker.run(&item_id(), &[Slot::Command(Box::new(register))]);
    worker.limits = limits;
    worker
}

/// The heaviest of each kind: long texts full of what JSON escapes.
fn heavy(kind: usize, index: usize) -> Slot {
    let script =
        ["sell 9999999.999", "move 9999999.999 to:shop", "update policy:allow", "archive", "sell 1 dead"][kind % 5];
    let mut spec = read(script).remove(0);
    spec.id = index as u32 + 10;
    if kind.is_multiple_of(7) {
        return spec.slot();
    }
    let mut queued = spec.queued();
    if spec.dead {
        let letter = stockline_common::domain::DeadLetter {
            reason: "?".repeat(100),
            body: "\u{1}\"\\é".repeat(200),
            discarded_at: None,
        };
        let id = (item_id(), queued.command.command_id);
        return Slot::Dead(Box::new(stockline_common::domain::Record::dead_letter(
            None,
            letter,
            id,
            queued.accepted_at,
        )));
    }
    let facts = &mut queued.command.facts;
    facts.occurred_at = Some(Timestamp::from_millis(T0 - 5));
    facts.note = Some("\n\"".repeat(250));
    facts.reference = Some("ß".repeat(200));
    facts.device_id = Some("💶".repeat(64));
    facts.operator = Some("\\".repeat(64));
    queued.submitted_by = "s\"".repeat(100).into();
    if let Action::UpdateItem(_) = queued.command.action {
        queued.command.facts = Default::default();
        let barcodes = Some((0..20).map(|n| format!("{n:\"<60}{}", index % 3)).collect());
        let name = Some("💶".repeat(200));
        queued.command.action = Action::UpdateItem(CataloguePatch { barcodes, name, ..Default::default() });
    }
    if queued.command.action == Action::ArchiveItem {
        queued.command.action = Action::RestoreItem;
        queued.command.facts = Default::default();
    }
    Slot::Command(Box::new(queued))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_commit_is_over_any_limit(
        kinds in prop::collection::vec(0..35_usize, 1..60),
        max_actions in 2..120_usize,
        max_bytes in 5_000..400_000_usize,
        max_level_bytes in 500..20_000_usize,
        max_tail_bytes in 0..2_000_usize,
    ) {
        let mut worker = full_worker(FoldLimits { max_actions, max_bytes, max_level_bytes, max_tail_bytes });
        let slots: Vec<_> = kinds.iter().enumerate().map(|(index, kind)| heavy(*kind, index)).collect();
        worker.run(&item_id(), &slots);
        prop_assert_eq!(worker.store.records.len(), kinds.len() + 1);
    }
}

#[test]
fn a_hot_item_fills_its_transaction() {
    let script = "sell 1 |".repeat(300);
    let mut worker = world(&script);
    worker.run(&item_id(), &slots(&read(&script)));
    // 100 actions: a level, its chunk, and 98 records.
    assert_eq!(worker.folds, 1 + 4);
    let count = |place: &str| worker.store.ledger(&item_id(), place).len();
    assert_eq!(count("main"), 300);
}

#[test]
fn one_command_is_taken_whatever_the_limits() {
    let mut worker = world("");
    worker.limits = FoldLimits { max_actions: 0, max_bytes: 0, max_level_bytes: 0, max_tail_bytes: 0 };
    worker.run(&item_id(), &slots(&read("receive 5 | move 2 to:shop | barcodes A,B | sell 1 dead")));
    assert_eq!(worker.folds, 1 + 4);
}

#[test]
fn a_tail_stays_until_it_is_over_its_bound_and_goes_whole() {
    let mut worker = world("");
    let script = "sell 1 |".repeat(40);
    let specs = read(&script);
    let mut chunks = Vec::new();
    for spec in &specs {
        let before = worker.store.level(&item_id(), "main").map_or(0, |level| level.tail.len());
        worker.run(&item_id(), &[spec.slot()]);
        let tail = &worker.store.level(&item_id(), "main").unwrap().tail;
        assert!(stockline_common::domain::encode_entries(tail).len() <= worker.limits.max_tail_bytes);
        if tail.is_empty() {
            chunks.push(before + 1);
        }
    }
    let [first, ..] = chunks[..] else { panic!("no chunk in 40 entries") };
    assert!((15..=30).contains(&first), "a tail holds about twenty entries, not {first}");
    let seqs: Vec<_> = worker.store.ledger(&item_id(), "main").iter().map(|entry| entry.seq).collect();
    assert!(seqs.iter().copied().eq(1..=40));
}
