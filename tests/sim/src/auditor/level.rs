//! One level, by design.md §4 (honest time) and §8 (alerts).

/// An item's catalogue, as far as it decides anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) decimals: u32,
    pub(crate) threshold: Option<i128>,
    /// How often that changed.
    pub(crate) thresholds: u32,
    pub(crate) rejects: bool,
    pub(crate) archived_at: Option<i64>,
    /// How often it was restored: alerts start over then.
    pub(crate) restored: u32,
    pub(crate) barcodes: Vec<String>,
}

/// What a movement asks of a balance.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// More or less.
    By(i128),
    /// What was counted.
    Count(i128),
}

/// When a movement happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    pub(crate) occurred: i64,
    pub(crate) explicit: bool,
    pub(crate) ahead: bool,
}

/// A ledger entry as it must be.
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
}

/// An alert as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) location: String,
    pub(crate) number: u64,
    pub(crate) kind: &'static str,
    pub(crate) on_hand: i128,
    pub(crate) threshold: Option<i128>,
    pub(crate) seq: u64,
}

/// The stock of an item at a location. How bad it stands: 0 normal, 1 low, 2 out, 3 oversold; a new one is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) location: String,
    pub(crate) on_hand: i128,
    pub(crate) counted_at: Option<i64>,
    pub(crate) own_threshold: Option<i128>,
    pub(crate) entries: Vec<Entry>,
    standing: usize,
    /// What this episode has told.
    told: [bool; 4],
    pub(crate) alerts: u64,
    restored: u32,
}

const KINDS: [&str; 4] = ["normal", "low", "out", "oversold"];

impl Level {
    pub(crate) fn new(location: &str, item: &Item) -> Self {
        Self {
            location: location.to_owned(),
            on_hand: 0,
            counted_at: None,
            own_threshold: None,
            entries: Vec::new(),
            standing: 2,
            told: [false; 4],
            alerts: 0,
            restored: item.restored,
        }
    }

    pub(crate) const fn state(&self) -> &'static str {
        KINDS[self.standing]
    }

    /// The balance that a movement would leave, and whether it comes too late to change it.
    pub(crate) fn try_out(&self, ask: Ask, when: When) -> (i128, bool) {
        let seen = |is_seen: fn(i64, i64) -> bool| {
            when.explicit && self.counted_at.is_some_and(|counted| is_seen(when.occurred, counted))
        };
        match ask {
            Ask::By(_) if seen(|occurred, counted| occurred <= counted) => (self.on_hand, true),
            Ask::Count(_) if seen(|occurred, counted| occurred < counted) => (self.on_hand, true),
            Ask::By(change) => (self.on_hand + change, false),
            Ask::Count(counted) if when.explicit => {
                let after_it = self.entries.iter().filter(|entry| entry.occurred > when.occurred);
                (counted + after_it.map(|entry| entry.delta).sum::<i128>(), false)
            }
            Ask::Count(counted) => (counted, false),
        }
    }

    /// Makes a movement; its entry, and the alert that it raises.
    pub(crate) fn apply(
        &mut self,
        item: &Item,
        (kind, id): (&'static str, &str),
        ask: Ask,
        when: When,
    ) -> (Entry, Option<Alert>) {
        let (after, late) = self.try_out(ask, when);
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
        };
        self.on_hand = after;
        self.entries.push(entry.clone());
        if matches!(ask, Ask::Count(_)) && !late {
            self.counted_at = self.counted_at.max(Some(when.occurred));
        }
        (entry, self.look(item))
    }

    /// Judges how it stands.
    pub(crate) fn look(&mut self, item: &Item) -> Option<Alert> {
        if self.restored != item.restored {
            self.restored = item.restored;
            self.told = [false; 4];
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
            self.told = [false; 4];
        }
        let mails = now == 3 || threshold.is_some();
        if now <= before || self.told[now] || !mails || item.archived_at.is_some() {
            return None;
        }
        self.told[now] = true;
        self.alerts += 1;
        Some(Alert {
            location: self.location.clone(),
            number: self.alerts,
            kind: KINDS[now],
            on_hand: self.on_hand,
            threshold,
            seq: self.entries.len() as u64,
        })
    }
}
