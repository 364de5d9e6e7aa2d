//! Stockline standalone: ingress, worker and alerter in one process on one data folder, and the command line.
//!
//! [`run`] is the whole program. [`lines`] is public because the tests of hostile input feed it with damaged files.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::process::ExitCode;

use anyhow::Context as _;
use stockline_service::Env;

mod archive;
mod args;
mod client;
mod commands;
mod demo;
mod duration;
mod exit;
mod files;
mod folder;
mod host;
mod http;
mod issuer;
pub mod lines;
mod login;
pub mod mail;
mod mailer;
mod problem;
mod serve;
mod snapshot;
mod stores;
mod table;
mod when;

pub use args::Cli;
use args::Command;

/// Runs the subcommand, prints its error if it fails, and returns the exit code that `--help` documents.
pub fn run(cli: Cli) -> ExitCode {
    exit::finish(run_command(cli.command), cli.as_json)
}

fn run_command(command: Command) -> anyhow::Result<u8> {
    check_environment()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the async runtime")?;
    runtime.block_on(dispatch(command))
}

/// Refuses unknown variables that begin with our prefix: a typing error would otherwise go unnoticed.
fn check_environment() -> anyhow::Result<()> {
    let mut env = Env::of_process();
    for name in args::VARIABLES {
        // Clap reads and checks the value; here only the name counts.
        env.optional::<String>(name);
    }
    env.finish().map_err(|error| exit::Usage(error.to_string()).into())
}

async fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => serve::serve(*args).await,
        Command::Token(args) => commands::tokens::token(args).await,
        Command::Login(args) => commands::login::login(&args).await,
        Command::Logout(args) => commands::login::logout(&args),
        Command::Keys(command) => commands::tokens::keys(command).await,
        Command::Submit(args) => commands::submit::submit(&args).await,
        Command::Reverse(args) => commands::submit::reverse(&args).await,
        Command::Load(args) => commands::load::load(*args).await,
        Command::Export(args) => commands::export::export(&args).await,
        Command::Import(args) => commands::import::import(*args).await,
        Command::Items(args) => commands::items::items(&args).await,
        Command::Scan(args) => commands::scan::scan(&args).await,
        Command::Stock(args) => commands::show::stock(&args).await,
        Command::Status(args) => commands::show::status(&args).await,
        Command::History(args) => commands::show::history(&args).await,
        Command::Refused(args) => commands::refused::refused(&args).await,
        Command::Alerts(args) => commands::show::alerts(&args).await,
        Command::Clients(command) => commands::clients::clients(&command).await,
        Command::Report(args) => commands::report::report(&args).await,
        Command::Locations(command) => commands::locations::locations(&command).await,
        Command::Audit(args) => commands::audit::audit(&args).await,
        Command::Backup(args) => commands::backup::backup(&args),
        Command::Restore(args) => commands::restore::restore(&args),
        Command::Folder(command) => commands::folder::folder(&command),
        Command::DeadLetters(command) => commands::dead_letters::dead_letters(&command).await,
        Command::Clock(args) => commands::clock::clock(&args).await,
        Command::Demo(args) => demo::demo(args).await,
        Command::Console(command) => commands::console::console(command).await,
        Command::Mail(command) => commands::mail::mail(&command).await,
        Command::Completions(args) => commands::install::completions(&args),
        Command::Man(args) => commands::install::man(&args),
        Command::Tls(command) => commands::tls::tls(&command),
    }
}
