//! Commits commands straight through a store, to prepare it for a measurement.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use stockline_core::domain::{
    Catalogue, FoldLimits, ItemId, LoadRequest, Planning, Rules, ShortagePolicy, Slot, Timestamp, fold,
};
use stockline_core::ports::{CommitOutcome, Store};

/// Returns the catalogue record that every measured item gets.
pub(crate) fn catalogue(item_id: &ItemId) -> Catalogue {
    Catalogue {
        name: format!("Item {item_id}"),
        unit: "piece".into(),
        decimals: 0,
        barcodes: Vec::new(),
        category: None,
        low_stock_threshold: None,
        shortage_policy: ShortagePolicy::Allow,
        unit_cost: None,
        planning: Planning::default(),
    }
}

/// Loads, folds and commits the slots of each item.
pub(crate) async fn commit_slots(
    store: &dyn Store,
    work: Vec<(ItemId, Vec<Slot>)>,
    rules: &Rules,
    now: Timestamp,
) -> Result<()> {
    let requests: Vec<_> =
        work.iter().map(|(item_id, slots)| LoadRequest::for_slots(item_id.clone(), slots, rules)).collect();
    let mut commits = Vec::with_capacity(work.len());
    for ((item_id, slots), loaded) in work.iter().zip(store.load(&requests).await) {
        let fold = fold(&loaded?, item_id, slots, &BTreeMap::new(), now, rules, &FoldLimits::default());
        if fold.taken != slots.len() {
            bail!("a fold took only {} of {} commands", fold.taken, slots.len());
        }
        commits.push(fold.commit);
    }
    for outcome in store.commit(commits).await {
        let outcome = outcome?;
        if outcome != CommitOutcome::Committed {
            bail!("the store answered {outcome:?} while it was prepared: is it in use?");
        }
    }
    Ok(())
}
