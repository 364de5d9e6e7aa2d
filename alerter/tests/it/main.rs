//! The alerter over a store that keeps the ports' contract in memory, with real mail: a folder of `.eml` files and an
//! SMTP server on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod feed;
#[cfg(feature = "aws")]
mod invocations;
mod mailers;
mod notices;
mod smtp_server;
mod store;
mod world;
