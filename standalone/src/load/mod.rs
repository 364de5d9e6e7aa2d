//! `load`: every line of a CSV file as a command, safe to run again.
//!
//! Two passes: the first reads the whole file and refuses what is wrong with it before anything is sent, the second
//! sends it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::tz::TimeZone;
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_lines::mapping::{self, Mapping};
use stockline_lines::recipe::{self, Part, Recipe};
use stockline_lines::source;
use stockline_service::SystemClock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cli::ClientArgs;
use crate::client::{Client, Request};
use crate::duration::Span;
use crate::exit::{self, Usage};
use crate::submit::Kind;

mod report;
mod send;

use report::{RefusedFile, Tally};
use send::{Line, Sender};

/// Lines that wait in front of a lane.
const LANE_LINES: usize = 1_000;
/// Repeated lines that are shown.
const REPEATED_SHOWN: usize = 20;

/// Options of `load`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline load sales.csv.gz --type sell \\
      --map item_id=product_id,location_id=store_id,quantity=quantity,occurred_at=sold_at --id basket_id,product_id
  stockline load products.csv --type register_item --map item_id=sku,name=title --id sku
  stockline load shelf.csv --type count --map item_id=sku,counted=pieces --set location_id=store-12 --id counted_on,sku

How ids are made (the same file again sends the same ids, so nothing takes effect twice):
  command_id = UUIDv5(namespace, TYPE + US + value + US + value …)
  namespace    15a95a60-cecd-5982-83cc-cd139f062b83 = UUIDv5(DNS namespace, \"load.stockline\"), or --namespace
  US           the byte 0x1f
  value        the cell of each --id column, in the order given, exactly as in the CSV; for # the number of the line
               among those with the same other values, from 1
  Test vector: --type sell --id basket_id,product_id with basket_id 31198570044 and product_id 1095275 gives
               63f7ba12-5d93-5ae4-8784-fe2144f108da; with --id basket_id,product_id,# the second such line gives
               797899cb-8620-57c4-af8f-c6f99cef7b27

Refused lines are written with their reasons to FILE.refused.csv, the others take effect all the same; exit code 1
says that there were some. An item's lines take effect in the order of the file. Columns that hold decimals: numbers;
barcodes: codes separated by semicolons; empty cells: the field is left out.")]
pub(crate) struct LoadArgs {
    /// The file: CSV with headings, plain or gzip
    file: PathBuf,
    /// The type of command that every line becomes
    #[arg(long = "type", value_name = "TYPE")]
    kind: Kind,
    /// Which column holds which field of the command
    #[arg(long, value_name = "FIELD=COLUMN,…", value_delimiter = ',', required = true)]
    map: Vec<String>,
    /// The same value for all lines; may be given several times
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The columns that tell a line from all others; # is the occurrence number
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', required = true)]
    id: Vec<String>,
    /// Lines that repeat an id say the same thing again: send the first only
    #[arg(long)]
    distinct: bool,
    /// Keeps the ids of one source apart from another's with the same columns
    #[arg(long, value_name = "UUID", default_value_t = recipe::NAMESPACE)]
    namespace: Uuid,
    /// Where the clock hangs that wrote times without an offset, e.g. Europe/Berlin or +01:00
    #[arg(long, visible_alias = "offset", value_name = "ZONE", value_parser = mapping::zone, allow_hyphen_values = true)]
    time_zone: Option<TimeZone>,
    /// Where refused lines go [default: next to the file, as FILE.refused.csv]
    #[arg(long, value_name = "CSV")]
    refused: Option<PathBuf>,
    /// Lines of one request
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    batch: u16,
    /// Requests in flight
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    lanes: u16,
    /// How long to go on when the server can't be reached or makes no progress
    #[arg(long, value_name = "SPAN", default_value = "2m")]
    retry_for: Span,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

impl LoadArgs {
    fn parts(&self, headers: &csv::ByteRecord) -> anyhow::Result<Vec<Part>> {
        let parts: anyhow::Result<Vec<Part>> = self
            .id
            .iter()
            .map(
                |name| {
                    if name == "#" { Ok(Part::Occurrence) } else { Ok(Part::Column(mapping::column(headers, name)?)) }
                },
            )
            .collect();
        let parts = parts?;
        if !parts.iter().any(|part| matches!(part, Part::Column(_))) {
            bail!(Usage("--id needs a column: the occurrence number alone changes when a line is inserted".into()));
        }
        Ok(parts)
    }
}

/// Loads a file.
pub(crate) async fn load(args: LoadArgs) -> anyhow::Result<u8> {
    let (headers, _) = source::open(&args.file, None)?;
    let mapping = Mapping::new(args.kind.0, &args.map, &args.set, args.time_zone.clone(), &headers)?;
    let parts = args.parts(&headers)?;
    let recipe = Recipe::new(args.namespace, args.kind.0, parts);
    let client = Client::new(&args.client)?;
    let refused_file = RefusedFile::choose(args.refused.as_deref(), &args.file)?;

    let scan = {
        let (path, mapping, recipe) = (args.file.clone(), mapping.clone(), recipe.clone());
        let bar = report::bar(std::fs::metadata(&path).map_or(0, |meta| meta.len()), "reading", true);
        let scan = tokio::task::spawn_blocking(move || {
            let scan = source::scan(&path, &mapping, recipe, &bar);
            bar.finish_and_clear();
            scan
        });
        scan.await?.context("nothing was sent")?
    };
    if scan.repeated_count > 0 && !args.distinct {
        tell_repeated(&args, &scan);
        return Ok(exit::FOUND);
    }
    if scan.lines == 0 {
        println!("{} has no lines besides its headings", args.file.display());
        return Ok(exit::OK);
    }

    let started = tokio::time::Instant::now();
    let sender = Arc::new(Sender {
        started_at: server_time(&client, args.retry_for.0).await?,
        client,
        batch_lines: args.batch.into(),
        patience: args.retry_for.0,
        bar: report::bar(scan.lines, "loading", false),
        tally: Mutex::new(Tally::default()),
    });
    let (file, as_json) = (args.file.clone(), args.json);
    let sent = send(args, mapping, recipe, sender.clone()).await;
    sender.bar.finish_and_clear();
    let mut tally = std::mem::take(&mut *sender.tally.lock().unwrap_or_else(PoisonError::into_inner));
    let told = report::tell(&mut tally, scan.lines, started.elapsed(), &headers, &refused_file, as_json);
    sent.with_context(|| format!("stopped; the same command again goes on with {}", file.display()))?;
    told
}

/// Ids that repeat inside a file: nothing is sent.
fn tell_repeated(args: &LoadArgs, scan: &source::Scan) {
    let id = args.id.join(",");
    eprintln!(
        "{}: {} line(s) have the same {id} as an earlier line, so they would be taken for the same command; nothing was sent",
        args.file.display(),
        scan.repeated_count
    );
    for (line, first) in scan.repeated.iter().take(REPEATED_SHOWN) {
        eprintln!("  line {line} repeats line {first}");
    }
    if scan.repeated_count > REPEATED_SHOWN as u64 {
        eprintln!("  … and {} more", scan.repeated_count - REPEATED_SHOWN as u64);
    }
    eprintln!("if they are separate events, make the occurrence number part of the id: --id {id},#");
    eprintln!("if they say the same thing again, send the first of each only: --distinct");
}

/// The server's clock: what was accepted before is of an earlier run. Also the first sign that it can be reached and
/// takes our token.
async fn server_time(client: &Client, patience: Duration) -> anyhow::Result<Timestamp> {
    let answer = client.send_raw(&Request::get("/v1/limits"), patience).await.context("nothing was sent")?;
    let now = SystemClock.now();
    if client.is_here() {
        return Ok(now);
    }
    let date = answer.date.and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
    Ok(date.map_or(now, |date| Timestamp::from_millis(date.timestamp().as_millisecond())))
}

/// The second pass.
async fn send(args: LoadArgs, mapping: Mapping, recipe: Recipe, sender: Arc<Sender>) -> anyhow::Result<()> {
    let mut lanes = JoinSet::new();
    let mut to_lanes = Vec::new();
    for _ in 0..args.lanes {
        let (to_lane, lines) = mpsc::channel(LANE_LINES);
        to_lanes.push(to_lane);
        lanes.spawn(sender.clone().lane(lines));
    }
    let reading = {
        let sender = sender.clone();
        tokio::task::spawn_blocking(move || read(&args, &mapping, recipe, &to_lanes, &sender))
    };
    let mut first_error = None;
    while let Some(ended) = lanes.join_next().await {
        if let Err(error) = ended.map_err(anyhow::Error::from).and_then(|result| result) {
            first_error.get_or_insert(error);
            // The others would run on against a server that fails; dropping their channels ends the reader.
            lanes.abort_all();
        }
    }
    let read = reading.await?;
    match first_error {
        Some(error) => Err(error),
        None => read,
    }
}

fn read(
    args: &LoadArgs,
    mapping: &Mapping,
    mut recipe: Recipe,
    to_lanes: &[mpsc::Sender<Line>],
    sender: &Sender,
) -> anyhow::Result<()> {
    let (_, mut lines) = source::open(&args.file, None)?;
    let mut seen = HashSet::new();
    let mut record = csv::ByteRecord::new();
    while source::next(&args.file, &mut lines, &mut record)? {
        let command_id = recipe.next(&record);
        if args.distinct && !seen.insert(recipe::first_64_bits(command_id.0)) {
            sender.tally.lock().unwrap_or_else(PoisonError::into_inner).repeated += 1;
            sender.bar.inc(1);
            continue;
        }
        let mut json = Vec::with_capacity(256);
        mapping.write(&record, command_id, &mut json);
        let item = mapping.item(&record).into_owned();
        let lane = send::lane_of(&item, to_lanes.len());
        let line = Line { number: source::number(&record), item, command_id, json, record: record.clone() };
        if to_lanes[lane].blocking_send(line).is_err() {
            // The lane ended, and tells why.
            return Ok(());
        }
    }
    Ok(())
}
