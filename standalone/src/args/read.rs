//! Options of the subcommands that read: `stock`, `status`, `history`, `refused`, `alerts`.

use clap::{Args, ValueEnum};
use stockline_core::domain::{CommandId, ItemId, LocationId};

use super::{ClientArgs, Kind};
use crate::when::{UtcArg, When};

/// A state of a level to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateFilter {
    /// Below its threshold
    Low,
    /// At zero
    Out,
    /// Below zero
    Oversold,
}

impl StateFilter {
    /// Returns the API's word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// How lists are shown.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The most entries to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) utc: UtcArg,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline items
  stockline items cola
  stockline items --barcode 4006381333931
  stockline items --category drinks --archived
  stockline items --supplier \"Drinks Ltd\"")]
pub(crate) struct ItemsArgs {
    /// Items whose name contains this text, in any case, and the item with this id
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// The item with this barcode
    #[arg(long, value_name = "CODE")]
    pub(crate) barcode: Option<String>,
    /// Only this category
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Only items of this supplier
    #[arg(long)]
    pub(crate) supplier: Option<String>,
    /// Archived items instead of those in use
    #[arg(long)]
    pub(crate) archived: bool,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline scan 14006381333938
  stockline scan \"(01)04006381333931(17)261231(10)AB\"
  stockline scan https://id.gs1.org/01/04006381333931/10/AB")]
pub(crate) struct ScanArgs {
    /// The text as the scanner types it
    pub(crate) code: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline stock
  stockline stock cola
  stockline stock --location store-12 --state low --state out --state oversold
  stockline stock cola --as-of 2026-01-31
  stockline stock cola --as-of \"2026-01-31 18:30\"")]
pub(crate) struct StockArgs {
    /// Only this item
    #[arg(value_name = "ITEM")]
    pub(crate) item_id: Option<ItemId>,
    /// Only this location
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) location_id: Option<LocationId>,
    /// Only levels in this state; several by repeating it, or with commas between
    #[arg(long = "state", value_name = "STATE", value_enum, value_delimiter = ',', conflicts_with = "item_id")]
    pub(crate) states: Vec<StateFilter>,
    /// The stock as it was at this time, or at the end of this day
    #[arg(long, value_name = "TIME", requires = "item_id")]
    pub(crate) as_of: Option<When>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stockline status cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b")]
pub(crate) struct StatusArgs {
    /// The command's item
    pub(crate) item_id: ItemId,
    /// The command's id
    pub(crate) command_id: CommandId,
    /// The receipt from the command's status_url: with it, the server can tell a queued command from an unknown one
    #[arg(long)]
    pub(crate) receipt: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline history cola --from yesterday
  stockline history cola --type sell --from 2026-01-01 --to 2026-01-31
  stockline history cola --from 2026-01-31T18:30:00+01:00 --utc
  stockline history cola --ids")]
pub(crate) struct HistoryArgs {
    /// The item
    pub(crate) item_id: ItemId,
    /// Only this location
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) location_id: Option<LocationId>,
    /// Only movements recorded at this time or later: a time, a day, yesterday, today, or a span such as 12h
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<When>,
    /// Only movements recorded before this time, or by the end of this day
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<When>,
    /// Only movements of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<Kind>,
    /// Show the ids of the commands too, for stockline reverse
    #[arg(long)]
    pub(crate) ids: bool,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline refused
  stockline refused --code insufficient_stock --since yesterday
  stockline refused --code insufficient_stock --resubmit --on-shortage allow
  stockline refused --id 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b --resubmit --to-item cola-0.5
  stockline refused --id 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b --dismiss \"typing error, sold by hand\"")]
pub(crate) struct RefusedArgs {
    /// List dead letters instead of rejected commands
    #[arg(long)]
    pub(crate) dead_lettered: bool,
    /// Only commands rejected with this code
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Only this location
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) location_id: Option<LocationId>,
    /// Only commands settled at this time or later: a time, a day, yesterday, today, or a span such as 12h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<When>,
    /// Also commands that were resubmitted, dismissed or discarded
    #[arg(long)]
    pub(crate) all: bool,
    /// Only the command with this id, anywhere in the list; can be given several times
    #[arg(long = "id", value_name = "UUID")]
    pub(crate) ids: Vec<CommandId>,
    /// Send all matching commands again, the oldest first, under new ids that refer to the old ones
    #[arg(long)]
    pub(crate) resubmit: bool,
    /// Dismiss all matching commands for this reason: they leave the list, are kept with the reason and your name, and can
    /// still be resubmitted
    #[arg(long, value_name = "REASON", conflicts_with_all = ["resubmit", "dead_lettered"])]
    pub(crate) dismiss: Option<String>,
    /// Do not ask before many commands are resubmitted or dismissed
    #[arg(long)]
    pub(crate) yes: bool,
    /// Resubmit for this item
    #[arg(long, value_name = "ITEM", requires = "resubmit")]
    pub(crate) to_item: Option<ItemId>,
    /// Resubmit for this location
    #[arg(long, value_name = "LOCATION", requires = "resubmit")]
    pub(crate) to_location: Option<LocationId>,
    /// Resubmit with this policy: allow or reject
    #[arg(long, value_name = "POLICY", requires = "resubmit")]
    pub(crate) on_shortage: Option<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stockline alerts --location store-12")]
pub(crate) struct AlertsArgs {
    /// Only this location
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) location_id: Option<LocationId>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}
