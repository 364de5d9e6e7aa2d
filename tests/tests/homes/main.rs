//! Both homes as they run: real processes, deployed stacks, images. Many of these tests wait for something; the crash
//! points beside them use the processor meanwhile, so all of them are one program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod aws_chaos;
mod aws_deploy;
mod aws_e2e;
mod aws_login;
mod aws_stand_in;
mod aws_start;
mod aws_watch;
mod chaos;
mod crash_points_dynamodb;
mod crash_points_sqlite;
mod full_disk;
mod images;
mod schemathesis;
mod standalone;
mod start;
