//! Tests power cuts. A cut affects the whole process, so the tests run one at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tokio::sync::Mutex;

mod promises;
mod vfs;

static POWER: Mutex<()> = Mutex::const_new(());
