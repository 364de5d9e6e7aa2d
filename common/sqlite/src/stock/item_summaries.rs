use std::collections::HashMap;

use rusqlite::Connection;

use super::fault::Fault;
use super::rows;
use stockline_core::domain::{ItemId, Quantity};

/// The part of an item that the writer needs for every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ItemSummary {
    pub(super) item_no: i64,
    /// `None` if the item is not registered.
    pub(super) version: Option<u64>,
    pub(super) threshold_version: u64,
    pub(super) low_stock_threshold: Option<Quantity>,
}

impl ItemSummary {
    pub(super) const fn unregistered(item_no: i64) -> Self {
        Self { item_no, version: None, threshold_version: 0, low_stock_threshold: None }
    }
}

/// How many items the writer remembers (about 8 MB). Beyond that, it forgets all and starts again.
const ITEMS_MAX: usize = 65_536;

/// The summaries of items as the writer's transaction sees them.
#[derive(Debug, Default)]
pub(super) struct ItemSummaries(HashMap<ItemId, ItemSummary>);

impl ItemSummaries {
    /// Returns the summary of an item; `None` if it has no number.
    pub(super) fn get(&mut self, connection: &Connection, item_id: &ItemId) -> Result<Option<ItemSummary>, Fault> {
        if let Some(summary) = self.0.get(item_id) {
            return Ok(Some(*summary));
        }
        let summary = rows::find_item(connection, item_id)?.map(|(item_no, item)| match item {
            Some(item) => ItemSummary {
                item_no,
                version: Some(item.version),
                threshold_version: item.threshold_version,
                low_stock_threshold: item.catalogue.low_stock_threshold,
            },
            None => ItemSummary::unregistered(item_no),
        });
        if let Some(summary) = summary {
            self.remember(item_id, summary);
        }
        Ok(summary)
    }

    /// Keeps the summary of an item that was just written.
    pub(super) fn remember(&mut self, item_id: &ItemId, summary: ItemSummary) {
        if self.0.len() >= ITEMS_MAX {
            self.0.clear();
        }
        self.0.insert(item_id.clone(), summary);
    }

    /// Forgets everything, after a rollback.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
