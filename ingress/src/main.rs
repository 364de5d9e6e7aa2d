//! The program `ingress`, which is deployed on AWS.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::process::ExitCode;

use stockline_aws::deployed::{Program, answer_arguments, end_with};
use stockline_service::Env;

mod deployed;

/// The allocator of the system used a tenth to a fifth of the CPU under load (docs/proof.md, Overload).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Stockline's HTTP side: accepts commands into the queue and answers reads.";

fn main() -> ExitCode {
    let program =
        Program { name: "ingress", about: ABOUT, variables: deployed::VARIABLES, health: Some(&deployed::LISTEN) };
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
