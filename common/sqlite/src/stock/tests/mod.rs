use std::collections::BTreeMap;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use stockline_core::domain::{Command, CommandId, Fold, FoldLimits, Level, Queued, Rules, Slot, fold};

mod alerts;
mod commits;
mod durability;
mod migration;
mod reads;

/// 2026-01-31T08:15:00Z
const NOON: i64 = 1_769_847_300_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOON + millis)
}

fn item_id(id: &str) -> ItemId {
    id.parse().unwrap()
}

fn place(id: &str) -> LocationId {
    id.parse().unwrap()
}

fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

fn command(json: &str) -> Command {
    serde_json::from_str(json).unwrap()
}

fn queued(command: Command, accepted_at: Timestamp) -> Queued {
    Queued {
        command,
        accepted_at,
        submitted_by: "till-1".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        trace: None,
    }
}

/// A store in a folder of its own, used as the worker uses it.
struct Shop {
    folder: TempDir,
    store: SqliteStore,
    next_id: u128,
}

impl Shop {
    fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    fn with(options: StoreOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("stock.db"), options, &OpenOptions::default()).unwrap();
        Self { folder, store, next_id: 1 }
    }

    fn reopened(self) -> Self {
        let Self { folder, store, next_id } = self;
        drop(store);
        let path = folder.path().join("stock.db");
        let store = SqliteStore::open(&path, StoreOptions::default(), &OpenOptions::default()).unwrap();
        Self { folder, store, next_id }
    }

    /// A slot of `{"type":…,"item_id":…}` and more fields, under the next id.
    fn slot(&mut self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Slot {
        let id = id(self.next_id);
        self.next_id += 1;
        let json = format!(r#"{{"command_id":"{id}","type":"{kind}","item_id":"{item}"{fields}}}"#);
        Slot::Command(Box::new(queued(command(&json), now)))
    }

    async fn load(&self, item: &str, slots: &[Slot]) -> Loaded {
        let request = LoadRequest::for_slots(item_id(item), slots, &Rules::default());
        self.store.load(&[request]).await.remove(0).unwrap()
    }

    async fn fold(&self, item: &str, slots: &[Slot], now: Timestamp) -> Fold {
        let loaded = self.load(item, slots).await;
        fold(&loaded, &item_id(item), slots, &BTreeMap::new(), now, &Rules::default(), &FoldLimits::default())
    }

    async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.store.commit(vec![commit]).await.remove(0).unwrap()
    }

    /// One command through load, fold and commit; its record.
    async fn run(&mut self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Record {
        let slot = self.slot(kind, item, fields, now);
        self.settle(item, vec![slot], now).await.remove(0)
    }

    async fn settle(&self, item: &str, slots: Vec<Slot>, now: Timestamp) -> Vec<Record> {
        let fold = self.fold(item, &slots, now).await;
        assert_eq!(fold.taken, slots.len());
        let records = fold.commit.records.clone();
        assert_eq!(self.commit(fold.commit).await, CommitOutcome::Committed);
        records
    }

    async fn register(&mut self, item: &str, fields: &str) -> Record {
        self.run("register_item", item, &format!(r#","name":"Item {item}"{fields}"#), at(0)).await
    }

    async fn receive(&mut self, item: &str, location: &str, quantity: i64, now: Timestamp) -> Record {
        let fields = format!(r#","location_id":"{location}","quantity":{quantity}"#);
        self.run("receive", item, &fields, now).await
    }

    async fn open_location(&self, location: &str) {
        let settings = LocationSettings { location_id: place(location), ..LocationSettings::main() };
        self.store.put_location(&settings).await.unwrap();
    }

    async fn record(&self, item: &str, command_id: CommandId) -> Option<Record> {
        self.store.records(&[CommandKey { item_id: item_id(item), command_id }]).await.unwrap().remove(0)
    }

    async fn on_hand(&self, item: &str) -> Vec<(String, i64, u64)> {
        let view = self.store.item(&item_id(item)).await.unwrap().unwrap();
        let units = |level: &stockline_core::domain::Level| level.on_hand.raw() / 1_000;
        view.levels.iter().map(|level| (level.location_id.to_string(), units(level), level.seq)).collect()
    }
}
