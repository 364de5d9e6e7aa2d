//! What a month costs on AWS: units per command measured here, list prices, and a few assumptions that are printed.

use anyhow::Result;
use stockline_service::install_metrics;

mod assume;
mod measure;
mod model;
mod print;
mod storage;
mod tokens;

use assume::Assumptions;
use storage::Storage;

/// What to reckon.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BillOptions {
    /// Commands per second, day and night.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 100.0, 10_000.0])]
    rates: Vec<f64>,
    #[command(flatten)]
    assumptions: Assumptions,
    /// The list prices, and where they were read.
    #[arg(long)]
    prices: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Hours of a month, as AWS reckons.
const HOURS: f64 = 730.0;
/// Seconds of a month.
const SECONDS: f64 = HOURS * 3_600.0;
/// AWS bills storage and data by 2^30 bytes.
const GB: f64 = 1_073_741_824.0;

/// Measures, reckons and prints.
pub(crate) fn run(options: &BillOptions) -> Result<()> {
    if options.prices {
        print::prices();
        return Ok(());
    }
    let recorder = install_metrics()?;
    let measured = measure::measure(&|| {
        recorder.run_upkeep();
        recorder.render()
    })?;
    let assumed = &options.assumptions;
    let months: Vec<_> = options.rates.iter().map(|rate| model::month(*rate, &measured, assumed)).collect();
    let storage: Vec<_> = options.rates.iter().map(|rate| Storage::of(*rate, &measured, assumed)).collect();
    let tokens = tokens::choices(&options.rates, assumed);
    let bill = print::Bill { measured: &measured, assumed, months: &months, storage: &storage, tokens: &tokens };
    if options.json { bill.json() } else { bill.tables() }
}
