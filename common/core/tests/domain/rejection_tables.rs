use stockline_core::domain::RejectionCode;

use super::script::{holds, last, run};

#[test]
fn every_movement_meets_every_refusal() {
    for movement in ["receive 1", "sell 1", "return 1", "adjust 1", "adjust -1", "count 1", "move 1 to:shop"] {
        for (before, details, expected) in [
            ("archive", "", "item_archived"),
            ("archive", "@-9s", "item_archived"),
            ("receive 9", "expect:8", "precondition_failed"),
            ("update dec:0", "", ""),
            ("receive 9", "@-31d", "occurred_at_out_of_range"),
        ] {
            let script = format!("{before} | {movement} {details}");
            let found = last(&script, &run(&script));
            assert!(found == expected || expected.is_empty() && found.starts_with("main"), "{script}: {found}");
        }
        let at = |place: &str| match movement {
            "move 1 to:shop" => format!("move 1 to:{place}"),
            other => format!("{other} at:{place}"),
        };
        let closed = at("closed");
        assert_eq!(last(&closed, &run(&closed)), "location_closed", "{closed}");
        let unknown = at("mars");
        assert_eq!(last(&unknown, &run(&unknown)), "unknown_location", "{unknown}");
        let fraction = format!("update dec:0 | {}", movement.replace('1', "1.5"));
        assert_eq!(last(&fraction, &run(&fraction)), "fractional_quantity", "{fraction}");
        let unregistered = format!("{movement} | register");
        let worker = run(&unregistered);
        let record = worker.store.record(&super::spec::item_id(), super::spec::command_id(1)).unwrap();
        assert_eq!(record.outcome.rejection.as_ref().unwrap().code, RejectionCode::UnknownItem);
    }
}

/// Each row breaks two or more neighbouring rules, and names the first.
#[test]
fn the_first_refusal_in_the_documented_order_is_the_one() {
    holds(&[
        ("archived before unknown location", "archive | sell 1 at:mars", "item_archived"),
        ("unknown before closed", "move 1 from:closed to:mars", "unknown_location"),
        ("unknown before closed, whichever side", "move 1 from:mars to:closed", "unknown_location"),
        ("unknown location before a fraction", "update dec:0 | sell 1.5 at:mars", "unknown_location"),
        ("closed before a fraction", "update dec:0 | sell 1.5 at:closed", "location_closed"),
        ("closed before age", "sell 1 at:closed @-31d", "location_closed"),
        ("a fraction before age", "update dec:0 | sell 1.5 @-31d", "fractional_quantity"),
        ("age before a late count", "count 1 @-31d expect:7", "occurred_at_out_of_range"),
        ("a late count before the precondition", "count 1 @-73h expect:7", "count_too_late"),
        ("the precondition before the shortage", "sell 1 on:reject expect:7", "precondition_failed"),
        ("an existing item before its own fraction", "register dec:0 | register dec:0 low:1.5", "item_exists"),
        ("decimals in use before a fraction", "receive 0.5 | update dec:0 low:1.5", "decimals_in_use"),
        ("a threshold: unknown location before a fraction", "update dec:0 | low 1.5 at:mars", "unknown_location"),
        ("a planning: unknown location before a fraction", "update dec:0 | multiple 1.5 at:mars", "unknown_location"),
    ]);
}

#[test]
fn an_archived_item_accepts_only_movements_from_before() {
    holds(&[
        ("before", "archive | sell 1 @-11s", "main -1 =-1"),
        ("at the very moment", "archive | sell 1 @-10s", "main -1 =-1"),
        ("just after", "archive | sell 1 @-9999ms", "item_archived"),
        ("without occurred_at", "archive | sell 1", "item_archived"),
        ("archiving again does not move the moment", "archive | archive | sell 1 @-15s", "item_archived"),
        ("restored", "archive | restore | sell 1", "main -1 =-1"),
        ("archived anew", "archive | restore | archive | sell 1 @-15s", "main -1 =-1"),
        ("its catalogue may change", "archive | update policy:reject", "ok"),
        ("its thresholds may change", "archive | low 5", "ok"),
        ("its planning may change", "archive | multiple 5", "ok"),
        ("its id stays taken", "register | archive | register", "item_exists"),
        ("restoring what is in use is fine", "restore", "ok"),
    ]);
}

/// Commands of at most ten million can't bring the balance to the edge, so the level begins there.
#[test]
fn a_balance_that_would_leave_64_bits_is_refused_and_a_shortage_comes_first() {
    use super::script::{show, world};
    use super::spec::{command_id, item_id};
    use stockline_core::domain::{Level, Quantity, StockState};
    for (on_hand, script, expected) in [
        (i64::MAX, "receive 0.001", "quantity_overflow"),
        (i64::MAX - 1, "receive 0.001", "main +0.001 =9223372036854775.807"),
        (i64::MAX, "return 0.001", "quantity_overflow"),
        (i64::MAX, "adjust 0.001", "quantity_overflow"),
        (i64::MAX, "move 1 from:shop to:main", "quantity_overflow"),
        (i64::MAX, "count 0", "main -9223372036854775.807 =0"),
        (i64::MIN, "sell 0.001", "quantity_overflow"),
        (i64::MIN, "sell 0.001 on:reject", "insufficient_stock"),
        (i64::MIN + 1, "sell 0.001", "main -0.001 =-9223372036854775.808"),
        (i64::MIN, "count 0", "quantity_overflow"),
        (i64::MIN + 1, "count 0", "main +9223372036854775.807 =0"),
        (i64::MIN, "move 0.001 to:shop", "quantity_overflow"),
        (i64::MAX, "receive 0.001 expect:1", "precondition_failed"),
    ] {
        let mut worker = world(script);
        let mut level = Level::new("main".parse().unwrap(), 1);
        level.on_hand = Quantity::from_raw(on_hand);
        (level.version, level.state) = (1, StockState::judge(level.on_hand, None));
        worker.store.levels.insert((item_id(), level.location_id.clone()), level);
        worker.run(&item_id(), &super::script::slots(&super::script::read(script)));
        assert_eq!(
            show(&worker.store.record(&item_id(), command_id(1)).unwrap().outcome),
            expected,
            "{on_hand} {script}"
        );
        if expected == "quantity_overflow" {
            assert!(worker.store.ledger(&item_id(), "shop").is_empty(), "no leg or both");
        }
    }
}
