//! The binary `stockline`: ingress, worker and alerter in one process on one data folder, and the command line.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use stockline_core::ports::Clock as _;
use stockline_service::{Env, SystemClock};

mod audit;
mod backup;
mod cli;
mod client;
mod control;
mod dead_letters;
mod duration;
mod exit;
mod files;
mod folder;
mod http;
mod keys;
mod load;
mod locations;
mod login;
mod mailer;
mod parts;
mod refused;
mod restore;
mod serve;
mod show;
mod side_work;
mod submit;
mod table;
mod tokens;
mod welcome;

use cli::{Cli, Command, KeysCommand, TokenArgs, TokenCommand};
use folder::Folder;
use keys::Keys;

/// A tenth to a fifth of the CPU under load was the system's allocator (docs/proof.md, Overload).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::with_default_subcommand(std::env::args_os().collect());
    let cli = Cli::parse_from(arguments);
    exit::finish(run(cli.command))
}

fn run(command: Command) -> anyhow::Result<u8> {
    check_environment()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the async runtime")?;
    runtime.block_on(dispatch(command))
}

/// A variable that looks like ours and is none is a slip that would go unnoticed.
fn check_environment() -> anyhow::Result<()> {
    let mut env = Env::of_process();
    for name in cli::VARIABLES {
        // Clap reads and checks the value; here only the name counts.
        env.optional::<String>(name);
    }
    env.finish().map_err(|error| exit::Usage(error.to_string()).into())
}

async fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => serve::serve(*args).await,
        Command::Token(args) => token(args),
        Command::Login(args) => login::login(&args).await,
        Command::Logout(args) => login::logout(&args),
        Command::Keys(KeysCommand::Rotate { drop_old, data }) => rotate(&Folder::at(data.data), drop_old),
        Command::Submit(args) => submit::submit(&args).await,
        Command::Load(args) => load::load(*args).await,
        Command::Stock(args) => show::stock(&args).await,
        Command::Status(args) => show::status(&args).await,
        Command::History(args) => show::history(&args).await,
        Command::Refused(args) => refused::refused(&args).await,
        Command::Alerts(args) => show::alerts(&args).await,
        Command::Locations(command) => locations::run(&command).await,
        Command::Audit(args) => audit::run(&args).await,
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::DeadLetters(command) => dead_letters::run(&command).await,
        Command::Mail(command) => mailer::run(&command).await,
    }
}

fn token(args: TokenArgs) -> anyhow::Result<u8> {
    let now = SystemClock.now();
    match args.command {
        Some(TokenCommand::List { json, data }) => tokens::list(&Folder::at(data.data), json, now),
        Some(TokenCommand::Revoke { jti, subject, data }) => {
            tokens::revoke(&Folder::at(data.data), &jti, subject.as_deref(), now)
        }
        None => {
            let keys = Keys::open(&Folder::at(args.data.data))?;
            let (role, subject) = match (args.till, args.role) {
                (Some(till), _) => (tokens::Role::Till, till),
                (None, role) => {
                    let role = role.ok_or_else(|| exit::Usage("for whom? --role or --till".into()))?;
                    (role, args.subject.unwrap_or_else(|| role.as_str().to_owned()))
                }
            };
            let request = tokens::TokenRequest { role, subject, locations: args.locations, ttl_s: args.ttl.seconds() };
            println!("{}", tokens::issue(&keys, &request, now)?.jwt);
            Ok(exit::OK)
        }
    }
}

fn rotate(folder: &Folder, drop_old: bool) -> anyhow::Result<u8> {
    let now = SystemClock.now();
    let keys = Keys::open(folder)?;
    let _lock = keys::lock(folder)?;
    let needed = tokens::key_is_needed(folder, now)?;
    let rotated = keys.rotate(now, drop_old, needed)?;
    println!("tokens are signed with key {} from now on", rotated.kid);
    println!("{} older key(s) still verify, {} dropped", rotated.kept, rotated.dropped);
    println!("receipts are signed with a new key from the server's next start on");
    Ok(exit::OK)
}
