use super::script::{holds, last, read, run, world};
use super::spec::item_id;

#[test]
fn each_movement_moves_the_balance_its_own_way() {
    holds(&[
        ("a receive adds", "receive 10", "main +10 =10"),
        ("a sale takes", "receive 10 | sell 3", "main -3 =7"),
        ("a return adds", "sell 3 | return 1", "main +1 =-2"),
        ("an adjustment adds", "adjust 2", "main +2 =2"),
        ("an adjustment takes", "receive 5 | adjust -2", "main -2 =3"),
        ("a count sets, upwards", "receive 5 | count 8", "main +3 =8"),
        ("a count sets, downwards", "receive 5 | count 0", "main -5 =0"),
        ("a count may confirm", "receive 5 | count 5", "main +0 =5"),
        ("a count lifts what is below zero", "sell 5 | count 2", "main +7 =2"),
        ("a transfer moves both sides", "receive 5 | move 2 to:shop", "main -2 =3, shop +2 =2"),
        ("thousandths are exact", "receive 0.375 | sell 0.25", "main -0.25 =0.125"),
        ("locations are apart", "receive 5 | sell 1 at:shop", "shop -1 =-1"),
        ("the largest quantity", "receive 9999999.999", "main +9999999.999 =9999999.999"),
    ]);
}

#[test]
fn a_shortage_is_refused_where_the_policy_says_so_and_the_sale_may_say_otherwise() {
    holds(&[
        ("allow is the default", "receive 2 | sell 3", "main -3 =-1"),
        ("reject refuses", "register policy:reject | receive 2 | sell 3", "insufficient_stock"),
        ("the last unit may go", "register policy:reject | receive 2 | sell 2", "main -2 =0"),
        ("nothing is left of nothing", "register policy:reject | sell 0.001", "insufficient_stock"),
        ("a till overrides", "register policy:reject | receive 2 | sell 3 on:allow", "main -3 =-1"),
        ("a web shop overrides", "receive 2 | sell 3 on:reject", "insufficient_stock"),
        ("the override repeats the policy", "register policy:reject | sell 1 on:reject", "insufficient_stock"),
        ("below zero already", "sell 2 | sell 1 on:reject", "insufficient_stock"),
        ("a transfer follows the policy", "register policy:reject | receive 2 | move 3 to:shop", "insufficient_stock"),
        ("a transfer may take all", "register policy:reject | receive 2 | move 2 to:shop", "main -2 =0, shop +2 =2"),
        ("a transfer may go below zero", "receive 2 | move 3 to:shop", "main -3 =-1, shop +3 =3"),
        (
            "only the giving side is short",
            "register policy:reject | sell 9 at:shop on:allow | receive 1 | move 1 to:shop",
            "main -1 =0, shop +1 =-8",
        ),
        ("an adjustment states the balance, and is never short", "register policy:reject | adjust -3", "main -3 =-3"),
        ("a receive into the red is not short", "register policy:reject | sell 9 on:allow | receive 1", "main +1 =-8"),
        ("a new policy holds for the next sale", "receive 1 | update policy:reject | sell 2", "insufficient_stock"),
        ("and no longer", "register policy:reject | update policy:allow | sell 2", "main -2 =-2"),
        ("a refusal takes nothing", "register policy:reject | receive 5 | sell 6 | sell 5", "main -5 =0"),
    ]);
}

#[test]
fn a_precondition_is_judged_when_applied() {
    holds(&[
        ("met", "receive 4 | sell 1 expect:4", "main -1 =3"),
        ("not met", "receive 4 | sell 1 expect:5", "precondition_failed"),
        ("met after the commands before it", "receive 4 | sell 1 | sell 1 expect:3", "main -1 =2"),
        ("of a level nobody touched", "receive 4 at:shop expect:0", "shop +4 =4"),
        ("of the giving side", "receive 4 | move 1 to:shop expect:4", "main -1 =3, shop +1 =1"),
        ("not of the receiving side", "receive 4 | move 1 to:shop expect:0", "precondition_failed"),
        ("below zero", "sell 1 | count 5 expect:-1", "main +6 =5"),
        ("of a count", "receive 4 | count 9 expect:3", "precondition_failed"),
        ("also of what is late", "receive 4 | count 4 | sell 1 @-15s expect:5", "precondition_failed"),
    ]);
    let script = "receive 4 | sell 1 expect:5";
    let worker = run(script);
    let id = super::spec::command_id(2);
    let rejection = worker.store.record(&item_id(), id).unwrap().outcome.rejection.clone().unwrap();
    assert_eq!(rejection.found.unwrap().to_string(), "4");
    assert_eq!(rejection.detail, "expected 5 on hand at main, found 4");
}

#[test]
fn a_shortage_says_what_was_available_and_never_less_than_nothing() {
    for (script, available) in [("receive 2 | sell 3 on:reject", "2"), ("sell 2 | sell 1 on:reject", "0")] {
        let id = super::spec::command_id(2);
        let rejection = run(script).store.record(&item_id(), id).unwrap().outcome.rejection.clone().unwrap();
        assert_eq!(rejection.available.unwrap().to_string(), available, "{script}");
    }
}

#[test]
fn one_hundred_and_twenty_buyers_of_four_units_leave_none_and_116_refusals() {
    let script = format!("register policy:reject | receive 4 {}", "| sell 1 ".repeat(120));
    let worker = run(&script);
    let ids = read(&script).into_iter().map(|spec| super::spec::command_id(spec.id));
    let refused = ids.filter(|id| worker.store.record(&item_id(), *id).unwrap().outcome.rejection.is_some()).count();
    assert_eq!(refused, 116);
    assert_eq!(worker.store.level(&item_id(), "main").unwrap().on_hand.raw(), 0);
}

#[test]
fn the_same_id_counts_once_wherever_it_comes_again() {
    holds(&[
        ("in a row", "receive 9 | sell 2 id:7 | sell 2 id:7 | sell 1", "main -1 =6"),
        ("with another payload", "receive 9 | sell 2 id:7 | sell 5 id:7", "main -2 =7"),
        ("after a refusal", "sell 2 id:7 on:reject | receive 9 | sell 2 id:7", "insufficient_stock"),
        ("as another type", "receive 9 id:7 | sell 2 id:7", "main +9 =9"),
    ]);
}

#[test]
fn an_entry_keeps_all_that_the_command_said() {
    use stockline_core::domain::{Action, Cost, EntryKind, Quantity, Reason, Slot};
    let mut worker = world("");
    let mut queued = read("receive 3 @-5s")[0].queued();
    queued.command.action = Action::Receive {
        location_id: "main".parse().unwrap(),
        quantity: Quantity::from_raw(3000),
        unit_cost: Some(Cost::from_raw(4100)),
    };
    let details = &mut queued.command.details;
    details.reason = Some(Reason::Found);
    (details.note, details.reference) = (Some("pallet".into()), Some("PO-1".into()));
    (details.device_id, details.operator) = (Some("scanner-2".into()), Some("op7".into()));
    worker.run(&item_id(), &[Slot::Command(Box::new(queued.clone()))]);
    let entry = worker.store.ledger(&item_id(), "main").remove(0);
    assert_eq!((entry.seq, entry.kind, entry.command_id), (1, EntryKind::Receive, queued.command.command_id));
    assert_eq!((entry.quantity.raw(), entry.before().raw(), entry.after.raw()), (3000, 0, 3000));
    assert_eq!((entry.unit_cost, entry.reason), (Some(Cost::from_raw(4100)), Some(Reason::Found)));
    assert_eq!((entry.note.as_deref(), entry.reference.as_deref()), (Some("pallet"), Some("PO-1")));
    assert_eq!((entry.device_id.as_deref(), entry.operator.as_deref()), (Some("scanner-2"), Some("op7")));
    assert_eq!((entry.submitted_by.as_ref(), entry.counterpart), ("till-1", None));
    assert_eq!(entry.occurred_at.as_millis(), queued.accepted_at.as_millis() - 5_000);
}

#[test]
fn the_legs_of_a_transfer_name_each_other() {
    let worker = run("receive 5 | move 2 to:shop");
    let counterpart = |place: &str| worker.store.ledger(&item_id(), place).pop().unwrap().counterpart.unwrap();
    assert_eq!((counterpart("main").as_str(), counterpart("shop").as_str()), ("shop", "main"));
    assert_eq!(last("receive 5 | move 2 to:shop", &worker), "main -2 =3, shop +2 =2");
}
