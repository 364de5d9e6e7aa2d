//! Options of `load`.

use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{ClientArgs, Kind};
use crate::duration::Span;
use crate::lines::format::{DateMeans, Decimal};
use crate::lines::{mapping, recipe};

/// Options of `load`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline load sales.csv.gz --type sell \\
      --map item_id=product_id,location_id=store_id,quantity=quantity,occurred_at=sold_at --id basket_id,product_id
  stockline load products.csv --type register_item --map item_id=sku,name=title --id sku
  stockline load shelf.csv --type count --map item_id=sku,counted=pieces --set location_id=store-12 --id counted_on,sku
  stockline load delivery.csv --type receive --map item_id=sku,quantity=pieces --id sku --batch delivery-4711
  stockline load till.csv --type sell --map type=kind,item_id=sku,quantity=qty --id receipt,line \\
      --word S=sell --word R=return --word V=skip --negative return

How command ids are made (the same file makes the same ids, so that no line takes effect twice):
  command_id = UUIDv5(namespace, TYPE + US + value + US + value …)
  namespace    15a95a60-cecd-5982-83cc-cd139f062b83 = UUIDv5(DNS namespace, \"load.stockline\"), or --namespace
  US           the byte 0x1f
  value        the cell of each --id column, in the order given, exactly as in the CSV; for # the number of the line
               among the lines with the same other values, from 1
  With --batch NAME the namespace is UUIDv5(namespace, NAME).
  Test vector: --type sell --id basket_id,product_id with basket_id 31198570044 and product_id 1095275 gives
               63f7ba12-5d93-5ae4-8784-fe2144f108da; with --id basket_id,product_id,# the second such line gives
               797899cb-8620-57c4-af8f-c6f99cef7b27

Refused lines are written with their reasons to FILE.refused.csv; all other lines take effect. Mend them there, and load
that file as the first one: its column stockline_command_id keeps every line the same event. A file that is already there is
never overwritten: the next one is FILE.refused-2.csv.

Ids must name the event: a receipt number, a time, or --batch NAME. Ids that say only what moved are refused, because the
same line in the next delivery would be lost. Exit code 1 says that lines were refused, 4 that every line took effect earlier,
or that counts did whose ids name no event. If the ids of a file come again for other events (receipt numbers that begin anew
each day, a nightly list of counts), name each file: --batch 2026-11-20. A line of set_threshold or update_item that took
effect earlier is set again if something else has been set since, so the item ends at what the file says.

An item's lines take effect in the order of the file. Commas, semicolons or tabs may separate the columns; UTF-16 needs its
byte order mark. Cells of decimals hold a number, cells of barcodes hold codes separated by semicolons. An empty cell leaves
its field out; none clears a threshold or a unit cost; an empty location is refused. A line without any content is skipped. A date without a time means the end of
that day, or the moment of acceptance if the day is not over; a count needs --date-means.")]
pub(crate) struct LoadArgs {
    /// The file: CSV with headings, plain or gzip; - reads standard input
    pub(crate) file: PathBuf,
    /// The type of the commands, unless a line says another
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Kind,
    /// The column of each of the command's fields; type=COLUMN has the type of each line
    #[arg(long, value_name = "FIELD=COLUMN,…", required = true)]
    pub(crate) map: Vec<String>,
    /// What a word in the column of the type means, as in R=return; V=skip leaves such lines out
    #[arg(long, value_name = "WORD=TYPE")]
    pub(crate) word: Vec<String>,
    /// The type of lines whose quantity is negative; the quantity is taken without its sign
    #[arg(long, value_name = "TYPE")]
    pub(crate) negative: Option<Kind>,
    /// A field with the same value for all lines; can be given several times
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// The columns that identify a line; # is its number among lines with the same other values
    #[arg(long, value_name = "COLUMN,…", required = true)]
    pub(crate) id: Vec<String>,
    /// If lines have the same id, send only the first of them
    #[arg(long)]
    pub(crate) distinct: bool,
    /// A name for the events of this file: the same lines under another name are other events
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// The namespace of the ids: another source with the same columns needs its own
    #[arg(long, value_name = "UUID", default_value_t = recipe::NAMESPACE)]
    pub(crate) namespace: Uuid,
    /// The time zone of times without an offset, for example Europe/Berlin or +01:00
    #[arg(long, visible_alias = "offset", value_name = "ZONE", value_parser = mapping::zone, allow_hyphen_values = true)]
    pub(crate) time_zone: Option<TimeZone>,
    /// The mark before fractions: . or , (the other one may separate thousands)
    #[arg(long, value_name = "MARK")]
    pub(crate) decimal: Option<Decimal>,
    /// What a date without a time means: start or end of that day, or a time such as 18:30
    #[arg(long, value_name = "WHEN")]
    pub(crate) date_means: Option<DateMeans>,
    /// The file for refused lines [default: FILE.refused.csv beside the file]
    #[arg(long, value_name = "CSV")]
    pub(crate) refused: Option<PathBuf>,
    /// The most lines of one request
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) request_lines: u16,
    /// The most requests in flight
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) lanes: u16,
    /// How long to retry while the server is unreachable or makes no progress
    #[arg(long, value_name = "SPAN", default_value = "2m")]
    pub(crate) retry_for: Span,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
