//! Plays many seeds on all processors.

use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::coverage::Coverage;
use super::options::RunOptions;
use super::run::{Report, run};
use super::scenario::Scenario;
use super::shrink::{Selection, shrink};

/// A seed that failed.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The faults.
    pub faults: Vec<String>,
}

impl Failure {
    /// Describes the failure and how to reproduce it.
    pub fn describe(&self, options: RunOptions) -> String {
        let smallest = shrink(&Selection::whole(self.seed), options);
        let faults = run(&smallest.scenario(), options).faults;
        let by = options.tamper.map_or_else(String::new, |tamper| format!(" --tamper {tamper:?}"));
        format!(
            "seed {} fails:\n  {}\nagain: cargo run -p stockline-sim --bin simulate -- --seed {}{by}\n\
             smaller: cargo run -p stockline-sim --bin simulate -- {smallest}{by}\n  {}",
            self.seed,
            self.faults.join("\n  "),
            self.seed,
            faults.join("\n  ")
        )
    }
}

fn play(seed: u64, options: RunOptions) -> Report {
    catch_unwind(|| run(&Scenario::of(seed), options)).unwrap_or_else(|_| Report {
        faults: vec!["the run itself panicked".to_owned()],
        met: super::faults::FaultCounts::new(),
        counts: Vec::new(),
        trace: String::new(),
    })
}

/// Plays seeds until `failures_max` have failed. Returns the coverage and the failures by seed.
pub fn sweep(seeds: Range<u64>, options: RunOptions, failures_max: usize) -> (Coverage, Vec<Failure>) {
    let next = AtomicU64::new(seeds.start);
    let found: Mutex<(Coverage, Vec<Failure>)> = Mutex::default();
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut coverage = Coverage::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end || found.lock().unwrap().1.len() >= failures_max {
                        break;
                    }
                    let report = play(seed, options);
                    coverage.add(&report);
                    if !report.faults.is_empty() {
                        found.lock().unwrap().1.push(Failure { seed, faults: report.faults });
                    }
                }
                found.lock().unwrap().0.join(coverage);
            });
        }
    });
    let (coverage, mut failures) = found.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.seed);
    (coverage, failures)
}
