//! Runs the rounds of `tests/src/chaos` for longer than a test may take.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use stockline_tests::chaos::{self, Report, Round};

/// Options of `chaos`.
#[derive(Debug, Args)]
pub(crate) struct ChaosOptions {
    /// Number of kills under load
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// Seed that decides the commands and the moments of the kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tills that send concurrently
    #[arg(long, default_value_t = 16)]
    tills: usize,
    /// Items that they sell; few, so that tills compete for them
    #[arg(long, default_value_t = 20)]
    items: usize,
    /// Seconds for which the server is stopped (SIGSTOP) after the rounds, longer than a message's lease; 0 skips this
    #[arg(long, default_value_t = 65)]
    stopped_s: u64,
}

/// Runs the rounds, prints them, and returns an error if a promise was broken.
pub(crate) async fn run(options: &ChaosOptions) -> Result<()> {
    let begun = Instant::now();
    println!("seed {}, {} tills, {} items\n", options.seed, options.tills, options.items);
    println!(
        "{:>5} {:>8} {:>9} {:>9} {:>11} {:>9} {:>7} {:>11}",
        "round", "lived ms", "at start", "ready ms", "settled ms", "accepted", "mailed", "mailed twice"
    );
    let options = chaos::Options {
        rounds: options.rounds,
        seed: options.seed,
        tills: options.tills,
        items: options.items,
        accepted_min: 0,
        stopped: (options.stopped_s > 0).then(|| Duration::from_secs(options.stopped_s)),
    };
    let report = chaos::run(&options, line).await;
    print_summary(&report, begun.elapsed());
    if !report.faults.is_empty() {
        bail!("{} promises were broken:\n{}", report.faults.len(), report.faults.join("\n"));
    }
    println!("no promise was broken; every audit was clean");
    Ok(())
}

fn line(round: &Round) {
    println!(
        "{:>5} {:>8} {:>9} {:>9} {:>11} {:>9} {:>7} {:>11}",
        round.number,
        round.lived.as_millis(),
        if round.killed_at_start { "killed" } else { "" },
        round.ready_in.as_millis(),
        round.settled_in.as_millis(),
        round.accepted,
        round.mailed,
        round.duplicates,
    );
}

fn print_summary(report: &Report, took: Duration) {
    println!(
        "\n{} accepted, {} sent again after no answer, {} accepted again under the same id",
        report.accepted, report.sent_again, report.replays
    );
    println!(
        "{} applied, {} rejected for shortage; {} units sold, which matches the balances",
        report.applied, report.rejected, report.sold_units
    );
    println!(
        "{} crossings, {} mailed, {} mailed twice; kills left {} between mail and mark; {:.0} s in total",
        report.alerts,
        report.mailed,
        report.duplicates,
        report.excused,
        took.as_secs_f64()
    );
}
