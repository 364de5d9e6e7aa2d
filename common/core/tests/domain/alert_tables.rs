use super::script::{alerts, raises, run};
use super::spec::item_id;

#[test]
fn a_worsening_alerts_once_per_kind_and_episode() {
    raises(&[
        ("falling below the threshold", "low 5 | receive 9 | sell 5", "low main 4"),
        ("at the threshold is not below", "low 5 | receive 9 | sell 4", ""),
        ("reaching zero", "low 5 | receive 9 | sell 9", "out main 0"),
        ("below zero", "low 5 | receive 9 | sell 10", "oversold main -1"),
        ("step by step", "low 5 | receive 9 | sell 5 | sell 4 | sell 1", "low main 4, out main 0, oversold main -1"),
        ("lower still is no crossing", "low 5 | receive 9 | sell 5 | sell 1", "low main 4"),
        ("each kind once in an episode", "low 5 | receive 9 | sell 9 | receive 2 | sell 2", "out main 0"),
        (
            "a milder kind later in the episode is an improvement",
            "low 5 | receive 9 | sell 9 | receive 2",
            "out main 0",
        ),
        (
            "normal again begins a new episode",
            "low 5 | receive 9 | sell 5 | receive 5 | sell 5",
            "low main 4, low main 4",
        ),
        (
            "exactly the threshold is normal again",
            "low 5 | receive 9 | sell 5 | receive 1 | sell 1",
            "low main 4, low main 4",
        ),
        (
            "fuel below zero is one episode",
            "low 5 | receive 9 | sell 10 | receive 2 | sell 2 | sell 9",
            "oversold main -1",
        ),
        ("a count may cross", "low 5 | receive 9 | count 3", "low main 3"),
        ("an adjustment may cross", "low 5 | receive 9 | adjust -9", "out main 0"),
        ("a transfer may cross at the giving side", "low 5 | receive 9 | move 5 to:shop", "low main 4"),
        ("what is late crosses nothing", "low 5 | receive 9 | count 9 | sell 9 @-15s", ""),
        (
            "both sides at once",
            "low 5 | receive 9 | low 9 at:shop | receive 9 at:shop | sell 11 at:shop | move 1 from:shop to:main",
            "oversold shop -2",
        ),
    ]);
}

#[test]
fn no_crossing_hides_inside_a_batch() {
    raises(&[
        ("down and up again", "low 5 | receive 9 | sell 9 | receive 9", "out main 0"),
        ("twice", "low 5 | receive 9 | sell 9 | receive 9 | sell 5 | receive 5", "out main 0, low main 4"),
    ]);
}

#[test]
fn a_new_level_is_not_judged_until_its_opening_stock_is_in() {
    raises(&[
        ("a threshold on an empty level", "low 5", ""),
        ("set, cleared and set again", "low 5 | low none | low 6", ""),
        ("a default on an empty level", "low 5 | default 6 | low none | default 7", ""),
        ("archived and restored before it opens", "low 5 | archive | restore | low 6", ""),
        ("opening stock at the threshold", "low 5 | receive 5", ""),
        ("opening stock above it", "low 5 | receive 9 | sell 4", ""),
    ]);
}

#[test]
fn opening_stock_below_the_threshold_is_a_crossing_marked_as_an_opening() {
    raises(&[
        ("a first delivery", "register low:5 | receive 3", "opening low main 3"),
        ("a first count", "register low:5 | count 3", "opening low main 3"),
        ("a first count of nothing", "register low:5 | count 0", "opening out main 0"),
        ("a count of an hour ago", "register low:5 | count 3 @-1h", "opening low main 3"),
        ("a first return", "register low:5 | return 1", "opening low main 1"),
        ("stock that was found", "register low:5 | adjust 3", "opening low main 3"),
        ("goods from another location", "low 5 at:shop | receive 9 | move 3 to:shop", "opening low shop 3"),
        ("a threshold of its own", "low 5 | receive 3", "opening low main 3"),
        (
            "each location by itself",
            "default 5 | receive 3 | receive 4 at:shop",
            "opening low main 3, opening low shop 4",
        ),
        ("less than zero is none", "register low:0 | receive 3 | count 0", "out main 0"),
        ("nothing, and told only when out", "register low:0 | count 0", "opening out main 0"),
        ("each kind once in the episode", "low 5 | receive 3 | sell 1 | receive 1 | sell 1", "opening low main 3"),
        (
            "worse later in the episode",
            "low 5 | receive 3 | sell 3 | sell 1",
            "opening low main 3, out main 0, oversold main -1",
        ),
        ("and again after normal", "low 5 | receive 3 | receive 9 | sell 9", "opening low main 3, low main 3"),
        ("only the first entry opens", "low 5 | count 9 | count 3", "low main 3"),
        ("a second line of the same delivery", "low 5 | receive 3 | receive 1", "opening low main 3"),
    ]);
}

#[test]
fn a_first_entry_that_takes_stock_is_judged_at_once_and_opens_nothing() {
    raises(&[
        ("a sale", "register low:5 | sell 3", "oversold main -3"),
        ("without a threshold too", "sell 3", "oversold main -3"),
        ("the giving side of a transfer", "receive 9 at:shop | move 3 to:shop", "oversold main -3"),
        ("damaged goods", "register low:5 | adjust -1", "oversold main -1"),
        ("a delivery after it is an improvement", "register low:5 | sell 3 | receive 6", "oversold main -3"),
    ]);
}

#[test]
fn opening_stock_alerts_nothing_without_a_threshold_or_while_archived() {
    raises(&[
        ("no threshold", "receive 3", ""),
        ("no threshold and nothing", "count 0", ""),
        ("a threshold after it is a crossing, no opening", "receive 3 | low 5", "low main 3"),
        ("archived", "low 5 | archive | receive 3 @-15s", ""),
        ("and silent after the restore", "low 5 | archive | receive 3 @-15s | restore | sell 1", ""),
        ("but worse is told", "low 5 | archive | receive 3 @-15s | restore | sell 3", "out main 0"),
    ]);
}

#[test]
fn without_a_threshold_only_oversold_alerts() {
    raises(&[
        ("out is silent", "receive 9 | sell 9", ""),
        ("oversold is not", "receive 9 | sell 10", "oversold main -1"),
        ("once", "receive 9 | sell 10 | receive 1 | sell 2", "oversold main -1"),
        ("again after normal", "sell 1 | receive 2 | sell 2", "oversold main -1, oversold main -1"),
        ("a threshold of zero means only when out", "low 0 | receive 9 | sell 8 | sell 1", "out main 0"),
        ("what was silent may be told later", "receive 9 | sell 9 | low 5 | receive 1 | sell 1", "out main 0"),
    ]);
}

#[test]
fn setting_a_threshold_judges_the_level_anew() {
    raises(&[
        ("raised above the balance", "receive 4 | low 5", "low main 4"),
        ("raised within the same state", "receive 4 | low 5 | low 6", "low main 4"),
        ("set, cleared and set again", "receive 4 | low 5 | low none | low 5", "low main 4, low main 4"),
        ("lowered ends the episode", "receive 4 | low 5 | low 4 | low 5", "low main 4, low main 4"),
        ("a default crosses everywhere", "receive 4 | receive 3 at:shop | default 5", "low main 4, low shop 3"),
        ("but not where the level has its own", "receive 4 | low 2 | default 5", ""),
        ("clearing the own one falls back", "receive 4 | low 2 | default 5 | low none", "low main 4"),
        ("setting the own one over the default", "receive 4 | default 2 | low 5", "low main 4"),
        ("by an update of the item", "receive 4 | update low:5", "low main 4"),
        ("the same default again is no change", "receive 4 | default 5 | default 5", "low main 4"),
        ("set, cleared and set again", "receive 4 | default 5 | default none | default 5", "low main 4, low main 4"),
        ("a registered default holds", "register low:5 | receive 9 | sell 5", "low main 4"),
        ("before the next command is judged", "receive 4 | default 5 | sell 1", "low main 4"),
        ("oversold is told already", "sell 1 | default 5", "oversold main -1"),
    ]);
}

#[test]
fn an_archived_item_alerts_nothing_and_starts_over_when_restored() {
    raises(&[
        ("archived", "low 5 | receive 9 | archive | sell 5 @-25s", ""),
        ("a threshold while archived", "receive 4 | archive | low 5", ""),
        ("a default while archived", "receive 4 | archive | default 5", ""),
        ("restoring raises nothing", "receive 9 | low 5 | archive | sell 5 @-25s | restore", ""),
        (
            "what crossed while archived stays silent",
            "low 5 | receive 9 | archive | sell 5 @-15s | restore | sell 1",
            "",
        ),
        ("but worse is told", "low 5 | receive 9 | archive | sell 5 @-15s | restore | sell 4", "out main 0"),
        (
            "told before, told again",
            "low 5 | receive 9 | sell 9 | archive | restore | receive 1 | sell 1",
            "out main 0, out main 0",
        ),
        ("not archived, not started over", "low 5 | receive 9 | sell 9 | restore | receive 1 | sell 1", "out main 0"),
        ("the first default after a restore may cross", "receive 4 | archive | restore | default 5", "low main 4"),
        ("and the first own threshold", "receive 4 | archive | restore | low 5", "low main 4"),
        (
            "a default changed while archived crossed silently",
            "receive 4 | archive | default 5 | restore | default 6",
            "",
        ),
        ("in one batch too", "low 5 | receive 9 | sell 5 | archive | restore | sell 4", "low main 4, out main 0"),
    ]);
}

#[test]
fn an_alert_says_what_was_found() {
    let worker = run("low 5 | receive 9 | sell 5");
    let alert = &worker.published[0];
    assert_eq!(alert.id(), "cola:main:1");
    assert_eq!((alert.on_hand.to_string(), alert.seq), ("4".to_owned(), 2));
    assert_eq!(alert.low_stock_threshold.unwrap().to_string(), "5");
    assert_eq!((alert.item_name.as_str(), alert.unit.as_str()), ("Cola", "bottle"));
    assert_eq!(alert.command_id, super::spec::command_id(3));
    assert_eq!(alert.raised_at, worker.store.ledger(&item_id(), "main")[1].recorded_at);
}

#[test]
fn alert_numbers_count_up_without_the_ledger_moving() {
    let worker = run("receive 4 | low 5 | low none | low 5 | sell 4");
    let ids: Vec<_> = worker.published.iter().map(|alert| (alert.alert_no, alert.seq)).collect();
    assert_eq!(ids, [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(alerts(&worker).len(), 3);
}
