//! One level, as design.md §4 (honest time) and §8 (alerts) define it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::money::{Book, Cost, Price};

/// The fields by which an item is ordered. They decide nothing but whether its decimals suffice.
pub(crate) const PLANNING: [&str; 5] =
    ["supplier", "lead_time_days", "order_multiple", "order_minimum", "service_level"];

/// Those of [`PLANNING`] that are set, as they are written.
pub(crate) type Planning = BTreeMap<&'static str, Value>;

/// The catalogue fields of an item that affect decisions, and its planning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) decimals: u32,
    pub(crate) threshold: Option<i128>,
    /// How often the threshold changed.
    pub(crate) thresholds: u32,
    pub(crate) rejects: bool,
    /// The cost of one unit, in ten-thousandths.
    pub(crate) unit_cost: Option<i128>,
    pub(crate) archived_at: Option<i64>,
    /// How often it was restored; alerts start over then.
    pub(crate) restored: u32,
    /// Each barcode, with the quantity of one scan in thousandths.
    pub(crate) packs: Vec<(String, i128)>,
    pub(crate) planning: Planning,
    /// What locations have instead.
    pub(crate) overrides: BTreeMap<String, Planning>,
}

/// The change that a movement makes to a balance.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Adds to it or takes from it.
    By(i128),
    /// Sets it to the counted quantity.
    Count(i128),
}

/// When a movement occurred.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrence {
    pub(crate) occurred: i64,
    pub(crate) explicit: bool,
    pub(crate) ahead: bool,
    /// A later time of an earlier command in the queue is of a wrong clock, and says nothing.
    pub(crate) latest: i64,
}

/// A predicted ledger entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) location: String,
    pub(crate) seq: u64,
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) delta: i128,
    pub(crate) after: i128,
    pub(crate) occurred: i64,
    pub(crate) late: bool,
    pub(crate) ahead: bool,
    /// The cost that it moved at, and the change of the value of what did not move.
    pub(crate) cost: Cost,
}

/// A predicted alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) location: String,
    pub(crate) number: u64,
    pub(crate) kind: &'static str,
    pub(crate) on_hand: i128,
    pub(crate) threshold: Option<i128>,
    pub(crate) seq: u64,
    /// Whether the level opened so: its first entry brought stock, and too little.
    pub(crate) opening: bool,
}

/// The stock of an item at a location. Its state is 0 normal, 1 low, 2 out or 3 oversold. A level without entries is
/// out, and is not judged; its first entry is judged as if the level had been normal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) location: String,
    pub(crate) on_hand: i128,
    pub(crate) book: Book,
    pub(crate) counted_at: Option<i64>,
    /// The entry of the last count that was not late; 0 before the first.
    pub(crate) counted_seq: u64,
    pub(crate) own_threshold: Option<i128>,
    pub(crate) entries: Vec<Entry>,
    standing: usize,
    /// The kinds that this episode has alerted.
    alerted: [bool; 4],
    pub(crate) alerts: u64,
    restored: u32,
}

const KINDS: [&str; 4] = ["normal", "low", "out", "oversold"];

impl Level {
    pub(crate) fn new(location: &str, item: &Item) -> Self {
        Self {
            location: location.to_owned(),
            on_hand: 0,
            book: Book::default(),
            counted_at: None,
            counted_seq: 0,
            own_threshold: None,
            entries: Vec::new(),
            standing: 2,
            alerted: [false; 4],
            alerts: 0,
            restored: item.restored,
        }
    }

    pub(crate) const fn state(&self) -> &'static str {
        KINDS[self.standing]
    }

    /// Returns the balance after a movement, and whether the movement is late and changes nothing.
    pub(crate) fn try_out(&self, ask: Change, when: Occurrence) -> (i128, bool) {
        let seen = |is_seen: fn(i64, i64) -> bool| {
            let counted = self.counted_at.filter(|counted| *counted <= when.latest);
            when.explicit && counted.is_some_and(|counted| is_seen(when.occurred, counted))
        };
        match ask {
            Change::By(_) if seen(|occurred, counted| occurred <= counted) => (self.on_hand, true),
            Change::Count(_) if seen(|occurred, counted| occurred < counted) => (self.on_hand, true),
            Change::By(change) => (self.on_hand + change, false),
            Change::Count(counted) if when.explicit => {
                let is_after = |entry: &&Entry| entry.occurred > when.occurred && entry.occurred <= when.latest;
                let after_it = self.entries.iter().filter(is_after);
                (counted + after_it.map(|entry| entry.delta).sum::<i128>(), false)
            }
            Change::Count(counted) => (counted, false),
        }
    }

    /// Applies a movement; returns its entry and the alert that it raises.
    pub(crate) fn apply(
        &mut self,
        item: &Item,
        (kind, id): (&'static str, &str),
        (ask, price): (Change, Option<Price>),
        when: Occurrence,
    ) -> (Entry, Option<Alert>) {
        let (after, late) = self.try_out(ask, when);
        let cost = self.book.post(after - self.on_hand, price, item.unit_cost);
        let entry = Entry {
            location: self.location.clone(),
            seq: self.entries.len() as u64 + 1,
            kind,
            id: id.to_owned(),
            delta: after - self.on_hand,
            after,
            occurred: when.occurred,
            late,
            ahead: when.ahead,
            cost,
        };
        let is_first = self.entries.is_empty();
        if is_first {
            self.standing = 0;
        }
        self.on_hand = after;
        self.entries.push(entry.clone());
        self.counted_at = self.counted_at.filter(|counted| *counted <= when.latest);
        if matches!(ask, Change::Count(_)) && !late {
            self.counted_at = Some(when.occurred);
            self.counted_seq = entry.seq;
        }
        let raised = self.look(item);
        (entry, raised.map(|alert| Alert { opening: is_first && after >= 0, ..alert }))
    }

    /// Takes an entry of this level back. It occurred when the entry did, so a count that came after the entry and saw
    /// that time has seen it.
    pub(crate) fn take_back(&mut self, item: &Item, id: &str, old: &Entry, latest: i64) -> (Entry, Option<Alert>) {
        let seen = old.seq < self.counted_seq && self.counted_at.is_none_or(|counted| old.occurred <= counted);
        let late = old.late || seen;
        let delta = if late { 0 } else { -old.delta };
        let cost = self.book.post_back(delta, old.cost.0, item.unit_cost);
        let (seq, after) = (self.entries.len() as u64 + 1, self.on_hand + delta);
        let entry = Entry { seq, id: id.to_owned(), delta, after, late, ahead: false, cost, ..old.clone() };
        self.on_hand = after;
        self.entries.push(entry.clone());
        self.counted_at = self.counted_at.filter(|counted| *counted <= latest);
        let raised = self.look(item);
        (entry, raised)
    }

    /// Judges the state and returns the alert that this raises.
    pub(crate) fn look(&mut self, item: &Item) -> Option<Alert> {
        if self.restored != item.restored {
            self.restored = item.restored;
            self.alerted = [false; 4];
        }
        let threshold = self.own_threshold.or(item.threshold);
        let now = match self.on_hand {
            less if less < 0 => 3,
            0 => 2,
            some if threshold.is_some_and(|threshold| some < threshold) => 1,
            _ => 0,
        };
        let before = std::mem::replace(&mut self.standing, now);
        if now == 0 {
            self.alerted = [false; 4];
        }
        let mails = now == 3 || threshold.is_some();
        if now <= before || self.alerted[now] || !mails || item.archived_at.is_some() {
            return None;
        }
        self.alerted[now] = true;
        self.alerts += 1;
        Some(Alert {
            location: self.location.clone(),
            number: self.alerts,
            kind: KINDS[now],
            on_hand: self.on_hand,
            threshold,
            seq: self.entries.len() as u64,
            opening: false,
        })
    }
}
