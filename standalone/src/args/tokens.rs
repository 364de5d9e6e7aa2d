//! Options of `token` and `keys`.

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use stockline_core::domain::LocationId;

use super::DataArg;
use crate::duration::Span;

const EXAMPLES: &str = "Examples:
  stockline token --role manager
  stockline token --role staff --subject anna --location store-12 --ttl 12h
  stockline token --till till-3 --location store-12 --ttl 400d
  stockline token --till web-shop --write-only --ttl 400d
  stockline token list
  stockline token revoke --subject till-3

Only the JWT is printed, so that you can write: export STOCKLINE_TOKEN=$(stockline token --role manager)";

/// The role of a token's holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// May do everything
    Manager,
    /// Moves stock and reads
    Staff,
    /// A machine: submits and reads as Staff
    #[value(skip)]
    Till,
}

impl Role {
    /// Returns its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Staff => "staff",
            Self::Till => "till",
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: Option<TokenCommand>,
    /// The role of a person
    #[arg(long, value_enum, required_unless_present = "till")]
    pub(crate) role: Option<Role>,
    /// The name of a machine: its token submits as Staff, and reads items, barcodes, stock and its commands
    #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "subject"])]
    pub(crate) till: Option<String>,
    /// The machine's token reads nothing but the status of commands
    #[arg(long, requires = "till")]
    pub(crate) write_only: bool,
    /// A code for the person, such as an employee number [default: the role]
    #[arg(long, value_name = "CODE")]
    pub(crate) subject: Option<String>,
    /// Restrict the token to this location; can be given several times
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) locations: Vec<LocationId>,
    /// How long the token is valid
    #[arg(long, value_name = "SPAN", default_value = "12h")]
    pub(crate) ttl: Span,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List the issued tokens (never their text)
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArg,
    },
    /// Revoke tokens by jti, or all tokens of a subject
    Revoke {
        /// The jti that `token list` shows
        #[arg(value_name = "JTI", required_unless_present = "subject")]
        jti: Vec<String>,
        /// Revoke all valid tokens of this subject or till
        #[arg(long, value_name = "CODE")]
        subject: Option<String>,
        #[command(flatten)]
        data: DataArg,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Sign with new keys from now on; the old keys still verify while tokens and receipts need them
    Rotate {
        /// After a leak: invalidate the old signing keys, and every token with them, at once
        #[arg(long)]
        drop_old: bool,
        #[command(flatten)]
        data: DataArg,
    },
}
