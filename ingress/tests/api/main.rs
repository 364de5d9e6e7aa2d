//! The API over a real server on loopback, with real tokens and the domain's own fold behind small in-memory ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking; nothing here is public"
)]

mod batch;
mod commands;
mod description;
mod limits;
mod matrix;
mod memory;
mod problems;
mod reads;
mod resubmit;
mod rights;
mod server;
mod status;
mod tokens;
