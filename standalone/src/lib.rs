//! What `stockline load` makes of other people's files: lines of CSV become commands. A library, so that it can be fuzzed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod mail;
#[path = "lines/mapping.rs"]
pub mod mapping;
#[path = "lines/recipe.rs"]
pub mod recipe;
#[path = "lines/source.rs"]
pub mod source;

/// The arguments contradict each other or the files they name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
