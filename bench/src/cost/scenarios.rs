//! The scenarios: which sales are sent, and how.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use stockline_core::domain::{ItemId, LocationId, LocationSettings};
use stockline_core::ports::Locations;

use super::{BATCH, CostOptions, LOW_LOAD_COMMANDS, Scenario};
use crate::rng::Rng;
use crate::testbed::{Opening, SALES_PER_CHUNK};
use crate::till;

/// The location of all sales that are not till data.
const LOCATION: &str = "main";
/// Requests of the hot item gather in the queue, so that receives are full.
const HOT_GATHER: usize = 4;

/// Returns the scenario of this name.
pub(super) fn make(name: &str, options: &CostOptions) -> Result<Scenario> {
    match name {
        "uniform" => uniform(options.items, options.rounds),
        "till" => till_data(options),
        "hot" => hot(options.hot_commands),
        "low-load" => low_load(),
        _ => bail!("there is no scenario {name}"),
    }
}

/// Sells each item once a round, in a new order each time: one command per message and fold, the most expensive case.
fn uniform(items: usize, rounds: usize) -> Result<Scenario> {
    let requests = uniform_sales(items, rounds);
    let what =
        format!("{items} items, each sold {rounds} times in shuffled order, one command a message, full batches");
    // A round is settled before the next starts, so two sales of an item never wait together.
    let gather = items.div_ceil(BATCH);
    Ok(Scenario { name: "uniform", what, openings: openings(items)?, requests, gather })
}

/// Returns the sales of the uniform load, by request.
pub(super) fn uniform_sales(items: usize, rounds: usize) -> Vec<Vec<String>> {
    let mut rng = Rng::new(29);
    let mut sales = Vec::with_capacity(items * rounds);
    for _ in 0..rounds {
        let mut order: Vec<_> = (0..items).collect();
        for at in (1..items).rev() {
            order.swap(at, rng.below(at + 1));
        }
        let round: Vec<_> = order.iter().map(|item| sale(&mut rng, &format!("item-{item}"), LOCATION, "1")).collect();
        sales.extend(round.chunks(BATCH).map(<[String]>::to_vec));
    }
    sales
}

/// Sells one item only, with packs as full as at thousands of commands a second.
fn hot(commands: usize) -> Result<Scenario> {
    let mut rng = Rng::new(31);
    let sales: Vec<_> = (0..commands).map(|_| sale(&mut rng, "item-0", LOCATION, "1")).collect();
    let requests = sales.chunks(BATCH).map(<[String]>::to_vec).collect();
    let what = "one item, packs as full as at 5,000 commands a second".to_owned();
    Ok(Scenario { name: "hot", what, openings: openings(1)?, requests, gather: HOT_GATHER })
}

/// Sends one command at a time and settles it before the next.
fn low_load() -> Result<Scenario> {
    let mut rng = Rng::new(37);
    let items = LOW_LOAD_COMMANDS;
    let requests = (0..items).map(|item| vec![sale(&mut rng, &format!("item-{item}"), LOCATION, "1")]).collect();
    let what = "one command a message, one message a call".to_owned();
    Ok(Scenario { name: "low-load", what, openings: openings(items)?, requests, gather: 1 })
}

/// Sells one item once.
pub(super) fn one_sale() -> Result<Scenario> {
    Ok(Scenario { requests: uniform_sales(1, 1), openings: openings(1)?, ..low_load()? })
}

/// Sends the sale lines of tills in time order, as `stockline load` does.
fn till_data(options: &CostOptions) -> Result<Scenario> {
    let made_up = tempfile::tempdir()?;
    let source = match &options.till {
        Some(source) => source.as_path(),
        None => {
            till::make_up(made_up.path(), options.till_lines)?;
            made_up.path()
        }
    };
    let lines = till::sale_lines(source, options.till_lines)?;
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &lines {
        places.entry(line.product.clone()).or_default().insert(line.store.clone());
    }
    let mut rng = Rng::new(41);
    let mut openings = Vec::with_capacity(places.len());
    for (product, stores) in &places {
        let locations = stores.iter().map(|store| store.parse()).collect::<Result<Vec<_>, _>>()?;
        openings.push(Opening { item_id: product.parse()?, locations, sales: rng.below(SALES_PER_CHUNK) });
    }
    let sales: Vec<_> = lines.iter().map(|line| line.to_command(rng.uuid())).collect();
    let origin = if options.till.is_some() { "real" } else { "made-up" };
    let what = format!("{} {origin} sale lines of {} items in order of time, by {BATCH}", sales.len(), places.len());
    let requests = sales.chunks(BATCH).map(<[String]>::to_vec).collect();
    Ok(Scenario { name: "till", what, openings, requests, gather: 1 })
}

/// Returns items with tails of random length.
fn openings(items: usize) -> Result<Vec<Opening>> {
    let mut rng = Rng::new(43);
    let opening = |item| {
        let item_id: ItemId = format!("item-{item}").parse()?;
        Ok(Opening { item_id, locations: vec![LOCATION.parse()?], sales: rng.below(SALES_PER_CHUNK) })
    };
    (0..items).map(opening).collect()
}

/// Registers the locations of the openings.
pub(super) async fn put_locations(locations: &dyn Locations, openings: &[Opening]) -> Result<()> {
    let named: BTreeSet<&LocationId> = openings.iter().flat_map(|opening| &opening.locations).collect();
    for location_id in named {
        let settings = LocationSettings { location_id: location_id.clone(), ..LocationSettings::main() };
        locations.put_location(&settings).await?;
    }
    Ok(())
}

fn sale(rng: &mut Rng, item: &str, location: &str, quantity: &str) -> String {
    let (id, receipt) = (rng.uuid(), 31_198_000_000 + rng.below(1_000_000));
    format!(
        r#"{{"type":"sell","command_id":"{id}","item_id":"{item}","location_id":"{location}","quantity":"{quantity}","on_shortage":"allow","device_id":"till-1","reference":"{receipt}"}}"#
    )
}
