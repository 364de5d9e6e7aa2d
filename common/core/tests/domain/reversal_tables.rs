use stockline_core::domain::{CommandKind, LocationId, Reach, Slot, Timestamp};

use super::script::{holds, raises, read, run, world};
use super::spec::{T0, command_id, item_id};

#[test]
fn a_reversal_takes_all_legs_back() {
    holds(&[
        ("a sale comes back", "receive 10 | sell 3 | reverse 2", "main +3 =10"),
        ("a delivery goes again", "receive 10 | reverse 1", "main -10 =0"),
        ("the receiving side of a transfer gives", "receive 5 | move 2 to:shop | reverse 2", "shop -2 =0, main +2 =5"),
        ("a return", "sell 3 | return 1 | reverse 2", "main -1 =-3"),
        ("an adjustment", "adjust -2 | reverse 1", "main +2 =0"),
        ("a correction is never short", "register policy:reject | receive 5 | sell 5 | reverse 2", "main -5 =-5"),
        ("of an archived item", "receive 9 | sell 2 | archive | reverse 2", "main +2 =9"),
        ("with a balance that must be there", "receive 9 | sell 2 | reverse 2 expect:7", "main +2 =9"),
        ("which is the giving side's", "receive 5 | move 2 to:shop | reverse 2 expect:2", "shop -2 =0, main +2 =5"),
        ("and with another balance", "receive 9 | sell 2 | reverse 2 expect:9", "precondition_failed"),
        ("of a retried command", "receive 9 dead | receive 9 id:1 retry:1 | reverse 1", "main -9 =0"),
        (
            "with the movement sent again behind it",
            "receive 9 | sell 2 | reverse 2 | sell 2 id:2 | sell 1",
            "main -1 =8",
        ),
        ("among others", "receive 9 | sell 1 | sell 2 | reverse 2 | sell 3", "main -3 =4"),
    ]);
}

#[test]
fn what_cant_be_taken_back_is_refused_with_the_reason() {
    for (claim, script, code, why) in [
        ("unknown", "reverse 9", "unknown_command", "has no command"),
        ("still to come", "reverse 2 id:1 | receive 5", "unknown_command", "may still be queued"),
        ("twice", "receive 1 | reverse 1 | reverse 1 id:1000", "not_reversible", "was reversed already, by command"),
        ("rejected", "sell 1 on:reject | reverse 1 id:1000", "not_reversible", "was rejected"),
        ("set aside", "sell 1 dead | reverse 1 id:1000", "not_reversible", "was set aside"),
        ("a count", "count 5 | reverse 1 id:1000", "not_reversible", "is a count"),
        ("a reversal", "receive 1 | reverse 1 | reverse 2 id:1000", "not_reversible", "is a reversal"),
        ("a threshold", "low 5 | reverse 1 id:1000", "not_reversible", "moved no stock"),
        ("a registration", "register | reverse 1 id:1000", "not_reversible", "moved no stock"),
    ] {
        let worker = run(script);
        let last = read(script).into_iter().rfind(|spec| spec.act_is_reversal()).unwrap();
        let outcome = &worker.store.record(&item_id(), command_id(last.id)).unwrap().outcome;
        let rejection = outcome.rejection.as_ref().unwrap();
        assert_eq!(rejection.code.as_str(), code, "{claim}");
        assert!(rejection.detail.contains(why), "{claim}: {}", rejection.detail);
    }
}

/// The count has seen the shelf: a movement that never happened is not missing there.
#[test]
fn a_reversal_occurred_when_the_movement_did_and_a_count_since_has_seen_it() {
    holds(&[
        ("of a late sale", "receive 9 | count 9 | sell 2 @-15s | reverse 3", "main late =9"),
        ("counted since", "receive 9 | sell 2 | count 9 | reverse 2", "main late =9"),
        ("counted in the same moment, after it", "receive 9 | sell 2 | count 9 skew:-10s | reverse 2", "main late =9"),
        ("counted before", "receive 9 | count 9 | sell 2 | reverse 3", "main +2 =9"),
        ("counted in the same moment, before it", "receive 9 | count 9 | sell 2 skew:-10s | reverse 3", "main +2 =9"),
        ("a late count keeps what came after it", "receive 9 | sell 2 | count 9 @-15s | reverse 2", "main +2 =9"),
        ("and takes the pair as one", "receive 9 | sell 2 | reverse 2 | count 9 @-25s", "main +0 =9"),
        ("one side counted", "receive 9 | move 3 to:shop | count 3 at:shop | reverse 2", "shop late =3, main +3 =9"),
    ]);
}

#[test]
fn a_reversal_is_judged_for_alerts_like_every_entry() {
    raises(&[
        ("it ends an episode", "register low:5 | receive 9 | sell 6 | reverse 3 | sell 6", "low main 3, low main 3"),
        ("it may cross", "register low:5 | receive 9 | reverse 2", "out main 0"),
    ]);
}

#[test]
fn both_of_a_pair_name_each_other() {
    let worker = run("receive 5 | move 2 to:shop | sell 1 at:shop | reverse 2");
    let (moved, reversal) = (command_id(2), command_id(4));
    let outcome = |id| worker.store.record(&item_id(), id).unwrap().outcome.clone();
    assert_eq!(outcome(moved).reversed_by, Some(reversal));
    assert_eq!((outcome(reversal).reversed_by, outcome(command_id(3)).reversed_by), (None, None));
    for (place, other) in [("main", "shop"), ("shop", "main")] {
        let entry = worker.store.ledger(&item_id(), place).pop().unwrap();
        assert_eq!((entry.command_id, entry.reverses), (reversal, Some(moved)));
        assert_eq!((entry.command_kind(), entry.quantity.raw()), (CommandKind::Reverse, 2_000));
        assert_eq!(entry.counterpart.unwrap().as_str(), other);
        assert_eq!(entry.occurred_at, outcome(moved).effects[0].occurred_at, "the day's sales are right again");
    }
}

/// Staff take back their own within a time, and a token that is bound to locations only movements there.
#[test]
fn a_reversal_reaches_no_further_than_its_submitter() {
    let at = |seconds: i64| Timestamp::from_millis(T0 + seconds * 1_000);
    let only = |place: &str| Some(vec![place.parse::<LocationId>().unwrap()]);
    let reach = |own_since, locations| Some(Reach { own_since, locations });
    let cases = [
        ("a manager", None, "till-9", None),
        ("their own", reach(Some(at(0)), None), "till-1", None),
        ("another's", reach(Some(at(0)), None), "till-2", Some("someone else")),
        ("too old", reach(Some(at(1)), None), "till-1", Some("too long ago")),
        ("at the place", reach(None, only("main")), "till-9", None),
        ("at another place", reach(None, only("shop")), "till-9", Some("another location")),
        ("at no place", reach(None, Some(vec![])), "till-9", Some("another location")),
    ];
    for (claim, reach, by, why) in cases {
        let script = "move 3 to:shop | reverse 1";
        let mut worker = world(script);
        let mut slots = super::script::slots(&read(script));
        let Slot::Command(queued) = &mut slots[1] else { panic!() };
        (queued.reach, queued.submitted_by) = (reach, by.into());
        worker.run(&item_id(), &slots);
        let outcome = &worker.store.record(&item_id(), command_id(2)).unwrap().outcome;
        let refused = outcome.rejection.as_ref().map(|rejection| rejection.detail.as_str());
        assert_eq!(refused.is_some(), why.is_some(), "{claim}: {refused:?}");
        assert!(refused.is_none_or(|refused| refused.contains(why.unwrap())), "{claim}: {refused:?}");
    }
}
