//! Removes the rules of Stockline one at a time and runs the test that must notice.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_macros,
    reason = "the table is this program's output"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use stockline_mutations::{ALL, Ending, Mutation, Tree};

/// Removes the rules of Stockline one at a time and runs the test that must notice
///
/// The exit code is 0 if every mutation is noticed by its test, and 1 otherwise.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  stockline-mutations                  run all mutations (about twenty minutes on two cores)\n  \
                        stockline-mutations --only alert     run those with \"alert\" in their name\n  \
                        stockline-mutations --suite alerter  run those whose tests are in the package or target \"alerter\"\n  \
                        stockline-mutations --list           list all mutations"
)]
struct Cli {
    /// Run only the mutations whose name contains this text
    #[arg(long)]
    only: Option<String>,
    /// Run only the mutations whose tests are built by arguments of cargo with this text: a package, or a test program
    #[arg(long)]
    suite: Option<String>,
    /// List the mutations without running them
    #[arg(long)]
    list: bool,
    /// Folder for the copy of the workspace and its builds
    #[arg(long, default_value = "target/mutations")]
    folder: PathBuf,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let wanted = |mutation: &&Mutation| {
        cli.only.as_ref().is_none_or(|part| mutation.name.contains(part.as_str()))
            && cli.suite.as_ref().is_none_or(|part| mutation.suite.arguments.join(" ").contains(part.as_str()))
    };
    let mutations: Vec<&Mutation> = ALL.iter().copied().flatten().filter(wanted).collect();
    if cli.list {
        table(mutations.iter().map(|mutation| (*mutation, String::new())));
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = std::env::current_dir()?;
    let tree = Tree::of(&workspace, &workspace.join(&cli.folder)).context("copying the workspace")?;
    let bar = ProgressBar::new(mutations.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?);
    let started = Instant::now();
    let (mut rows, mut noticed) = (Vec::new(), 0);
    for of_suite in mutations.chunk_by(|one, next| one.suite == next.suite) {
        let suite = of_suite[0].suite;
        bar.set_message(suite.arguments.join(" "));
        let mut unfit = tree.unfit(suite, of_suite.iter().map(|mutation| mutation.killed_by))?;
        for mutation in of_suite {
            bar.set_message(mutation.name);
            let ending = match unfit.remove(mutation.killed_by) {
                None => tree.try_out(mutation)?,
                Some(ending) => {
                    Ending::Broken(format!("the test does not pass on the original code: {}", describe(&ending)))
                }
            };
            noticed += usize::from(matches!(ending, Ending::Killed | Ending::Hung));
            bar.suspend(|| eprintln!("{}: {}", mutation.name, describe(&ending)));
            rows.push((*mutation, ending));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    table(rows.iter().map(|(mutation, ending)| (*mutation, short(ending))));
    println!("\n{noticed} of {} noticed in {} s", rows.len(), started.elapsed().as_secs());
    Ok(if noticed == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(rows: impl Iterator<Item = (&'static Mutation, String)>) {
    println!("| removed rule | where | ending | noticed by |\n|---|---|---|---|");
    for (mutation, ending) in rows {
        let file = mutation.edits.first().map_or("", |edit| edit.file);
        println!("| {} | `{file}` | {ending} | `{}` |", mutation.name.replace('-', " "), mutation.killed_by);
    }
}

fn short(ending: &Ending) -> String {
    describe(ending).lines().next().unwrap_or_default().to_owned()
}

fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Killed => "killed".into(),
        Ending::Hung => "killed: its test does not finish".into(),
        Ending::Survived => "SURVIVED".into(),
        Ending::Broken(why) => format!("NOT TRIED: {why}"),
    }
}
