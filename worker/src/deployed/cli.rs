//! The command line of the deployed worker.

use clap::{Args, Parser, Subcommand};
use stockline_aws::deployed;
use stockline_core::domain::{ClientId, ClientRight, CommandId, ItemId, LocationId, Timestamp};

use stockline_worker::audit::{AT_ONCE, Checkpoint};

use super::settings::VARIABLES;

const EXAMPLES: &str = "Examples:
  worker
  worker audit
  worker smoke
  worker dead-letters list
  worker dead-letters retry cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b

Exit codes of audit, backfill, dead-letters and clients: 0 success, 1 a fault was found or an order was refused, 2 the command line or the
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
    #[command(after_help = "Examples:
  worker audit --json > audit.json
  worker audit --resume eyJsIjoi…:cola-033
  worker audit --repair --restored-at 2026-11-24T03:00:00Z
  worker audit --repair --restored-at 2026-11-24T03:00:00Z --apply

--repair without --apply only says what it would do. Its exit codes: 0 nothing is torn, or all of it was repaired; 1 something is
torn, or an item could not be repaired.")]
    Audit(AuditArgs),
    /// Bring rows of earlier releases into the present form; workers may keep running
    #[command(
        after_help = "Without --records it lists the ledger's old chunks in the index of chunks, so that reports find them cheaply: run
it once after the upgrade that adds the index `chunks` to the table. Reports are right without it, and read each old ledger by
itself. With --records it writes old outcomes in their compact form: one write unit each, for a sixth of the stored bytes.
Both read the whole table once. If it is interrupted, start it again: it goes on with what is missing.

Examples:
  worker backfill
  worker backfill --records"
    )]
    Backfill {
        /// Write old outcomes in their compact form
        #[arg(long)]
        records: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, retry or discard commands that were dead-lettered
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Try every transaction and every other call of a worker once, against items of the test's own
    #[command(
        after_help = "Run it in the first hour of an installation, and after each change of the worker's rights. Its items are
named smoke-…; they are archived in the end. Exit code 1: a step failed.

Example:
  worker smoke"
    )]
    Smoke {
        /// Leave out the command that a running worker must apply
        #[arg(long)]
        no_queue: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, register, disable or enable the clients whose tokens are accepted
    #[command(subcommand)]
    Clients(ClientsCommand),
}

/// How the audit runs.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Items and levels kept in memory at once, some 150 bytes each; the outcomes are read once for each such range
    #[arg(long, default_value_t = AT_ONCE as u32, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    pub(crate) at_once: u32,
    /// Go on from a checkpoint of an earlier audit: only the items behind it are audited
    #[arg(long, conflicts_with = "repair")]
    pub(crate) resume: Option<Checkpoint>,
    /// Find what a restore to a point in time has torn, instead of the audit; no worker may run
    #[arg(long, requires = "restored_at")]
    pub(crate) repair: bool,
    #[command(flatten)]
    pub(crate) torn: TornArgs,
}

/// What `audit --repair` looks at.
#[derive(Debug, Args)]
pub(crate) struct TornArgs {
    /// The moment that the table was restored to, such as 2026-11-24T03:00:00Z
    #[arg(long, requires = "repair")]
    pub(crate) restored_at: Option<Timestamp>,
    /// Minutes before that moment in which rows may be torn
    #[arg(long, requires = "repair", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1_440))]
    pub(crate) window_minutes: u16,
    /// Repair it
    #[arg(long, requires = "repair")]
    pub(crate) apply: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// List the registered clients, by id
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Register a client, or replace its settings; it is enabled
    #[command(after_help = "Example:
  worker clients put 1h57kf5cpq17m0eml12EXAMPLE --name \"Tills of Berlin\" --right commands --right read --location berlin")]
    Put {
        /// The client's id at the issuer
        client_id: ClientId,
        #[command(flatten)]
        changes: ClientChanges,
    },
    /// Refuse all tokens of a client, within a minute: for a stolen till
    Disable {
        /// The client's id at the issuer
        client_id: ClientId,
    },
    /// Accept the tokens of a client again
    Enable {
        /// The client's id at the issuer
        client_id: ClientId,
    },
}

/// The settings of a client.
#[derive(Debug, Args)]
pub(crate) struct ClientChanges {
    /// The name for people
    #[arg(long)]
    pub(crate) name: String,
    /// What the client may do, at most: commands, read or manage; repeat it for several
    #[arg(long = "right", required = true)]
    pub(crate) rights: Vec<ClientRight>,
    /// A location where the client may act; repeat it for several
    #[arg(long = "location", required_unless_present = "everywhere")]
    pub(crate) locations: Vec<LocationId>,
    /// Let the client act at every location
    #[arg(long, conflicts_with = "locations")]
    pub(crate) everywhere: bool,
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
