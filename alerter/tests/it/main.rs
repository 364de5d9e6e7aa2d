//! The alerter over a store, a queue and a mail provider in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod feed;
#[cfg(feature = "aws")]
mod invocations;
mod notices;
mod openings;
mod outages;
mod outbox;
mod store;
mod world;
