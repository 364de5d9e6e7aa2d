//! What strangers can send, as functions of bytes: each takes whatever it is given, and panics where a property does
//! not hold. `tests/short_run.rs` drives them over the seeds and seeded mutations in every test run; `../fuzz` hands
//! them to libFuzzer.
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
mod token;

/// One input: a panic is a fault; else whether it was taken, so that a run can tell that it came that far.
pub type Target = fn(&[u8]) -> bool;

/// Every target by the name of its seeds' folder.
pub const TARGETS: [(&str, Target); 7] = [
    ("command", command::run),
    ("batch", batch::run),
    ("message", message::run),
    ("ledger", ledger::run),
    ("receipt", receipt::run),
    ("token", token::run),
    ("lines", lines::run),
];

/// The target of this name.
pub fn target(name: &str) -> Target {
    TARGETS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no target {name}")).1
}
