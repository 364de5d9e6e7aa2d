//! Fuzz targets for everything that strangers can send. Each target accepts any bytes and panics if a property does not
//! hold. `tests/short_run.rs` runs them over the seeds and over seeded mutations in every test run; `../fuzz` runs them
//! with libFuzzer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a property fails by panicking")]

mod api;
mod batch;
mod command;
mod faults;
mod ledger;
mod lines;
mod message;
pub mod mutate;
mod receipt;
mod record;
mod scan;
mod sheet;
mod token;

/// One input: a panic is a fault; else whether it was taken, so that a run can tell that it came that far.
pub type Target = fn(&[u8]) -> bool;

/// All targets by the names of their seed folders.
pub const TARGETS: [(&str, Target); 10] = [
    ("command", command::run),
    ("batch", batch::run),
    ("message", message::run),
    ("ledger", ledger::run),
    ("record", record::run),
    ("receipt", receipt::run),
    ("token", token::run),
    ("lines", lines::run),
    ("scan", scan::run),
    ("sheet", sheet::run),
];

/// Returns the target of this name.
pub fn target(name: &str) -> Target {
    TARGETS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no target {name}")).1
}
