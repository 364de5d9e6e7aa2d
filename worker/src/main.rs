//! The binary `worker`, for AWS.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::process::ExitCode;

use clap::Parser as _;
use stockline_aws::deployed::{end_with, probe};
use stockline_service::Env;

mod deployed;

use deployed::{Command, Operation};

/// Under load the system's allocator used 10 to 20 % of the CPU (docs/proof.md, Overload).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let operation = match deployed::Cli::parse().command {
        Some(Command::Probe) => return probe(Env::of_process(), &deployed::HEALTH_LISTEN),
        Some(Command::Operation(operation)) => operation,
        None => Operation::Run,
    };
    match start(operation) {
        Ok(code) => ExitCode::from(code),
        Err(error) => end_with(format_args!("{error:#}"), error.chain()),
    }
}

fn start(operation: Operation) -> anyhow::Result<u8> {
    let settings = deployed::Settings::read(Env::of_process())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(deployed::run(operation, settings))
}
