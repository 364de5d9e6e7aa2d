//! Options of `stockline report`.

use clap::Args;
use clap::builder::PossibleValuesParser;
use stockline_core::domain::analytics::{Group, LocalDay, ReportName};
use stockline_core::domain::{ItemId, LocationId};

use super::ClientArgs;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline report sales --last 28d
  stockline report sales --month 2026-01 --group location
  stockline report sales --group week,category --csv
  stockline report reorder --location shop-1 --lead-time 3 --csv
  stockline report reorder --supplier \"Drinks Ltd\" --csv
  stockline report reorder --item cola --explain
  stockline report abc --last 26w
  stockline report dead-stock --days 120 --sort=-value
  stockline report value --to 2025-12-31 --from 2025-12-31 --group category

Days are those of each location. --to is the last day of the period. --last ends yesterday.")]
pub(crate) struct ReportArgs {
    /// The report
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(ReportName::ALL.map(ReportName::as_str)))]
    pub(crate) name: String,
    /// Only this location
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) location_id: Option<LocationId>,
    /// Only items of this category
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Only what this supplier delivers
    #[arg(long)]
    pub(crate) supplier: Option<String>,
    /// Only this item
    #[arg(long = "item", value_name = "ITEM")]
    pub(crate) item_id: Option<ItemId>,
    /// Only items whose id begins with this text
    #[arg(long = "item-prefix", value_name = "TEXT")]
    pub(crate) item_prefix: Option<String>,
    /// The first day of the period
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<LocalDay>,
    /// The last day of the period [default: today]
    #[arg(long, value_name = "DAY", requires = "from")]
    pub(crate) to: Option<LocalDay>,
    /// The last whole days or weeks, such as 28d or 4w
    #[arg(long, value_name = "SPAN", conflicts_with = "from")]
    pub(crate) last: Option<String>,
    /// An ISO week, such as 2026-W05
    #[arg(long, value_name = "WEEK", conflicts_with_all = ["from", "last"])]
    pub(crate) week: Option<String>,
    /// A month, such as 2026-01
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "last", "week"])]
    pub(crate) month: Option<String>,
    /// What the rows stand for; several by repeating it, or with commas between
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',',
        value_parser = PossibleValuesParser::new(Group::ALL.map(|group| group.words().0)))]
    pub(crate) groups: Vec<String>,
    /// The column to sort by; greatest first with - before it, as in --sort=-net
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,
    /// dead-stock: days without a sale [default: 90]
    #[arg(long)]
    pub(crate) days: Option<u16>,
    /// reorder: days from an order to its goods, of all items [default: the location's, else the item's, else 7]
    #[arg(long = "lead-time", value_name = "DAYS")]
    pub(crate) lead_time_days: Option<u16>,
    /// reorder: days from one order to the next [default: 7]
    #[arg(long = "review", value_name = "DAYS")]
    pub(crate) review_days: Option<u16>,
    /// reorder: the probability in percent that the stock lasts, 50 to 99.9 [default: the location's, else the item's, else 95]
    #[arg(long = "service-level", value_name = "PERCENT")]
    pub(crate) service_level: Option<String>,
    /// reorder: show the arithmetic of each row, where its terms come from, and levels that need no order
    #[arg(long)]
    pub(crate) explain: bool,
    /// The most rows to show [default: 100; all with --csv]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print CSV, for spreadsheets
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
