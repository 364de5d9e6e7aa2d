use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::{
    Alert, AlertKind, Command, CommandId, CommandKey, Commit, Fold, FoldLimits, ItemId, LoadRequest, Loaded,
    LocationId, LocationSettings, Quantity, Queued, Record, Rules, Slot, Timestamp, fold,
};
use crate::ports::{CommitOutcome, Locations, Queries, Store};

/// 2026-01-31T08:15:00Z, in milliseconds since 1970.
const NOON_MS: i64 = 1_769_847_300_000;

/// Returns the time so many milliseconds after 2026-01-31T08:15:00Z.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOON_MS + millis)
}

/// Parses the id of an item.
pub fn item_id(id: &str) -> ItemId {
    id.parse().unwrap()
}

/// Parses the id of a location.
pub fn place(id: &str) -> LocationId {
    id.parse().unwrap()
}

/// Returns the id of the n-th command.
pub fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

/// Returns a command as a till submits it for the first time.
pub fn submitted(command: Command, accepted_at: Timestamp) -> Queued {
    Queued {
        command,
        accepted_at,
        submitted_by: "till-1".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }
}

/// Returns the command `{"type":…,"item_id":…}` with more fields, accepted at `now`.
pub fn queued(id: CommandId, kind: &str, item: &str, fields: &str, now: Timestamp) -> Queued {
    let item = serde_json::Value::from(item);
    let json = format!(r#"{{"command_id":"{id}","type":"{kind}","item_id":{item}{fields}}}"#);
    submitted(serde_json::from_str(&json).unwrap(), now)
}

/// Returns the n-th alert of the item `cola` at a location, raised at [`at`]`(raised_at)`.
pub fn alert(no: u64, location: &str, raised_at: i64) -> Alert {
    Alert {
        item_id: item_id("cola"),
        location_id: place(location),
        alert_no: no,
        kind: AlertKind::Low,
        on_hand: Quantity::from_raw(1),
        low_stock_threshold: None,
        seq: no,
        opening: false,
        raised_at: at(raised_at),
        command_id: id(1),
        item_name: "Cola".into(),
        unit: "piece".into(),
        trace: None,
    }
}

/// A store, used as the worker uses it: each command is loaded, folded and committed.
#[derive(Debug)]
pub struct Shop<S> {
    /// The store.
    pub store: S,
    next_id: u128,
}

impl<S> Shop<S> {
    /// Returns a shop over a store. Its commands have the ids 1, 2, 3 and so on.
    pub fn over(store: S) -> Self {
        Self { store, next_id: 1 }
    }

    /// Replaces the store by another one over the same rows. The old one is dropped before `open` is called.
    #[must_use]
    pub fn reopened(self, open: impl FnOnce() -> S) -> Self {
        drop(self.store);
        Self { store: open(), next_id: self.next_id }
    }

    /// Returns a slot with a command under the next id, as [`queued`] builds it.
    pub fn slot(&mut self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Slot {
        let id = id(self.next_id);
        self.next_id += 1;
        Slot::Command(Box::new(queued(id, kind, item, fields, now)))
    }
}

impl<S: Store> Shop<S> {
    /// Loads the state that these slots need.
    pub async fn load(&self, item: &str, slots: &[Slot]) -> Loaded {
        let request = LoadRequest::for_slots(item_id(item), slots, &Rules::default());
        self.store.load(&[request]).await.remove(0).unwrap()
    }

    /// Loads the state and folds the slots over it.
    pub async fn fold(&self, item: &str, slots: &[Slot], now: Timestamp) -> Fold {
        let loaded = self.load(item, slots).await;
        fold(&loaded, &item_id(item), slots, &BTreeMap::new(), now, &Rules::default(), &FoldLimits::default())
    }

    /// Commits one fold, which must not fail.
    pub async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.store.commit(vec![commit]).await.remove(0).unwrap()
    }

    /// Settles one command and returns its record.
    pub async fn run(&mut self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Record {
        let slot = self.slot(kind, item, fields, now);
        self.settle(item, vec![slot], now).await.remove(0)
    }

    /// Settles slots in one fold, which must take them all, and returns their records.
    pub async fn settle(&self, item: &str, slots: Vec<Slot>, now: Timestamp) -> Vec<Record> {
        let fold = self.fold(item, &slots, now).await;
        assert_eq!(fold.taken, slots.len());
        let records = fold.commit.records.clone();
        assert_eq!(self.commit(fold.commit).await, CommitOutcome::Committed);
        records
    }

    /// Registers an item.
    pub async fn register(&mut self, item: &str, fields: &str) -> Record {
        self.run("register_item", item, &format!(r#","name":"Item {item}"{fields}"#), at(0)).await
    }

    /// Receives a quantity at a location.
    pub async fn receive(&mut self, item: &str, location: &str, quantity: i64, now: Timestamp) -> Record {
        let fields = format!(r#","location_id":"{location}","quantity":{quantity}"#);
        self.run("receive", item, &fields, now).await
    }
}

impl<S: Locations> Shop<S> {
    /// Creates a location.
    pub async fn open_location(&self, location: &str) {
        let settings = LocationSettings { location_id: place(location), ..LocationSettings::main() };
        self.store.put_location(&settings).await.unwrap();
    }
}

impl<S: Queries> Shop<S> {
    /// Returns the record of a command.
    pub async fn record(&self, item: &str, command_id: CommandId) -> Option<Record> {
        self.store.records(&[CommandKey { item_id: item_id(item), command_id }]).await.unwrap().remove(0)
    }

    /// Returns the location, the whole units on hand and the seq of each level.
    pub async fn on_hand(&self, item: &str) -> Vec<(String, i64, u64)> {
        let levels = self.store.item(&item_id(item)).await.unwrap().unwrap().levels;
        levels.iter().map(|level| (level.location_id.to_string(), level.on_hand.raw() / 1_000, level.seq)).collect()
    }
}
