//! Simulates the whole write path of Stockline in one thread, under a virtual clock, from seeds: see `stockline_sim`.
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Instant;

use stockline_sim::options::RunOptions;
use stockline_sim::run::run;
use stockline_sim::scenario::Scenario;
use stockline_sim::shrink::{Selection, shrink};
use stockline_sim::sweep::sweep;
use stockline_sim::tamper::Tamper;

/// The seeds of a normal test run; `simulate --seeds N` plays more.
const SEEDS: u64 = 3_000;

/// A removed rule must be noticed within this many seeds.
const ABLATION_SEEDS: u64 = 500;

#[test]
fn every_promise_holds_on_every_seed_and_every_fault_hits_every_step() {
    let started = Instant::now();
    let options = RunOptions::default();
    let (coverage, failures) = sweep(0..SEEDS, options, 1);
    println!("{}", coverage.table());
    println!("{:.1} seeds a second", coverage.runs as f64 / started.elapsed().as_secs_f64());
    for failure in &failures {
        println!("{}", failure.describe(options));
    }
    assert!(failures.is_empty(), "a seed failed");
    assert_eq!(coverage.empty(), Vec::<String>::new(), "never met");
}

#[test]
fn a_removed_rule_is_noticed_within_500_seeds() {
    let mut unnoticed = Vec::new();
    for tamper in Tamper::ALL {
        let options = RunOptions { tamper: Some(tamper), ..RunOptions::default() };
        let (coverage, failures) = sweep(0..ABLATION_SEEDS, options, 1);
        println!("{tamper:?}: {} seeds", coverage.runs);
        match failures.first() {
            Some(failure) => println!("| {tamper:?} | {} | {} |", coverage.runs, failure.faults[0]),
            None => unnoticed.push(tamper),
        }
    }
    assert_eq!(unnoticed, []);
}

#[test]
fn the_same_seed_produces_the_same_trace_byte_for_byte() {
    let traced = |seed| run(&Scenario::of(seed), RunOptions { traced: true, ..RunOptions::default() }).trace;
    for seed in 0..25 {
        let first = traced(seed);
        let second = std::thread::spawn(move || traced(seed)).join().unwrap();
        assert!(first.lines().count() > 200, "seed {seed} is too short");
        if let Some((line, (one, other))) =
            first.lines().zip(second.lines()).enumerate().find(|(_, (one, other))| one != other)
        {
            panic!("seed {seed}, line {line}:\n{one}\n{other}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

#[test]
fn other_seeds_are_other_runs() {
    let traces: Vec<_> = (0..5)
        .map(|seed| run(&Scenario::of(seed), RunOptions { traced: true, ..RunOptions::default() }).trace)
        .collect();
    for (index, trace) in traces.iter().enumerate() {
        assert!(!traces[..index].contains(trace), "seed {index}");
    }
}

#[test]
fn a_failing_seed_is_shrunk_and_named_in_one_line() {
    let options = RunOptions { tamper: Some(Tamper::PublishUnchecked), ..RunOptions::default() };
    let (_, failures) = sweep(0..ABLATION_SEEDS, options, 1);
    let smallest = shrink(&Selection::whole(failures[0].seed), options);
    let again: Selection = smallest.to_string().parse().unwrap();
    assert_eq!(again, smallest);
    assert!(!run(&again.scenario(), options).faults.is_empty(), "{smallest} does not fail");
    let left = again.scenario();
    assert!(left.faults.len() <= 1, "{smallest}");
    assert!(left.requests.len() <= 5, "{smallest}");
}
