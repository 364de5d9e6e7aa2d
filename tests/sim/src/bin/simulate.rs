//! The simulation for nights and for a failing seed.
//!
//! ```text
//! simulate --seeds 100000 [--from 3000] [--tamper NAME] [--set-aside]
//! simulate --seed 17 [--faults 3,5] [--requests 0,12] [--without skews,poisons] [--tamper NAME] [--trace]
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test tool fails by panicking")]

use std::process::ExitCode;
use std::time::Instant;

use stockline_sim::run::{Watch, run};
use stockline_sim::shrink::Cut;
use stockline_sim::sweep::sweep;
use stockline_sim::tamper::Tamper;

/// So many failures end a night.
const FAILURES_MAX: usize = 5;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let traced = words.iter().position(|word| word == "--trace").map(|at| words.remove(at)).is_some();
    let set_aside = words.iter().position(|word| word == "--set-aside").map(|at| words.remove(at)).is_some();
    let tamper = take(&mut words, "--tamper").map(|name| {
        let named = Tamper::ALL.into_iter().find(|tamper| format!("{tamper:?}") == name);
        named.unwrap_or_else(|| panic!("{name} is none of {:?}", Tamper::ALL))
    });
    let watch = Watch { tamper, set_aside, traced };
    let number = |text: Option<String>| text.map_or(0, |text| text.parse::<u64>().unwrap());
    match take(&mut words, "--seeds") {
        Some(count) => many(number(take(&mut words, "--from")), number(Some(count)), watch),
        None => one(&words.join(" "), watch),
    }
}

fn take(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    words.drain(at..at + 2).next_back()
}

fn many(from: u64, count: u64, watch: Watch) -> ExitCode {
    let started = Instant::now();
    let (coverage, failures) = sweep(from..from + count, watch, FAILURES_MAX);
    println!("{}", coverage.table());
    println!("{:.1} seeds a second", coverage.runs as f64 / started.elapsed().as_secs_f64());
    for failure in &failures {
        println!("{}", failure.told(watch));
    }
    ExitCode::from(u8::from(!failures.is_empty()))
}

fn one(cut: &str, watch: Watch) -> ExitCode {
    let cut: Cut = cut.parse().unwrap_or_else(|error| panic!("{error}"));
    let report = run(&cut.scenario(), watch);
    print!("{}", report.trace);
    report.faults.iter().for_each(|fault| println!("{fault}"));
    println!("{} faults found", report.faults.len());
    ExitCode::from(u8::from(!report.faults.is_empty()))
}
