//! Computes a month's cost on AWS from units per command measured here, list prices, and assumptions that are printed.

use anyhow::Result;
use stockline_service::install_metrics_and_emf;

mod assumptions;
mod measure;
mod model;
mod print;
mod storage;
mod stored;
mod tokens;

use assumptions::Assumptions;
use storage::Storage;

/// Options of `bill`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BillOptions {
    /// Commands per second, around the clock
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 100.0, 10_000.0])]
    rates: Vec<f64>,
    #[command(flatten)]
    assumptions: Assumptions,
    /// Print the list prices and their sources
    #[arg(long)]
    prices: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Hours in a month, as AWS counts them.
const HOURS: f64 = 730.0;
/// Seconds in a month.
const SECONDS: f64 = HOURS * 3_600.0;
/// AWS bills storage and data per 2^30 bytes.
const GB: f64 = 1_073_741_824.0;

/// Measures, computes the bill and prints it.
pub(crate) fn run(options: &BillOptions) -> Result<()> {
    if options.prices {
        print::prices();
        return Ok(());
    }
    let (_, emf) = install_metrics_and_emf()?;
    let measured = measure::measure(&emf)?;
    let assumed = &options.assumptions;
    let months: Vec<_> = options.rates.iter().map(|rate| model::month(*rate, &measured, assumed)).collect();
    let storage: Vec<_> = options.rates.iter().map(|rate| Storage::of(*rate, &measured, assumed)).collect();
    let tokens = tokens::choices(&options.rates, assumed);
    let all = |assumed: &Assumptions| -> Vec<model::Month> {
        options.rates.iter().map(|rate| model::month(*rate, &measured, assumed)).collect()
    };
    let (before, after) = (all(&assumed.before()), all(&assumed.after()));
    let bill = print::Bill {
        measured: &measured,
        assumed,
        months: &months,
        before: &before,
        after: &after,
        storage: &storage,
        tokens: &tokens,
    };
    if options.json { bill.json() } else { bill.tables() }
}
