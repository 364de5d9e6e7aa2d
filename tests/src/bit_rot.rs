//! Flips one bit in the files of a closed folder, opens it again, and compares what it serves with a folder whose bits
//! stayed.
//!
//! The folder has items with long ledgers, refused and dead commands, alerts, and a queue in which new commands wait
//! beside commands that were applied before. Each page of both files is hit in turn. Whatever the bit, the folder is
//! refused with a reason, or every figure that it serves is right, no command is applied twice, and the items that are
//! not named as damaged go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{
    Alert, CommandKey, FoldLimits, ItemId, LocationId, LocationSettings, Quantity, Record, Seal, Status, Timestamp,
    encode_message, seal_of,
};
use stockline_core::ports::{
    AlertReceiver as _, CommandFilter, CommandReceiver as _, CommandSender as _, FixedClock, ItemFilter,
    ItemWithLevels, LevelFilter, Locations as _, Movement, MovementFilter, Pack, PageRequest, Queries as _, StoreError,
};
use stockline_sqlite::{OpenOptions, QueueOptions, SqliteQueue, SqliteStore, StoreOptions};
use stockline_worker::audit::audit;
use stockline_worker::{Adapters, Condition};
use tokio::time::Instant;

use crate::contract::store::{at, id, item_id, place, queued};
use crate::in_process::{PATIENCE, RunningWorker, worker_config};

const ITEMS: [&str; 5] = ["cola", "tea", "coffee", "milk", "bread"];

/// How long nothing must happen until the worker counts as done with all that it can do.
const QUIET: Duration = Duration::from_millis(60);

/// What one flip did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The folder serves what it would have served.
    Harmless,
    /// One item is named as damaged, or one command is set aside; the others are as they would have been.
    OneItem,
    /// Several items are named as damaged: the bit held a page together.
    SeveralItems,
    /// The folder is refused, with the reason.
    Refused,
}

/// A balance: where, how much, after which entry.
type Balance = (LocationId, Quantity, u64);

/// What a folder serves of one item; an error names it as damaged.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    view: Result<Option<ItemWithLevels>, String>,
    movements: Result<Vec<Movement>, String>,
    as_of: Result<Option<Vec<Balance>>, String>,
    records: Vec<Result<Option<Record>, String>>,
}

/// A folder with its history, and what it serves before and after its queue is worked through.
#[derive(Debug)]
pub struct Original {
    folder: tempfile::TempDir,
    before: BTreeMap<ItemId, Item>,
    after: BTreeMap<ItemId, Item>,
    alerts: BTreeSet<String>,
    /// The pages of both files that have something in them.
    pages: Vec<(PathBuf, u64)>,
}

const PAGE_BYTES: u64 = 4_096;

struct Open {
    store: Arc<SqliteStore>,
    queue: Arc<SqliteQueue>,
    clock: Arc<FixedClock>,
}

fn open(folder: &Path, now: i64) -> Result<Open, String> {
    let options = OpenOptions { vfs: None, synchronous_off: true };
    let clock = Arc::new(FixedClock::at(at(now)));
    let queue = SqliteQueue::open_with(folder, QueueOptions::default(), clock.clone(), &options);
    let queue = Arc::new(queue.map_err(|error| error.to_string())?);
    let store = SqliteStore::open(&folder.join("stock.db"), StoreOptions::default(), &options);
    Ok(Open { store: Arc::new(store.map_err(|error| error.to_string())?), queue, clock })
}

/// Command `n` of an item: a movement, now and then one that is refused.
fn fields(n: u128) -> (&'static str, String) {
    match n % 7 {
        0 => ("receive", format!(r#","location_id":"main","quantity":{},"note":"delivery {n}""#, n % 40 + 5)),
        3 => ("transfer", r#","from_location_id":"main","to_location_id":"north","quantity":1"#.into()),
        4 => ("sell", r#","location_id":"main","quantity":500,"on_shortage":"reject""#.into()),
        5 => ("count", format!(r#","location_id":"north","counted":{}"#, n % 9)),
        _ => ("sell", format!(r#","location_id":"main","quantity":{},"reference":"r{n}""#, n % 3 + 1)),
    }
}

fn command_id(item: usize, n: u128) -> stockline_core::domain::CommandId {
    id((n * 8 + item as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

const REGISTER: u128 = 1_000;

async fn send(open: &Open, item: usize, numbers: impl Iterator<Item = u128>, now: i64) {
    let name = ITEMS[item];
    let commands: Vec<_> = numbers
        .map(|n| {
            let (kind, fields) = match n {
                REGISTER => ("register_item", format!(r#","name":"Item {name}","low_stock_threshold":20"#)),
                n => fields(n),
            };
            queued(command_id(item, n), kind, name, &fields, at(now))
        })
        .collect();
    let dedup_id = commands[0].command.command_id.0;
    let body = encode_message(&item_id(name), &commands).into();
    let pack = Pack { item_id: item_id(name), dedup_id, body };
    open.queue.send(vec![pack]).await.remove(0).unwrap();
}

/// Works until nothing more happens. Returns the items that the worker names as damaged, or why it stopped.
async fn work(open: &Open) -> Result<BTreeSet<ItemId>, String> {
    let adapters = Adapters {
        queue: open.queue.clone(),
        store: open.store.clone(),
        alerts: Arc::new(open.queue.alerts()),
        clock: open.clock.clone(),
    };
    let mut config = worker_config();
    config.fold_limits = FoldLimits { max_tail_bytes: 400, ..FoldLimits::default() };
    config.receive_wait = Duration::from_millis(5);
    let worker = RunningWorker::start(config, adapters);
    let begun = Instant::now();
    let (mut last, mut since) = ((0, 0), Instant::now());
    let stopped = loop {
        let depth = open.queue.depth().await.unwrap();
        if worker.health.condition() != Condition::Ready {
            break Some(format!("the worker stops: {:?}", worker.health.condition()));
        }
        if (depth.visible, depth.in_flight) == (0, 0) {
            break None;
        }
        if (depth.visible, depth.in_flight) != last {
            (last, since) = ((depth.visible, depth.in_flight), Instant::now());
        }
        if depth.visible == 0 && since.elapsed() > QUIET && !worker.health.items_set_aside().is_empty() {
            break None;
        }
        if begun.elapsed() > PATIENCE {
            break Some(format!("the worker makes no progress: {depth:?}"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let aside = worker.health.items_set_aside().into_iter().map(|(item_id, _)| item_id).collect();
    worker.stop().await;
    stopped.map_or(Ok(aside), Err)
}

fn named<T>(answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| match error {
        StoreError::Unreadable(what) => what,
        other => format!("UNEXPECTED {other}"),
    })
}

async fn read(store: &SqliteStore, item: usize) -> Item {
    let id = item_id(ITEMS[item]);
    let key = |n| CommandKey { item_id: id.clone(), command_id: command_id(item, n) };
    let mut records = Vec::new();
    for n in (0..44).chain([REGISTER]) {
        records.push(named(store.records(&[key(n)]).await).map(|mut found| found.remove(0)));
    }
    let movements = store.movements(&id, &MovementFilter::default(), PageRequest::first(1_000)).await;
    Item {
        view: named(store.item(&id).await),
        movements: named(movements).map(|page| page.entries),
        as_of: named(store.stock_as_of(&id, at(2_500)).await),
        records,
    }
}

async fn read_all(store: &SqliteStore) -> BTreeMap<ItemId, Item> {
    let mut items = BTreeMap::new();
    for (n, name) in ITEMS.iter().enumerate() {
        items.insert(item_id(name), read(store, n).await);
    }
    items
}

/// Returns the items of commands that are set aside: a command whose id has changed is there under another one.
async fn dead_letters(store: &SqliteStore) -> Result<BTreeSet<ItemId>, String> {
    let filter = CommandFilter {
        status: Status::DeadLettered,
        code: None,
        location_id: None,
        since: None,
        settled_otherwise: true,
    };
    match store.commands(&filter, PageRequest::first(1_000)).await {
        Ok(page) => Ok(page.entries.into_iter().map(|record| record.outcome.item_id).collect()),
        Err(StoreError::Unreadable(_)) => Ok(BTreeSet::new()),
        Err(error) => Err(format!("dead letters can't be listed: {error}")),
    }
}

/// Returns whether the start has put a damaged table of the queue aside.
fn is_set_aside(folder: &Path) -> bool {
    let connection = rusqlite::Connection::open(folder.join("queue.db")).unwrap();
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%_damaged_%'";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0)
}

/// Returns the alert that the alerter would mail; `None` if it sets the body aside, with a line in the log and a metric.
fn mailed(body: &str) -> Option<Alert> {
    serde_json::from_str(body).ok().filter(|_| seal_of(body) != Seal::Wrong)
}

async fn alerts(open: &Open) -> Vec<String> {
    let delivered = open.queue.alerts().receive(100, Duration::ZERO).await.unwrap();
    delivered.into_iter().map(|delivery| delivery.body.to_string()).collect()
}

impl Original {
    /// Makes a folder and works a copy of it through.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (phase, numbers) in [0..10_u128, 10..20, 20..30].into_iter().enumerate() {
            let now = 1_000 * (phase as i64 + 1);
            let open = open(folder.path(), now).unwrap();
            for location in ["main", "north"] {
                let name = location.to_owned();
                let settings = LocationSettings { location_id: place(location), name, ..LocationSettings::main() };
                open.store.put_location(&settings).await.unwrap();
            }
            for item in 0..ITEMS.len() {
                if phase == 0 {
                    send(&open, item, [REGISTER].into_iter(), now).await;
                }
                send(&open, item, numbers.clone(), now).await;
            }
            assert!(work(&open).await.unwrap().is_empty());
            drop(open);
            if phase == 1 {
                // The next start makes the index of records anew, with all keys in its table. Later ones are in its log.
                let connection = rusqlite::Connection::open(folder.path().join("stock.db")).unwrap();
                connection.execute("DELETE FROM key_log", []).unwrap();
            }
        }
        let open = open(folder.path(), 3_500).unwrap();
        for item in 0..ITEMS.len() {
            send(&open, item, [2, 7, 14, 22, 29].into_iter(), 3_500).await;
            send(&open, item, 30..37, 3_500).await;
            send(&open, item, 37..44, 3_500).await;
        }
        drop(open);
        let mut original = Self {
            folder,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            alerts: BTreeSet::new(),
            pages: Vec::new(),
        };
        original.pages = original.used_pages();
        let copy = original.copy();
        let open = self::open(copy.path(), 4_000).unwrap();
        original.before = read_all(&open.store).await;
        assert!(work(&open).await.unwrap().is_empty());
        original.after = read_all(&open.store).await;
        original.alerts = alerts(&open).await.into_iter().collect();
        let applied = original
            .after
            .values()
            .flat_map(|item| &item.records)
            .filter(|record| record.as_ref().unwrap().as_ref().unwrap().outcome.status == Status::Applied);
        assert!(applied.count() > 150 && original.alerts.len() >= ITEMS.len());
        original
    }

    /// Returns how many pages are hit in turn.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    fn used_pages(&self) -> Vec<(PathBuf, u64)> {
        let mut pages = Vec::new();
        for name in ["stock.db", "queue.db"] {
            let bytes = std::fs::read(self.folder.path().join(name)).unwrap();
            let used =
                bytes.chunks(PAGE_BYTES as usize).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
            pages.extend(used.map(|(page, _)| (PathBuf::from(name), page as u64)));
        }
        pages
    }

    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["stock.db", "queue.db"] {
            std::fs::copy(self.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    /// Flips the bit that the seed chooses.
    ///
    /// # Errors
    /// Says which promise the folder broke.
    pub async fn flip(&self, seed: u64) -> Result<Effect, String> {
        let copy = self.copy();
        let (file, page) = &self.pages[seed as usize % self.pages.len()];
        let path = copy.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        let at = loop {
            let at = (page * PAGE_BYTES + random.u64(..PAGE_BYTES)) as usize;
            // Free space has nothing to lose.
            let near = &bytes[at.saturating_sub(8)..(at + 8).min(bytes.len())];
            if near.iter().any(|byte| *byte != 0) {
                break at;
            }
        };
        let bit = random.u8(..8);
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        let place = format!("seed {seed}: bit {bit} of byte {at} (page {}) in {}", page + 1, file.display());
        self.judge(copy.path()).await.map_err(|what| format!("{place}: {what}"))
    }

    async fn judge(&self, folder: &Path) -> Result<Effect, String> {
        let open = match open(folder, 4_000) {
            Ok(open) => open,
            Err(why) if why.contains(".db") => return Ok(Effect::Refused),
            Err(why) => return Err(format!("the refusal names no file: {why}")),
        };
        let mut harmed = BTreeSet::new();
        for (item_id, was) in &self.before {
            let is = read(&open.store, ITEMS.iter().position(|name| *name == item_id.as_str()).unwrap()).await;
            if is != *was {
                is.serves_only_right_figures(was).map_err(|what| format!("{item_id}, before: {what}"))?;
                harmed.insert(item_id.clone());
            }
        }
        self.lists_are_right(&open.store).await?;
        harmed.extend(work(&open).await?);
        let dead = dead_letters(&open.store).await?;
        // A message whose row can't be read at all stays in the damaged table, or is set aside under no item's name: the
        // log and the list of dead letters say so.
        let queue_is_named = is_set_aside(folder) || dead.iter().any(|item_id| !ITEMS.contains(&item_id.as_str()));
        harmed.extend(dead);
        for (item_id, was) in &self.after {
            let is = read(&open.store, ITEMS.iter().position(|name| *name == item_id.as_str()).unwrap()).await;
            if is == *was {
                continue;
            }
            let named = harmed.contains(item_id) || is.is_named() || queue_is_named;
            if !named {
                return Err(format!(
                    "{item_id} is not as it would have been, and nothing says so: {}",
                    is.differs(was)
                ));
            }
            is.applies_nothing_twice(&self.before[item_id]).map_err(|what| format!("{item_id}, after: {what}"))?;
            harmed.insert(item_id.clone());
        }
        let mut unreadable_alerts = 0;
        for body in alerts(&open).await {
            let Some(alert) = mailed(&body) else {
                unreadable_alerts += 1;
                continue;
            };
            let as_it_was = self.alerts.iter().any(|body| mailed(body).as_ref() == Some(&alert));
            if !as_it_was && harmed.is_empty() {
                return Err(format!("a changed alert would be mailed: {body}"));
            }
        }
        let store = open.store.as_ref();
        audit(store, store, &mut |_| {}).await.map_err(|error| format!("the audit ends: {error}"))?;
        Ok(match harmed.len().max(unreadable_alerts) {
            0 => Effect::Harmless,
            1 => Effect::OneItem,
            _ => Effect::SeveralItems,
        })
    }

    /// Lists may leave rows out. What they show is right.
    async fn lists_are_right(&self, store: &SqliteStore) -> Result<(), String> {
        let failed = |list: &str, error: StoreError| match error {
            // SQLite could not read the list's own pages.
            StoreError::Unreadable(what) if what.contains("malformed") => Ok(()),
            error => Err(format!("the list of {list} fails: {error}")),
        };
        match store.items(&ItemFilter::default(), PageRequest::first(100)).await {
            Ok(page) => {
                for view in page.entries {
                    let was = self.before.get(&view.item.item_id).map(|item| &item.view);
                    if was != Some(&Ok(Some(view.clone()))) {
                        return Err(format!("the list of items shows {view:?}"));
                    }
                }
            }
            Err(error) => failed("items", error)?,
        }
        match store.all_movements(&MovementFilter::default(), PageRequest::first(1_000)).await {
            Ok(page) => {
                for movement in page.into_iter().flat_map(|page| page.entries) {
                    let was = self.before.get(&movement.item_id).and_then(|item| item.movements.as_ref().ok());
                    if !was.is_some_and(|was| was.contains(&movement)) {
                        return Err(format!("the list of all movements shows {movement:?}"));
                    }
                }
            }
            Err(error) => failed("all movements", error)?,
        }
        match store.levels(&LevelFilter::default(), PageRequest::first(100)).await {
            Ok(page) => {
                for shown in page.entries {
                    let was = self.before.get(&shown.item.item_id).map(|item| &item.view);
                    let Some(Ok(Some(view))) = was else { return Err(format!("the list of levels shows {shown:?}")) };
                    if !view.levels.contains(&shown.level) {
                        return Err(format!("the list of levels shows {shown:?}"));
                    }
                }
            }
            Err(error) => failed("levels", error)?,
        }
        let filter = CommandFilter {
            status: Status::Rejected,
            code: None,
            location_id: None,
            since: Some(Timestamp::EPOCH),
            settled_otherwise: true,
        };
        match store.commands(&filter, PageRequest::first(1_000)).await {
            Ok(page) => {
                for record in page.entries {
                    let was = self.before.get(&record.outcome.item_id).map(|item| &item.records);
                    let is_right = was.is_some_and(|records| records.contains(&Ok(Some(record.clone()))));
                    if !is_right && record.outcome.dead_letter.is_none() {
                        return Err(format!("the list of refused commands shows {record:?}"));
                    }
                }
            }
            Err(error) => failed("refused commands", error)?,
        }
        Ok(())
    }
}

impl Item {
    /// Every answer is an error or the right one.
    fn serves_only_right_figures(&self, was: &Self) -> Result<(), String> {
        let right = [
            ("view", self.view.is_err() || self.view == was.view),
            ("movements", self.movements.is_err() || self.movements == was.movements),
            ("as of", self.as_of.is_err() || self.as_of == was.as_of),
            ("records", self.records.iter().zip(&was.records).all(|(is, was)| is.is_err() || is == was)),
        ];
        match right.into_iter().find(|(_, right)| !right) {
            Some((what, _)) => Err(format!("wrong {what}: {}", self.differs(was))),
            None if self.errors().any(|what| what.starts_with("UNEXPECTED")) => Err(self.differs(was)),
            None => Ok(()),
        }
    }

    fn errors(&self) -> impl Iterator<Item = &String> {
        let views = [self.view.as_ref().err(), self.movements.as_ref().err(), self.as_of.as_ref().err()];
        views.into_iter().flatten().chain(self.records.iter().filter_map(|record| record.as_ref().err()))
    }

    /// Whether people see that something is wrong with it: an error, or a command that was set aside.
    fn is_named(&self) -> bool {
        let aside = |record: &Record| record.outcome.status == Status::DeadLettered;
        self.errors().next().is_some() || self.records.iter().flatten().flatten().any(aside)
    }

    /// The ledger goes on where it was, without gaps, and has each command once.
    fn applies_nothing_twice(&self, before: &Self) -> Result<(), String> {
        let Ok(movements) = &self.movements else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for movement in movements {
            if !seen.insert((movement.entry.command_id, movement.location_id.clone())) {
                return Err(format!("command {} is applied twice", movement.entry.command_id));
            }
        }
        let Ok(known) = &before.movements else { return Ok(()) };
        if !known.iter().all(|movement| movements.contains(movement)) {
            return Err("its history has changed".into());
        }
        let Ok(Some(view)) = &self.view else { return Ok(()) };
        for level in &view.levels {
            let last = movements.iter().find(|movement| movement.location_id == level.location_id);
            let ends = last.map_or((0, Quantity::ZERO), |last| (last.entry.seq, last.entry.after));
            if ends != (level.seq, level.on_hand) {
                return Err(format!("the level is {level:?}, its ledger ends with {ends:?}"));
            }
        }
        Ok(())
    }

    fn differs(&self, was: &Self) -> String {
        let records = self.records.iter().zip(&was.records).filter(|(is, was)| is != was).take(2);
        let mut text = format!("{:?}", records.collect::<Vec<_>>());
        if self.view != was.view {
            text.push_str(&format!(" view {:?} was {:?}", self.view, was.view));
        }
        if self.movements != was.movements {
            text.push_str(&format!(
                " movements {:?} were {:?}",
                self.movements.as_ref().map(Vec::len),
                was.movements.as_ref().map(Vec::len)
            ));
        }
        if self.as_of != was.as_of {
            text.push_str(&format!(" as of {:?} was {:?}", self.as_of, was.as_of));
        }
        text
    }
}
