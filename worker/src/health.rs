use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stockline_core::domain::ItemId;
use tokio::sync::watch;

/// The most items that are named as set aside. The log names all.
const SET_ASIDE_MAX: usize = 10_000;

/// Whether the worker can work, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// It receives.
    #[default]
    Ready,
    /// The store or the alert topic is down. It does not receive, and probes until they are back (P9).
    Outage,
    /// It met a message of this later version. It has stopped receiving until a later worker is deployed.
    NewerMessages(i64),
    /// It met stock that a later version wrote. It has stopped receiving until that version is deployed.
    NewerStore,
}

impl Condition {
    /// Returns why the worker does not work, for people; `None` if it does.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::Outage => Some("the store or the alert topic does not answer".to_owned()),
            Self::NewerMessages(version) => Some(format!("messages have version {version}: deploy a later worker")),
            Self::NewerStore => Some("a later version wrote to the store: deploy a later worker".to_owned()),
        }
    }
}

/// Shows a worker's [`Condition`] to the process around it, and the items that it has set aside.
#[derive(Debug, Default)]
pub struct Health {
    condition: watch::Sender<Condition>,
    set_aside: Mutex<BTreeMap<ItemId, String>>,
}

impl Health {
    /// Returns the current condition.
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Returns whether this process counts as ready.
    pub fn is_ready(&self) -> bool {
        self.condition() == Condition::Ready
    }

    /// Returns a receiver that waits for changes.
    pub fn subscribe(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Returns the items whose stored state can't be read, each with what was found. Their commands wait; the worker is
    /// ready all the same, because every other item goes on.
    pub fn items_set_aside(&self) -> Vec<(ItemId, String)> {
        self.aside().iter().map(|(item_id, what)| (item_id.clone(), what.clone())).collect()
    }

    /// Names an item as set aside. Returns `false` if it was.
    pub(crate) fn set_aside(&self, item_id: &ItemId, what: String) -> bool {
        let mut aside = self.aside();
        if aside.contains_key(item_id) {
            return false;
        }
        if aside.len() < SET_ASIDE_MAX {
            aside.insert(item_id.clone(), what);
        }
        true
    }

    /// Returns whether the item was set aside; now it is not.
    pub(crate) fn take_back(&self, item_id: &ItemId) -> bool {
        let mut aside = self.aside();
        !aside.is_empty() && aside.remove(item_id).is_some()
    }

    fn aside(&self) -> MutexGuard<'_, BTreeMap<ItemId, String>> {
        self.set_aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, condition: Condition) {
        self.condition.send_if_modified(|current| {
            let changed = *current != condition;
            *current = condition;
            changed
        });
    }
}
