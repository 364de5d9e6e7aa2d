//! Ids, retries of dead letters and resubmissions, where the protocol traps are.

use stockline_core::domain::{CommandId, CommandKey, DeadLetter, Queued, Record, Slot, Status, Timestamp};

use super::script::{holds, read, run, show, slots, world};
use super::spec::{command_id, item_id};
use super::worker::Worker;

#[test]
fn a_dead_letter_is_decided_until_it_is_retried() {
    holds(&[
        ("set aside", "sell 1 id:7 dead", "dead"),
        ("its redelivery is decided", "sell 1 id:7 dead | sell 1 id:7", "dead"),
        ("a retry runs", "sell 1 id:7 dead | sell 1 id:7 retry:1", "main -1 =-1"),
        ("once", "sell 1 id:7 dead | sell 1 id:7 retry:1 | sell 1 id:7 retry:1 | receive 1", "main +1 =0"),
        ("a retry may be set aside again", "sell 1 id:7 dead | sell 1 id:7 retry:1 dead", "dead"),
        ("and be retried again", "sell 1 id:7 dead | sell 1 id:7 retry:1 dead | sell 1 id:7 retry:2", "main -1 =-1"),
        ("but not by an older retry", "sell 1 id:7 dead | sell 1 id:7 retry:2 dead | sell 1 id:7 retry:1", "dead"),
        ("what was applied is not retried", "sell 1 id:7 | sell 1 id:7 retry:1 | receive 1", "main +1 =0"),
        (
            "what was refused is not retried",
            "sell 1 id:7 on:reject | receive 5 | sell 1 id:7 retry:1",
            "insufficient_stock",
        ),
        ("a dead letter harms no neighbour", "receive 5 | sell 1 dead | sell 2", "main -2 =3"),
    ]);
}

#[test]
fn a_retry_in_the_fold_of_its_dead_letter_waits_for_the_next_and_a_second_one_is_a_duplicate() {
    let mut worker = world("");
    worker.run(
        &item_id(),
        &slots(&read("receive 9 | sell 1 id:7 dead | sell 1 id:7 retry:1 | sell 1 id:7 retry:1 | sell 1")),
    );
    assert_eq!(worker.folds, 3, "one registers, two for these");
    assert_eq!(worker.store.level(&item_id(), "main").unwrap().on_hand.raw(), 7_000);
}

#[test]
fn a_retry_of_what_was_decided_before_takes_place_once_in_one_fold() {
    let mut worker = world("");
    worker.run(&item_id(), &slots(&read("sell 1 id:7 dead")));
    worker.run(&item_id(), &slots(&read("sell 1 id:7 | sell 1 id:7 retry:1 | sell 1 id:7 retry:1 | receive 9")));
    assert_eq!(worker.store.level(&item_id(), "main").unwrap().on_hand.raw(), 8_000);
}

#[test]
fn a_record_decides_by_status_tries_and_finality() {
    let record = |script: &str| run(script).store.record(&item_id(), command_id(7)).unwrap().clone();
    let dead = record("sell 1 id:7 dead");
    let discarded = {
        let mut record = dead.clone();
        record.outcome.dead_letter.as_mut().unwrap().discarded_at = Some(Timestamp::EPOCH);
        record
    };
    let resubmitted =
        Record { resubmitted_as: Some(CommandKey { item_id: item_id(), command_id: command_id(8) }), ..dead.clone() };
    let tried = record("sell 1 id:7 dead | sell 1 id:7 retry:1 dead");
    for (what, record, open_for) in [
        ("applied", record("sell 1 id:7"), vec![]),
        ("rejected", record("sell 1 id:7 on:reject"), vec![]),
        ("dead", dead, vec![1, 2]),
        ("dead after one retry", tried, vec![2]),
        ("discarded", discarded, vec![]),
        ("resubmitted", resubmitted, vec![]),
    ] {
        let open: Vec<u32> = (0..=2).filter(|retry| !record.decides(*retry)).collect();
        assert_eq!(open, open_for, "{what}");
    }
}

fn resubmission(script: &str, old: u32) -> Slot {
    let mut queued: Queued = read(script)[0].queued();
    queued.resubmits = Some(CommandKey { item_id: item_id(), command_id: command_id(old) });
    Slot::Command(Box::new(queued))
}

fn became(worker: &Worker, id: u32) -> String {
    show(&worker.store.record(&item_id(), command_id(id)).unwrap().outcome)
}

fn replaced_by(worker: &Worker, id: u32) -> Option<CommandId> {
    let record = worker.store.record(&item_id(), command_id(id)).unwrap();
    record.resubmitted_as.as_ref().map(|by| by.command_id)
}

#[test]
fn a_resubmission_replaces_what_took_no_effect_once() {
    for (claim, before, expected, marked) in [
        ("a refused sale", "sell 1 id:7 on:reject", "main -1 =-1", true),
        ("a dead letter", "sell 1 id:7 dead", "main -1 =-1", true),
        ("not what was applied", "receive 1 id:7", "precondition_failed", false),
        ("not what is unknown", "receive 1 id:6 | receive 1 id:7", "precondition_failed", false),
    ] {
        let mut worker = world("");
        worker.run(&item_id(), &slots(&read(before)));
        let old = if claim.contains("unknown") { 5 } else { 7 };
        let slot = resubmission("sell 1 id:8", old);
        for _ in 0..2 {
            worker.run(&item_id(), std::slice::from_ref(&slot));
        }
        assert_eq!(became(&worker, 8), expected, "{claim}");
        assert_eq!(replaced_by(&worker, 7), marked.then(|| command_id(8)), "{claim}");
        let names = worker.store.record(&item_id(), command_id(8)).unwrap().resubmits.clone();
        assert_eq!(names.map(|old| old.command_id), Some(command_id(old)), "its own outcome names the old one");
    }
}

#[test]
fn however_late_a_refused_command_is_corrected_its_age_is_judged_by_when_it_first_came() {
    const HOUR_MS: i64 = 3_600_000;
    for (claim, script, first_came_h_ago, expected) in [
        ("a sale of 31 days ago that came then", "sell 1 id:8 @-744h", 744, "main -1 =-1"),
        ("that came 30 days later", "sell 1 id:8 @-744h", 24, "main -1 =-1"),
        ("that came 31 days later", "sell 1 id:8 @-744h", 0, "occurred_at_out_of_range"),
        ("a count of four days ago that came then", "count 1 id:8 @-96h", 96, "main +1 =1"),
        ("that came three days later", "count 1 id:8 @-96h", 24, "main +1 =1"),
        ("that came four days later", "count 1 id:8 @-96h", 0, "count_too_late"),
    ] {
        let mut worker = world("");
        worker.run(&item_id(), &slots(&read("sell 1 id:7 dead")));
        let Slot::Command(mut queued) = resubmission(script, 7) else { unreachable!() };
        queued.first_accepted_at = Some(queued.accepted_at.plus_millis(-first_came_h_ago * HOUR_MS));
        worker.run(&item_id(), &[Slot::Command(queued.clone())]);
        assert_eq!(became(&worker, 8), expected, "{claim}");
        let record = worker.store.record(&item_id(), command_id(8)).unwrap();
        assert_eq!(
            record.first_accepted_at(),
            queued.first_accepted_at.unwrap(),
            "{claim}: known to who corrects it again"
        );
    }
}

#[test]
fn a_dead_letter_is_retried_or_resubmitted_but_never_both() {
    let retry = || slots(&read("sell 1 id:7 retry:1")).remove(0);
    let again = || resubmission("sell 1 id:8", 7);
    let other = || resubmission("sell 1 id:9", 7);
    for (claim, order, ends) in [
        ("retried first", vec![retry(), again()], ["main -1 =-1", "precondition_failed"]),
        ("resubmitted first", vec![again(), retry()], ["dead", "main -1 =-1"]),
        ("twice the one and then the other", vec![again(), again(), retry(), retry()], ["dead", "main -1 =-1"]),
        ("by two ids", vec![again(), other()], ["dead", "main -1 =-1"]),
    ] {
        for cut in [false, true] {
            let mut worker = world("");
            worker.run(&item_id(), &slots(&read("sell 1 id:7 dead")));
            match cut {
                false => worker.run(&item_id(), &order),
                true => order.iter().for_each(|slot| worker.run(&item_id(), std::slice::from_ref(slot))),
            }
            assert_eq!([became(&worker, 7), became(&worker, 8)], ends, "{claim}, cut: {cut}");
            assert_eq!(worker.store.level(&item_id(), "main").unwrap().on_hand.raw(), -1_000, "{claim}");
        }
    }
}

#[test]
fn a_resubmission_in_the_fold_of_what_it_replaces_waits_for_the_next() {
    let mut worker = world("");
    let mut batch = slots(&read("sell 1 id:7 on:reject"));
    batch.push(resubmission("sell 1 id:8", 7));
    worker.run(&item_id(), &batch);
    assert_eq!((became(&worker, 7), became(&worker, 8)), ("insufficient_stock".into(), "main -1 =-1".into()));
    assert_eq!(replaced_by(&worker, 7), Some(command_id(8)));
}

#[test]
fn what_was_discarded_or_is_the_command_itself_is_not_resubmitted() {
    let mut worker = world("");
    worker.run(&item_id(), &slots(&read("sell 1 id:7 dead | sell 1 id:6 dead")));
    let key = CommandKey { item_id: item_id(), command_id: command_id(7) };
    let letter = worker.store.records.get_mut(&key).unwrap().outcome.dead_letter.as_mut().unwrap();
    letter.discarded_at = Some(Timestamp::EPOCH);
    worker.run(&item_id(), &[resubmission("sell 1 id:8", 7), resubmission("sell 1 id:6 retry:1", 6)]);
    assert_eq!((became(&worker, 8), became(&worker, 6)), ("precondition_failed".into(), "precondition_failed".into()));
}

#[test]
fn a_refused_resubmission_still_marks_the_old_one() {
    let mut worker = world("");
    worker.run(&item_id(), &slots(&read("sell 1 id:7 on:reject")));
    worker.run(&item_id(), &[resubmission("sell 1 id:8 on:reject", 7)]);
    assert_eq!((became(&worker, 8), replaced_by(&worker, 7)), ("insufficient_stock".into(), Some(command_id(8))));
}

#[test]
fn a_dead_letter_keeps_the_body_and_what_could_be_read() {
    let queued = read("sell 1 id:7 retry:2")[0].queued();
    let letter = DeadLetter { reason: "too large".into(), body: "{\"x\":1}".into(), discarded_at: None };
    let record = Record::dead_letter(Some(&queued), letter.clone(), (item_id(), command_id(7)), Timestamp::EPOCH);
    let mut worker = world("");
    worker.run(&item_id(), &[Slot::Dead(Box::new(record))]);
    let stored = worker.store.record(&item_id(), command_id(7)).unwrap();
    assert_eq!((stored.outcome.status, stored.retry), (Status::DeadLettered, 2));
    assert_eq!(
        (stored.outcome.dead_letter.as_ref(), stored.outcome.command.as_ref()),
        (Some(&letter), Some(&queued.command))
    );
    assert!(stored.outcome.settled_at >= stored.outcome.accepted_at);
}

#[test]
fn a_new_level_is_bound_to_the_threshold_that_it_was_judged_by() {
    for (claim, meanwhile, stands) in [
        ("nothing changed", "sell 1 id:20", true),
        ("another field changed", "update policy:reject id:20", true),
        ("the threshold changed, and nobody re-judged what was not there", "default 8 id:20", false),
    ] {
        let mut worker = world("");
        let fold = worker.fold_of(&item_id(), &slots(&read("receive 9 at:shop | sell 2 at:shop")));
        worker.run(&item_id(), &slots(&read(meanwhile)));
        assert_eq!(worker.store.commit(&fold.commit).is_ok(), stands, "{claim}");
    }
}
