//! One level's ledger, read from its beginning.

use std::hash::{DefaultHasher, Hash, Hasher};

use stockline_core::domain::{Entry, ItemId, Level, LocationId, Quantity, Timestamp, Valuation};
use stockline_core::ports::{AuditReader, LedgerFrom, StoreError};

use super::{Digest, PAGE};

/// The most faults of one ledger that are reported. The rest follows from them.
const CHAIN_FAULTS_MAX: usize = 5;

/// A ledger's end, its digest, and its faults.
pub(super) struct Chain {
    pub(super) seq: u64,
    pub(super) stock: Valuation,
    pub(super) recorded_at: Timestamp,
    pub(super) digest: Digest,
    pub(super) faults: Vec<String>,
}

impl Chain {
    /// Reads the ledger up to the level's seq. Later entries were recorded after the level was read.
    pub(super) async fn read(reader: &dyn AuditReader, item_id: &ItemId, level: &Level) -> Result<Self, StoreError> {
        let (seq, stock, recorded_at) = (0, Valuation::default(), Timestamp::EPOCH);
        let mut chain = Self { seq, stock, recorded_at, digest: Digest::default(), faults: Vec::new() };
        let mut from_seq = Some(1);
        while let Some(from) = from_seq {
            let page = match reader.audit_ledger(LedgerFrom::new(item_id, &level.location_id, from, PAGE)).await {
                Ok(page) => page,
                Err(StoreError::Unreadable(what)) => {
                    chain.fault(format!("the ledger can't be read from entry {from}: {what}"));
                    break;
                }
                Err(error) => return Err(error),
            };
            for entry in page.entries.iter().filter(|entry| entry.seq <= level.seq) {
                chain.append(&level.location_id, entry);
            }
            from_seq = page.next_seq.filter(|next| *next > from && *next <= level.seq);
        }
        Ok(chain)
    }

    fn append(&mut self, location_id: &LocationId, entry: &Entry) {
        let seq = entry.seq;
        if seq != self.seq + 1 {
            self.fault(format!("entry {seq} follows entry {}", self.seq));
        }
        let before = self.stock.on_hand;
        if entry.before() != before {
            self.fault(format!("entry {seq} begins at {}, its predecessor ends at {before}", entry.before()));
        }
        if entry.recorded_at < self.recorded_at {
            self.fault(format!("entry {seq} was recorded before its predecessor"));
        }
        if entry.late && entry.delta != Quantity::ZERO {
            self.fault(format!("entry {seq} is late, yet moves the balance by {}", entry.delta));
        }
        match self.stock.replay(entry) {
            Ok(stock) => self.stock = stock,
            Err(what) => self.fault(format!("entry {seq}: {what}")),
        }
        self.seq = seq;
        self.stock.on_hand = entry.after;
        self.recorded_at = entry.recorded_at;
        self.digest.add(hash(location_id, entry));
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < CHAIN_FAULTS_MAX {
            self.faults.push(what);
        }
    }
}

/// Hashes all fields of an entry and its location.
pub(super) fn hash(location_id: &LocationId, entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    let e = entry;
    (location_id, e.seq, e.kind, e.command_id, e.quantity, e.delta, e.after).hash(&mut hasher);
    (e.occurred_at, e.recorded_at, e.late, e.clock_ahead, &e.submitted_by, &e.counterpart).hash(&mut hasher);
    (e.unit_cost, e.amount, e.cost, e.revaluation, e.reverses).hash(&mut hasher);
    (e.reason, &e.note, &e.reference, &e.device_id, &e.operator).hash(&mut hasher);
    hasher.finish()
}
