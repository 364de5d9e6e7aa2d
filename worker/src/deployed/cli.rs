//! The command line of the deployed worker.

use clap::{Args, Parser, Subcommand};
use stockline_aws::deployed;
use stockline_core::domain::{CommandId, ItemId};

use super::settings::VARIABLES;

const EXAMPLES: &str = "Examples:
  worker
  worker audit
  worker dead-letters list
  worker dead-letters retry cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b

Exit codes of audit and dead-letters: 0 success, 1 a fault was found or an order was refused, 2 the command line or the
configuration is invalid, 3 the store or the queue can't be reached now.";

/// Stockline's worker: applies queued commands to the stock, each exactly once
#[derive(Debug, Parser)]
#[command(name = "worker", version, after_help = format!("{}\n\n{EXAMPLES}", deployed::describe(VARIABLES)))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Operation(Operation),
    /// Ask the worker on this machine for /healthz: exit code 0 if it is healthy, 1 if not
    Probe,
}

/// The commands that need the whole configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Work until SIGTERM (the default without a command)
    Run,
    /// Check level by level that the ledger explains the stock; workers may keep running
    #[command(after_help = "Example:\n  worker audit --json > audit.json")]
    Audit {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, retry or discard commands that were dead-lettered
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List dead letters that wait for a decision, newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Queue a dead letter again, e.g. after an upgrade that can apply it
    #[command(after_help = "Examples:
  worker dead-letters retry cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b
  worker dead-letters retry --all")]
    Retry {
        #[command(flatten)]
        which: Which,
        /// Retry all dead letters that can be retried, the oldest of each item first
        #[arg(long, conflicts_with_all = ["item_id", "command_id"])]
        all: bool,
    },
    /// Mark a dead letter as never to be applied; its record is kept
    #[command(after_help = "Example:\n  worker dead-letters discard cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b")]
    Discard {
        /// The item of the dead letter
        item_id: ItemId,
        /// The command id of the dead letter
        command_id: CommandId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The item of the dead letter
    #[arg(required_unless_present = "all", requires = "command_id")]
    pub(crate) item_id: Option<ItemId>,
    /// The command id of the dead letter
    #[arg(required_unless_present = "all")]
    pub(crate) command_id: Option<CommandId>,
}
