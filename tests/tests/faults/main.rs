//! Tests the adapters and in-process programs under errors, outages and data of older versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod aws_faults;
mod bit_rot;
mod injected_dynamodb;
mod long_outage;
mod outage_ingress;
mod torn_restore;
mod versions;
