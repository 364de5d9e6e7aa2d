//! Tests of the domain through its public API: claims as tables, random sequences against a slower model, and the wire
//! formats against arbitrary input.

#![allow(unreachable_pub, reason = "the modules of one test binary share their items")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alert_tables;
mod catalogue_tables;
mod command_json;
mod lately;
mod limits;
mod model;
mod money;
mod movement_tables;
mod parse_tables;
mod properties;
mod protocol_tables;
mod rejection_tables;
mod reversal_tables;
mod script;
mod small_rules;
mod spec;
mod store;
mod time_tables;
mod wire;
mod worker;
