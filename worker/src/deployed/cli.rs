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

Of audit and dead-letters: 0 all is well, 1 something was found or refused, 2 the command line or the configuration
can't be meant so, 3 store or queue can't be reached now.";

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
    /// Ask the worker that runs here for /healthz: 0 it is well, 1 it is not
    Probe,
}

/// What takes the whole configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Work until SIGTERM (also without any command)
    Run,
    /// Prove that the ledger explains the stock, level by level; workers may go on meanwhile
    #[command(after_help = "Example:\n  worker audit --json > audit.json")]
    Audit {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Commands that were set aside
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List those that wait for a decision, the newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Queue one again, e.g. after an upgrade that can apply it
    #[command(after_help = "Examples:
  worker dead-letters retry cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b
  worker dead-letters retry --all")]
    Retry {
        #[command(flatten)]
        which: Which,
        /// All that can be, the oldest of each item first
        #[arg(long, conflicts_with_all = ["item_id", "command_id"])]
        all: bool,
    },
    /// Mark one as never to be applied; it is kept
    #[command(after_help = "Example:\n  worker dead-letters discard cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b")]
    Discard {
        /// Its item
        item_id: ItemId,
        /// Its id
        command_id: CommandId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its item
    #[arg(required_unless_present = "all", requires = "command_id")]
    pub(crate) item_id: Option<ItemId>,
    /// Its id
    #[arg(required_unless_present = "all")]
    pub(crate) command_id: Option<CommandId>,
}
