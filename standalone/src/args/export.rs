//! Options of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ClientArgs;

/// The list that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportList {
    /// Items of the catalogue
    Items,
    /// Levels: the stock of each item at each location
    Stock,
    /// Movements of all items, newest first (standalone only)
    Movements,
    /// Refused commands; with --filter status=applied changes of the catalogue
    Commands,
    /// Alerts, newest first
    Alerts,
    /// Day totals: a row for each level and local day that has movements (managers)
    Days,
}

impl ExportList {
    /// Returns the path of the API.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Items => "/v1/items",
            Self::Stock => "/v1/stock",
            Self::Movements => "/v1/movements",
            Self::Commands => "/v1/commands",
            Self::Alerts => "/v1/alerts",
            Self::Days => "/v1/analytics/days",
        }
    }
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportForm {
    /// CSV in UTF-8, with commas; a text that a spreadsheet would run has an apostrophe before it
    Csv,
    /// A line of JSON for each entry
    Ndjson,
}

impl ExportForm {
    /// Returns the media type.
    pub(crate) const fn accept(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Options of `export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline export stock > stock.csv
  stockline export stock --filter state=low,out --filter location_id=shop-1
  stockline export movements --filter from=2026-01-01T00:00:00Z --form ndjson --output january.ndjson
  stockline export days --filter from=2026-01-01 --filter to=2026-02-01 --output january.csv

The filters are the parameters of the API's lists (see /docs). In standalone an export is as of one moment, and takes at most
two minutes; on AWS each page of 1,000 entries is of a moment of its own. Of days, each level is of a moment of its own. A file of items or stock can be imported elsewhere.
The output file is written when the export is complete; if it is cut off, there is none.")]
pub(crate) struct ExportArgs {
    /// What to export
    pub(crate) list: ExportList,
    /// The form
    #[arg(long, value_name = "FORM", default_value = "csv")]
    pub(crate) form: ExportForm,
    /// A parameter of the list; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) filter: Vec<String>,
    /// The file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
