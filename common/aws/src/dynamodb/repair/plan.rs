//! What the rows of one item prove, and the state that all of it makes: pure.
//!
//! The one rule: *what a surviving row proves took effect, and everything else did not.* A ledger entry proves its
//! command, and an applied outcome proves its entries. So no command that is proven is lost, and no command that is not
//! proven is counted: sent again, each takes effect once.
//!
//! Entries from the beginning of a ledger without a gap stay as they are. A command behind a gap, or with a leg that is
//! missing, is folded again behind them, with the fold that judged it first. Nothing may refuse it then, because its
//! goods have moved: it is judged as if shortages were allowed and the item and its locations were in use.

use std::collections::{BTreeMap, BTreeSet};

use stockline_core::domain::{
    Action, CLOCK_SKEW_MAX_MS, CommandId, CommandKey, DeadLetter, Entry, EntryKind, FoldLimits, Item, ItemId, Level,
    Loaded, LoadedLevel, LocationId, Queued, Record, Rules, Slot, Status, StockState, Timestamp, encode_command, fold,
};

use super::evidence::{Ledger, Legs, Proven, Remains, Window, counted_by};
use super::remade::{applied, as_if_allowed, effect_of, in_use, nameless, open, queued_of, queued_of_entry, refusal};

/// No age is too old for a movement that took effect.
const NO_AGE_LIMIT: Rules =
    Rules { max_age_ms: i64::MAX, late_count_max_age_ms: i64::MAX, clock_skew_max_ms: CLOCK_SKEW_MAX_MS };

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
