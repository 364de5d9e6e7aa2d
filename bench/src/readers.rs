//! Measures how long commands take to be accepted and settled while many readers ask for the heaviest lists.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use stockline_core::domain::{
    Action, Command, CommandId, ItemId, LocationId, LocationSettings, MovementDetails, Quantity, Queued, Rules, Slot,
    Timestamp,
};
use stockline_core::ports::{Clock as _, Locations as _};
use stockline_service::SystemClock;
use stockline_sqlite::{DataFolder, SqliteStore};
use tokio::task::LocalSet;

use crate::http::{Connection, head};
use crate::load::{self, Accepted, Load, percentile_ms};
use crate::overload::SettleProbe;
use crate::rng::Rng;
use crate::seeding::{catalogue, commit_slots};
use crate::server::{Server, token};

/// The targets: how many times as long it may take beside the readers.
const SETTLE_TIMES_MAX: f64 = 1.5;
const ACCEPT_TIMES_MAX: f64 = 2.0;

/// Items of one call of the store while filling.
const ITEMS_PER_CALL: usize = 100;

/// Each item has a level at each of these; `empty` has none.
const STOCKED: [&str; 2] = ["main", "north"];
const EMPTY: &str = "empty";

/// The lists, most of which examine the whole store and show nothing of it.
const LISTS: [&str; 8] = [
    "/v1/stock?location_id=empty&limit=1000",
    "/v1/stock?state=low&limit=1000",
    "/v1/stock?location_id=north&state=oversold&limit=1000",
    "/v1/items?updated_since=2100-01-01T00:00:00Z&limit=1000",
    "/v1/items?category=none&limit=1000",
    "/v1/items/item-0/movements?type=count&limit=1000",
    "/v1/stock?limit=1000",
    "/v1/items?limit=1000",
];

/// Options of `readers`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadersOptions {
    /// Items of the store, each with two levels
    #[arg(long, default_value_t = 50_000)]
    items: usize,
    /// Readers, each on its own connection; all have one Staff token
    #[arg(long, default_value_t = 64)]
    readers: usize,
    /// Commands a second, beside one till that waits for each outcome
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Seconds of each measurement, alone and beside the readers
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// The times of one measurement, in µs, sorted.
struct Times {
    accepted: Accepted,
    settled_us: Vec<u32>,
}

/// Fills a store, measures alone and beside the readers, and fails if a target is missed.
pub(crate) async fn run(options: &ReadersOptions) -> Result<()> {
    let (alone, beside) = measure(options).await?;
    print_targets(&alone, &beside)
}

async fn measure(options: &ReadersOptions) -> Result<(Times, Times)> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    // The server creates the folder; a store alone is not one.
    drop(Server::start(&data)?);
    fill(&data, options.items).await?;
    let server = Server::start(&data)?;
    let till = token(&data, &["--till", "bench", "--ttl", "1d"])?;
    let reader = token(&data, &["--role", "staff", "--subject", "reader", "--ttl", "1d"])?;
    let duration = Duration::from_secs(options.seconds);
    println!("{} items with {} levels each, {} readers", options.items, STOCKED.len(), options.readers);
    // The first sales fill the caches of both measurements.
    times(&server, &till, options, Duration::from_secs(1)).await?;
    let alone = times(&server, &till, options, duration).await?;
    let pages = Rc::new(Pages::default());
    let local = LocalSet::new();
    let readers: Vec<_> = (0..options.readers)
        .map(|n| local.spawn_local(read(server.address.clone(), reader.clone(), n, Rc::clone(&pages))))
        .collect();
    let beside = local.run_until(times(&server, &till, options, duration)).await?;
    for reader in readers.into_iter().filter(|reader| reader.is_finished()) {
        reader.await?.context("a reader ended")?;
    }
    drop(local);
    let s = duration.as_secs_f64();
    let [read, full, refused] = [&pages.read, &pages.full, &pages.refused].map(Cell::get);
    println!("readers: {:.0} pages/s, {full} of {read} with entries, {refused} refused", read as f64 / s);
    if pages.read.get() == 0 {
        bail!("the readers read nothing");
    }
    server.stop()?;
    Ok((alone, beside))
}

/// Sends sales at a fixed rate, and one after the other from a till that waits for each outcome.
async fn times(server: &Server, till: &str, options: &ReadersOptions, duration: Duration) -> Result<Times> {
    let load = Load {
        address: server.address.clone(),
        token: till.to_owned(),
        connections: 16,
        batch: 1,
        items: options.items,
        duration,
        rate: Some(options.rate),
    };
    let settle = async {
        let mut till = SettleProbe::open(server, till, options.items).await?;
        let (began, mut settled) = (Instant::now(), Vec::new());
        while began.elapsed() < duration {
            settled.push(u32::try_from(till.settle().await?.as_micros()).unwrap_or(u32::MAX));
        }
        settled.sort_unstable();
        anyhow::Ok(settled)
    };
    let (accepted, settled_us) = tokio::try_join!(load::run(&load), settle)?;
    Ok(Times { accepted, settled_us })
}

/// What the readers got.
#[derive(Debug, Default)]
struct Pages {
    read: Cell<u64>,
    full: Cell<u64>,
    refused: Cell<u64>,
}

/// Reads one list after the other to its end, until the task is dropped.
async fn read(address: String, token: String, first: usize, pages: Rc<Pages>) -> Result<()> {
    let mut http = Connection::open(&address).await?;
    for list in LISTS.iter().cycle().skip(first) {
        let mut cursor = String::new();
        loop {
            let path = if cursor.is_empty() { (*list).to_owned() } else { format!("{list}&cursor={cursor}") };
            let response = http.send(&head("GET", &path, &token, ""), &[]).await?;
            let body = std::str::from_utf8(response.body)?;
            match response.status {
                200 => {
                    pages.read.set(pages.read.get() + 1);
                    pages.full.set(pages.full.get() + u64::from(body.len() > 1_000));
                    // The cursor is the last member.
                    let next = body.rsplit_once(r#""next_cursor":""#).and_then(|(_, rest)| rest.split('"').next());
                    cursor = next.unwrap_or_default().to_owned();
                    if cursor.is_empty() {
                        break;
                    }
                }
                429 | 503 => {
                    pages.refused.set(pages.refused.get() + 1);
                    // As Retry-After says.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                status => bail!("{path} answered {status}: {body}"),
            }
        }
    }
    Ok(())
}

/// Registers items and receives stock at each location.
pub(crate) async fn fill(data: &Path, items: usize) -> Result<()> {
    let folder = DataFolder::open(data)?;
    let store = SqliteStore::open(&folder.stock_db(), Default::default(), &Default::default())?;
    let (now, rules, mut rng) = (SystemClock.now(), Rules::default(), Rng::new(7));
    for location in STOCKED.iter().chain([&EMPTY]) {
        let location_id: LocationId = location.parse()?;
        store.put_location(&LocationSettings { location_id, ..LocationSettings::main() }).await?;
    }
    for first in (0..items).step_by(ITEMS_PER_CALL) {
        let mut work = Vec::new();
        for index in first..items.min(first + ITEMS_PER_CALL) {
            let item_id: ItemId = format!("item-{index}").parse()?;
            let mut slots = vec![slot(&item_id, &mut rng, Action::RegisterItem(catalogue(&item_id)), now)];
            for location in STOCKED {
                let quantity = Quantity::from_units(1_000_000).context("fits")?;
                let action = Action::Receive { location_id: location.parse()?, quantity, unit_cost: None };
                slots.push(slot(&item_id, &mut rng, action, now));
            }
            work.push((item_id, slots));
        }
        commit_slots(&store, work, &rules, now).await?;
    }
    Ok(())
}

fn slot(item_id: &ItemId, rng: &mut Rng, action: Action, now: Timestamp) -> Slot {
    let details = MovementDetails::default();
    Slot::Command(Box::new(Queued {
        command: Command { command_id: CommandId(rng.uuid()), item_id: item_id.clone(), action, details },
        accepted_at: now,
        submitted_by: "till-1".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }))
}

/// Prints both measurements and returns an error if a target is missed.
fn print_targets(alone: &Times, beside: &Times) -> Result<()> {
    let accepted = |times: &Times, percentile| times.accepted.percentile_ms(percentile);
    let settled = |times: &Times, percentile| percentile_ms(&times.settled_us, percentile);
    let rows = [
        ("settled p50", settled(alone, 50.0), settled(beside, 50.0), SETTLE_TIMES_MAX),
        ("settled p99", settled(alone, 99.0), settled(beside, 99.0), SETTLE_TIMES_MAX),
        ("accepted p50", accepted(alone, 50.0), accepted(beside, 50.0), ACCEPT_TIMES_MAX),
        ("accepted p99", accepted(alone, 99.0), accepted(beside, 99.0), ACCEPT_TIMES_MAX),
    ];
    let mut missed = false;
    for (name, alone, beside, most) in rows {
        let (times, met) = (beside / alone, beside <= alone * most);
        missed |= !met;
        let verdict = if met { "met" } else { "MISSED" };
        println!("{name:<14} {alone:>8.1} ms alone {beside:>8.1} ms beside, {times:.2} × (≤ {most} ×) {verdict}");
    }
    if missed {
        bail!("a target was missed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sales_are_accepted_and_settled_while_readers_go_through_every_list() {
        let options = ReadersOptions { items: 300, readers: 16, rate: 50.0, seconds: 2 };
        let (alone, beside) = measure(&options).await.unwrap();
        for times in [alone, beside] {
            assert!(times.accepted.commands > 0 && !times.settled_us.is_empty());
        }
    }
}
