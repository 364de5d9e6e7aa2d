//! The surviving rows of one item, and the ledger entries that they prove.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use stockline_core::domain::{
    CommandId, Effect, Entry, EntryKind, Item, ItemId, Level, LocationId, Record, Status, Timestamp, Valuation,
};
use stockline_core::ports::Movement;

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

/// The entries that rows prove, behind [`Before`].
pub(super) type Proven = BTreeMap<LocationId, BTreeMap<u64, Entry>>;
/// The proven entries of each command.
pub(super) type Legs = BTreeMap<CommandId, Vec<(LocationId, u64)>>;

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

    pub(super) fn before(&self, location_id: &LocationId) -> u64 {
        self.ledgers.get(location_id).map_or(0, |ledger| ledger.before.seq)
    }

    /// Returns how many legs a command has.
    pub(super) fn legs_wanted(&self, command_id: CommandId, entry: &Entry) -> usize {
        match self.records.get(&command_id).filter(|record| record.outcome.status == Status::Applied) {
            Some(record) => record.outcome.effects.len(),
            None => 1 + usize::from(entry.counterpart.is_some()),
        }
    }

    /// Returns the seqs up to which ledgers stay, and the commands that are folded again. A command stays with all of its
    /// legs or with none.
    pub(super) fn kept(&self, proven: &Proven) -> (BTreeMap<LocationId, u64>, Legs, BTreeSet<CommandId>) {
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

/// Returns what a level knows of its last count, if the entry is one.
pub(super) fn counted_by(entry: &Entry) -> Option<(u64, Timestamp)> {
    (entry.kind == EntryKind::Count && !entry.late && entry.reverses.is_none())
        .then_some((entry.seq, entry.occurred_at))
}
