//! Adds up the movements of a level.

use super::super::{Entry, EntryKind, Level, Money, Quantity, Timestamp};
use super::{DayTotals, Figure, LevelDays, LocalDays, Moved, Totals};

/// The entries that a tally makes room for before they are there.
const TALLY_AT_ONCE: usize = 1_024;

/// The movements of a level, until they are added up: about a hundred bytes each.
#[derive(Debug, Default)]
pub struct Tally {
    moved: Vec<Moved>,
    earlier: Option<Earlier>,
}

/// What is known of a ledger whose oldest entries are not added: all that occurred at `since` or later are.
#[derive(Debug, Clone, Copy)]
struct Earlier {
    since: Timestamp,
    /// The present balance.
    on_hand: Quantity,
    /// The present value.
    value: Money,
}

impl Tally {
    /// Begins a tally of a whole ledger, which has so many entries.
    pub fn of_entries(count: usize) -> Self {
        Self { moved: Vec::with_capacity(count.min(TALLY_AT_ONCE)), earlier: None }
    }

    /// Begins a tally of the last entries of a ledger: all that occurred at `since` or later, and perhaps some before. Its
    /// days are whole from the one that begins at `since` or later. What was before is the balance and the value at their
    /// beginning, as if all of it had happened on one day.
    pub const fn of_last_entries(level: &Level, since: Timestamp) -> Self {
        let Level { on_hand, value, .. } = *level;
        Self { moved: Vec::new(), earlier: Some(Earlier { since, on_hand, value }) }
    }

    /// Adds a ledger entry, in order of seq.
    pub fn add(&mut self, entry: &Entry) {
        self.add_moved(Moved::of(entry));
    }

    /// Adds what the figures need of a ledger entry, in order of seq.
    pub fn add_moved(&mut self, mut entry: Moved) {
        // An adjustment is taken back under its own reason, whatever the reversal says.
        let taken_back = entry.reverses.filter(|_| entry.kind == EntryKind::Adjust);
        let original = taken_back.and_then(|of| self.moved.iter().rev().find(|moved| moved.command_id == of));
        entry.reason = original.map_or(entry.reason, |original| original.reason);
        self.moved.push(entry);
    }

    /// Returns the totals of the days.
    pub fn days(mut self, days: &LocalDays) -> LevelDays {
        // The sort is stable: entries of one moment stay in their order.
        self.moved.sort_by_key(|entry| entry.occurred_at);
        LevelDays::of_moved(&self.moved, days, self.earlier.map(|earlier| earlier.day(&self.moved, days)))
    }
}

impl Earlier {
    /// Returns the day that stands for all that was before the entries.
    fn day(self, in_time: &[Moved], days: &LocalDays) -> DayTotals {
        let since = days.day(self.since);
        let first = in_time.first().map_or(since, |entry| days.day(entry.occurred_at).min(since));
        let (mut closing, mut value) = (self.on_hand.raw(), self.value.raw());
        for entry in in_time {
            closing = closing.saturating_sub(entry.delta.raw());
            value = value.saturating_sub(entry.value());
        }
        let mut totals = Totals::default();
        totals.put(Figure::Value, value);
        DayTotals { day: first.plus(-1), totals, out_ms: 0, closing: Quantity::from_raw(closing) }
    }
}

impl LevelDays {
    /// Adds up the ledger of a level.
    pub fn of_ledger(entries: &[Entry], days: &LocalDays) -> Self {
        let mut tally = Tally::default();
        entries.iter().for_each(|entry| tally.add(entry));
        tally.days(days)
    }
}
