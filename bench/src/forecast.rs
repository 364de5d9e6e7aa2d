//! How good the forecast of the report `reorder` is, beside usual ones, on real tills: mean pinball loss of quantiles of the
//! demand of one and two weeks, at weeks that the forecast has never seen. Then what weekly orders by each of them cost, where
//! a unit that is missing costs 1.00 and one that lies there 0.20 a week. `bench/forecast` adds the forecasts of statsforecast.

use std::array;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use flate2::read::GzDecoder;
use serde::Deserialize;
use stockline_core::domain::Timestamp;
use stockline_core::domain::analytics::{Demand, dispersion};

/// The quantiles, each with its z of the normal distribution.
const QUANTILES: [(f64, f64); 4] = [(0.5, 0.0), (0.8, 0.841_621), (0.9, 1.281_552), (0.95, 1.644_854)];
/// The weeks of a forecast.
const AHEAD: [usize; 2] = [1, 2];
/// The weeks that the forecasts begin with, and how many of them must have sales.
const FIRST_WEEKS: usize = 40;
const ACTIVE_WEEKS_MIN: usize = 10;
/// The weeks that simple forecasts look back over.
const SHORT_WEEKS: usize = 12;
/// Lines above this quantity are fuel by the thousandth, not pieces.
const QUANTITY_MAX: f64 = 1_000.0;
/// What a unit costs that is missing, and one that lies there for a week.
const SHORTAGE: f64 = 1.0;
const HOLDING: f64 = 0.2;
/// The probability at which one more unit costs as much as it saves, SHORTAGE ÷ (SHORTAGE + HOLDING), with its z.
const CRITICAL: (f64, f64) = (SHORTAGE / (SHORTAGE + HOLDING), 0.967_422);
/// Lower ones. What is missing is not sold later, so less stock may cost less, and a forecast that is too low would look good.
const LOWER: [(f64, f64); 6] =
    [(0.5, 0.0), (0.6, 0.253_347), (0.65, 0.385_320), (0.7, 0.524_401), (0.75, 0.674_490), (0.8, 0.841_621)];
/// The weeks that an order must last: one until its goods come, and one until those of the next.
const ORDER_WEEKS: usize = 2;
const WEEK_MS: i64 = 7 * 86_400_000;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A CSV (also .gz) of a year of sale lines, with the columns `sold_at`, `store_id`, `product_id` and `quantity`
    pub(crate) source: PathBuf,
    /// Take one of N series only, in the order of their names
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) every: NonZeroUsize,
    /// Write the series to this CSV: the kind, the name and the units of each week
    #[arg(long, value_name = "CSV")]
    pub(crate) series: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Line {
    sold_at: String,
    store_id: String,
    product_id: String,
    quantity: f64,
}

/// The units of each week, by the name of the series.
type Series = BTreeMap<String, Vec<f64>>;

const KINDS: [&str; 2] = ["item × store", "item"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let (stores, items) = read(&options.source)?;
    let series = [stores, items].map(|series| active(series, options.every));
    if let Some(path) = &options.series {
        write(path, &series)?;
    }
    let series = series.map(|series| series.into_values().collect::<Vec<_>>());
    println!("{} series of an item at a store, {} of an item", series[0].len(), series[1].len());
    print("mean pinball loss", series.each_ref().map(|series| losses(series)));
    let costs_at = |quantile| series.each_ref().map(|series| costs(series, quantile));
    let critical = costs_at(CRITICAL);
    print("cost of weekly orders, a series-week", critical);
    print("the same at each one's best quantile", LOWER.map(costs_at).into_iter().fold(critical, least));
    Ok(())
}

const NAMES: [&str; 5] = [
    "12-week mean + z·σ (a)",
    "12-week mean, Poisson (b)",
    "12-week negative binomial (c)",
    "Stockline, not pooled",
    "Stockline",
];

fn print(what: &str, [stores, items]: [[f64; NAMES.len()]; 2]) {
    println!("{what:<38} {:>14} {:>14}", KINDS[0], KINDS[1]);
    for (at, name) in NAMES.iter().enumerate() {
        let beside = |figures: &[f64; NAMES.len()]| 100.0 * (figures[at] / figures[0] - 1.0);
        let (of_stores, of_items) = (beside(&stores), beside(&items));
        println!("{name:<38} {:>6.4} {of_stores:>+6.1}% {:>6.4} {of_items:>+6.1}%", stores[at], items[at]);
    }
}

/// Reads units per week of each item and store, and of each item.
fn read(source: &Path) -> Result<(Series, Series)> {
    let file = BufReader::new(File::open(source).with_context(|| format!("can't open {}", source.display()))?);
    let gz = source.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if gz { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let (mut lines, mut first) = (Vec::new(), i64::MAX);
    for line in csv::Reader::from_reader(reader).deserialize() {
        let line: Line = line?;
        let at = line.sold_at.parse::<Timestamp>().with_context(|| format!("sold_at {}", line.sold_at))?.as_millis();
        first = first.min(at - at.rem_euclid(86_400_000));
        if line.quantity > 0.0 && line.quantity < QUANTITY_MAX {
            lines.push((at, line.store_id, line.product_id, line.quantity));
        }
    }
    let last = lines.iter().map(|(at, ..)| *at).max().unwrap_or(first);
    let weeks = usize::try_from((last + 1 - first) / WEEK_MS)?;
    ensure!(weeks > FIRST_WEEKS + AHEAD[1], "{weeks} whole weeks are too few; a year is needed");
    let (mut stores, mut items) = (Series::new(), Series::new());
    for (at, store, item, quantity) in lines {
        let week = usize::try_from((at - first) / WEEK_MS)?;
        for (series, name) in [(&mut stores, format!("{item} {store}")), (&mut items, item.clone())] {
            if let Some(sum) = series.entry(name).or_insert_with(|| vec![0.0; weeks]).get_mut(week) {
                *sum += quantity;
            }
        }
    }
    Ok((stores, items))
}

/// Returns the series that sell often enough to be judged, or one of `every` of them.
fn active(series: Series, every: NonZeroUsize) -> Series {
    let sells = |weeks: &[f64]| weeks[..FIRST_WEEKS].iter().filter(|week| **week > 0.0).count() >= ACTIVE_WEEKS_MIN;
    series.into_iter().filter(|(_, weeks)| sells(weeks)).step_by(every.get()).collect()
}

/// Writes the series for forecasts by other programs, without a header.
fn write(path: &Path, series: &[Series; 2]) -> Result<()> {
    let mut file = csv::Writer::from_path(path).with_context(|| format!("can't write {}", path.display()))?;
    for (kind, series) in KINDS.into_iter().zip(series) {
        for (name, weeks) in series {
            let units = weeks.iter().map(f64::to_string);
            file.write_record([kind.to_owned(), name.clone()].into_iter().chain(units))?;
        }
    }
    Ok(file.flush()?)
}

/// Returns what each forecast says of one quantile of the demand of so many weeks, after the weeks that are known.
fn told(known: &[f64], own: &Demand, pool: f64, weeks: usize, (probability, z): (f64, f64)) -> [f64; NAMES.len()] {
    let short = short(&known[known.len() - SHORT_WEEKS..]);
    let span = weeks as f64;
    let normal = (short.mean * span + z * (short.variance * span).sqrt()).max(0.0);
    let quantile = |demand: &Demand| demand.quantile(span, probability) as f64;
    let poisson = Demand { variance: 0.0, ..short };
    [normal, quantile(&poisson), quantile(&short), quantile(own), quantile(&own.pooled(pool))]
}

/// Returns the lower cost of each forecast, of both kinds of series.
fn least(one: [[f64; NAMES.len()]; 2], other: [[f64; NAMES.len()]; 2]) -> [[f64; NAMES.len()]; 2] {
    array::from_fn(|kind| array::from_fn(|at| one[kind][at].min(other[kind][at])))
}

/// Returns the mean cost of a week if each forecast decides the orders: at the begin of each week the goods of the week before
/// come, and an order fills the stock up to this quantile of two weeks. What is missing is not sold later.
fn costs(series: &[Vec<f64>], quantile: (f64, f64)) -> [f64; NAMES.len()] {
    let weeks = series.first().map_or(0, Vec::len);
    let (mut sums, mut count) = ([0.0; NAMES.len()], 0.0_f64);
    let mut stocks: Vec<[Option<(f64, f64)>; NAMES.len()]> = vec![[None; NAMES.len()]; series.len()];
    for now in SHORT_WEEKS..weeks {
        let known: Vec<Demand> = series.iter().filter_map(|weeks| Demand::of_weeks(&weeks[..now])).collect();
        let pool = dispersion(&known);
        for ((weeks, own), stocks) in series.iter().zip(&known).zip(&mut stocks) {
            let targets = told(&weeks[..now], own, pool, ORDER_WEEKS, quantile);
            for ((stock, target), sum) in stocks.iter_mut().zip(targets.map(f64::ceil)).zip(&mut sums) {
                // Each begins with what it would have.
                let (left, coming) = stock.unwrap_or((target, 0.0));
                let on_hand = left + coming;
                let order = (target - on_hand).max(0.0);
                let sold = weeks[now].min(on_hand);
                *sum += SHORTAGE * (weeks[now] - sold) + HOLDING * (on_hand - sold);
                *stock = Some((on_hand - sold, order));
            }
            count += 1.0;
        }
    }
    sums.map(|sum| sum / count.max(1.0))
}

/// Returns the mean loss of each forecast.
fn losses(series: &[Vec<f64>]) -> [f64; NAMES.len()] {
    let (mut sums, mut count) = ([0.0; NAMES.len()], 0.0_f64);
    let weeks = series.first().map_or(0, Vec::len);
    for now in FIRST_WEEKS..weeks {
        let known: Vec<Demand> = series.iter().filter_map(|weeks| Demand::of_weeks(&weeks[..now])).collect();
        let pool = dispersion(&known);
        for (weeks, own) in series.iter().zip(&known) {
            for ahead in AHEAD.into_iter().filter(|ahead| now + ahead <= weeks.len()) {
                let sold: f64 = weeks[now..now + ahead].iter().sum();
                for quantile in QUANTILES {
                    for (sum, told) in sums.iter_mut().zip(told(&weeks[..now], own, pool, ahead, quantile)) {
                        *sum += pinball(sold, told, quantile.0);
                    }
                    count += 1.0;
                }
            }
        }
    }
    sums.map(|sum| sum / count.max(1.0))
}

fn pinball(sold: f64, told: f64, probability: f64) -> f64 {
    if sold >= told { probability * (sold - told) } else { (1.0 - probability) * (told - sold) }
}

fn short(weeks: &[f64]) -> Demand {
    let n = weeks.len() as f64;
    let mean = weeks.iter().sum::<f64>() / n;
    let variance = weeks.iter().map(|week| (week - mean) * (week - mean)).sum::<f64>() / (n - 1.0);
    Demand { mean, variance, active_weeks: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_that_is_told_too_low_costs_its_probability_and_one_too_high_the_rest() {
        assert!((pinball(10.0, 8.0, 0.9) - 1.8).abs() < 1e-12);
        assert!((pinball(8.0, 10.0, 0.9) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn series_that_sell_in_too_few_of_the_first_weeks_are_left_out_and_the_rest_is_thinned_by_order_of_names() {
        let sells = |weeks: usize| (0..52).map(|week| if week < weeks { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
        let series = [("a", 10), ("b", 9), ("c", 11), ("d", 12)].map(|(name, weeks)| (name.to_owned(), sells(weeks)));
        let names = |every| active(Series::from(series.clone()), every).into_keys().collect::<Vec<_>>();
        assert_eq!(names(NonZeroUsize::MIN), ["a", "c", "d"]);
        assert_eq!(names(NonZeroUsize::MIN.saturating_add(1)), ["a", "d"]);
    }

    #[test]
    fn orders_of_a_demand_that_never_changes_cost_nothing_once_the_first_stock_is_sold() {
        // Of the first ten five are left for a week; from then on the five come that are sold.
        let [normal, poisson, ..] = costs(&[vec![5.0; 52]], CRITICAL);
        let weeks = (52 - SHORT_WEEKS) as f64;
        assert!((normal * weeks - 5.0 * HOLDING).abs() < 1e-12, "{normal}");
        assert!(poisson > normal, "it keeps more than is sold: {poisson}");
    }

    #[test]
    fn the_least_cost_is_each_forecasts_own() {
        let costs = |first: f64, last: f64| [[first, 2.0, 2.0, 2.0, last], [2.0; NAMES.len()]];
        assert_eq!(least(costs(1.0, 4.0), costs(3.0, 2.0)), costs(1.0, 2.0));
    }

    #[test]
    fn a_series_that_never_changes_is_told_by_the_mean_and_only_poisson_errs() {
        let [normal, poisson, ..] = losses(&[vec![5.0; 52]]);
        assert!(normal.abs() < 1e-12 && poisson > 0.1, "{normal} {poisson}");
    }
}
