//! The binary `worker`, deployed on AWS.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::process::ExitCode;

use clap::Parser as _;
use stockline_common::service::Env;
use stockline_common::service::deployed::exit_code;

mod deployed;

fn main() -> ExitCode {
    let cli = deployed::Cli::parse();
    match start(cli.command.unwrap_or(deployed::Command::Run)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            exit_code(error.chain())
        }
    }
}

fn start(command: deployed::Command) -> anyhow::Result<u8> {
    let settings = deployed::Settings::read(Env::of_process())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(deployed::run(command, settings))
}
