use stockline_core::domain::{Slot, Timestamp};

use super::script::{holds, last, read, run, run_with, slots, world};
use super::spec::{T0, command_id, item_id};

// Commands are accepted ten seconds apart.

#[test]
fn what_the_last_count_saw_is_late_and_moves_nothing() {
    holds(&[
        ("before the count", "receive 9 | count 8 | sell 2 @-11s", "main late =8"),
        ("at the moment of the count", "receive 9 | count 8 | sell 2 @-10s", "main late =8"),
        ("just after the count", "receive 9 | count 8 | sell 2 @-9999ms", "main -2 =6"),
        ("without occurred_at never", "receive 9 | count 8 | sell 2", "main -2 =6"),
        ("accepted in the count's millisecond", "receive 9 | count 8 | sell 2 skew:-10s", "main -2 =6"),
        ("accepted by a slower clock", "receive 9 | count 8 | sell 2 skew:-11s", "main -2 =6"),
        ("unless it says so itself", "receive 9 | count 8 | sell 2 skew:-10s @0s", "main late =8"),
        ("without a count never", "receive 9 | sell 2 @-15s", "main -2 =7"),
        ("a late receive too", "count 8 | receive 2 @-11s", "main late =8"),
        ("a late adjustment too", "count 8 | adjust -2 @-11s", "main late =8"),
        ("a late return too", "count 8 | return 2 @-11s", "main late =8"),
        ("a count elsewhere does not matter", "receive 9 | count 8 at:shop | sell 2 @-11s", "main -2 =7"),
        ("a late sale is never short", "register policy:reject | count 0 | sell 2 @-11s", "main late =0"),
        ("by the count's own time, not its arrival", "receive 9 | count 8 @-5s | sell 2 @-12s", "main -2 =6"),
        ("and seen by it", "receive 9 | count 8 @-5s | sell 2 @-15s", "main late =8"),
    ]);
}

#[test]
fn a_count_that_arrives_late_keeps_what_occurred_after_it() {
    holds(&[
        ("a sale after it", "receive 9 | sell 2 | count 9 @-15s", "main +0 =7"),
        ("and the figure counts", "receive 9 | sell 2 | count 8 @-15s", "main -1 =6"),
        ("a sale before it is in the figure", "receive 9 | sell 2 | count 6 @-5s", "main -1 =6"),
        ("a sale at its moment is in the figure", "receive 9 | sell 2 | count 6 @-10s", "main -1 =6"),
        ("a sale just after is not", "receive 9 | sell 2 | count 6 @-10001ms", "main -3 =4"),
        ("only by when it occurred", "receive 9 | sell 2 @-9s | count 6 @-15s", "main -1 =6"),
        ("not by when it came", "receive 9 | sell 2 @-9s | count 6 @-19500ms", "main -3 =4"),
        ("what came late was in the older count", "receive 9 | count 5 | sell 1 @-12s | count 4 @-19s", "main -1 =4"),
        (
            "several, of all kinds",
            "receive 9 | sell 2 | return 1 | adjust -3 | receive 4 | count 5 @-45s",
            "main -4 =5",
        ),
        ("transfers too", "receive 9 | move 2 to:shop | count 5 @-15s", "main -4 =3"),
        ("on the receiving side too", "receive 9 | move 2 to:shop | count 5 at:shop @-15s", "shop +5 =7"),
        ("without a ledger", "count 5 @-15s", "main +5 =5"),
        ("without occurred_at it sees all", "receive 9 | sell 2 | count 8", "main +1 =8"),
        ("an older count is late itself", "receive 9 | count 8 | count 3 @-11s", "main late =8"),
        ("at the same moment the later one holds", "receive 9 | count 8 | count 3 @-10s", "main -5 =3"),
        ("a late count does not turn time back", "receive 9 | count 8 | count 3 @-11s | sell 1 @-20s", "main late =8"),
        ("nor does what it would have seen", "receive 9 | count 8 | count 3 @-11s | sell 1 @-19s", "main -1 =7"),
        ("counts in turn", "receive 9 | count 8 @-5s | sell 1 | count 4 @-22s | count 7 @-25s", "main +3 =6"),
    ]);
}

#[test]
fn the_clock_of_the_client_is_corrected_by_when_it_sent() {
    holds(&[
        ("a slow clock is moved on", "receive 9 | count 8 | sell 2 @-15s sent:-10s", "main -2 =6"),
        ("a fast clock is moved back", "receive 9 | count 8 | sell 2 @-5s sent:+5s", "main late =8"),
        ("a right clock changes nothing", "receive 9 | count 8 | sell 2 @-11s sent:0s", "main late =8"),
        ("ahead is clamped and flagged", "receive 9 | sell 2 @+1ms", "main -2 =7 ahead"),
        ("ahead, however far", "receive 9 | sell 2 @+900d", "main -2 =7 ahead"),
        ("at acceptance is not ahead", "receive 9 | sell 2 @0s", "main -2 =7"),
        ("ahead by a fast clock is corrected", "receive 9 | sell 2 @+60s sent:+60s", "main -2 =7"),
        ("ahead after the correction", "receive 9 | sell 2 @-5s sent:-6s", "main -2 =7 ahead"),
        ("what is ahead of a count is not late", "receive 9 | count 8 | sell 2 @+5s", "main -2 =6 ahead"),
        ("a count ahead is taken now", "receive 9 | count 8 @+1d | sell 2 @-9s", "main -2 =6"),
        ("sent_at alone says nothing", "receive 9 | count 8 | sell 2 sent:-1d", "main -2 =6"),
    ]);
    let worker = run("receive 9 | sell 2 @-15s sent:-10s");
    let entry = worker.store.ledger(&item_id(), "main").pop().unwrap();
    assert_eq!(entry.occurred_at.as_millis(), T0 + 10_000 - 5_000);
    let command = worker.store.record(&item_id(), command_id(2)).unwrap().outcome.command.clone().unwrap();
    assert_eq!(command.details.occurred_at, Some(Timestamp::from_millis(T0 - 5_000)), "both are kept");
    assert_eq!(command.details.sent_at, Some(Timestamp::from_millis(T0)));
}

#[test]
fn age_is_judged_against_acceptance_to_the_millisecond() {
    holds(&[
        ("thirty days", "sell 1 @-30d", "main -1 =-1"),
        ("and a millisecond", "sell 1 @-2592000001ms", "occurred_at_out_of_range"),
        ("after the correction", "sell 1 @-31d sent:-1d", "main -1 =-1"),
        ("the correction may take it out", "sell 1 @-30d sent:+1ms", "occurred_at_out_of_range"),
        ("a count of 72 hours", "count 1 @-72h", "main +1 =1"),
        ("and a millisecond", "count 1 @-259200001ms", "count_too_late"),
        ("too old altogether comes first", "count 1 @-31d", "occurred_at_out_of_range"),
        ("a duplicate is not too old", "sell 1 id:7 | sell 1 @-31d id:7", "main -1 =-1"),
        ("an old count is too late even where it would be late itself", "count 8 | count 3 @-73h", "count_too_late"),
        ("before time began", "sell 1 @-20000d", "occurred_at_out_of_range"),
    ]);
}

#[test]
fn the_legs_of_a_transfer_are_late_one_by_one() {
    holds(&[
        ("the giving leg", "receive 9 | count 8 | move 2 to:shop @-11s", "main late =8, shop +2 =2"),
        ("the receiving leg", "receive 9 | count 8 at:shop | move 2 to:shop @-11s", "main -2 =7, shop late =8"),
        ("both", "count 8 | count 5 at:shop | move 2 to:shop @-21s", "main late =8, shop late =5"),
        (
            "a late giving leg is not short",
            "register policy:reject | count 0 | move 2 to:shop @-11s",
            "main late =0, shop +2 =2",
        ),
        ("the other one is", "register policy:reject | count 0 at:shop | move 2 to:shop @-11s", "insufficient_stock"),
    ]);
}

#[test]
fn a_count_whose_later_movements_are_too_many_is_too_late() {
    let bounded = |bound: usize| {
        move |worker: &mut super::worker::Worker| {
            worker.store.history_max = Some(bound);
            worker.limits.max_tail_bytes = 0;
        }
    };
    let script = "receive 9 | sell 1 | sell 1 | sell 1 | count 9 @-35s";
    let ends = |script: &str, bound: usize| {
        let mut worker = world(script);
        bounded(bound)(&mut worker);
        slots(&read(script)).chunks(1).for_each(|slot| worker.run(&item_id(), slot));
        last(script, &worker)
    };
    assert_eq!(ends(script, 3), "main +0 =6");
    assert_eq!(ends(script, 2), "count_too_late");
    assert_eq!(ends("receive 9 | sell 1 | sell 1 | sell 1 | count 9 @-5s", 0), "main +3 =9", "nothing was after it");
    assert_eq!(ends("receive 9 | sell 1 | count 9", 0), "main +1 =9", "without occurred_at nothing is asked");
}

#[test]
fn a_count_is_not_refused_for_the_history_that_another_count_needs() {
    let script = "receive 9 | sell 1 | sell 1 | sell 1 | count 9 @-35s | count 8 @-25s";
    let slots = slots(&read(script));
    let mut worker = world(script);
    (worker.store.history_max, worker.limits.max_tail_bytes) = (Some(2), 0);
    slots[..4].chunks(1).for_each(|slot| worker.run(&item_id(), slot));
    worker.run(&item_id(), &slots[4..]);
    assert_eq!(last("receive 9 | sell 1 | sell 1 | sell 1 | count 9 @-35s", &worker), "count_too_late");
    assert_eq!(last(script, &worker), "main +1 =7", "only the last sale was after it");
}

#[test]
fn recorded_at_never_runs_behind_acceptance_or_the_entry_before() {
    let ends = |clock: i64| {
        let worker = run_with("receive 9 | sell 2 | low 3 | sell 1", |worker| {
            worker.now = Timestamp::from_millis(T0 + clock);
        });
        worker
            .store
            .ledger(&item_id(), "main")
            .iter()
            .map(|entry| entry.recorded_at.as_millis() - T0)
            .collect::<Vec<_>>()
    };
    assert_eq!(ends(-1_000_000), [0, 10_000, 30_000], "a slow clock");
    assert_eq!(ends(15_000), [15_000, 15_000, 30_000]);
    assert_eq!(ends(99_000), [99_000, 99_000, 99_000]);
    let mut worker = world("");
    worker.now = Timestamp::from_millis(T0 + 99_000);
    worker.run(&item_id(), &slots(&read("receive 9")));
    worker.now = Timestamp::from_millis(T0);
    worker.run(&item_id(), &slots(&read("archive | sell 2 @-15s"))[1..]);
    let recorded: Vec<_> =
        worker.store.ledger(&item_id(), "main").iter().map(|e| e.recorded_at.as_millis() - T0).collect();
    assert_eq!(recorded, [99_000, 99_000], "a clock that went back");
}

#[test]
fn what_a_wrong_clock_wrote_never_outranks_the_queue() {
    holds(&[
        ("a count a year ahead", "receive 9 | count 8 skew:365d | sell 2 @-1s", "main -2 =6"),
        ("and the next sale", "receive 9 | count 8 skew:365d | sell 2 @-1s | sell 1 @-15s", "main -1 =5"),
        ("a receive too", "receive 9 | count 8 skew:365d | receive 2 @-1s", "main +2 =10"),
        (
            "no oversell",
            "register policy:reject | receive 3 | count 3 skew:365d | sell 2 @-1s | sell 2 @-1s",
            "insufficient_stock",
        ),
        ("a transfer", "receive 9 | count 8 skew:365d | move 2 to:shop @-1s", "main -2 =6, shop +2 =2"),
        ("six minutes ahead", "receive 9 | count 8 skew:6m | sell 2 @-1s", "main -2 =6"),
        ("clocks may differ a little", "receive 9 | count 8 skew:5m | sell 2 @-1s", "main late =8"),
        ("to the millisecond", "receive 9 | count 8 skew:310001ms | sell 2 @-1s", "main -2 =6"),
        (
            "what was sent again later is out of turn",
            "receive 9 | count 8 | sell 2 skew:-1h @-1s retry:1",
            "main late =8",
        ),
        (
            "and says nothing about a count",
            "receive 9 | count 8 | sell 1 skew:-1h retry:1 | sell 2 @-21s",
            "main late =7",
        ),
    ]);
}

#[test]
fn a_clock_that_went_back_makes_nothing_late() {
    holds(&[
        ("an hour behind", "receive 9 | count 8 | sell 2 skew:-1h @-1s", "main -2 =6"),
        ("the tills are right, and are clamped", "receive 9 | count 8 | sell 2 skew:-1h @+1h", "main -2 =6 ahead"),
        ("a clamped time is in its place", "receive 9 | count 8 | sell 2 skew:-1m @+1m", "main -2 =6 ahead"),
        (
            "until the clock is nearly where the count was",
            "receive 9 | count 8 | sell 2 skew:-1h @-1s | sell 1 skew:-2m @-1s",
            "main -1 =5",
        ),
        (
            "a sale without a time shows it too",
            "receive 9 | count 8 | sell 2 skew:-1h | sell 1 skew:-2m @-1s",
            "main -1 =5",
        ),
        (
            "the next count rules again",
            "receive 9 | count 8 | sell 2 skew:-1h | count 5 | sell 1 @-11s",
            "main late =5",
        ),
    ]);
}

#[test]
fn a_later_count_always_mends() {
    holds(&[
        ("in its place", "receive 9 | count 8 skew:365d | count 7 | sell 1 @-1s", "main -1 =6"),
        ("and what it saw is late", "receive 9 | count 8 skew:365d | count 7 | sell 1 @-11s", "main late =7"),
        ("with its time", "receive 9 | count 8 skew:365d | count 7 @-1s", "main -1 =7"),
        ("and rules from its time", "receive 9 | count 8 skew:365d | count 7 @-1s | sell 1 @-12s", "main late =7"),
        (
            "it saw what was sold under the wrong clock",
            "receive 9 | sell 2 skew:365d | count 6 skew:365d | count 5 @-1s",
            "main -1 =5",
        ),
        ("a slower clock's count too", "receive 9 | count 8 | count 7 skew:-15s | sell 1 @-22s", "main -1 =6"),
        ("a count that is clamped is in its place", "receive 9 | sell 2 skew:2m | count 5 @+1s", "main -2 =5 ahead"),
        (
            "but a count tried again keeps what came since",
            "receive 9 | sell 2 | count 9 skew:-1h @-1s retry:1",
            "main +9 =16",
        ),
    ]);
}

#[test]
fn an_archived_item_refuses_by_its_place_if_the_clock_was_wrong() {
    holds(&[
        ("a year ahead", "receive 9 | archive skew:365d | sell 2 @-1s", "item_archived"),
        ("ahead of it is after it", "receive 9 | archive | sell 2 @+1s", "item_archived"),
        ("before it by right clocks", "receive 9 | archive | sell 2 @-11s", "main -2 =7"),
    ]);
}

#[test]
fn both_legs_of_a_transfer_have_one_time() {
    for clocks in [[99_000, 0], [0, 99_000]] {
        let mut worker = world("");
        let script = "receive 9 | receive 5 at:shop | move 2 to:shop | move 1 from:shop to:main";
        for (index, slot) in slots(&read(script)).into_iter().enumerate() {
            worker.now = Timestamp::from_millis(T0 + clocks[index % 2]);
            worker.run(&item_id(), &[slot]);
        }
        let recorded = |place| worker.store.ledger(&item_id(), place).into_iter().map(|e| e.recorded_at).skip(1);
        assert!(recorded("main").eq(recorded("shop")), "{clocks:?}");
    }
}

#[test]
fn a_resubmission_is_no_older_because_it_was_first_accepted_by_a_clock_ahead() {
    let mut worker = world("");
    let mut specs = read("receive 9 | sell 2 @-1s");
    let Slot::Command(mut again) = specs.remove(1).slot() else { panic!() };
    again.first_accepted_at = Some(again.accepted_at.plus_millis(365 * 86_400_000));
    worker.run(&item_id(), &[specs[0].slot(), Slot::Command(again)]);
    assert_eq!(last("receive 9 | sell 2", &worker), "main -2 =7");
}
