//! Random sequences, cut into random folds, against the model: the result must not depend on the cuts.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use stockline_core::domain::{
    Alert, AlertKind, FoldLimits, Level, Quantity, RejudgeMark, Rules, Status, StockState, Timestamp,
};
use stockline_core::ports::CommitOutcome;

use super::model::{Model, Moved, Told, Verdict};
use super::spec::{Act, Spec, T0, command_id, item_id};
use super::worker::Worker;

/// Small limits, so that random times fall on both sides and on the edge.
const RULES: Rules = Rules { max_age_ms: 10, late_count_max_age_ms: 6, clock_skew_max_ms: 4 };

/// How a sequence is delivered to the workers.
#[derive(Debug, Clone)]
struct Cuts {
    /// How many commands each receive returns; the list is repeated.
    receives: Vec<usize>,
    /// How many commands of the receive before are redelivered; the list is repeated.
    again: Vec<usize>,
    limits: FoldLimits,
    /// The clock of each receive relative to the first acceptance, which may be behind; the list is repeated.
    clocks: Vec<i64>,
}

impl Cuts {
    /// Delivers everything in one receive, under large limits.
    fn none() -> Self {
        let limits = FoldLimits {
            max_actions: 100_000,
            max_bytes: usize::MAX,
            max_level_bytes: usize::MAX,
            ..FoldLimits::default()
        };
        Self { receives: vec![usize::MAX], again: vec![0], limits, clocks: vec![0] }
    }
}

fn place() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just("main"), 6 => Just("shop"), 1 => Just("closed"), 1 => Just("mars")]
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![6 => (1..=6_i64).prop_map(|n| n * 1000), 2 => Just(500), 1 => Just(250), 1 => Just(1)]
}

fn threshold() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![2 => Just(None), 5 => (0..=5_i64).prop_map(|n| Some(n * 1000)), 1 => Just(Some(1500))]
}

fn catalogue_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => (0..=3_u8, threshold(), any::<bool>())
            .prop_map(|(decimals, threshold, reject)| Act::Register { decimals, threshold, reject }),
        3 => (weighted(0.3, 0..=3_u8), weighted(0.5, threshold()), weighted(0.5, any::<bool>()))
            .prop_map(|(decimals, threshold, reject)| Act::Update { decimals, threshold, reject }),
        1 => Just(Act::Archive),
        2 => Just(Act::Restore),
        4 => (weighted(0.6, place()), threshold()).prop_map(|(at, value)| Act::Threshold { at, value }),
        2 => (place(), weighted(0.7, amount())).prop_map(|(at, value)| Act::Multiple { at, value }),
    ]
}

fn movement_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (place(), amount()).prop_map(|(at, quantity)| Act::Receive { at, quantity }),
        7 => (place(), amount(), weighted(0.4, any::<bool>()))
            .prop_map(|(at, quantity, reject)| Act::Sell { at, quantity, reject }),
        1 => (place(), amount()).prop_map(|(at, quantity)| Act::Return { at, quantity }),
        2 => (place(), amount(), any::<bool>())
            .prop_map(|(at, quantity, less)| Act::Adjust { at, quantity: if less { -quantity } else { quantity } }),
        4 => (place(), prop_oneof![Just(0), amount()]).prop_map(|(at, counted)| Act::Count { at, counted }),
        4 => (place(), place(), amount())
            .prop_filter("two places", |(from, to, _)| from != to)
            .prop_map(|(from, to, quantity)| Act::Transfer { from, to, quantity }),
    ]
}

/// A command without its id and its time of acceptance.
fn command() -> impl Strategy<Value = Spec> {
    let details =
        (weighted(0.5, -13..=3_i64), weighted(0.2, -3..=3_i64), weighted(0.12, (-2..=6_i64).prop_map(|n| n * 1000)));
    let delivery = (prop_oneof![12 => Just(0_u32), 1 => Just(1), 1 => Just(2)], prop::bool::weighted(0.06));
    let act = prop_oneof![5 => movement_act(), 1 => catalogue_act()];
    (act, details, delivery).prop_map(|(act, (occurred, sent, expect), (retry, dead))| {
        let movement = !matches!(
            act,
            Act::Register { .. }
                | Act::Update { .. }
                | Act::Archive
                | Act::Restore
                | Act::Threshold { .. }
                | Act::Multiple { .. }
        );
        let (occurred, expect) = if movement { (occurred, expect) } else { (None, None) };
        Spec { id: 0, act, accepted: 0, occurred, sent, expect, retry, dead }
    })
}

/// Commands accepted a few milliseconds apart (by two ingresses, so time may go back), some with an earlier id. Now and
/// then the clock steps further than right clocks differ, forth or back.
fn sequence() -> impl Strategy<Value = Vec<Spec>> {
    let step = prop_oneof![16 => 0..=4_i64, 2 => -3..=0_i64, 1 => 5..=400_i64, 1 => -400..=-5_i64];
    let placed = (command(), step, weighted(0.12, any::<prop::sample::Index>()));
    vec(placed, 1..45).prop_map(|commands| {
        let mut now = T0;
        let mut placed: Vec<Spec> = Vec::new();
        for (index, (spec, step, earlier)) in commands.into_iter().enumerate() {
            now += step;
            let id = earlier.map_or(index, |earlier| earlier.index(index + 1)) as u32 + 1;
            let after = |offset: i64| now + offset;
            placed.push(Spec {
                id,
                accepted: now,
                occurred: spec.occurred.map(after),
                sent: spec.sent.map(after),
                ..spec
            });
        }
        placed
    })
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let limits = (3..40_usize, 60_000..800_000_usize, 4_200..6_000_usize, 0..500_usize);
    let limits = limits.prop_map(|(max_actions, max_bytes, max_level_bytes, max_tail_bytes)| FoldLimits {
        max_actions,
        max_bytes,
        max_level_bytes,
        max_tail_bytes,
    });
    (vec(1..12_usize, 1..6), vec(prop_oneof![3 => Just(0), 1 => 1..8_usize], 1..6), limits, vec(-50..200_i64, 1..6))
        .prop_map(|(receives, again, limits, clocks)| Cuts { receives, again, limits, clocks })
}

/// The stock of the two levels before the test: little, or nearly the greatest balance.
fn found() -> impl Strategy<Value = [Option<i64>; 2]> {
    let near = prop_oneof![
        6 => Just(None),
        1 => (0..9_i64).prop_map(|n| Some(i64::MAX - n * 1000 - 7)),
        1 => (0..9_i64).prop_map(|n| Some(i64::MIN + n * 1000 + 7)),
    ];
    [near.clone(), near]
}

fn system(found: [Option<i64>; 2], first: &Spec, cuts: &Cuts) -> Worker {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    worker.rules = RULES;
    worker.limits = cuts.limits;
    worker.run(&item_id(), &[first.slot()]);
    for (place, on_hand) in ["main", "shop"].into_iter().zip(found) {
        let Some(on_hand) = on_hand.map(Quantity::from_raw) else { continue };
        let mut level = Level::new(place.parse().unwrap(), 1);
        (level.on_hand, level.version, level.state) = (on_hand, 1, StockState::judge(on_hand, None));
        worker.store.levels.insert((item_id(), level.location_id.clone()), level);
    }
    worker
}

fn deliver(worker: &mut Worker, sequence: &[Spec], cuts: &Cuts) {
    let slots: Vec<_> = sequence.iter().map(Spec::slot).collect();
    let mut start = 0;
    for round in 0.. {
        let pick = |values: &[usize]| values[round % values.len()];
        let from = start - pick(&cuts.again).min(start);
        let to = start.saturating_add(pick(&cuts.receives)).min(slots.len());
        worker.now = Timestamp::from_millis(T0 + cuts.clocks[round % cuts.clocks.len()]);
        worker.run(&item_id(), &slots[from..to]);
        start = to;
        if start == slots.len() {
            break;
        }
    }
}

fn told(alert: &Alert) -> Told {
    let severity = match alert.kind {
        AlertKind::Low => 1,
        AlertKind::Out => 2,
        AlertKind::Oversold => 3,
    };
    let at = ["main", "shop"].into_iter().find(|at| *at == alert.location_id.as_str()).unwrap();
    (at, alert.alert_no, severity, alert.on_hand.raw().into(), alert.opening)
}

/// Returns the stored outcome of a command in the model's form.
fn verdict(worker: &Worker, id: u32) -> Verdict {
    let record = worker.store.record(&item_id(), command_id(id)).unwrap();
    let outcome = &record.outcome;
    match outcome.status {
        Status::DeadLettered => Verdict::Dead,
        Status::Rejected => Verdict::Rejected(outcome.rejection.as_ref().unwrap().code.as_str()),
        Status::Applied => {
            let moved = |e: &stockline_core::domain::Effect| Moved {
                at: ["main", "shop"].into_iter().find(|at| *at == e.location_id.as_str()).unwrap(),
                delta: e.delta.raw().into(),
                after: e.after.raw().into(),
                late: e.late,
                ahead: e.clock_ahead,
                occurred: e.occurred_at.as_millis(),
            };
            let of_this = |mark: &&RejudgeMark| mark.command_id == command_id(id);
            let marks = worker.store.marks.values().filter(of_this).filter_map(|mark| mark.alert.as_ref());
            Verdict::Applied {
                moved: outcome.effects.iter().map(moved).collect(),
                told: record.alerts.iter().chain(marks).map(told).collect(),
            }
        }
    }
}

fn agrees_with_the_model(found: [Option<i64>; 2], first: &Spec, sequence: &[Spec], cuts: &Cuts) {
    let mut worker = system(found, first, cuts);
    deliver(&mut worker, sequence, cuts);
    check(&worker, found, first, sequence);
}

/// Compares the store and the published alerts with the model's results for the same commands.
fn check(worker: &Worker, found: [Option<i64>; 2], first: &Spec, sequence: &[Spec]) {
    let mut model = Model::new(&RULES);
    model.decide(first);
    for (place, on_hand) in ["main", "shop"].into_iter().zip(found) {
        on_hand.into_iter().for_each(|on_hand| model.find(place, on_hand));
    }
    let mut expected = std::collections::BTreeMap::new();
    for spec in sequence {
        expected.extend(model.decide(spec).map(|verdict| (spec.id, verdict)));
    }
    for (id, expected) in &expected {
        assert_eq!(verdict(worker, *id), *expected, "command {id}");
    }
    for (place, found) in ["main", "shop"].into_iter().zip(found) {
        let on_hand = worker.store.level(&item_id(), place).map_or(0, |level| level.on_hand.raw());
        assert_eq!(i128::from(on_hand), model.balance(place), "{place}");
        let ledger = worker.store.ledger(&item_id(), place);
        assert_eq!(ledger.len(), model.movements(place));
        let sum = ledger.iter().map(|entry| i128::from(entry.delta.raw())).sum::<i128>();
        assert_eq!(i128::from(found.unwrap_or(0)) + sum, i128::from(on_hand), "the ledger explains {place}");
    }
    every_alert_was_published(worker, &expected);
}

fn every_alert_was_published(worker: &Worker, expected: &std::collections::BTreeMap<u32, Verdict>) {
    let mut published: Vec<Told> = worker.published.iter().map(told).collect();
    published.sort_unstable();
    published.dedup();
    let mut raised: Vec<Told> = expected
        .values()
        .flat_map(|verdict| match verdict {
            Verdict::Applied { told, .. } => told.clone(),
            _ => Vec::new(),
        })
        .collect();
    raised.sort_unstable();
    assert_eq!(published, raised);
}

fn register() -> impl Strategy<Value = Spec> {
    let policy_and_threshold = (threshold(), any::<bool>(), prop_oneof![1 => 0..=2_u8, 3 => Just(3)]);
    policy_and_threshold.prop_map(|(threshold, reject, decimals)| Spec {
        id: 100_000,
        act: Act::Register { decimals, threshold, reject },
        accepted: T0 - 20,
        occurred: None,
        sent: None,
        expect: None,
        retry: 0,
        dead: false,
    })
}

/// Returns the names of the rules that a verdict meets.
fn rules_met(spec: &Spec, verdict: &Verdict) -> Vec<String> {
    let act = format!("{:?}", spec.act);
    let act = act.split([' ', '{', '(']).next().unwrap().to_owned();
    match verdict {
        Verdict::Dead => vec!["dead".into()],
        Verdict::Rejected(code) => vec![(*code).to_owned()],
        Verdict::Applied { moved, told } => {
            let late = moved.iter().filter(|m| m.late).map(|m| format!("{act} late, of {}, at {}", moved.len(), m.at));
            let ahead = moved.iter().filter(|m| m.ahead).map(|_| format!("{act} ahead"));
            let told = told.iter().map(|(_, _, severity, _, opening)| {
                format!("{act} {} {severity}", if *opening { "opens" } else { "told" })
            });
            let retried = (spec.retry > 0).then(|| "retried".to_owned());
            late.chain(ahead).chain(told).chain(retried).chain([format!("{act} applied")]).collect()
        }
    }
}

/// Guards the generators: a rule that random sequences never meet would not be tested.
#[test]
fn random_sequences_meet_every_rule() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let (found, first, sequence) = (found(), register(), sequence()).new_tree(&mut runner).unwrap().current();
        let mut model = Model::new(&RULES);
        model.decide(&first);
        for (place, on_hand) in ["main", "shop"].into_iter().zip(found) {
            on_hand.into_iter().for_each(|on_hand| model.find(place, on_hand));
        }
        for spec in &sequence {
            met.extend(model.decide(spec).into_iter().flat_map(|verdict| rules_met(spec, &verdict)));
        }
    }
    for rule in [
        "item_exists",
        "item_archived",
        "unknown_location",
        "location_closed",
        "decimals_in_use",
        "fractional_quantity",
        "occurred_at_out_of_range",
        "count_too_late",
        "precondition_failed",
        "insufficient_stock",
        "quantity_overflow",
        "dead",
        "retried",
        "Sell late, of 1, at main",
        "Count late, of 1, at main",
        "Transfer late, of 2, at main",
        "Transfer late, of 2, at shop",
        "Sell ahead",
        "Count ahead",
        "Receive opens 1",
        "Return opens 1",
        "Count opens 1",
        "Count opens 2",
        "Transfer opens 1",
        "Adjust opens 1",
        "Sell told 1",
        "Sell told 2",
        "Sell told 3",
        "Count told 1",
        "Count told 2",
        "Transfer told 1",
        "Transfer told 2",
        "Transfer told 3",
        "Adjust told 1",
        "Threshold told 1",
        "Update told 1",
        "Multiple applied",
        "Archive applied",
        "Restore applied",
        "Count applied",
    ] {
        assert!(met.contains(rule), "{rule} is never met; these are: {met:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 320, failure_persistence: None, max_shrink_iters: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_however_it_is_cut_ends_as_the_model_says(
        found in found(), first in register(), sequence in sequence(), cuts in cuts(),
    ) {
        agrees_with_the_model(found, &first, &sequence, &cuts);
    }

    #[test]
    fn a_worker_that_was_paused_before_its_commit_writes_nothing(
        first in register(), sequence in sequence(), seen in any::<prop::sample::Index>(), held in any::<prop::sample::Index>(),
        cuts in cuts(),
    ) {
        let mut worker = system([None, None], &first, &cuts);
        let (done, held_slots) = sequence.split_at(seen.index(sequence.len()));
        deliver(&mut worker, done, &cuts);
        let slots: Vec<_> = held_slots.iter().map(Spec::slot).collect();
        let paused = worker.fold_of(&item_id(), &slots);
        let folds = worker.folds;
        worker.run(&item_id(), &slots[..=held.index(slots.len())]);
        let zombie = worker.store.after(&paused.commit);
        prop_assert!(worker.folds == folds || matches!(zombie, Err(CommitOutcome::Decided(_))));
        worker.run(&item_id(), &slots);
        check(&worker, [None, None], &first, &sequence);
    }

    #[test]
    fn one_great_fold_ends_as_the_model_says(found in found(), first in register(), sequence in sequence()) {
        agrees_with_the_model(found, &first, &sequence, &Cuts::none());
    }
}
