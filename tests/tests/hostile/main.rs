//! Sends messages that no program of ours wrote to both homes. The tests watch the process's log and metrics, so no
//! other test may run in it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod aws;
mod sqlite;
