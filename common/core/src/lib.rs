//! Stockline's core: the rules of stock ([`domain`]) and the traits that adapters implement ([`ports`]).
//!
//! Dependencies point one way: `domain ← ports ← {stockline-sqlite, stockline-aws}`. `stockline-service` uses this
//! crate too.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod domain;
pub mod ports;
#[cfg(feature = "testing")]
pub mod testing;
