//! Runs each target over its seeds and a fixed number of seeded mutations: in seconds, as libFuzzer does for hours.
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use stockline_hostile::mutate::Mutator;
use stockline_hostile::{TARGETS, target};

/// The seed is fixed, so every run makes the same inputs.
const SEED: u64 = 20_260_131;

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Returns the result of the target. A panic is shown with the input that caused it.
fn run(name: &str, input: &[u8], from: &dyn std::fmt::Debug) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(name)(input)))
        .unwrap_or_else(|_| panic!("{name}, {from:?}: {}", input.escape_ascii()))
}

fn short_run(name: &str, inputs: usize) {
    let seeds = seeds(name);
    let taken = seeds.iter().filter(|(path, bytes)| run(name, bytes, path)).count();
    assert!(taken > 0 && taken < seeds.len(), "{taken} of {} seeds were accepted", seeds.len());
    let from: Vec<_> = seeds.into_iter().map(|(_, bytes)| bytes).collect();
    let mut mutator = Mutator::new(SEED);
    let taken = (0..inputs).filter(|n| run(name, &mutator.input(&from), n)).count();
    println!("{name}: {} seeds, {inputs} mutations, of which {taken} were accepted", from.len());
}

#[test]
fn a_command_is_read_as_it_was_meant_or_refused_with_every_fault_in_its_place() {
    short_run("command", 60_000);
}

#[test]
fn a_line_of_a_batch_is_judged_as_if_alone() {
    short_run("batch", 4_000);
}

#[test]
fn a_message_is_read_command_by_command() {
    short_run("message", 40_000);
}

#[test]
fn a_readable_ledger_is_one_that_was_written() {
    short_run("ledger", 200_000);
}

#[test]
fn a_readable_record_is_one_that_can_be_written() {
    short_run("record", 200_000);
}

#[test]
fn an_accepted_receipt_is_one_that_was_signed() {
    short_run("receipt", 20_000);
}

#[test]
fn a_token_is_accepted_only_as_it_was_signed() {
    short_run("token", 20_000);
}

#[test]
fn a_file_of_lines_is_read_whole_or_refused() {
    short_run("lines", 10_000);
}

#[test]
fn a_scanned_text_is_read_or_refused_and_its_codes_have_one_form() {
    short_run("scan", 100_000);
}

#[test]
fn a_spreadsheet_is_judged_line_by_line_or_refused() {
    short_run("sheet", 10_000);
}

#[test]
fn every_target_has_seeds_a_short_run_and_a_long_one() {
    let here = include_str!("short_run.rs");
    let long = include_str!("../../fuzz/Cargo.toml");
    for (name, _) in TARGETS {
        assert!(here.contains(&format!("short_run(\"{name}\"")), "{name} has no test");
        assert!(long.contains(&format!("name = \"{name}\"")), "{name} is not in tests/fuzz/Cargo.toml");
    }
}
