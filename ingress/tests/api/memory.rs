//! The ports in memory: a queue that can be told to fail, and a store that folds with the domain's own fold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::domain::{
    Alert, CommandId, CommandKey, CommandKind, DeadLetter, Entry, FoldLimits, Item, ItemId, Level, Loaded, LoadedLevel,
    LocationId, LocationSettings, Quantity, Record, Rules, Slot, StockState, Timestamp, decode_message, fold,
};
use stockline_core::ports::{
    AlertRecord, Clock, CommandFilter, CommandSender, FixedClock, ItemFilter, ItemWithLevels, LevelFilter,
    LevelWithItem, Locations, Movement, MovementFilter, Pack, Page, Queries, QueueError, StoreError,
};

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<ItemId, Item>,
    levels: BTreeMap<(ItemId, LocationId), Level>,
    ledger: BTreeMap<(ItemId, LocationId), Vec<Entry>>,
    records: BTreeMap<(ItemId, CommandId), Record>,
    locations: BTreeMap<LocationId, LocationSettings>,
    alerts: Vec<Alert>,
    waiting: Vec<Pack>,
}

/// Queue and store in one.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    clock: Arc<FixedClock>,
    /// Apply what is queued at once, as an idle worker would.
    pub applies: AtomicBool,
    pub queue_down: AtomicBool,
    pub store_down: AtomicBool,
    pub panics: AtomicBool,
    /// How often outcomes were looked for.
    pub lookups: AtomicUsize,
}

impl Memory {
    pub fn new(clock: Arc<FixedClock>) -> Arc<Self> {
        let state = State::default();
        let on = || AtomicBool::new(false);
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
            applies: AtomicBool::new(true),
            queue_down: on(),
            store_down: on(),
            panics: on(),
            lookups: AtomicUsize::new(0),
        })
    }

    /// Bodies queued and not applied.
    pub fn waiting(&self) -> Vec<String> {
        self.state.lock().unwrap().waiting.iter().map(|pack| pack.body.to_string()).collect()
    }

    /// Applies everything that is queued.
    pub fn apply(&self) {
        let mut state = self.state.lock().unwrap();
        for pack in std::mem::take(&mut state.waiting) {
            state.apply(&pack, self.clock.now());
        }
    }

    /// Sets everything aside that is queued, as a worker does with what it can't decide.
    pub fn set_aside(&self) {
        let mut state = self.state.lock().unwrap();
        let now = self.clock.now();
        for pack in std::mem::take(&mut state.waiting) {
            for slot in decode_message(&pack.item_id, "message", &pack.body, now).unwrap() {
                let Slot::Command(queued) = slot else { panic!("{slot:?}") };
                let of = (pack.item_id.clone(), queued.command.command_id);
                let letter = DeadLetter::of("judging it panicked".into(), pack.body.to_string());
                state.records.insert(of.clone(), Record::dead_letter(Some(&queued), letter, of, now));
            }
        }
    }

    /// Discards what was set aside, as an operator does.
    pub fn discard(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        let letters = state.records.values_mut().filter_map(|record| record.outcome.dead_letter.as_mut());
        letters.for_each(|letter| letter.discarded_at = Some(now));
    }

    /// Makes the record of the n-th command another's.
    pub fn rename_submitter(&self, n: u32, by: &str) {
        let mut state = self.state.lock().unwrap();
        let id = crate::server::command_id(n);
        let record = state.records.iter_mut().find(|((_, of), _)| *of == id).unwrap().1;
        record.outcome.submitted_by = by.into();
    }

    fn up(&self) -> Result<std::sync::MutexGuard<'_, State>, StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "told to panic");
        if self.store_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to be down".into()));
        }
        Ok(self.state.lock().unwrap())
    }
}

fn named((item_id, command_id): &(ItemId, CommandId)) -> CommandKey {
    CommandKey { item_id: item_id.clone(), command_id: *command_id }
}

impl State {
    fn apply(&mut self, pack: &Pack, now: Timestamp) {
        let slots = decode_message(&pack.item_id, "message", &pack.body, now).unwrap();
        let mut rest = &slots[..];
        while !rest.is_empty() {
            let decided = self.records.iter().filter(|((item, _), _)| *item == pack.item_id);
            let decided = decided.map(|((_, id), record)| (*id, record.clone())).collect();
            let folded = fold(
                &self.load(&pack.item_id),
                &pack.item_id,
                rest,
                &decided,
                now,
                &Rules::default(),
                &FoldLimits::default(),
            );
            rest = &rest[folded.taken..];
            self.commit(&pack.item_id, folded.commit);
        }
    }

    fn load(&self, item_id: &ItemId) -> Loaded {
        let levels = self.levels.iter().filter(|((item, _), _)| item == item_id);
        let mut locations = self.locations.clone();
        locations.entry(LocationSettings::main().location_id).or_insert_with(LocationSettings::main);
        Loaded {
            item: self.items.get(item_id).cloned(),
            levels: levels.map(|((_, at), level)| (at.clone(), LoadedLevel::bare(level.clone()))).collect(),
            locations,
            holders: BTreeMap::new(),
            records: self.records.iter().map(|(key, record)| (named(key), record.clone())).collect(),
        }
    }

    fn commit(&mut self, item_id: &ItemId, commit: stockline_core::domain::Commit) {
        if let Some(put) = commit.item {
            self.items.insert(item_id.clone(), put.item);
        }
        for chunk in commit.chunks {
            self.extend(item_id, &chunk.location_id, &chunk.entries);
        }
        for put in commit.levels {
            self.extend(item_id, &put.level.location_id.clone(), &put.level.tail);
            self.levels.insert((item_id.clone(), put.level.location_id.clone()), put.level);
        }
        for record in commit.records {
            self.alerts.extend(record.alerts.clone());
            self.records.insert((item_id.clone(), record.outcome.command_id), record);
        }
        for (old, new) in commit.resubmitted {
            if let Some(record) = self.records.get_mut(&(old.item_id, old.command_id)) {
                record.resubmitted_as = Some(named(&(item_id.clone(), new)));
            }
        }
    }

    fn extend(&mut self, item_id: &ItemId, location_id: &LocationId, entries: &[Entry]) {
        let ledger = self.ledger.entry((item_id.clone(), location_id.clone())).or_default();
        let last = ledger.last().map_or(0, |entry| entry.seq);
        ledger.extend(entries.iter().filter(|entry| entry.seq > last).cloned());
    }

    fn view(&self, item: &Item) -> ItemWithLevels {
        let levels = self.levels.iter().filter(|((of, _), _)| *of == item.item_id);
        ItemWithLevels { item: item.clone(), levels: levels.map(|(_, level)| level.clone()).collect() }
    }
}

#[async_trait]
impl CommandSender for Memory {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        if self.queue_down.load(Ordering::SeqCst) {
            return vec![Err(QueueError::Unavailable("told to be down".into())); packs.len()];
        }
        let results = vec![Ok(()); packs.len()];
        self.state.lock().unwrap().waiting.extend(packs);
        if self.applies.load(Ordering::SeqCst) {
            self.apply();
        }
        results
    }

    fn max_batch(&self) -> usize {
        10
    }
}

/// Pages by position.
fn page<T>(all: Vec<T>, cursor: Option<&str>, limit: usize) -> Page<T> {
    let from = cursor.and_then(|cursor| cursor.parse::<usize>().ok()).unwrap_or(0);
    let next_cursor = (all.len() > from + limit).then(|| (from + limit).to_string());
    Page { entries: all.into_iter().skip(from).take(limit).collect(), next_cursor }
}

#[async_trait]
impl Locations for Memory {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        Ok(self.locations().await?.into_iter().find(|settings| settings.location_id == *location_id))
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        let mut locations = self.up()?.locations.clone();
        locations.entry(LocationSettings::main().location_id).or_insert_with(LocationSettings::main);
        Ok(locations.into_values().collect())
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<(), StoreError> {
        self.up()?.locations.insert(settings.location_id.clone(), settings.clone());
        Ok(())
    }
}

#[async_trait]
impl Queries for Memory {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let state = self.up()?;
        let find = |c: &CommandKey| state.records.get(&(c.item_id.clone(), c.command_id)).cloned();
        Ok(commands.iter().map(find).collect())
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let state = self.up()?;
        Ok(state.items.get(item_id).map(|item| state.view(item)))
    }

    async fn items(
        &self,
        filter: &ItemFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ItemWithLevels>, StoreError> {
        let state = self.up()?;
        let wanted = |item: &&Item| {
            item.is_archived() == filter.archived
                && filter.barcode.as_ref().is_none_or(|barcode| item.catalogue.barcodes.contains(barcode))
        };
        Ok(page(state.items.values().filter(wanted).map(|item| state.view(item)).collect(), cursor, limit))
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Movement>, StoreError> {
        let state = self.up()?;
        let at = |location: &LocationId| filter.location_id.as_ref().is_none_or(|wanted| wanted == location);
        let of = |kind: CommandKind| filter.kind.is_none_or(|wanted| wanted == kind);
        let mut movements = Vec::new();
        for ((_, location_id), entries) in state.ledger.iter().filter(|((item, at_), _)| item == item_id && at(at_)) {
            let entries = entries.iter().filter(|entry| of(entry.kind.command_kind()));
            movements.extend(entries.map(|entry| Movement { location_id: location_id.clone(), entry: entry.clone() }));
        }
        movements.sort_by_key(|movement| std::cmp::Reverse((movement.entry.recorded_at, movement.entry.seq)));
        Ok(page(movements, cursor, limit))
    }

    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        let state = self.up()?;
        if !state.items.contains_key(item_id) {
            return Ok(None);
        }
        let ledgers = state.ledger.iter().filter(|((item, _), _)| item == item_id);
        let balance = |entries: &[Entry]| {
            let last = entries.iter().rfind(|entry| entry.recorded_at <= at);
            last.map_or((Quantity::ZERO, 0), |entry| (entry.after, entry.seq))
        };
        let levels = ledgers.map(|((_, location_id), entries)| {
            let (on_hand, seq) = balance(entries);
            (location_id.clone(), on_hand, seq)
        });
        Ok(Some(levels.collect()))
    }

    async fn levels(
        &self,
        filter: &LevelFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<LevelWithItem>, StoreError> {
        let state = self.up()?;
        let all = state.levels.iter().filter_map(|((item_id, _), level)| {
            let item = Arc::new(state.items.get(item_id)?.clone());
            Some(LevelWithItem { item, level: level.clone() })
        });
        let wanted = |view: &LevelWithItem| {
            filter.location_id.as_ref().is_none_or(|wanted| *wanted == view.level.location_id)
                && filter.state.is_none_or(|wanted: StockState| wanted == view.state())
        };
        Ok(page(all.filter(wanted).collect(), cursor, limit))
    }

    async fn commands(
        &self,
        filter: &CommandFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let state = self.up()?;
        let wanted = |record: &&Record| {
            let outcome = &record.outcome;
            let location = outcome.command.as_ref().and_then(|command| command.action.locations().next());
            outcome.status == filter.status
                && (filter.settled_otherwise || record.resubmitted_as.is_none())
                && filter.code.is_none_or(|code| outcome.rejection.as_ref().is_some_and(|found| found.code == code))
                && filter.location_id.as_ref().is_none_or(|wanted| location == Some(wanted))
        };
        let mut records: Vec<_> = state.records.values().filter(wanted).cloned().collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.outcome.settled_at));
        Ok(page(records, cursor, limit))
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let state = self.up()?;
        let wanted = |alert: &&Alert| location_id.is_none_or(|wanted| *wanted == alert.location_id);
        let record = |alert: &Alert| AlertRecord { alert_id: alert.id(), alert: alert.clone(), sent_at: None };
        Ok(page(state.alerts.iter().rev().filter(wanted).map(record).collect(), cursor, limit))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.up().map(drop)
    }
}
