//! A fold never exceeds its limits: [`assert_within`](super::worker::assert_within) weighs every commit. It also uses
//! them: tables state the limits under which a fold settles one more slot.

use proptest::prelude::*;
use stockline_core::domain::{
    Action, Barcode, CataloguePatch, CommandKey, Commit, DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES, DeadLetter,
    FoldLimits, MAX_OVERRIDES, Money, MovementDetails, Percent, Planning, Quantity, Reason, Record, Slot, Timestamp,
    encode_entries,
};

use super::script::{read, slots, world};
use super::spec::{T0, command_id, item_id};
use super::worker::{KEYS_BYTES, Worker, rows, weigh};

/// Makes a barcode with the longest quantity.
fn pack(code: String) -> Barcode {
    Barcode { code, quantity: Quantity::from_raw(9_999_999_999) }
}

/// Makes the longest planning.
fn full_planning() -> Planning {
    let most = Some(Quantity::from_raw(9_999_999_999));
    Planning {
        supplier: Some("💶".repeat(64)),
        lead_time_days: Some(365),
        order_multiple: most,
        order_minimum: most,
        service_level: Some(Percent::from_raw(999)),
    }
}

fn full_worker(limits: FoldLimits) -> Worker {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let mut register = read("register")[0].queued();
    if let Action::RegisterItem(catalogue) = &mut register.command.action {
        catalogue.name = "💶".repeat(200);
        catalogue.unit = "💶".repeat(16);
        catalogue.category = Some("💶".repeat(64));
        catalogue.planning = full_planning();
        catalogue.low_stock_threshold = Some(Quantity::from_raw(9_999_999_999));
        catalogue.barcodes = (0..20).map(|n| pack(format!("{n:💶>64}"))).collect();
    }
    worker.run(&item_id(), &[Slot::Command(Box::new(register))]);
    worker.limits = limits;
    worker
}

/// The heaviest command of each kind: every text has its greatest length, in bytes or as JSON.
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
        let id = (item_id(), queued.command.command_id);
        let letter = DeadLetter::of("?".repeat(100), "\u{1}\"\\é".repeat(200));
        return Slot::Dead(Box::new(Record::dead_letter(None, letter, id, queued.accepted_at)));
    }
    let details = &mut queued.command.details;
    details.occurred_at = Some(Timestamp::from_millis(T0 - 5));
    details.note = Some("💶".repeat(500));
    details.reference = Some("💶".repeat(200));
    details.device_id = Some("💶".repeat(64));
    details.operator = Some("💶".repeat(64));
    queued.submitted_by = "\u{1}".repeat(512).into();
    if let Action::UpdateItem(_) = queued.command.action {
        queued.command.details = MovementDetails::default();
        let barcodes = Some((0..20).map(|n| pack(format!("{n:💶<63}{}", index % 3))).collect());
        let name = Some("💶".repeat(200));
        queued.command.action = Action::UpdateItem(CataloguePatch { barcodes, name, ..Default::default() });
    }
    if queued.command.action == Action::ArchiveItem {
        queued.command.action = Action::RestoreItem;
        queued.command.details = MovementDetails::default();
    }
    Slot::Command(Box::new(queued))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_commit_is_over_any_limit(
        kinds in prop::collection::vec(0..35_usize, 1..60),
        max_actions in 2..120_usize,
        max_bytes in 50_000..2_000_000_usize,
        max_level_bytes in 4_000..60_000_usize,
        max_tail_bytes in 0..2_000_usize,
    ) {
        let mut worker = full_worker(FoldLimits { max_actions, max_bytes, max_level_bytes, max_tail_bytes });
        let slots: Vec<_> = kinds.iter().enumerate().map(|(index, kind)| heavy(*kind, index)).collect();
        worker.run(&item_id(), &slots);
        prop_assert_eq!(worker.store.records.len(), kinds.len() + 1);
    }
}

#[test]
fn an_item_with_all_its_overrides_fits_and_a_fold_ends_before_it_would_not() {
    let script = "sell 1 | multiple 2 | sell 1";
    let mut worker = world(script);
    let item = worker.store.items.get_mut(&item_id()).unwrap();
    let place = |n: usize| format!("{n:𠮷>32}").parse().unwrap();
    item.overrides = (0..MAX_OVERRIDES).map(|n| (place(n), full_planning())).collect();
    let bare = serde_json::to_string(&stockline_core::domain::Item { overrides: Default::default(), ..item.clone() });
    let bytes = serde_json::to_string(item).unwrap().len() - bare.unwrap().len();
    assert!((500 * MAX_OVERRIDES..=530 * MAX_OVERRIDES).contains(&bytes), "{bytes}");
    item.overrides.pop_last();
    // The records of a sale and of the change, a level, its chunk, and the item with its overrides.
    let needed = 5 * 24_000 + 530 * MAX_OVERRIDES;
    let slots = slots(&read(script));
    assert_eq!(taken(&worker, &slots[..2], FoldLimits { max_bytes: needed, ..NO_LIMITS }), 2);
    assert_eq!(taken(&worker, &slots[..2], FoldLimits { max_bytes: needed - 1, ..NO_LIMITS }), 1);
    worker.limits.max_bytes = needed;
    worker.run(&item_id(), &slots);
    assert_eq!(worker.folds, 1 + 2);
}

#[test]
fn a_hot_item_fills_its_transaction() {
    let script = "sell 1 |".repeat(300);
    let mut worker = world(&script);
    worker.run(&item_id(), &slots(&read(&script)));
    // 100 actions: a level, its chunk and 98 records; one record less if the level is new.
    assert_eq!(worker.folds, 1 + 4);
    let count = |place: &str| worker.store.ledger(&item_id(), place).len();
    assert_eq!(count("main"), 300);
}

#[test]
fn one_command_always_fits() {
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
        assert!(stockline_core::domain::encode_entries(tail).len() <= worker.limits.max_tail_bytes);
        if tail.is_empty() {
            chunks.push(before + 1);
        }
    }
    let [first, ..] = chunks[..] else { panic!("no chunk in 40 entries") };
    assert!((15..=30).contains(&first), "a tail holds about twenty entries, not {first}");
    let seqs: Vec<_> = worker.store.ledger(&item_id(), "main").iter().map(|entry| entry.seq).collect();
    assert!(seqs.iter().copied().eq(1..=40));
}

const NO_LIMITS: FoldLimits =
    FoldLimits { max_actions: 10_000, max_bytes: usize::MAX, max_level_bytes: usize::MAX, max_tail_bytes: 640 };

/// A world after `before`, and the slots of `script` with ids of their own.
fn scene(before: &str, script: &str) -> (Worker, Vec<Slot>) {
    let mut worker = world(&format!("{before}{script}"));
    worker.run(&item_id(), &slots(&read(before)));
    let mut specs = read(script);
    specs.iter_mut().for_each(|spec| spec.id += 100);
    (worker, slots(&specs))
}

/// Returns how many of these slots one fold settles under these limits.
fn taken(worker: &Worker, slots: &[Slot], limits: FoldLimits) -> usize {
    Worker { limits, ..worker.clone() }.fold_of(&item_id(), slots).taken
}

/// Returns the fewest actions with which one fold settles all of these slots.
fn actions_needed(worker: &Worker, slots: &[Slot]) -> usize {
    let all = |max_actions| taken(worker, slots, FoldLimits { max_actions, ..NO_LIMITS }) == slots.len();
    (1..1_000).find(|max_actions| all(*max_actions)).unwrap()
}

#[test]
fn a_fold_ends_where_one_action_more_would_be_too_many() {
    let table = [
        ("a dead letter is a record", "", "sell 1 dead | sell 1 dead | sell 1 dead", 3),
        ("a sale is a record; the level and its chunk count once", "receive 9", "sell 1 | sell 1 | sell 1", 5),
        ("a level that is new checks the item, once", "", "sell 1 | sell 1 | sell 1", 6),
        ("a level that is new checks the item, whatever follows", "", "sell 1 | sell 1 dead", 5),
        ("a level is new where one is not", "receive 9", "sell 1 | receive 1 at:shop", 7),
        ("a transfer between levels that change", "", "sell 1 | sell 1 at:shop | move 1 to:shop", 8),
        ("a transfer to one more", "receive 9 | receive 9 at:shop", "sell 1 | move 1 to:shop", 6),
        ("a transfer to two more", "receive 9 | receive 9 at:shop", "sell 1 dead | move 1 to:shop", 6),
        ("a transfer to two that are new", "", "sell 1 dead | move 1 to:shop", 7),
        ("what was refused changes no level", "receive 1", "sell 5 on:reject | sell 1", 4),
        ("the item is put once", "", "archive | restore | update policy:reject", 4),
        ("the item beside a level", "receive 9", "sell 1 | archive", 5),
        ("the item, put, is not checked beside", "", "update policy:reject | receive 1", 5),
        ("the item, checked, is not put beside", "", "receive 1 | update policy:reject", 5),
        ("a threshold of a level leaves the item", "receive 9", "low 5 | low 4", 4),
        ("a default threshold changes the item", "receive 9", "sell 1 | default 5", 5),
        ("a planning changes the item and no level", "receive 9", "sell 1 dead | multiple 5 | multiple 6 at:shop", 4),
        ("an item is registered with its id", "", "sell 1 dead | register", 4),
        ("barcodes are taken", "", "sell 1 dead | barcodes A,B", 5),
        ("barcodes given up and taken, not those that stay", "barcodes A,B", "sell 1 dead | barcodes B,C,D", 6),
        ("barcodes that stay with an update of others", "barcodes A,B", "sell 1 dead | update policy:reject", 3),
        ("what has claims and then goes on", "", "barcodes A,B | sell 1 dead", 5),
        ("barcodes in two updates", "", "barcodes A | barcodes A,B", 5),
    ];
    for (claim, before, script, needed) in table {
        let (worker, slots) = scene(before, script);
        assert_eq!(actions_needed(&worker, &slots), needed, "{claim}");
        let commit = Worker { limits: NO_LIMITS, ..worker }.fold_of(&item_id(), &slots).commit;
        let chunks = commit.levels.len() - commit.chunks.len();
        assert_eq!(rows(&commit) + chunks, needed, "{claim}: a chunk may come with each level, nothing else");
    }
}

#[test]
fn an_unjudged_command_counts_as_if_it_were_applied() {
    let table = [
        ("a registration, without claims", "register", "sell 1 dead | register", 3),
        ("a sale", "receive 1", "sell 1 dead | sell 5 on:reject", 4),
        ("a sale where there was none", "", "sell 1 dead | sell 5 on:reject", 5),
    ];
    for (claim, before, script, needed) in table {
        let (worker, slots) = scene(before, script);
        assert_eq!(actions_needed(&worker, &slots), needed, "{claim}");
    }
}

#[test]
fn a_resubmission_marks_the_command_that_it_replaces() {
    let (worker, mut slots) = scene("receive 1 | sell 5 on:reject | sell 5 on:reject", "sell 1 | sell 1 | sell 1");
    for (slot, old) in slots.iter_mut().zip([2, 3]) {
        let Slot::Command(queued) = slot else { unreachable!() };
        queued.resubmits = Some(CommandKey { item_id: item_id(), command_id: command_id(old) });
    }
    assert_eq!(actions_needed(&worker, &slots), 3 + 2 + 2);
}

#[test]
fn a_barcode_moves_once_in_a_fold() {
    let table = [
        ("", "barcodes A,B | barcodes A,B", 2),
        ("", "barcodes A,B | barcodes A,B,C", 2),
        ("", "barcodes A,B | barcodes B", 1),
        ("barcodes A", "barcodes B | barcodes A,B", 1),
        ("barcodes A", "barcodes A,B | barcodes B", 2),
    ];
    for (before, script, expected) in table {
        let (worker, slots) = scene(before, script);
        assert_eq!(taken(&worker, &slots, NO_LIMITS), expected, "{before}; {script}");
    }
}

/// Makes a dead letter with a body of this many bytes.
fn letter(index: u32, body_bytes: usize) -> Slot {
    let letter = DeadLetter::of("why".into(), "x".repeat(body_bytes));
    let id = (item_id(), command_id(index + 100));
    Slot::Dead(Box::new(Record::dead_letter(None, letter, id, Timestamp::from_millis(T0))))
}

#[test]
fn a_fold_ends_where_one_byte_more_would_be_too_many() {
    let (worker, sales) = scene("receive 9", "sell 1 | sell 1");
    let letters = || (0..3).map(|n| letter(n + 10, 997));
    let table = [
        // 24,000 bytes for an action, and six for each byte of a dead letter's body and reason.
        ("sales: two records, a level, a chunk", sales.clone(), 4 * 24_000),
        ("dead letters", letters().collect(), 3 * 24_000 + 3 * 6_000),
        ("a sale among them", letters().take(1).chain(sales[..1].to_vec()).collect(), 4 * 24_000 + 6_000),
        ("one after a sale", sales[..1].iter().cloned().chain(letters().take(1)).collect(), 4 * 24_000 + 6_000),
    ];
    for (claim, slots, max_bytes) in table {
        assert_eq!(taken(&worker, &slots, FoldLimits { max_bytes, ..NO_LIMITS }), slots.len(), "{claim}");
        let less = FoldLimits { max_bytes: max_bytes - 1, ..NO_LIMITS };
        assert_eq!(taken(&worker, &slots, less), slots.len() - 1, "{claim}");
    }
}

#[test]
fn a_fold_ends_where_a_level_could_be_too_large_with_one_entry_more() {
    // 272 bytes and the texts for an entry, 4,096 for the next one, which is the most, and the limit for the tail.
    let text = |bytes: usize| Some("x".repeat(bytes));
    let with = |slot: &Slot, details: MovementDetails| {
        let Slot::Command(queued) = slot.clone() else { unreachable!() };
        let mut queued = *queued;
        queued.command.details = details;
        Slot::Command(Box::new(queued))
    };
    let (worker, slots) = scene("receive 9", "sell 1 | sell 1 at:shop | sell 1");
    let long = MovementDetails {
        note: text(500),
        reference: text(200),
        device_id: text(64),
        operator: text(63),
        ..MovementDetails::default()
    };
    let by = "till-1".len();
    let table = [
        ("one each", slots.clone(), 272 + by, 1),
        ("the first is longer", vec![with(&slots[0], long.clone()), slots[1].clone(), slots[2].clone()], 1_099 + by, 1),
        ("the other level is fuller", vec![slots[0].clone(), with(&slots[1], long), slots[2].clone()], 1_099 + by, 2),
        ("two of one level", vec![slots[0].clone(), slots[2].clone(), slots[1].clone()], 2 * (272 + by), 2),
    ];
    for (claim, slots, fullest, fewer) in table {
        let max_level_bytes = 640 + fullest + 4_096;
        assert_eq!(taken(&worker, &slots, FoldLimits { max_level_bytes, ..NO_LIMITS }), 3, "{claim}");
        let less = FoldLimits { max_level_bytes: max_level_bytes - 1, ..NO_LIMITS };
        assert_eq!(taken(&worker, &slots, less), fewer, "{claim}");
    }
}

/// Returns the commit of `slot` alone, with the heaviest item and without a tail.
fn written(slot: &Slot) -> Commit {
    let mut worker = full_worker(FoldLimits { max_tail_bytes: 0, ..FoldLimits::default() });
    worker.run(&item_id(), &slots(&read("sell 1 dead id:9")));
    worker.fold_of(&item_id(), std::slice::from_ref(slot)).commit
}

/// For the heaviest command of every kind: its rows, and thousands of bytes in all rows, of which each counts as
/// 24,000.
#[test]
fn no_row_exceeds_its_estimate() {
    let mut resubmission = heavy(1, 1);
    if let Slot::Command(queued) = &mut resubmission {
        queued.resubmits = Some(CommandKey { item_id: item_id(), command_id: command_id(9) });
    }
    for (claim, slot, row_count, kilobytes) in [
        ("a sale, at a level that is new", heavy(10, 1), 4, 12),
        ("a transfer, both levels new", heavy(1, 1), 6, 18),
        ("a resubmission", resubmission, 7, 19),
        ("an update that gives up 20 barcodes and takes 20", heavy(2, 1), 42, 77),
        ("a restore", heavy(3, 1), 2, 11),
        ("a dead letter that knows its command", read("sell 1 dead").remove(0).slot(), 1, 1),
    ] {
        let commit = written(&slot);
        assert_eq!((rows(&commit), weigh(&commit) / 1_000), (row_count, kilobytes), "{claim}");
    }
}

#[test]
fn a_record_and_its_entries_have_twenty_four_thousand_bytes_at_most() {
    let commit = written(&heavy(1, 1));
    let [record] = &commit.records[..] else { panic!("one command has one record") };
    assert_eq!((record.alerts.len(), record.outcome.effects.len(), commit.chunks.len()), (1, 2, 2));
    let counterparts = 2 * 128;
    let entries: usize = commit.chunks.iter().map(|chunk| encode_entries(&chunk.entries).len()).sum();
    let mut text = String::from_utf8_lossy(&record.to_bytes().unwrap()).into_owned();
    text.push_str(&serde_json::to_string(&record.alerts[0]).unwrap());
    // An item and two locations whose ids have four bytes a character.
    for (short, chars) in [("cola", 64), ("main", 32), ("shop", 32)] {
        assert!(text.contains(short), "{short}");
        text = text.replace(short, &"𠮷".repeat(chars));
    }
    let bytes = KEYS_BYTES + text.len() + entries + counterparts;
    assert!((15_000..=24_000).contains(&bytes), "{bytes}");
}

#[test]
fn the_longest_entry_has_the_size_of_its_estimate() {
    let mut entry = written(&heavy(1, 1)).chunks[0].entries[0].clone();
    entry.seq = u64::MAX;
    (entry.delta, entry.after) = (Quantity::from_raw(i64::MAX), Quantity::from_raw(i64::MIN));
    (entry.recorded_at, entry.occurred_at) = (Timestamp::from_millis(i64::MAX), Timestamp::EPOCH);
    entry.counterpart = Some("𠮷".repeat(32).parse().unwrap());
    entry.reason = Some(Reason::Other);
    let most = Money::from_raw(i64::MIN);
    (entry.unit_cost, entry.amount, entry.cost, entry.revaluation) = (Some(most), Some(most), Some(most), most);
    entry.reverses = Some(entry.command_id);
    let bytes = encode_entries(&[entry]).len();
    assert!((4_046..=4_096).contains(&bytes), "{bytes}");
}

#[test]
fn a_dead_letter_in_json_has_the_size_of_its_estimate() {
    for (body, least) in [("\u{1}", 370_000), ("x", 63_000)] {
        let letter = DeadLetter::of(body.repeat(DEAD_REASON_MAX_BYTES), body.repeat(DEAD_BODY_MAX_BYTES + 1));
        let counted = 6 * (letter.reason.len() + letter.body.len()) + 24_000;
        let id = (item_id(), command_id(99));
        let record = Record::dead_letter(None, letter, id, Timestamp::from_millis(T0));
        let bytes = weigh(&written(&Slot::Dead(Box::new(record))));
        assert!(least <= bytes && bytes <= counted, "{bytes} bytes of {counted}");
    }
}
