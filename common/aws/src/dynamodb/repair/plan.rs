//! What the rows of one item prove, and the state that all of it makes: pure.
//!
//! The one rule: *what a surviving row proves took effect, and everything else did not.* A ledger entry proves its
//! command, and an applied outcome proves its entries. So no command that is proven is lost, and no command that is not
//! proven is counted: sent again, each takes effect once.
//!
//! Entries from the beginning of a ledger without a gap stay as they are. A command behind a gap, or with a leg that is
//! missing, is folded again behind them, with the fold that judged it first. Nothing may refuse it then, because its
//! goods have moved: it is judged as if shortages were allowed and the item and its locations were in use.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use stockline_core::domain::{
    Action, CLOCK_SKEW_MAX_MS, Catalogue, Command, CommandId, CommandKey, DeadLetter, Effect, Entry, EntryKind,
    Fingerprint, FoldLimits, Item, ItemId, Level, Loaded, LoadedLevel, LocationId, LocationSettings, MovementDetails,
    Outcome, Planning, Queued, Record, Rules, ShortagePolicy, Slot, Status, StockState, Timestamp, Valuation,
    encode_command, fold,
};
use stockline_core::ports::Movement;

/// No age is too old for a movement that took effect.
const NO_AGE_LIMIT: Rules =
    Rules { max_age_ms: i64::MAX, late_count_max_age_ms: i64::MAX, clock_skew_max_ms: CLOCK_SKEW_MAX_MS };

/// The time in which rows may be torn: some minutes before the moment of the restore.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Window {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.until
    }
}

/// The part of a ledger that is older than the window, whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    pub(super) seq: u64,
    pub(super) stock: Valuation,
    /// The entry and the time of the last count that was not late.
    pub(super) counted: Option<(u64, Timestamp)>,
    /// Its last entries, for late counts.
    pub(super) history: VecDeque<Entry>,
}

/// The surviving rows of one level.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) level: Option<Level>,
    pub(super) before: Before,
    /// The chunks behind that part, by their keys.
    pub(super) chunks: BTreeMap<u64, Vec<Entry>>,
}

/// The most entries before the window that are kept for late counts, as many as a worker reads.
const HISTORY_MAX: usize = 10_000;

impl Ledger {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// Says what contradicts the chunks before it. They are older than the window, so no restore has torn them.
    pub(super) fn take(&mut self, first: u64, entries: Vec<Entry>, from: Timestamp) -> Result<(), String> {
        let is_old = entries.last().is_some_and(|entry| entry.recorded_at < from);
        if !is_old || !self.chunks.is_empty() {
            self.chunks.insert(first, entries);
            return Ok(());
        }
        let before = &mut self.before;
        for entry in entries {
            if entry.seq != before.seq + 1 || entry.before() != before.stock.on_hand {
                return Err(format!("entry {} is damaged, and older than the window", entry.seq));
            }
            before.stock = before.stock.replay(&entry).map_err(|why| format!("entry {}: {why}", entry.seq))?;
            before.counted = counted_by(&entry).or(before.counted);
            before.seq = entry.seq;
            before.history.push_back(entry);
            if before.history.len() > HISTORY_MAX {
                before.history.pop_front();
            }
        }
        Ok(())
    }
}

/// The surviving rows of one item.
#[derive(Debug, Clone)]
pub(super) struct Remains {
    pub(super) item_id: ItemId,
    pub(super) item: Option<Item>,
    pub(super) ledgers: BTreeMap<LocationId, Ledger>,
    /// The outcomes of the window, and those that its rows name.
    pub(super) records: BTreeMap<CommandId, Record>,
    /// The marks on entries that were taken back.
    pub(super) marks: BTreeMap<(LocationId, u64), CommandId>,
}

/// The state that the remains make. Rows that are not named stay as they are.
#[derive(Debug, Clone)]
pub(super) struct Mended {
    pub(super) item: Option<Item>,
    pub(super) levels: BTreeMap<LocationId, Level>,
    /// All chunks behind [`Before`].
    pub(super) chunks: BTreeMap<(LocationId, u64), Vec<Entry>>,
    pub(super) records: BTreeMap<CommandId, Record>,
    pub(super) marks: BTreeMap<(LocationId, u64), CommandId>,
    /// What was done, for people.
    pub(super) notes: Vec<String>,
}

/// The entries that rows prove, behind [`Before`].
type Proven = BTreeMap<LocationId, BTreeMap<u64, Entry>>;
/// The proven entries of each command.
type Legs = BTreeMap<CommandId, Vec<(LocationId, u64)>>;

/// Returns the entries of an outcome's effects.
pub(super) fn entries_of(record: &Record) -> impl Iterator<Item = (LocationId, Entry)> + '_ {
    let applied = record.outcome.status == Status::Applied;
    let effects = record.outcome.effects.iter().filter(move |_| applied);
    effects.filter_map(|effect| {
        Movement::of_effect(&record.outcome, effect).map(|movement| (movement.location_id, movement.entry))
    })
}

impl Remains {
    /// Returns every entry behind the untouched part of its ledger that a row proves.
    ///
    /// # Errors
    /// Two rows disagree about an entry: no restore does that.
    pub(super) fn proven(&self) -> Result<Proven, String> {
        let mut proven = Proven::new();
        let of_records = self.records.values().flat_map(entries_of);
        let of_ledgers = self.ledgers.iter().flat_map(|(location_id, ledger)| {
            let tail = ledger.level.iter().flat_map(|level| &level.tail);
            ledger.chunks.values().flatten().chain(tail).map(|entry| (location_id.clone(), entry.clone()))
        });
        for (location_id, entry) in of_ledgers.chain(of_records) {
            let before = self.ledgers.get(&location_id).map_or(0, |ledger| ledger.before.seq);
            if entry.seq <= before {
                continue;
            }
            let entries = proven.entry(location_id.clone()).or_default();
            if let Some(other) = entries.get(&entry.seq)
                && *other != entry
            {
                let (seq, id, other) = (entry.seq, entry.command_id, other.command_id);
                return Err(format!("rows disagree about entry {seq} at {location_id} (commands {other} and {id})"));
            }
            entries.insert(entry.seq, entry);
        }
        Ok(proven)
    }

    /// Returns the entries that a chunk held which is gone, unless rows prove them. Their outcomes are older than the window
    /// as a rule, so they must be looked for.
    pub(super) fn missing(&self) -> Vec<(LocationId, Range<u64>)> {
        let proven = self.proven().unwrap_or_default();
        let of_ledger = |(location_id, ledger): (&LocationId, &Ledger)| {
            let level = ledger.level.as_ref()?;
            let first = level.tail.first().map_or(level.seq + 1, |entry| entry.seq);
            let lacks = |seq: &u64| !proven.get(location_id).is_some_and(|entries| entries.contains_key(seq));
            let missing: Vec<u64> = (ledger.before.seq + 1..first).filter(lacks).collect();
            Some((location_id.clone(), *missing.first()?..*missing.last()? + 1))
        };
        self.ledgers.iter().filter_map(of_ledger).collect()
    }

    fn before(&self, location_id: &LocationId) -> u64 {
        self.ledgers.get(location_id).map_or(0, |ledger| ledger.before.seq)
    }

    /// Returns how many legs a command has.
    fn legs_wanted(&self, command_id: CommandId, entry: &Entry) -> usize {
        match self.records.get(&command_id).filter(|record| record.outcome.status == Status::Applied) {
            Some(record) => record.outcome.effects.len(),
            None => 1 + usize::from(entry.counterpart.is_some()),
        }
    }

    /// Returns the seqs up to which ledgers stay, and the commands that are folded again. A command stays with all of its
    /// legs or with none.
    fn kept(&self, proven: &Proven) -> (BTreeMap<LocationId, u64>, Legs, BTreeSet<CommandId>) {
        let mut ends = BTreeMap::new();
        let mut legs = Legs::new();
        for (location_id, entries) in proven {
            let mut end = self.before(location_id);
            while entries.contains_key(&(end + 1)) {
                end += 1;
            }
            ends.insert(location_id.clone(), end);
            for (seq, entry) in entries {
                legs.entry(entry.command_id).or_default().push((location_id.clone(), *seq));
            }
        }
        let mut torn = BTreeSet::new();
        loop {
            let mut changed = false;
            for (command_id, of_it) in legs.iter().filter(|(_, of_it)| !of_it.is_empty()) {
                let (location_id, seq) = &of_it[0];
                let wanted = self.legs_wanted(*command_id, &proven[location_id][seq]);
                let old = self.records.get(command_id).map_or(0, |record| {
                    let is_old = |effect: &&Effect| effect.seq <= self.before(&effect.location_id);
                    record.outcome.effects.iter().filter(is_old).count()
                });
                let is_kept = |(location_id, seq): &(LocationId, u64)| *seq <= ends[location_id];
                if of_it.len() + old >= wanted && of_it.iter().all(is_kept) {
                    continue;
                }
                changed |= torn.insert(*command_id);
                for (location_id, seq) in of_it {
                    if let Some(end) = ends.get_mut(location_id).filter(|end| **end >= *seq) {
                        *end = seq - 1;
                        changed = true;
                    }
                }
            }
            if !changed {
                return (ends, legs, torn);
            }
        }
    }
}

/// Returns the state that the remains make.
///
/// # Errors
/// Says why this is not what a restore tears, or not within the window: then nothing may be changed.
pub(super) fn mend(remains: &Remains, window: Window) -> Result<Mended, String> {
    let proven = remains.proven()?;
    let (ends, legs, torn) = remains.kept(&proven);
    for (location_id, entries) in &proven {
        let cut = entries.values().find(|entry| entry.seq > ends[location_id] && !window.holds(entry.recorded_at));
        if let Some(entry) = cut {
            let (seq, at) = (entry.seq, entry.recorded_at);
            return Err(format!("entry {seq} at {location_id} of {at} is torn, which is outside of the window"));
        }
    }
    let mut state = State::of(remains, &proven, &ends)?;
    state.finish_catalogue(remains, &proven)?;
    state.remake_outcomes(remains, &proven, &legs, &torn, window);
    let mut again: Vec<_> = torn.iter().filter_map(|id| Torn::of(*id, &legs[id], &proven)).collect();
    again.sort_by_key(|torn| (torn.at, torn.entry.reverses.is_some(), torn.entry.seq, torn.entry.command_id));
    for torn in again {
        state.fold_again(&torn, remains)?;
    }
    Ok(state.into_mended(remains))
}

/// A command that is folded again, with the last of its entries.
struct Torn<'a> {
    at: Timestamp,
    location_id: &'a LocationId,
    entry: &'a Entry,
}

impl<'a> Torn<'a> {
    fn of(command_id: CommandId, legs: &'a [(LocationId, u64)], proven: &'a Proven) -> Option<Self> {
        let entries =
            legs.iter().filter_map(|(location_id, seq)| Some((location_id, proven.get(location_id)?.get(seq)?)));
        let (location_id, entry) = entries.max_by_key(|(_, entry)| (entry.recorded_at, entry.seq))?;
        debug_assert_eq!(entry.command_id, command_id);
        Some(Self { at: entry.recorded_at, location_id, entry })
    }
}

/// The state in the making.
struct State {
    item_id: ItemId,
    item: Option<Item>,
    levels: BTreeMap<LocationId, LoadedLevel>,
    chunks: BTreeMap<(LocationId, u64), Vec<Entry>>,
    records: BTreeMap<CommandId, Record>,
    notes: Vec<String>,
}

impl State {
    /// Takes the ledgers up to where they stay.
    fn of(remains: &Remains, proven: &Proven, ends: &BTreeMap<LocationId, u64>) -> Result<Self, String> {
        let (item_id, item) = (remains.item_id.clone(), remains.item.clone());
        let records = remains.records.clone();
        let mut state =
            Self { item_id, item, levels: BTreeMap::new(), chunks: BTreeMap::new(), records, notes: Vec::new() };
        let none = BTreeMap::new();
        for (location_id, ledger) in &remains.ledgers {
            let entries = proven.get(location_id).unwrap_or(&none);
            let end = ends.get(location_id).copied().unwrap_or(ledger.before.seq);
            let kept: Vec<Entry> = entries.range(..=end).map(|(_, entry)| entry.clone()).collect();
            state.keep(location_id, ledger, kept, end)?;
        }
        Ok(state)
    }

    /// Keeps a ledger up to `end`: its chunks where they are whole, the rest as the tail.
    fn keep(&mut self, location_id: &LocationId, ledger: &Ledger, kept: Vec<Entry>, end: u64) -> Result<(), String> {
        let (mut stock, mut counted) = (ledger.before.stock, ledger.before.counted);
        for entry in &kept {
            let seq = entry.seq;
            if entry.before() != stock.on_hand {
                return Err(format!("entry {seq} at {location_id} does not begin where its predecessor ends"));
            }
            stock = stock.replay(entry).map_err(|why| format!("entry {seq} at {location_id}: {why}"))?;
            counted = counted_by(entry).or(counted);
        }
        let mut covered = ledger.before.seq;
        let mut history: Vec<Entry> = ledger.before.history.iter().cloned().collect();
        for (first, chunk) in &ledger.chunks {
            let last = chunk.last().map_or(*first, |entry| entry.seq);
            if *first == covered + 1 && last <= end {
                covered = last;
                history.extend_from_slice(chunk);
                self.chunks.insert((location_id.clone(), *first), chunk.clone());
            }
        }
        let tail: Vec<Entry> = kept.into_iter().filter(|entry| entry.seq > covered).collect();
        let level = match &ledger.level {
            Some(level) if level.seq == end && level.tail == tail => {
                if (level.on_hand, level.value) != (stock.on_hand, stock.value) {
                    return Err(format!("the level at {location_id} is not what its ledger makes it"));
                }
                level.clone()
            }
            None if end == 0 => return Ok(()),
            level => {
                let epoch = self.item.as_ref().map_or(1, |item| item.alert_epoch);
                let mut level = level.clone().unwrap_or_else(|| Level::new(location_id.clone(), epoch));
                (level.seq, level.on_hand) = (end, stock.on_hand);
                (level.value, level.average_cost) = (stock.value, stock.average_cost);
                if counted.is_none_or(|(seq, _)| seq != level.counted_seq) {
                    (level.counted_seq, level.counted_at) =
                        counted.map_or((0, None), |(seq, counted_at)| (seq, Some(counted_at)));
                }
                let recorded_at = tail.last().or(history.last()).map_or(Timestamp::EPOCH, |entry| entry.recorded_at);
                level.updated_at = level.updated_at.max(recorded_at);
                level.tail = tail;
                level
            }
        };
        self.levels.insert(location_id.clone(), LoadedLevel { level, history, history_complete: true });
        Ok(())
    }

    /// Applies the changes of the catalogue and of thresholds whose outcomes are there and whose rows are older.
    fn finish_catalogue(&mut self, remains: &Remains, proven: &Proven) -> Result<(), String> {
        let mut changes: Vec<&Record> =
            remains.records.values().filter(|record| record.outcome.changed().is_some()).collect();
        changes.sort_by_key(|record| (record.outcome.settled_at, record.outcome.command_id));
        for record in changes {
            let Some(command) = record.outcome.changed() else { continue };
            let written_at = match &command.action {
                Action::SetThreshold { location_id: Some(location_id), .. } => {
                    self.levels.get(location_id).map(|loaded| loaded.level.updated_at)
                }
                _ => self.item.as_ref().map(|item| item.updated_at),
            };
            if written_at.is_some_and(|at| at >= record.outcome.settled_at) {
                continue;
            }
            let queued = queued_of(record, command.clone());
            let made = self.fold_one(&queued, record.outcome.settled_at)?;
            let what = format!("{} {}", command.kind().as_str(), command.command_id);
            self.notes.push(match made.outcome.status {
                Status::Applied => format!("finished {what}"),
                _ => format!("could not finish {what}: {}", refusal(&made)),
            });
        }
        if self.item.is_none() && !(proven.is_empty() && self.levels.is_empty()) {
            self.notes.push("its catalogue record is lost: it is named by its id now; send update_item".to_owned());
            self.item = Some(nameless(&self.item_id, remains));
        }
        Ok(())
    }

    /// Makes the outcomes of commands whose entries stay and whose outcomes are lost.
    fn remake_outcomes(
        &mut self,
        remains: &Remains,
        proven: &Proven,
        legs: &Legs,
        torn: &BTreeSet<CommandId>,
        window: Window,
    ) {
        for (command_id, of_it) in legs.iter().filter(|(command_id, _)| !torn.contains(command_id)) {
            let old = remains.records.get(command_id);
            if old.is_some_and(|record| record.outcome.status == Status::Applied) {
                continue;
            }
            let mut entries: Vec<_> =
                of_it.iter().map(|(location_id, seq)| (location_id, &proven[location_id][seq])).collect();
            // Older outcomes are not looked at; they are not torn.
            if !entries.iter().all(|(_, entry)| window.holds(entry.recorded_at)) {
                continue;
            }
            // The giving side first.
            entries.sort_by_key(|(_, entry)| (entry.kind == EntryKind::TransferIn) != entry.reverses.is_some());
            let Some((location_id, entry)) = entries.first().copied() else { continue };
            let queued = queued_of_entry(old, &self.item_id, location_id, entry);
            let effects = entries.iter().map(|(location_id, entry)| effect_of(location_id, entry, &queued.command));
            let record = applied(&queued, old, effects.collect(), entry.recorded_at);
            self.notes.push(format!("made the outcome of {command_id} from entry {} at {location_id}", entry.seq));
            self.records.insert(*command_id, record);
        }
    }

    /// Folds a torn command again, behind what stays.
    fn fold_again(&mut self, torn: &Torn<'_>, remains: &Remains) -> Result<(), String> {
        let command_id = torn.entry.command_id;
        let old = remains.records.get(&command_id);
        let queued = queued_of_entry(old, &self.item_id, torn.location_id, torn.entry);
        // Its own mark must not keep it from taking back what it took back.
        let mut marked = self.records.values_mut().filter(|record| record.outcome.reversed_by == Some(command_id));
        if let Some(taken_back) = marked.next() {
            taken_back.outcome.reversed_by = None;
        }
        let made = self.fold_one(&as_if_allowed(&queued), torn.at)?;
        let record = if made.outcome.status == Status::Applied {
            self.notes.push(format!("finished {} {command_id}", queued.command.kind().as_str()));
            applied(&queued, old, made.outcome.effects, torn.at)
        } else {
            let why = refusal(&made);
            self.notes.push(format!("set {command_id} aside: {why}"));
            let reason = format!("a restore has lost what it builds on: {why}");
            let letter = DeadLetter::of(reason, encode_command(&queued));
            let retry = old.map_or(0, |old| old.retry);
            Record { retry, ..Record::dead_letter(Some(&queued), letter, (self.item_id.clone(), command_id), torn.at) }
        };
        self.records.insert(command_id, record);
        Ok(())
    }

    /// Folds one command over the state, and applies what it writes.
    fn fold_one(&mut self, queued: &Queued, now: Timestamp) -> Result<Record, String> {
        let is_movement = queued.command.kind().is_movement();
        let item = self.item.clone().map(|item| if is_movement { in_use(item) } else { item });
        let places = self.levels.keys().chain(queued.command.action.locations());
        let of_item = |(id, record): (&CommandId, &Record)| {
            (CommandKey { item_id: self.item_id.clone(), command_id: *id }, record.clone())
        };
        let loaded = Loaded {
            item,
            levels: self.levels.clone(),
            locations: places.map(|place| (place.clone(), open(place))).collect(),
            holders: BTreeMap::new(),
            records: self.records.iter().map(of_item).collect(),
        };
        let slots = [Slot::Command(Box::new(queued.clone()))];
        let limits = FoldLimits::default();
        let commit = fold(&loaded, &self.item_id, &slots, &BTreeMap::new(), now, &NO_AGE_LIMIT, &limits).commit;
        if let Some(put) = commit.item {
            self.item = Some(put.item);
        }
        for put in commit.levels {
            let location_id = put.level.location_id.clone();
            let history = self.levels.remove(&location_id).map(|loaded| loaded.history).unwrap_or_default();
            self.levels.insert(location_id, LoadedLevel { level: put.level, history, history_complete: true });
        }
        for chunk in commit.chunks {
            let first = chunk.entries.first().map_or(0, |entry| entry.seq);
            if let Some(loaded) = self.levels.get_mut(&chunk.location_id) {
                loaded.history.extend_from_slice(&chunk.entries);
            }
            self.chunks.insert((chunk.location_id, first), chunk.entries);
        }
        commit.records.into_iter().next().ok_or_else(|| "a command could not be folded again".to_owned())
    }

    fn into_mended(mut self, remains: &Remains) -> Mended {
        let marks = self.mark_reversals();
        let mut levels: BTreeMap<_, _> = self.levels.into_iter().map(|(id, loaded)| (id, loaded.level)).collect();
        for (location_id, level) in &mut levels {
            // No alert may get a number that one had before.
            let alerts = remains.records.values().flat_map(|record| &record.alerts);
            let numbers = alerts.filter(|alert| alert.location_id == *location_id).map(|alert| alert.alert_no);
            level.alert_no = numbers.chain([level.alert_no]).max().unwrap_or_default();
            if let Some(item) = self.item.as_ref().filter(|item| item.alert_epoch == level.alert_epoch) {
                level.state = StockState::judge(level.on_hand, level.threshold(item));
                if level.state == StockState::Normal {
                    level.alerted = 0;
                }
            }
            let old = remains.ledgers.get(location_id).and_then(|ledger| ledger.level.as_ref());
            let version = old.map_or(0, |old| old.version);
            level.version = version;
            if old != Some(&*level) {
                level.version += 1;
            }
        }
        let Self { item, chunks, records, notes, .. } = self;
        let item = item.map(|item| match &remains.item {
            Some(old) if *old != item => Item { version: old.version + 1, ..item },
            _ => item,
        });
        Mended { item, levels, chunks, records, marks, notes }
    }

    /// Marks exactly the movements that an applied reversal takes back, and returns the marks of their entries.
    fn mark_reversals(&mut self) -> BTreeMap<(LocationId, u64), CommandId> {
        let reversals: BTreeMap<CommandId, CommandId> = self
            .records
            .values()
            .filter(|record| record.outcome.status == Status::Applied)
            .filter_map(|record| Some((record.outcome.command.as_ref()?.action.reverses()?, record.outcome.command_id)))
            .collect();
        let mut marks = BTreeMap::new();
        for (command_id, record) in &mut self.records {
            let by = reversals.get(command_id).copied();
            if record.outcome.reversed_by != by {
                self.notes.push(match by {
                    Some(by) => format!("marked {command_id} as taken back by {by}"),
                    None => format!("took the mark off {command_id}: nothing takes it back"),
                });
                record.outcome.reversed_by = by;
            }
            if let Some(by) = by {
                let of_it = record.outcome.effects.iter().map(|effect| (effect.location_id.clone(), effect.seq));
                marks.extend(of_it.map(|entry| (entry, by)));
            }
        }
        marks
    }
}

pub(super) fn counted_by(entry: &Entry) -> Option<(u64, Timestamp)> {
    (entry.kind == EntryKind::Count && !entry.late && entry.reverses.is_none())
        .then_some((entry.seq, entry.occurred_at))
}

fn refusal(record: &Record) -> String {
    record.outcome.rejection.as_ref().map_or_else(String::new, |rejection| rejection.detail.clone())
}

/// Returns the settings of a location in use.
fn open(location_id: &LocationId) -> LocationSettings {
    LocationSettings { location_id: location_id.clone(), closed: false, ..LocationSettings::main() }
}

/// Returns the item as it judges movements that have happened.
fn in_use(mut item: Item) -> Item {
    item.archived_at = None;
    item.catalogue.shortage_policy = ShortagePolicy::Allow;
    item.catalogue.decimals = MAX_DECIMALS;
    item
}

const MAX_DECIMALS: u8 = 3;

/// Makes a record for an item whose own is lost.
fn nameless(item_id: &ItemId, remains: &Remains) -> Item {
    let epoch =
        remains.ledgers.values().filter_map(|ledger| ledger.level.as_ref()).map(|level| level.alert_epoch).max();
    let at = remains.ledgers.values().filter_map(|ledger| ledger.level.as_ref()).map(|level| level.updated_at).max();
    Item {
        item_id: item_id.clone(),
        catalogue: Catalogue {
            name: item_id.to_string(),
            unit: "piece".to_owned(),
            decimals: MAX_DECIMALS,
            barcodes: Vec::new(),
            category: None,
            low_stock_threshold: None,
            shortage_policy: ShortagePolicy::Allow,
            unit_cost: None,
            planning: Planning::default(),
        },
        overrides: BTreeMap::new(),
        archived_at: None,
        version: 1,
        threshold_version: 1,
        alert_epoch: epoch.unwrap_or(1),
        created_at: at.unwrap_or(Timestamp::EPOCH),
        updated_at: at.unwrap_or(Timestamp::EPOCH),
    }
}

/// Returns the command of an outcome as it was queued.
fn queued_of(record: &Record, command: Command) -> Queued {
    Queued {
        command,
        accepted_at: record.outcome.accepted_at,
        submitted_by: record.outcome.submitted_by.clone(),
        retry: record.retry,
        resubmits: record.resubmits.clone(),
        first_accepted_at: record.first_accepted_at,
        reach: None,
        trace: None,
    }
}

/// Returns the command of an entry as it was queued: from its outcome if that is there, else from what the entry keeps of it.
fn queued_of_entry(old: Option<&Record>, item_id: &ItemId, location_id: &LocationId, entry: &Entry) -> Queued {
    if let Some(old) = old
        && let Some(command) = &old.outcome.command
    {
        return queued_of(old, command.clone());
    }
    Queued {
        command: command_of(item_id, location_id, entry),
        // What is not late keeps its place in the queue; see `Occurrence`.
        accepted_at: if entry.late { entry.recorded_at } else { entry.occurred_at },
        submitted_by: entry.submitted_by.clone(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }
}

/// Returns the command that an entry tells of. Only its preconditions are lost.
fn command_of(item_id: &ItemId, location_id: &LocationId, entry: &Entry) -> Command {
    let location_id = location_id.clone();
    let (quantity, amount) = (entry.quantity, entry.amount);
    let other = entry.counterpart.clone().unwrap_or_else(|| location_id.clone());
    let action = match (entry.reverses, entry.kind) {
        (Some(reverses), _) => Action::Reverse { reverses },
        (None, EntryKind::Receive) => Action::Receive { location_id, quantity, unit_cost: entry.unit_cost },
        (None, EntryKind::Sell) => Action::Sell { location_id, quantity, on_shortage: None, amount },
        (None, EntryKind::Return) => Action::Return { location_id, quantity, amount },
        (None, EntryKind::Adjust) => Action::Adjust { location_id, quantity },
        (None, EntryKind::Count) => Action::Count { location_id, counted: quantity },
        (None, EntryKind::TransferOut) => {
            Action::Transfer { from_location_id: location_id, to_location_id: other, quantity }
        }
        (None, EntryKind::TransferIn) => {
            Action::Transfer { from_location_id: other, to_location_id: location_id, quantity }
        }
    };
    let details = MovementDetails {
        occurred_at: entry.late.then_some(entry.occurred_at),
        reason: entry.reason,
        note: entry.note.clone(),
        reference: entry.reference.clone(),
        device_id: entry.device_id.clone(),
        operator: entry.operator.clone(),
        ..MovementDetails::default()
    };
    Command { command_id: entry.command_id, item_id: item_id.clone(), action, details }
}

/// Returns the command as it is judged: its goods have moved, so nothing may refuse it.
fn as_if_allowed(queued: &Queued) -> Queued {
    let mut queued = Queued { resubmits: None, ..queued.clone() };
    queued.command.details.expected_on_hand = None;
    if let Action::Sell { on_shortage, .. } = &mut queued.command.action {
        *on_shortage = Some(ShortagePolicy::Allow);
    }
    queued
}

/// Makes the outcome of an applied command. An outcome that is made from an entry has no fingerprint, because the entry
/// does not tell all of the command: so a till that sends it again gets the outcome, and not `command_id_reused`.
fn applied(queued: &Queued, old: Option<&Record>, effects: Vec<Effect>, settled_at: Timestamp) -> Record {
    let command = &queued.command;
    Record {
        v: Record::VERSION,
        outcome: Outcome {
            command_id: command.command_id,
            item_id: command.item_id.clone(),
            status: Status::Applied,
            accepted_at: queued.accepted_at,
            settled_at: old
                .filter(|old| old.outcome.status == Status::Applied)
                .map_or(settled_at, |old| old.outcome.settled_at),
            submitted_by: queued.submitted_by.clone(),
            command: Some(command.clone()),
            effects,
            reversed_by: old.and_then(|old| old.outcome.reversed_by),
            rejection: None,
            dead_letter: None,
        },
        fingerprint: old.and_then(|old| old.outcome.command.as_ref()).map(Fingerprint::of),
        retry: queued.retry,
        alerts: old.map(|old| old.alerts.clone()).unwrap_or_default(),
        changed_default: None,
        resubmits: queued.resubmits.clone(),
        first_accepted_at: queued.first_accepted_at,
        reach: None,
        resubmitted_as: None,
    }
}

/// Returns the effect that an entry records.
fn effect_of(location_id: &LocationId, entry: &Entry, command: &Command) -> Effect {
    let named = match &command.action {
        Action::Receive { unit_cost, .. } => *unit_cost,
        _ => None,
    };
    let is_reversal = entry.reverses.is_some();
    Effect {
        location_id: location_id.clone(),
        seq: entry.seq,
        kind: entry.kind,
        delta: entry.delta,
        after: entry.after,
        occurred_at: entry.occurred_at,
        recorded_at: entry.recorded_at,
        late: entry.late,
        clock_ahead: entry.clock_ahead,
        unit_cost: entry.unit_cost.filter(|_| named.is_none()),
        cost: entry.cost,
        revaluation: entry.revaluation,
        quantity: is_reversal.then_some(entry.quantity),
        amount: entry.amount.filter(|_| is_reversal),
    }
}
