//! Checks all rules for `deploy/`, in one program so that it is linked once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alarm_rules;
mod dockerfiles;
mod drift;
mod drills;
mod lint;
mod scripts;
mod watched;
