//! Messages that no one of ours wrote, in both homes. They watch the process's log and metrics, so nothing else runs here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod aws;
mod sqlite;
