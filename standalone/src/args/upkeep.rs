//! Options of `audit`, `backup`, `restore`, `folder`, `dead-letters`, `clock` and `mail`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stockline_core::domain::{CommandId, ItemId};

use super::{ClientArgs, DataArg, MailArgs};

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// First make anew what is made of other rows: the index of records and the lists. The server must be stopped
    #[arg(long)]
    pub(crate) repair: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example, from cron:\n  stockline backup --data /var/lib/stockline /backup/stockline-$(date +%F).tar"
)]
pub(crate) struct BackupArgs {
    /// The file to write; an existing file is replaced once the new one is complete
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples, to check a backup: every bit; and that the ledger in it explains the stock\n  stockline restore stockline-2026-01-31.tar --check\n  stockline restore stockline-2026-01-31.tar --data /tmp/restored\n  stockline audit --data /tmp/restored"
)]
pub(crate) struct RestoreArgs {
    /// A file that `backup` wrote
    pub(crate) file: PathBuf,
    /// Read the whole backup, compare its digests, and create nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Also revoke what was revoked in this folder, which the restored one replaces
    #[arg(long, value_name = "OLD_FOLDER", conflicts_with = "check")]
    pub(crate) revoked_of: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FolderCommand {
    /// Show the folder's identity, its parts since when, restores, and where it was last served
    Show {
        #[command(flatten)]
        data: DataArg,
    },
    /// Put an empty part in the place of one that is lost for good; what is left of it stays beside it
    #[command(
        after_help = "What is lost with each part:\n  queue.db  commands that were accepted and not yet applied; tills may send them again\n  stock.db  the stock and its history: command ids count as new, so rather restore a backup\n  keys      every issued token"
    )]
    Replace {
        /// The part
        #[arg(value_parser = ["queue.db", "stock.db", "keys"])]
        part: String,
        #[command(flatten)]
        data: DataArg,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List the dead letters that wait for a decision
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Queue a dead letter again, for example after an upgrade that can apply it
    Retry(DeadLetterArgs),
    /// Mark a dead letter as never to be applied; its record is kept
    Discard(DeadLetterArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DeadLetterArgs {
    /// The command's item
    pub(crate) item_id: ItemId,
    /// The command's id
    pub(crate) command_id: CommandId,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1: the machine's clock has stepped, and the server goes on from the time before.\nSet the clock right, or confirm that it is right now."
)]
pub(crate) struct ClockArgs {
    /// Take the machine's clock as it is now, even if the time goes back
    #[arg(long)]
    pub(crate) confirm: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Show what the running server has mailed, and what it could not
    #[command(after_help = "Exit code 1: some mail could not be delivered; the text says to whom, since when and why.")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArg,
    },
    /// Send a test mail in the way in which alerts are sent
    #[command(
        after_help = "Example:\n  stockline mail test --to owner@example.com --smtp-url smtps://user:password@mail.example.com"
    )]
    Test {
        /// The recipients [default: every --alert-email]
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
        #[command(flatten)]
        mail: MailArgs,
        #[command(flatten)]
        data: DataArg,
    },
}
