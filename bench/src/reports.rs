//! Measures reports: their time on a large SQLite store, and what they read on AWS.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stockline_core::domain::analytics::{
    Calendar, LocalDays, OrderTerms, Period, Question, ReportBuilder, ReportName, Stocked,
};
use stockline_core::domain::{
    Action, Command, CommandId, ItemId, LocationId, LocationSettings, Money, MovementDetails, Quantity, Queued, Rules,
    Slot, Timestamp,
};
use stockline_core::ports::{Clock as _, DaysFilter, PageRequest, Queries, Store};
use stockline_service::SystemClock;
use stockline_sqlite::SqliteStore;

use crate::meter::Counts;
use crate::prices::LIST;
use crate::rng::Rng;
use crate::seeding::{catalogue, commit_slots};
use crate::testbed::{TILL, Testbed};

/// Options of `reports`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportsOptions {
    /// Items; each has a level at each location
    #[arg(long, default_value_t = 11_000)]
    items: usize,
    /// Locations
    #[arg(long, default_value_t = 10)]
    locations: usize,
    /// Ledger entries in all
    #[arg(long, default_value_t = 1_400_000)]
    entries: usize,
    /// Folder of the store; it is filled if it is empty and used again otherwise (default: a temporary folder)
    #[arg(long)]
    data: Option<PathBuf>,
}

const ZONE: &str = "America/New_York";
const DAY_MS: i64 = 24 * 3_600_000;
/// The entries of a ledger are spread over so many days.
const HISTORY_DAYS: i64 = 364;
const FOLDS_PER_CALL: usize = 100;
/// Levels of one read, as the ingress reads them.
const LEVELS_AT_ONCE: usize = 500;

/// The chain for which the units on AWS are told.
const CHAIN_LOCATIONS: f64 = 200.0;
const CHAIN_ITEMS: f64 = 5_000.0;
/// Calls of a report that are under way at once: 4 locations, each with several months and batches.
const CALLS_AT_ONCE: f64 = 16.0;
/// How long a call takes, as AWS tells of reads by key.
const CALL_MS: f64 = 10.0;

fn location(no: usize) -> Result<LocationId> {
    Ok(format!("shop-{no}").parse()?)
}

fn slot(item_id: &ItemId, action: Action, rng: &mut Rng, at: Timestamp) -> Slot {
    let details = MovementDetails {
        reference: Some("31198570044".into()),
        device_id: Some("till-1".into()),
        ..MovementDetails::default()
    };
    let details = if action.locations().next().is_some() { details } else { MovementDetails::default() };
    let command = Command { command_id: CommandId(rng.uuid()), item_id: item_id.clone(), action, details };
    Slot::Command(Box::new(Queued {
        command,
        accepted_at: at,
        submitted_by: Arc::from(TILL),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }))
}

/// Fills a store: each level gets a receipt and then a sale in each round. Rounds are spread evenly over a year.
async fn fill(store: &(impl Store + Queries), items: usize, locations: usize, rounds: usize) -> Result<()> {
    let (mut rng, rules, end) = (Rng::new(7), Rules::default(), SystemClock.now());
    let mut places = Vec::new();
    for no in 0..locations {
        let location_id = location(no)?;
        places.push(location_id.clone());
        let settings = LocationSettings { name: "Shop".into(), time_zone: ZONE.into(), ..LocationSettings::main() };
        store.put_location(&LocationSettings { location_id, ..settings }).await?;
    }
    let units = |units| Quantity::from_units(units).context("a quantity");
    for round in 0..=rounds {
        let step = HISTORY_DAYS * DAY_MS / i64::try_from(rounds.max(1))?;
        let at = end.plus_millis(step * i64::try_from(round)? - HISTORY_DAYS * DAY_MS);
        let mut work = Vec::with_capacity(FOLDS_PER_CALL);
        for no in 0..items {
            let item_id: ItemId = format!("item-{no:05}").parse()?;
            let mut slots = Vec::with_capacity(locations + 1);
            if round == 0 {
                slots.push(slot(&item_id, Action::RegisterItem(catalogue(&item_id)), &mut rng, at));
            }
            for location_id in &places {
                let location_id = location_id.clone();
                let action = match round {
                    0 => {
                        Action::Receive { location_id, quantity: units(100)?, unit_cost: Some(Money::from_raw(4_100)) }
                    }
                    _ => Action::Sell {
                        location_id,
                        quantity: units(1)?,
                        on_shortage: None,
                        amount: Some(Money::from_raw(9_900)),
                    },
                };
                slots.push(slot(&item_id, action, &mut rng, at));
            }
            // A fold is one transaction, which has room for some thirty levels.
            for some in slots.chunks(25) {
                work.push((item_id.clone(), some.to_vec()));
                if work.len() >= FOLDS_PER_CALL || slots.len() > 25 {
                    commit_slots(store, std::mem::take(&mut work), &rules, at).await?;
                }
            }
        }
        if !work.is_empty() {
            commit_slots(store, work, &rules, at).await?;
        }
    }
    Ok(())
}

/// Makes a report as the ingress does, of one location or of all. Returns its rows and the levels that it read.
async fn make(store: &dyn Queries, report: ReportName, location_id: Option<&LocationId>) -> Result<(usize, usize)> {
    let as_of = SystemClock.now();
    let days = LocalDays::of_zone(ZONE);
    let to = days.day(as_of);
    let question = Question {
        report,
        period: Period { from: to.plus(-report.usual_days()), to },
        groups: report.usual_groups().to_vec(),
        category: None,
        supplier: None,
        item_prefix: None,
        item_id: None,
        as_of,
        dead_days: 90,
        terms: OrderTerms::default(),
        explain: false,
    };
    let known = store.locations().await?;
    let time_zones: BTreeMap<_, _> =
        known.iter().map(|settings| (settings.location_id.clone(), settings.time_zone.clone())).collect();
    let filter = |location_id: Option<LocationId>| DaysFilter {
        location_id,
        time_zones: Arc::new(time_zones.clone()),
        since: question.since(),
    };
    let filters: Vec<DaysFilter> = match location_id {
        Some(location_id) => vec![filter(Some(location_id.clone()))],
        None if store.pays_for_days() => known.iter().map(|at| filter(Some(at.location_id.clone()))).collect(),
        None => vec![filter(None)],
    };
    let (mut builder, mut levels) = (ReportBuilder::new(question), 0);
    let calendar = Calendar { days, as_of };
    for filter in &filters {
        let read = async |cursor: Option<String>| {
            let asked = PageRequest::new(cursor.as_deref(), LEVELS_AT_ONCE);
            store.level_days(filter, asked).await?.context("the store has days")
        };
        let mut next = Some(read(None).await?);
        while let Some(page) = next {
            levels += page.entries.len();
            let (cursor, calendar) = (page.next_cursor.clone(), calendar.clone());
            let adding = tokio::task::spawn_blocking(move || {
                for found in &page.entries {
                    let stocked = Stocked { item: &found.item, level: &found.level, days: &found.days, closed: false };
                    builder.add(&stocked, &calendar);
                }
                builder
            });
            let following = async {
                match cursor {
                    Some(cursor) => read(Some(cursor)).await.map(Some),
                    None => Ok(None),
                }
            };
            let (added, following) = tokio::join!(adding, following);
            (builder, next) = (added?, following?);
        }
    }
    Ok((builder.finish().rows.len(), levels))
}

/// Measures all reports on a SQLite store: of all locations with nothing kept, and of one location after them.
pub(crate) async fn run(options: &ReportsOptions) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("stock.db");
    let open = || SqliteStore::open(&path, Default::default(), &Default::default());
    let levels = options.items * options.locations;
    if !path.exists() {
        let begun = Instant::now();
        fill(&open()?, options.items, options.locations, (options.entries / levels).saturating_sub(1)).await?;
        println!("filled in {:.0} s", begun.elapsed().as_secs_f64());
    }
    println!("{levels} levels, about {} entries; each report once, on a store that was just opened\n", options.entries);
    println!("{:<14} {:>8} {:>8} {:>10} {:>14}", "", "rows", "levels", "all, ms", "one shop, ms");
    for report in ReportName::ALL {
        let one = open()?;
        let begun = Instant::now();
        let (_, _) = make(&one, report, Some(&location(0)?)).await?;
        let of_one = begun.elapsed();
        drop(one);
        let all = open()?;
        let begun = Instant::now();
        let (rows, levels) = make(&all, report, None).await?;
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        println!("{:<14} {rows:>8} {levels:>8} {:>10.0} {:>14.0}", report.as_str(), ms(begun.elapsed()), ms(of_one));
    }
    Ok(())
}

/// Counts what reports read on AWS, on a small chain, and tells what they read on a chain of 200 locations and 5,000 items.
pub(crate) async fn count_on_aws() -> Result<()> {
    const LOCATIONS: usize = 2;
    const ITEMS: usize = 200;
    const ROUNDS: usize = 26;
    let testbed = Testbed::start().await?;
    fill(&*testbed.store, ITEMS, LOCATIONS, ROUNDS).await?;
    let chain = CHAIN_LOCATIONS * CHAIN_ITEMS;
    println!(
        "\nReports on AWS: counted on {LOCATIONS} × {ITEMS} levels with {ROUNDS} sales a year each, told for {CHAIN_LOCATIONS} \
         × {CHAIN_ITEMS}.\nSeconds are computed: {CALL_MS} ms a call, {CALLS_AT_ONCE} at once; CPU is the adapter's and the \
         engine's together.\n"
    );
    println!(
        "{:<14} {:>11} {:>10} {:>9} {:>10} {:>9} {:>12}",
        "", "RRU a level", "RRU", "$", "calls", "s", "CPU µs/level"
    );
    for report in [ReportName::Sales, ReportName::Velocity, ReportName::Reorder, ReportName::DeadStock] {
        testbed.meter.reset();
        let begun = Instant::now();
        let (_, levels) = make(&*testbed.store, report, None).await?;
        let time = begun.elapsed();
        let Counts { engine_rru, calls, .. } = testbed.meter.reset();
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let (levels, calls) = (levels as f64, calls.values().sum::<u64>() as f64);
        let (rru, calls) = (engine_rru / levels * chain, calls / levels * chain);
        println!(
            "{:<14} {:>11.2} {:>10.0} {:>9.3} {:>10.0} {:>9.0} {:>12.0}",
            report.as_str(),
            engine_rru / levels,
            rru,
            rru * LIST.rru / 1e6,
            calls,
            calls * CALL_MS / CALLS_AT_ONCE / 1_000.0,
            time.as_secs_f64() * 1e6 / levels
        );
    }
    Ok(())
}
