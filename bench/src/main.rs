//! Measures Stockline on this machine, beside references in the same run.
//!
//! `cargo run --release -p stockline-bench` after `cargo build --release -p stockline`.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test fails by panicking; units are whole"))]

mod api;
mod bill;
mod canned;
mod chaos;
mod cost;
mod cpu;
mod engine;
mod flood;
mod hot;
mod http;
mod item_size;
mod load;
mod meter;
mod overload;
mod prefill;
mod prices;
mod quota;
mod reference;
mod report;
mod rows;
mod scale;
mod server;
mod side;
mod slow;
mod stage;
mod stub;
mod till;
mod usual;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use stockline_core::ports::Clock;
use stockline_service::{LogFormat, SystemClock, init_logs};
use stockline_sqlite::{DataFolder, SqliteStore};

/// Measures Stockline on this machine, beside references in the same run.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: Option<What>,
    /// Commands that the store holds already, with random ids (0: an empty store).
    #[arg(long, default_value_t = 5_000_000)]
    commands: usize,
    /// Items that are sold, uniformly.
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Keep-alive connections for single commands.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Where the store is made, or found again if it is there; a temporary folder unless given.
    #[arg(long)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The reference server: parses the JSON, answers 202, keeps nothing.
    #[command(hide = true)]
    ParseOnlyServer {
        /// Where it listens.
        #[arg(long)]
        listen: String,
    },
    /// Real till data as files for `stockline load`: items.csv, stores.csv, receive.csv.
    TillPrepare {
        /// A folder with sales-*.csv.gz and products.csv.gz.
        source: PathBuf,
        /// Where the files go.
        out: PathBuf,
    },
    /// A small made-up set of till data, of the same shape and mess.
    TillMakeUp {
        /// Where the files go.
        out: PathBuf,
        /// Sale lines.
        #[arg(long, default_value_t = 5_000)]
        lines: usize,
    },
    /// Does every pair of item and store stand at received − Σ sold?
    TillCheck {
        /// A folder with sales-*.csv.gz.
        source: PathBuf,
        /// What `stockline stock --json` printed.
        stock: PathBuf,
    },
    /// What a million commands cost on AWS, counted, beside the usual design.
    Cost(cost::CostOptions),
    /// What a month costs on AWS, by service: measured units times list prices.
    Bill(bill::BillOptions),
    /// How much faster two workers are than one, where the store takes its time.
    ScaleOut(scale::ScaleOptions),
    /// How many commands a second one item takes.
    HotItem(hot::HotOptions),
    /// The standalone server killed again and again under load; fails where a promise was broken.
    Chaos(chaos::ChaosOptions),
    /// Ten times what the standalone server can take: what it still does, and how it comes back.
    Overload(overload::OverloadOptions),
    /// CPU time per command of worker and ingress with the AWS adapters.
    Cpu(cpu::CpuOptions),
}

/// As in the programs that are measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let cli = Cli::parse();
    match &cli.what {
        Some(What::ParseOnlyServer { listen }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            return runtime.block_on(reference::serve_parse_only(listen));
        }
        Some(What::TillPrepare { source, out }) => return till::prepare(source, out),
        Some(What::TillMakeUp { out, lines }) => {
            till::make_up(out, *lines)?;
            println!("{lines} made-up sale lines");
            return Ok(());
        }
        Some(What::TillCheck { source, stock }) => return till::check(source, stock),
        Some(What::Cost(options)) => return aws_runtime()?.block_on(cost::run(options)),
        Some(What::Bill(options)) => return bill::run(options),
        Some(What::ScaleOut(options)) => return aws_runtime()?.block_on(scale::run(options)),
        Some(What::HotItem(options)) => return aws_runtime()?.block_on(hot::run(options)),
        Some(What::Chaos(options)) => return aws_runtime()?.block_on(chaos::run(options)),
        Some(What::Overload(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(overload::run(options));
        }
        Some(What::Cpu(options)) => return cpu::run(options),
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

/// What goes wrong beside a measurement is told.
pub(crate) fn aws_runtime() -> Result<tokio::runtime::Runtime> {
    init_logs(LogFormat::Text, "warn").map_err(anyhow::Error::msg)?;
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn fill(data: &Path, items: usize, commands: usize) -> Result<()> {
    let folder = DataFolder::open(data)?;
    let store = SqliteStore::open(&folder.stock_db(), Default::default(), &Default::default())?;
    prefill::fill(&store, items, commands, SystemClock.now()).await
}
