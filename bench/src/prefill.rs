//! Fills a store as if it had been in use: items, and millions of decided commands with random ids, made by the fold.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use stockline_core::domain::{
    Action, Command, CommandId, ItemId, MAIN_LOCATION, MovementDetails, Quantity, Queued, Rules, Slot, Timestamp,
};
use stockline_core::ports::Store;

use crate::rng::Rng;
use crate::seeding::{catalogue, commit_slots};

/// Commands per fold while filling.
const COMMANDS_PER_FOLD: usize = 50;
/// Folds per call of the store while filling.
const FOLDS_PER_CALL: usize = 100;

/// Registers `items` items with opening stock and adds sales until the store holds `commands` commands.
pub(crate) async fn fill(store: &dyn Store, items: usize, commands: usize, now: Timestamp) -> Result<()> {
    let (mut rng, rules) = (Rng::new(7), Rules::default());
    let bar = ProgressBar::new(commands as u64)
        .with_style(ProgressStyle::with_template("filling {bar:40} {human_pos}/{human_len} {per_sec} {eta}")?);
    let mut opening = Vec::new();
    for index in 0..items {
        let item_id: ItemId = format!("item-{index}").parse()?;
        opening.push((item_id.clone(), vec![register(&item_id, &mut rng, now), receive(&item_id, &mut rng, now)?]));
    }
    for chunk in opening.chunks(FOLDS_PER_CALL) {
        commit_slots(store, chunk.to_vec(), &rules, now).await?;
    }
    let mut done = 2 * items;
    while done < commands {
        let mut folds = BTreeMap::new();
        for _ in 0..FOLDS_PER_CALL {
            let item_id: ItemId = format!("item-{}", rng.below(items)).parse()?;
            let slots = (0..COMMANDS_PER_FOLD).map(|_| sale(&item_id, &mut rng, now)).collect::<Result<Vec<_>>>()?;
            folds.insert(item_id, slots);
        }
        done += folds.len() * COMMANDS_PER_FOLD;
        commit_slots(store, folds.into_iter().collect(), &rules, now).await?;
        bar.set_position(done as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn slot(item_id: &ItemId, rng: &mut Rng, action: Action, now: Timestamp) -> Slot {
    let command = Command {
        command_id: CommandId(rng.uuid()),
        item_id: item_id.clone(),
        action,
        details: MovementDetails::default(),
    };
    Slot::Command(Box::new(Queued {
        command,
        accepted_at: now,
        submitted_by: Arc::from("till-1"),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }))
}

fn register(item_id: &ItemId, rng: &mut Rng, now: Timestamp) -> Slot {
    slot(item_id, rng, Action::RegisterItem(catalogue(item_id)), now)
}

fn receive(item_id: &ItemId, rng: &mut Rng, now: Timestamp) -> Result<Slot> {
    let quantity = Quantity::from_units(1_000_000).context("fits")?;
    let action = Action::Receive { location_id: MAIN_LOCATION.parse()?, quantity, unit_cost: None };
    Ok(slot(item_id, rng, action, now))
}

fn sale(item_id: &ItemId, rng: &mut Rng, now: Timestamp) -> Result<Slot> {
    let quantity = Quantity::from_units(1).context("fits")?;
    let action = Action::Sell { location_id: MAIN_LOCATION.parse()?, quantity, on_shortage: None, amount: None };
    Ok(slot(item_id, rng, action, now))
}

/// Returns whether the folder already holds a store.
pub(crate) fn is_filled(data: &Path) -> bool {
    data.join("stock.db").exists()
}
