use stockline_core::domain::{
    Action, Barcode, CataloguePatch, Claim, Command, CommandId, ItemId, MAX_OVERRIDES, MovementDetails, Planning,
    PlanningPatch, Queued, Slot, Timestamp,
};
use uuid::Uuid;

use super::script::{holds, last, run, run_with, show};
use super::spec::{T0, catalogue, item_id};
use super::worker::Worker;

#[test]
fn an_item_is_registered_once_and_changed_by_its_own_fields() {
    holds(&[
        ("registered", "register", "ok"),
        ("once", "register | register", "item_exists"),
        ("changed", "update dec:2 policy:reject", "ok"),
        ("unregistered", "update dec:2 | sell 1", "main -1 =-1"),
        ("a threshold must fit the decimals", "register dec:0 low:1.5", "fractional_quantity"),
        ("also by a change", "register dec:0 | update low:1.5", "fractional_quantity"),
        ("also of the change itself", "update dec:0 low:1.5", "fractional_quantity"),
        ("or with more of them", "register dec:0 | update dec:1 low:1.5", "ok"),
        ("also of a location", "register dec:0 | low 1.5", "fractional_quantity"),
        ("a closed location has thresholds", "low 5 at:closed", "ok"),
        ("an unknown one has none", "low 5 at:mars", "unknown_location"),
        ("a closed location has a planning", "multiple 5 at:closed", "ok"),
        ("an unknown one has none", "multiple 5 at:mars", "unknown_location"),
        ("a multiple must fit the decimals", "update dec:0 | multiple 1.5", "fractional_quantity"),
        ("a refused change changes nothing", "register dec:0 | update low:1.5 policy:reject | sell 1", "main -1 =-1"),
        ("whole numbers sell", "register dec:0 | sell 1", "main -1 =-1"),
        ("fractions do not", "register dec:0 | sell 0.5", "fractional_quantity"),
        ("nor too fine ones", "register dec:2 | sell 0.125", "fractional_quantity"),
    ]);
}

#[test]
fn decimals_in_use_stay() {
    holds(&[
        ("of a balance", "receive 0.5 | update dec:0", "decimals_in_use"),
        ("of a balance elsewhere", "receive 1 | receive 0.5 at:shop | update dec:0", "decimals_in_use"),
        ("no longer", "receive 0.5 | sell 0.5 | update dec:0", "ok"),
        ("enough remain", "receive 0.5 | update dec:1", "ok"),
        ("of a location's threshold", "low 0.5 at:shop | update dec:0", "decimals_in_use"),
        ("cleared before", "low 0.5 at:shop | low none at:shop | update dec:0", "ok"),
        ("of a location's multiple", "multiple 0.5 at:shop | update dec:0", "decimals_in_use"),
        ("cleared before", "multiple 0.5 at:shop | multiple none at:shop | update dec:0", "ok"),
        ("of the default threshold", "default 0.5 | update dec:0", "decimals_in_use"),
        ("that goes with it", "default 0.5 | update dec:0 low:none", "ok"),
        ("that is replaced with it", "default 0.5 | update dec:0 low:1", "ok"),
        ("more are always fine", "register dec:0 | receive 1 | update dec:3", "ok"),
    ]);
}

/// Makes a change of the item's planning or, with a location, of what that has instead.
fn planned(id: u128, at: Option<&str>, planning: PlanningPatch, decimals: Option<u8>) -> Slot {
    let Slot::Command(mut queued) = registration("a", id, &[]) else { unreachable!() };
    queued.command.action = match at {
        Some(at) => Action::SetPlanning { location_id: at.parse().unwrap(), planning },
        None => Action::UpdateItem(CataloguePatch { planning, decimals, ..CataloguePatch::default() }),
    };
    Slot::Command(queued)
}

#[test]
fn a_planning_is_set_field_by_field_and_cleared_at_a_location_it_is_the_items() {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let item_id: ItemId = "a".parse().unwrap();
    worker.run(&item_id, &[registration("a", 1, &[])]);
    let supplier = |name: Option<&str>| PlanningPatch { supplier: Some(name.map(Into::into)), ..Default::default() };
    let days = |days: Option<u16>| PlanningPatch { lead_time_days: Some(days), ..Default::default() };
    let run = |worker: &mut Worker, id: u128, slot: Slot| {
        let levels = worker.store.levels.len();
        worker.run(&item_id, &[slot]);
        assert_eq!(worker.store.levels.len(), levels, "a planning makes no level");
        show(&worker.store.record(&item_id, CommandId(Uuid::from_u128(id))).unwrap().outcome)
    };
    assert_eq!(run(&mut worker, 2, planned(2, None, supplier(Some("Ltd")), None)), "ok");
    assert_eq!(run(&mut worker, 3, planned(3, None, days(Some(4)), None)), "ok");
    assert_eq!(run(&mut worker, 4, planned(4, Some("shop"), days(Some(0)), None)), "ok");
    assert_eq!(run(&mut worker, 5, planned(5, Some("shop"), supplier(Some("Next Door")), None)), "ok");
    let item = &worker.store.items[&item_id];
    assert_eq!(item.version, 5);
    let of_item = Planning { supplier: Some("Ltd".into()), lead_time_days: Some(4), ..Planning::default() };
    assert_eq!(item.catalogue.planning, of_item);
    let of_shop = Planning { supplier: Some("Next Door".into()), lead_time_days: Some(0), ..Planning::default() };
    assert_eq!(item.overrides, [("shop".parse().unwrap(), of_shop)].into());
    assert_eq!(run(&mut worker, 6, planned(6, Some("shop"), days(None), None)), "ok");
    assert_eq!(worker.store.items[&item_id].overrides.len(), 1, "its supplier is still its own");
    assert_eq!(run(&mut worker, 7, planned(7, Some("shop"), supplier(None), None)), "ok");
    assert!(
        worker.store.items[&item_id].overrides.is_empty(),
        "a location without a field of its own leaves the record"
    );
    assert_eq!(run(&mut worker, 8, planned(8, Some("shop"), supplier(None), None)), "ok", "clearing nothing is fine");
}

#[test]
fn the_quantities_of_an_order_fit_the_decimals() {
    let multiple = |q: &str| PlanningPatch { order_multiple: Some(Some(q.parse().unwrap())), ..Default::default() };
    let minimum = |q: &str| PlanningPatch { order_minimum: Some(Some(q.parse().unwrap())), ..Default::default() };
    let none = PlanningPatch::default;
    for (claim, slots, expected) in [
        ("whole", vec![planned(2, None, multiple("6"), None)], "ok"),
        ("a fraction", vec![planned(2, None, multiple("0.5"), None)], "fractional_quantity"),
        ("of the minimum", vec![planned(2, None, minimum("0.5"), None)], "fractional_quantity"),
        ("with decimals for it", vec![planned(2, None, multiple("0.5"), Some(1))], "ok"),
        (
            "that go",
            vec![planned(2, None, minimum("0.5"), Some(1)), planned(3, None, none(), Some(0))],
            "decimals_in_use",
        ),
        ("with it", vec![planned(2, None, minimum("0.5"), Some(1)), planned(3, None, minimum("2"), Some(0))], "ok"),
    ] {
        let mut worker = Worker::new(Timestamp::from_millis(T0));
        let item_id: ItemId = "a".parse().unwrap();
        worker.run(&item_id, &[registration("a", 1, &[])]);
        let last = CommandId(Uuid::from_u128(1 + slots.len() as u128));
        worker.run(&item_id, &slots);
        assert_eq!(show(&worker.store.record(&item_id, last).unwrap().outcome), expected, "{claim}");
    }
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let Slot::Command(mut register) = registration("b", 1, &[]) else { unreachable!() };
    if let Action::RegisterItem(catalogue) = &mut register.command.action {
        catalogue.planning.order_multiple = Some("0.5".parse().unwrap());
    }
    let item_id: ItemId = "b".parse().unwrap();
    worker.run(&item_id, &[Slot::Command(register)]);
    let outcome = &worker.store.record(&item_id, CommandId(Uuid::from_u128(1))).unwrap().outcome;
    assert_eq!(show(outcome), "fractional_quantity", "also at the registration");
}

#[test]
fn so_many_locations_of_an_item_have_a_planning_of_their_own_and_no_more() {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let item_id: ItemId = "a".parse().unwrap();
    worker.run(&item_id, &[registration("a", 1, &[])]);
    let own = || Planning { lead_time_days: Some(3), ..Planning::default() };
    let item = worker.store.items.get_mut(&item_id).unwrap();
    item.overrides = (0..MAX_OVERRIDES).map(|n| (format!("place-{n}").parse().unwrap(), own())).collect();
    let days = |days: Option<u16>| PlanningPatch { lead_time_days: Some(days), ..Default::default() };
    let mut outcome = |id: u128, at: &str, patch: PlanningPatch| {
        worker.run(&item_id, &[planned(id, Some(at), patch, None)]);
        show(&worker.store.record(&item_id, CommandId(Uuid::from_u128(id))).unwrap().outcome)
    };
    assert_eq!(outcome(2, "shop", days(Some(1))), "too_many_overrides");
    assert_eq!(outcome(3, "mars", days(Some(1))), "unknown_location", "which comes before");
    let fraction = PlanningPatch { order_multiple: Some(Some("0.5".parse().unwrap())), ..Default::default() };
    assert_eq!(outcome(4, "shop", fraction), "too_many_overrides", "before a fraction");
    assert_eq!(outcome(5, "shop", days(None)), "ok", "what clears adds none");
    let item = worker.store.items.get_mut(&item_id).unwrap();
    item.overrides.pop_last();
    item.overrides.insert("shop".parse().unwrap(), own());
    let mut outcome = |id: u128, at: &str, patch: PlanningPatch| {
        worker.run(&item_id, &[planned(id, Some(at), patch, None)]);
        show(&worker.store.record(&item_id, CommandId(Uuid::from_u128(id))).unwrap().outcome)
    };
    assert_eq!(outcome(6, "shop", days(Some(2))), "ok", "one that has its own may change it");
    assert_eq!(outcome(7, "shop", days(None)), "ok");
    assert_eq!(outcome(8, "main", days(Some(2))), "ok", "there is room again");
}

#[test]
fn barcodes_belong_to_one_item() {
    let held_elsewhere = |worker: &mut Worker| {
        worker.store.claims.insert(Claim::Barcode("B".into()), "beer".parse().unwrap());
    };
    for (claim, script, expected, held) in [
        ("taken", "barcodes A,C", "ok", "AC"),
        ("another's", "barcodes A,B", "barcode_taken", ""),
        ("before decimals", "receive 0.5 | barcodes B", "barcode_taken", ""),
        ("given up", "barcodes A,C | barcodes C", "ok", "C"),
        ("taken and given up in one batch", "barcodes A | barcodes D", "ok", "D"),
        ("given up and taken again in one batch", "barcodes A | barcodes D | barcodes A", "ok", "A"),
        ("kept", "barcodes A | barcodes A,C", "ok", "AC"),
        ("a refused change gives nothing up", "barcodes A | barcodes B | receive 1", "main +1 =1", "A"),
    ] {
        let worker = run_with(script, held_elsewhere);
        assert_eq!(last(script, &worker), expected, "{claim}: {script}");
        let mine = worker.store.claims.iter().filter(|(_, holder)| **holder == item_id());
        let codes =
            mine.filter_map(|(claim, _)| if let Claim::Barcode(code) = claim { Some(code.as_str()) } else { None });
        assert_eq!(codes.collect::<String>(), held, "{claim}: {script}");
        let item = &worker.store.items[&item_id()];
        assert_eq!(
            item.catalogue.barcodes.iter().map(|barcode| barcode.code.as_str()).collect::<String>(),
            held,
            "{claim}: {script}"
        );
    }
    let rejection = run_with("barcodes B", held_elsewhere);
    let record = rejection.store.record(&item_id(), super::spec::command_id(1)).unwrap();
    assert_eq!(record.outcome.rejection.as_ref().unwrap().held_by, Some("beer".parse().unwrap()));
}

/// Makes an update of the item's barcodes and, if given, of its decimals.
fn update(item: &str, id: u128, barcodes: Option<Vec<Barcode>>, decimals: Option<u8>) -> Slot {
    let Slot::Command(mut queued) = registration(item, id, &[]) else { unreachable!() };
    queued.command.action = Action::UpdateItem(CataloguePatch { barcodes, decimals, ..Default::default() });
    Slot::Command(queued)
}

#[test]
fn a_gtin_is_held_once_in_its_shortest_form_whatever_its_spelling() {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let mut run = |item: &str, id: u128, slot: Slot| {
        let item_id: ItemId = item.parse().unwrap();
        worker.run(&item_id, &[slot]);
        let outcome = show(&worker.store.record(&item_id, CommandId(Uuid::from_u128(id))).unwrap().outcome);
        let mine = worker.store.items.get(&item_id);
        let codes: Vec<_> = mine.into_iter().flat_map(|item| &item.catalogue.barcodes).collect();
        let codes: Vec<_> = codes.iter().map(|barcode| format!("{}={}", barcode.code, barcode.quantity)).collect();
        (outcome, codes.join(" "))
    };
    let pack = |code: &str, quantity: &str| Barcode { code: code.into(), quantity: quantity.parse().unwrap() };
    assert_eq!(run("a", 1, registration("a", 1, &["0036000291452"])), ("ok".into(), "036000291452=1".into()));
    for (id, spelling) in [(2, "036000291452"), (3, "0036000291452"), (4, "00036000291452")] {
        assert_eq!(run("b", id, registration("b", id, &[spelling])).0, "barcode_taken", "{spelling}");
    }
    // The case is another code than the bottle.
    assert_eq!(run("b", 5, registration("b", 5, &["10036000291459"])).0, "ok");
    // Another spelling and another quantity of a code that the item has: it stays, with the new quantity.
    let again = vec![pack("00036000291452", "6")];
    assert_eq!(run("a", 6, update("a", 6, Some(again), None)), ("ok".into(), "036000291452=6".into()));
    assert_eq!(worker.store.claims.len(), 4, "two items with a code each");
}

#[test]
fn a_code_that_an_item_of_before_holds_in_another_spelling_is_taken() {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let (old, new): (ItemId, ItemId) = ("old".parse().unwrap(), "new".parse().unwrap());
    worker.run(&old, &[registration("old", 1, &[])]);
    // As an earlier program stored it.
    worker.store.items.get_mut(&old).unwrap().catalogue.barcodes = vec![Barcode::single("0036000291452")];
    worker.store.claims.insert(Claim::Barcode("0036000291452".into()), old.clone());
    let mut outcome = |item: &ItemId, id: u128, slot: Slot| {
        worker.run(item, &[slot]);
        show(&worker.store.record(item, CommandId(Uuid::from_u128(id))).unwrap().outcome)
    };
    assert_eq!(outcome(&new, 2, registration("new", 2, &["036000291452"])), "barcode_taken");
    // An update gives the old spelling up with the old claim.
    assert_eq!(outcome(&old, 3, update("old", 3, Some(vec![Barcode::single("00036000291452")]), None)), "ok");
    let claims: Vec<_> = worker.store.claims.keys().filter(|claim| matches!(claim, Claim::Barcode(_))).collect();
    assert_eq!(claims, [&Claim::Barcode("036000291452".into())]);
}

#[test]
fn the_quantity_of_a_barcode_fits_the_decimals() {
    let pack = |quantity: &str| Some(vec![Barcode { code: "A".into(), quantity: quantity.parse().unwrap() }]);
    for (claim, slots, expected) in [
        ("whole", vec![update("a", 2, pack("12"), None)], "ok"),
        ("a fraction", vec![update("a", 2, pack("0.5"), None)], "fractional_quantity"),
        ("with decimals for it", vec![update("a", 2, pack("0.5"), Some(1))], "ok"),
        ("that go", vec![update("a", 2, pack("0.5"), Some(1)), update("a", 3, None, Some(0))], "decimals_in_use"),
        ("with it", vec![update("a", 2, pack("0.5"), Some(1)), update("a", 3, pack("2"), Some(0))], "ok"),
    ] {
        let mut worker = Worker::new(Timestamp::from_millis(T0));
        let item_id: ItemId = "a".parse().unwrap();
        worker.run(&item_id, &[registration("a", 1, &[])]);
        let last = CommandId(Uuid::from_u128(1 + slots.len() as u128));
        worker.run(&item_id, &slots);
        assert_eq!(show(&worker.store.record(&item_id, last).unwrap().outcome), expected, "{claim}");
    }
}

fn registration(item: &str, id: u128, barcodes: &[&str]) -> Slot {
    let mut fields = catalogue(0, None, false);
    fields.barcodes = barcodes.iter().map(|code| Barcode::single(*code)).collect();
    let command = Command {
        command_id: CommandId(Uuid::from_u128(id)),
        item_id: item.parse().unwrap(),
        action: Action::RegisterItem(fields),
        details: MovementDetails::default(),
    };
    let accepted_at = Timestamp::from_millis(T0);
    Slot::Command(Box::new(Queued {
        command,
        accepted_at,
        submitted_by: "m".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }))
}

#[test]
fn ids_that_differ_only_in_case_are_one_and_barcodes_move_between_items() {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    let mut register = |item: &str, id: u128, barcodes: &[&str]| {
        let item_id: ItemId = item.parse().unwrap();
        worker.run(&item_id, &[registration(item, id, barcodes)]);
        let outcome = worker.store.record(&item_id, CommandId(Uuid::from_u128(id))).unwrap().outcome.clone();
        (show(&outcome), outcome.rejection.and_then(|rejection| rejection.held_by).map(|holder| holder.to_string()))
    };
    assert_eq!(register("Cola", 1, &["X"]), ("ok".into(), None));
    assert_eq!(register("cola", 2, &[]), ("item_exists".into(), Some("Cola".into())));
    assert_eq!(register("COLA", 3, &["X"]), ("item_exists".into(), Some("Cola".into())), "before barcode_taken");
    assert_eq!(register("Cola", 4, &[]), ("item_exists".into(), Some("Cola".into())));
    assert_eq!(register("beer", 5, &["Y", "X"]), ("barcode_taken".into(), Some("Cola".into())));
    assert!(
        !worker.store.claims.contains_key(&Claim::ItemKey("beer".into())),
        "nothing of a refused registration stays"
    );
    let mut give_up = match registration("Cola", 6, &[]) {
        Slot::Command(queued) => queued,
        Slot::Dead(_) => unreachable!(),
    };
    let patch = CataloguePatch { barcodes: Some(Vec::new()), ..Default::default() };
    give_up.command.action = Action::UpdateItem(patch);
    worker.run(&"Cola".parse().unwrap(), &[Slot::Command(give_up)]);
    worker.run(&"beer".parse().unwrap(), &[registration("beer", 7, &["Y", "X"])]);
    assert_eq!(worker.store.claims[&Claim::Barcode("X".into())].as_str(), "beer");
    assert_eq!(worker.store.claims[&Claim::ItemKey("beer".into())].as_str(), "beer");
}

#[test]
fn a_default_threshold_ends_its_fold_and_only_a_change_does() {
    for (script, folds) in [
        ("receive 4 | default 5 | sell 1", 4),
        ("receive 4 | update low:5 | sell 1", 4),
        ("receive 4 | default none | sell 1", 2),
        ("receive 4 | update policy:reject | sell 1", 2),
        ("receive 4 | low 5 | sell 1", 2),
    ] {
        // One of them registers the item; the re-judging of the level is one.
        assert_eq!(run(script).folds, folds, "{script}");
    }
    let worker = run("receive 4 | default 5 | default 6");
    assert_eq!(worker.store.items[&item_id()].threshold_version, 3);
    assert_eq!(worker.store.marks.len(), 2, "a record per level and change");
}
