//! What must hold for the workspace as a whole: which crate may use which, and what it takes from others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arrows;
mod supply_chain;
