//! Stockline's core: the rules of stock ([`domain`]), the contracts of what surrounds them ([`ports`]) and the
//! adapters that keep those contracts.
//!
//! Arrows go one way: `domain ← ports ← {aws, sqlite}`; `service` stands beside.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(any(feature = "aws", feature = "sqlite"))]
mod cursor;
pub mod domain;
pub mod ports;
pub mod service;
#[cfg(feature = "sqlite")]
pub mod sqlite;
