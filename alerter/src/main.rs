//! The binary `alerter`, a function on AWS Lambda.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::process::ExitCode;

use stockline_aws::deployed::{Program, answer_arguments, end_with};
use stockline_service::Env;

mod deployed;

const ABOUT: &str = "Stockline's alerter: mails alerts and daily notices. It runs as a function on AWS Lambda.";

fn main() -> ExitCode {
    let program = Program { name: "alerter", about: ABOUT, variables: deployed::VARIABLES, health: None };
    if let Some(code) = answer_arguments(std::env::args(), program) {
        return code;
    }
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end_with(format_args!("{error:#}"), error.chain()),
    }
}

fn start() -> anyhow::Result<()> {
    let settings = deployed::Settings::read(Env::of_process())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(deployed::run(settings))
}
