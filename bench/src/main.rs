//! Measures Stockline on this machine, together with references in the same run.
//!
//! `cargo run --release -p stockline-bench` after `cargo build --release -p stockline`.
#![expect(clippy::print_stdout, clippy::disallowed_macros, reason = "the report is this program's output")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test fails by panicking; units are whole"))]

mod api;
mod audit;
mod background_server;
mod bill;
mod canned;
mod chaos;
mod console;
mod cost;
mod cpu;
mod engine;
mod flood;
mod forecast;
mod hot;
mod http;
mod item_size;
mod load;
mod meter;
mod overload;
mod peers;
mod prefill;
mod prices;
mod quota;
mod readers;
mod reference;
mod report;
mod reports;
mod rng;
mod rows;
mod scale;
mod seeding;
mod server;
mod slow;
mod spreadsheets;
mod sqs_stub;
mod sync;
mod testbed;
mod till;
mod usual;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use stockline_core::ports::Clock;
use stockline_service::{LogFormat, SystemClock, init_logs};
use stockline_sqlite::{DataFolder, SqliteStore};

/// Measures Stockline on this machine, together with references in the same run.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    /// Commands that the store already holds, with random ids (0 for an empty store)
    #[arg(long, default_value_t = 5_000_000)]
    commands: usize,
    /// Items that are sold, uniformly
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Keep-alive connections for single commands
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Folder of the store; it is filled if it is empty and used again otherwise (default: a temporary folder)
    #[arg(long)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the reference server, which parses the JSON, answers 202 and stores nothing
    #[command(hide = true)]
    ParseOnlyServer {
        /// Address to listen on
        #[arg(long)]
        listen: String,
    },
    /// Convert real till data into files for `stockline load`: items.csv, stores.csv, receive.csv
    TillPrepare {
        /// Folder with sales-*.csv.gz and products.csv.gz
        source: PathBuf,
        /// Folder for the files
        out: PathBuf,
    },
    /// Generate a small set of till data, as messy as real data
    TillMakeUp {
        /// Folder for the files
        out: PathBuf,
        /// Number of sale lines
        #[arg(long, default_value_t = 5_000)]
        lines: usize,
    },
    /// Check that the stock of every item and store is received − Σ sold
    TillCheck {
        /// Folder with sales-*.csv.gz
        source: PathBuf,
        /// File with the output of `stockline stock --json`
        stock: PathBuf,
    },
    /// Count what a million commands cost on AWS, compared with the usual design
    Cost(cost::CostOptions),
    /// Compute what a month costs on AWS, by service: measured units times list prices
    Bill(bill::BillOptions),
    /// Measure how much faster two workers are than one on a slow store
    ScaleOut(scale::ScaleOptions),
    /// Measure how many commands a second one item sustains
    HotItem(hot::HotOptions),
    /// Measure how fast the audit reads a store on AWS, and compute how long a billion rows take
    Audit(audit::AuditOptions),
    /// Kill the standalone server again and again under load; fails if a promise is broken
    Chaos(chaos::ChaosOptions),
    /// Offer the standalone server ten times its capacity; measures goodput and recovery
    Overload(overload::OverloadOptions),
    /// Sell the same sales on Stockline and on a service of the usual design: Express and PostgreSQL
    Peers(peers::PeersOptions),
    /// Measure how long commands take beside readers of the heaviest lists
    Readers(readers::ReadersOptions),
    /// Measure how long each report takes on a large store
    Reports(reports::ReportsOptions),
    /// Measure how long the console's pages take while tills sell, and how much they slow settling
    Console(console::ConsoleOptions),
    /// Measure what a till waits for that keeps its own list of the stock, while others sell
    Sync(sync::SyncOptions),
    /// Measure how long a shop waits for its spreadsheets
    Spreadsheets(spreadsheets::SpreadsheetsOptions),
    /// How good the forecast of demand is, beside usual ones, on a year of sale lines
    Forecast(forecast::Options),
    /// Measure the CPU time per command of worker and ingress with the AWS adapters
    Cpu(cpu::CpuOptions),
}

/// The same allocator as in the measured programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let cli = Cli::parse();
    match &cli.task {
        Some(Task::ParseOnlyServer { listen }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            return runtime.block_on(reference::serve_parse_only(listen));
        }
        Some(Task::TillPrepare { source, out }) => return till::prepare(source, out),
        Some(Task::TillMakeUp { out, lines }) => {
            till::make_up(out, *lines)?;
            println!("{lines} generated sale lines");
            return Ok(());
        }
        Some(Task::TillCheck { source, stock }) => return till::check(source, stock),
        Some(Task::Cost(options)) => return aws_runtime()?.block_on(cost::run(options)),
        Some(Task::Bill(options)) => return bill::run(options),
        Some(Task::ScaleOut(options)) => return aws_runtime()?.block_on(scale::run(options)),
        Some(Task::HotItem(options)) => return aws_runtime()?.block_on(hot::run(options)).map(drop),
        Some(Task::Audit(options)) => return aws_runtime()?.block_on(audit::run(options)),
        Some(Task::Chaos(options)) => return aws_runtime()?.block_on(chaos::run(options)),
        Some(Task::Overload(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(overload::run(options));
        }
        Some(Task::Peers(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(peers::run(options));
        }
        Some(Task::Readers(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(readers::run(options));
        }
        Some(Task::Reports(options)) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            return runtime.block_on(reports::run(options));
        }
        Some(Task::Console(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(console::run(options));
        }
        Some(Task::Sync(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(sync::run(options));
        }
        Some(Task::Spreadsheets(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(spreadsheets::run(options));
        }
        Some(Task::Cpu(options)) => return cpu::run(options),
        Some(Task::Forecast(options)) => return forecast::run(options),
        None => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let temporary = tempfile::tempdir()?;
    let data = cli.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    if !prefill::is_filled(&data) {
        runtime.block_on(fill(&data, cli.items, cli.commands))?;
    }
    let settings = report::Settings {
        commands: cli.commands,
        items: cli.items,
        duration: Duration::from_secs(cli.seconds),
        connections: cli.connections,
    };
    println!("store: {} commands with random ids, {} items\n", cli.commands, cli.items);
    runtime.block_on(report::run(&data, &settings))
}

/// Returns a runtime for the AWS measurements and starts logging warnings.
pub(crate) fn aws_runtime() -> Result<tokio::runtime::Runtime> {
    // Only waits for the last lines; logging goes on.
    drop(init_logs(LogFormat::Text, "warn", None).map_err(anyhow::Error::msg)?);
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn fill(data: &Path, items: usize, commands: usize) -> Result<()> {
    // The server creates the folder; a store alone is not one.
    drop(server::Server::start(data)?);
    let folder = DataFolder::open(data)?;
    let store = SqliteStore::open(&folder.stock_db(), Default::default(), &Default::default())?;
    prefill::fill(&store, items, commands, SystemClock.now()).await
}
