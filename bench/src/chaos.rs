//! The rounds of `tests/src/chaos` for longer than a test may take.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use stockline_tests::chaos::{self, Report, Round};

/// How long, and from which seed.
#[derive(Debug, Args)]
pub(crate) struct ChaosOptions {
    /// How often the server is killed under load.
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// Decides what the tills send and when the server is killed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tills that send at once.
    #[arg(long, default_value_t = 16)]
    tills: usize,
    /// Items that they sell; few, so that they meet.
    #[arg(long, default_value_t = 20)]
    items: usize,
    /// After the rounds the server is stopped (SIGSTOP) for so many seconds, more than its queue holds a message for,
    /// and goes on; 0: not.
    #[arg(long, default_value_t = 65)]
    stopped_s: u64,
}

/// Runs the rounds and prints them; an error where a promise was broken.
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
        stopped: (options.stopped_s > 0).then(|| Duration::from_secs(options.stopped_s)),
    };
    let report = chaos::run(&options, line).await;
    told(&report, begun.elapsed());
    if !report.faults.is_empty() {
        bail!("{} promises were found broken:\n{}", report.faults.len(), report.faults.join("\n"));
    }
    println!("no promise was found broken; every audit was clean");
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

fn told(report: &Report, took: Duration) {
    println!(
        "\n{} accepted, {} sent again without an answer, {} accepted again under their id",
        report.accepted, report.sent_again, report.replays
    );
    println!(
        "{} applied, {} refused for shortage; {} units sold, as the balances say",
        report.applied, report.rejected, report.sold_units
    );
    println!(
        "{} crossings, {} mailed; {} mailed twice, of {} that a kill left between mail and mark; {:.0} s in all",
        report.alerts,
        report.mailed,
        report.duplicates,
        report.excused,
        took.as_secs_f64()
    );
}
