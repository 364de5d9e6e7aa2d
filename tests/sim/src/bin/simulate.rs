//! Runs the simulation over many seeds, or plays one seed again.
//!
//! ```text
//! simulate --seeds 100000 [--from 3000] [--failures 5] [--whole] [--tamper NAME]
//! simulate --seed 17 [--faults 3,5] [--requests 0,12] [--without skews,poisons] [--tamper NAME] [--trace] [--keep FILE]
//! simulate --replay FILE [--trace]
//! ```
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test tool fails by panicking")]

use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use stockline_sim::kept::Kept;
use stockline_sim::options::RunOptions;
use stockline_sim::run::{Report, run};
use stockline_sim::shrink::{Selection, shrink};
use stockline_sim::sweep::sweep;
use stockline_sim::tamper::Tamper;

/// By default this many failures end a sweep.
const FAILURES_MAX: u64 = 5;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let traced = words.iter().position(|word| word == "--trace").map(|at| words.remove(at)).is_some();
    let tamper = take(&mut words, "--tamper").map(|name| {
        let named = Tamper::ALL.into_iter().find(|tamper| format!("{tamper:?}") == name);
        named.unwrap_or_else(|| panic!("{name} is not one of {:?}", Tamper::ALL))
    });
    let options = RunOptions { tamper, traced };
    let whole = words.iter().position(|word| word == "--whole").map(|at| words.remove(at)).is_some();
    let number = |text: Option<String>, otherwise| text.map_or(otherwise, |text| text.parse::<u64>().unwrap());
    let failures_max = number(take(&mut words, "--failures"), FAILURES_MAX) as usize;
    let keep = take(&mut words, "--keep");
    if let Some(file) = take(&mut words, "--replay") {
        return print_report(&Kept::read(Path::new(&file)).play(false, traced));
    }
    match take(&mut words, "--seeds") {
        Some(count) => {
            let from = number(take(&mut words, "--from"), 0);
            many(from..from + number(Some(count), 0), options, failures_max, whole)
        }
        None => one(&words.join(" "), options, keep),
    }
}

fn take(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    words.drain(at..at + 2).next_back()
}

fn many(seeds: Range<u64>, options: RunOptions, failures_max: usize, whole: bool) -> ExitCode {
    let started = Instant::now();
    let (coverage, failures) = sweep(seeds, options, failures_max);
    println!("{}", coverage.table());
    println!("{:.1} seeds a second", coverage.runs as f64 / started.elapsed().as_secs_f64());
    for failure in &failures {
        match whole {
            true => println!("seed {}:\n  {}", failure.seed, failure.faults.join("\n  ")),
            false => println!("{}", failure.describe(options)),
        }
    }
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// Plays one seed. If it is to be kept, it is shrunk first.
fn one(cut: &str, options: RunOptions, keep: Option<String>) -> ExitCode {
    let mut cut: Selection = cut.parse().unwrap_or_else(|error| panic!("{error}"));
    if let Some(file) = &keep {
        cut = shrink(&cut, options);
        println!("{cut}");
        let found = run(&cut.scenario(), options).faults.join("; ");
        Kept { found, without: options.tamper, scenario: cut.scenario() }.write(Path::new(file));
    }
    print_report(&run(&cut.scenario(), options))
}

fn print_report(report: &Report) -> ExitCode {
    print!("{}", report.trace);
    report.faults.iter().for_each(|fault| println!("{fault}"));
    println!("{} faults found", report.faults.len());
    ExitCode::from(u8::from(!report.faults.is_empty()))
}
