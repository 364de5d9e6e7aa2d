//! Checks `deploy/`: its templates, Dockerfiles and scripts, their permissions and alarms, and their agreement with the
//! code. Tests that need the AWS stand-in start it from here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod cloudformation;
pub mod dockerfile;
pub mod iam;
pub mod installed;
pub mod metric_math;
pub mod metric_names;
pub mod ministack;
pub mod node;
pub mod operator;
pub mod programs;
pub mod python;
pub mod templates;
pub mod wanted;
pub mod watched;
pub mod wiring;
