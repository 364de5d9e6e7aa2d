//! The items whose stored state can't be read. Their messages wait, in order, until a person has repaired the rows;
//! every other item goes on.

use std::sync::Arc;

use metrics::Gauge;
use stockline_core::domain::ItemId;
use stockline_core::ports::StoreError;

use crate::health::Health;

/// Names the items that are set aside: once each in the log, and as long as they are in the metric and in [`Health`].
#[derive(Clone)]
pub(crate) struct SetAside {
    health: Arc<Health>,
    count: Gauge,
}

impl SetAside {
    pub(crate) fn new(health: Arc<Health>, count: Gauge) -> Self {
        count.set(0.0);
        Self { health, count }
    }

    /// Records that an item can't be read.
    pub(crate) fn add(&self, item_id: &ItemId, error: &StoreError, call: &str) {
        if self.health.set_aside(item_id, error.to_string()) {
            tracing::error!(%item_id, %error, call, "an item can't be read: it is set aside, and its commands wait until a person repairs it");
            self.count.set(self.health.items_set_aside().len() as f64);
        }
    }

    /// Records that an item was read and written.
    pub(crate) fn remove(&self, item_id: &ItemId) {
        if self.health.take_back(item_id) {
            tracing::info!(%item_id, "the item can be read again");
            self.count.set(self.health.items_set_aside().len() as f64);
        }
    }
}

impl std::fmt::Debug for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetAside")
    }
}
