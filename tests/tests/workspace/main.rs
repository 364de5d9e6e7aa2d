//! Checks rules for the whole workspace: its crates depend only on allowed crates and packages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arrows;
mod supply_chain;
