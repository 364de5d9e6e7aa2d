//! Tests the API with a real server on loopback and real tokens, over ports in memory that use the fold of the domain.
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking; nothing here is public"
)]

mod analytics;
mod awkward;
mod barcodes;
mod batch;
mod clients;
mod commands;
mod description;
mod dismiss;
mod exports;
mod imports;
mod limits;
mod matrix;
mod memory;
mod problems;
mod reads;
mod resubmit;
mod reversals;
mod rights;
mod server;
mod status;
mod tokens;
mod web;
