//! Options of `clients`.

use clap::{Args, Subcommand};
use stockline_core::domain::{ClientId, ClientRight, LocationId};

use super::ClientArgs;

const PUT_EXAMPLES: &str = "Examples:
  stockline clients put 1h57kf5cpq17m0eml12example --name \"Tills of store 12\" --right commands --right read --location store-12
  stockline clients put 1h57kf5cpq17m0eml12example --disable
  stockline clients put 1h57kf5cpq17m0eml12example --enable";

#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// List the registered clients
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Register clients, or change them: what you do not name stays as it is
    #[command(after_help = PUT_EXAMPLES)]
    Put {
        /// The ids of the clients, as the issuer named them
        #[arg(required = true, value_name = "CLIENT")]
        client_ids: Vec<ClientId>,
        #[command(flatten)]
        changes: ClientSettingsArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// What changes of a client.
#[derive(Debug, Args)]
pub(crate) struct ClientSettingsArgs {
    /// The name that people use [default of a new client: its id]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it may do, at most: commands, read or manage; can be given several times [default of a new client: commands
    /// and read]
    #[arg(long = "right", value_name = "RIGHT")]
    pub(crate) rights: Vec<ClientRight>,
    /// Where it may act, in place of where it did before; can be given several times. A new client needs this or
    /// --everywhere
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) locations: Vec<LocationId>,
    /// Let it act at every location
    #[arg(long, conflicts_with = "locations")]
    pub(crate) everywhere: bool,
    /// Refuse all its tokens, within a minute
    #[arg(long)]
    pub(crate) disable: bool,
    /// Accept its tokens again
    #[arg(long, conflicts_with = "disable")]
    pub(crate) enable: bool,
}
