//! Options of `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ClientArgs;
use crate::duration::Span;

/// What is imported, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportKind {
    /// Items of the catalogue; also their opening stock, in columns such as on_hand:main
    Items,
    /// Opening stock: received once where an item has no movement yet
    Stock,
    /// Counts of the shelf: they set the stock
    Counts,
    /// Thresholds below which stock is low
    Thresholds,
    /// Locations and their settings
    Locations,
}

impl ImportKind {
    /// Returns the word of the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Stock => "stock",
            Self::Counts => "counts",
            Self::Thresholds => "thresholds",
            Self::Locations => "locations",
        }
    }
}

/// Options of `import`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline import items --template > items.csv      a file to start from
  stockline import items products.xlsx               what it would do, and every fault; nothing is changed
  stockline import items products.xlsx --apply       do it
  stockline import counts shelf.csv --location shop-1 --map counted=Pieces --apply

Without --apply nothing is changed. Exports of WooCommerce, Shopify, Square and Lightspeed are known by their headings. The
columns may stand in any order and case; a column that means nothing here must be mapped or left out (--ignore-unknown).
An empty cell changes nothing. Lines with faults refuse the whole file, or stay out with --skip-faulty; they are written to
FILE.result.csv with the reason and the remedy. Correct them there, and import that file.

It is safe to run the same command again, also after a crash: what took effect is known by its command id and is not done
twice. Opening stock is received once for each item and location. A count is known by its file or its time; the same file of
counts for another day needs --batch.

Exit code 1 says that lines have faults or were refused.")]
pub(crate) struct ImportArgs {
    /// What to import
    pub(crate) kind: ImportKind,
    /// The file: CSV, TSV or XLSX, also .gz; - reads standard input
    #[arg(required_unless_present = "template")]
    pub(crate) file: Option<PathBuf>,
    /// Print a file to start from
    #[arg(long, conflicts_with = "file")]
    pub(crate) template: bool,
    /// Apply the file if it has no faults
    #[arg(long)]
    pub(crate) apply: bool,
    /// Leave out the lines with faults
    #[arg(long, requires = "apply")]
    pub(crate) skip_faulty: bool,
    /// The column of a field; can be given several times
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub(crate) map: Vec<String>,
    /// Leave out columns that mean nothing here
    #[arg(long)]
    pub(crate) ignore_unknown: bool,
    /// The mark before fractions, if numbers such as 1.250 could be read in two ways: . or ,
    #[arg(long, value_name = "MARK")]
    pub(crate) decimal: Option<String>,
    /// What separates the columns of a text: comma, semicolon or tab
    #[arg(long, value_name = "WORD")]
    pub(crate) delimiter: Option<String>,
    /// The sheet of a workbook that has several
    #[arg(long, value_name = "NAME")]
    pub(crate) sheet: Option<String>,
    /// The location of lines that name none
    #[arg(long = "location", value_name = "LOCATION")]
    pub(crate) location_id: Option<String>,
    /// A location that the file calls otherwise; can be given several times
    #[arg(long, value_name = "NAME=LOCATION")]
    pub(crate) place: Vec<String>,
    /// The time zone of times without an offset [default: that of the location]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// When on its day something was counted: start, end, or a time such as 18:30
    #[arg(long, value_name = "WHEN")]
    pub(crate) date_means: Option<String>,
    /// A name for the events of this file: the same counts under another name are other counts
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// The file for lines with faults and refused ones [default: FILE.result.csv beside the file]
    #[arg(long, value_name = "CSV")]
    pub(crate) result: Option<PathBuf>,
    /// How long to retry while the server is unreachable
    #[arg(long, value_name = "SPAN", default_value = "2m")]
    pub(crate) retry_for: Span,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
