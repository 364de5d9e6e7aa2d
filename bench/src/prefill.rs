//! A store that has been in use: items, and millions of decided commands with random ids, made by the fold itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use stockline_core::domain::{
    Action, Catalogue, Command, CommandId, FoldLimits, ItemId, LoadRequest, MAIN_LOCATION, MovementDetails, Quantity,
    Queued, Rules, ShortagePolicy, Slot, Timestamp, fold,
};
use stockline_core::ports::{CommitOutcome, Store};

use crate::load::Dice;

/// Commands of one fold while filling.
const COMMANDS_PER_FOLD: usize = 50;
/// Folds of one call of the store while filling.
const FOLDS_PER_CALL: usize = 100;

/// Registers `items` items with opening stock and adds sales until the store holds `commands` commands.
pub(crate) async fn fill(store: &dyn Store, items: usize, commands: usize, now: Timestamp) -> Result<()> {
    let mut dice = Dice::new(7);
    let bar = ProgressBar::new(commands as u64)
        .with_style(ProgressStyle::with_template("filling {bar:40} {human_pos}/{human_len} {per_sec} {eta}")?);
    let mut opening = Vec::new();
    for index in 0..items {
        let item_id: ItemId = format!("item-{index}").parse()?;
        opening.push((item_id.clone(), vec![register(&item_id, &mut dice, now), receive(&item_id, &mut dice, now)?]));
    }
    for chunk in opening.chunks(FOLDS_PER_CALL) {
        settle(store, chunk.to_vec(), now).await?;
    }
    let mut done = 2 * items;
    while done < commands {
        let mut folds = BTreeMap::new();
        for _ in 0..FOLDS_PER_CALL {
            let item_id: ItemId = format!("item-{}", dice.below(items)).parse()?;
            let slots = (0..COMMANDS_PER_FOLD).map(|_| sale(&item_id, &mut dice, now)).collect::<Result<Vec<_>>>()?;
            folds.insert(item_id, slots);
        }
        done += folds.len() * COMMANDS_PER_FOLD;
        settle(store, folds.into_iter().collect(), now).await?;
        bar.set_position(done as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Loads, folds and commits each item's slots.
async fn settle(store: &dyn Store, work: Vec<(ItemId, Vec<Slot>)>, now: Timestamp) -> Result<()> {
    let rules = Rules::default();
    let requests: Vec<_> =
        work.iter().map(|(item_id, slots)| LoadRequest::for_slots(item_id.clone(), slots, &rules)).collect();
    let mut commits = Vec::with_capacity(work.len());
    for ((item_id, slots), loaded) in work.iter().zip(store.load(&requests).await) {
        let fold = fold(&loaded?, item_id, slots, &BTreeMap::new(), now, &rules, &FoldLimits::default());
        if fold.taken != slots.len() {
            bail!("a fold of {} commands took only {}", slots.len(), fold.taken);
        }
        commits.push(fold.commit);
    }
    for outcome in store.commit(commits).await {
        if outcome? != CommitOutcome::Committed {
            bail!("filling met a conflict: is the store in use?");
        }
    }
    Ok(())
}

fn slot(item_id: &ItemId, dice: &mut Dice, action: Action, now: Timestamp) -> Slot {
    let command = Command {
        command_id: CommandId(dice.uuid()),
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
        trace: None,
    }))
}

fn register(item_id: &ItemId, dice: &mut Dice, now: Timestamp) -> Slot {
    let catalogue = Catalogue {
        name: format!("Item {item_id}"),
        unit: "piece".into(),
        decimals: 0,
        barcodes: Vec::new(),
        category: None,
        low_stock_threshold: None,
        shortage_policy: ShortagePolicy::Allow,
        unit_cost: None,
    };
    slot(item_id, dice, Action::RegisterItem(catalogue), now)
}

fn receive(item_id: &ItemId, dice: &mut Dice, now: Timestamp) -> Result<Slot> {
    let quantity = Quantity::from_units(1_000_000).context("fits")?;
    let action = Action::Receive { location_id: MAIN_LOCATION.parse()?, quantity, unit_cost: None };
    Ok(slot(item_id, dice, action, now))
}

fn sale(item_id: &ItemId, dice: &mut Dice, now: Timestamp) -> Result<Slot> {
    let quantity = Quantity::from_units(1).context("fits")?;
    let action = Action::Sell { location_id: MAIN_LOCATION.parse()?, quantity, on_shortage: None };
    Ok(slot(item_id, dice, action, now))
}

/// Does the folder hold a store already?
pub(crate) fn is_filled(data: &Path) -> bool {
    data.join("stock.db").exists()
}
