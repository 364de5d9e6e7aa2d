//! Stockline's core: the rules of stock ([`domain`]) and the contracts of what surrounds them ([`ports`]).
//!
//! Arrows go one way: `domain ← ports ← {stockline-sqlite, stockline-aws}`; `stockline-service` stands beside.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod domain;
pub mod ports;
#[cfg(feature = "testing")]
pub mod testing;
