use async_trait::async_trait;

use super::{ItemWithLevels, Page, PageRequest, StoreError};
use crate::domain::{Entry, ItemId, LocationId, Record};

/// A page of one level's ledger, oldest entry first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPage {
    /// The entries in order of seq.
    pub entries: Vec<Entry>,
    /// The seq where the next page begins; `None` at the end.
    pub next_seq: Option<u64>,
}

/// A fault that a store has found in its own rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFault {
    /// The item, if the row says which it is.
    pub item_id: Option<ItemId>,
    /// What was found.
    pub what: String,
}

/// One of several parts of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 0.
    pub number: u32,
    /// The number of parts.
    pub of: u32,
}

/// Where the reading of a level's ledger begins, and when it ends.
#[derive(Debug, Clone, Copy)]
pub struct LedgerFrom<'a> {
    /// The item of the level.
    pub item_id: &'a ItemId,
    /// Where the level is.
    pub location_id: &'a LocationId,
    /// The first entry; 1 is the first of the ledger.
    pub seq: u64,
    /// How many entries make a page full. A page may have more: it ends where a stored piece ends.
    pub limit: usize,
}

impl<'a> LedgerFrom<'a> {
    /// Names a level, the first entry and the size of a page.
    pub const fn new(item_id: &'a ItemId, location_id: &'a LocationId, seq: u64, limit: usize) -> Self {
        Self { item_id, location_id, seq, limit }
    }
}

/// Reads a whole store, for `audit`. If an item changes meanwhile, its audit is repeated.
#[async_trait]
pub trait AuditReader: Send + Sync + std::fmt::Debug {
    /// Lists all items by id, archived ones included. Pages end early as in [`Queries::items`](super::Queries::items).
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError>;

    /// Returns entries of one level's ledger, chunks and tail as stored. It does *not* repair duplicates and
    /// gaps.
    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError>;

    /// Lists all records, in any stable order.
    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError>;

    /// Returns in how many parts the records are best read, beside each other.
    fn audit_parts(&self) -> u32 {
        1
    }

    /// Lists the records of one part, in any stable order. The parts together are all records.
    async fn audit_part(&self, part: Part, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        if part.number == 0 {
            self.audit_records(asked).await
        } else {
            Ok(Page { entries: Vec::new(), next_cursor: None })
        }
    }

    /// Checks what only the store knows of itself: rows that can't be read, which the lists leave out, and its indexes
    /// against the rows that they are made of. A store without such rows has no faults.
    async fn audit_rows(&self) -> Result<Vec<StoreFault>, StoreError> {
        Ok(Vec::new())
    }
}
