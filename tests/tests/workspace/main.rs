//! Checks rules for the whole workspace: the dependencies between its crates, and those on other packages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arrows;
mod supply_chain;
