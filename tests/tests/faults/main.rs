//! What the adapters and the programs in one process make of errors, outages and older versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod aws_faults;
mod injected_dynamodb;
mod long_outage;
mod outage_ingress;
mod versions;
