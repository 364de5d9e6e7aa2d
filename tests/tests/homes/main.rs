//! Tests both homes as they run: real processes, deployed stacks and images. Many of these tests wait, and the crash
//! points use the processor meanwhile; that is why all of them are in one program.
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod analytics;
mod aws_chaos;
mod aws_console;
mod aws_deploy;
mod aws_e2e;
mod aws_login;
mod aws_stand_in;
mod aws_start;
mod aws_watch;
mod chaos;
mod clients;
mod console;
mod crash_points_dynamodb;
mod crash_points_sqlite;
mod debian;
mod docs_pages;
mod drill;
mod full_disk;
mod images;
mod proxy;
mod schemathesis;
mod standalone;
mod start;
mod till_programs;
mod wrong_clock;
