//! Runs the contract suite of each port on every adapter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod backfill_dynamodb;
mod clients;
mod days_dynamodb;
mod mail;
mod queue_memory;
mod queue_sqlite;
mod queue_sqs;
mod store_dynamodb;
mod store_memory;
mod store_ministack;
mod store_sqlite;
