//! Repairs what a restore to a point in time has torn.
//!
//! A restored table may hold some rows of a transaction that was committed right before that moment, and lack others, each
//! of which is then absent or as it was before. Nothing else writes half a transaction. So a repair looks only at a window
//! before the restore. Each torn transaction has left at least one row: one that says its time, or a mark or a claim, whose
//! other half is looked up. `scan.rs` finds the items of such rows, `remains.rs` reads all of an item, `plan.rs` says what
//! that proves, and `write.rs` writes it, each row under the condition that it is as it was read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use stockline_core::domain::{CLOCK_SKEW_MAX_MS, Claim, CommandKey, Item, ItemId, LocationId, Timestamp};
use stockline_core::ports::StoreError;

use super::DynamoStore;

mod claims;
mod evidence;
mod links;
mod plan;
mod remade;
mod remains;
mod scan;
mod write;

use evidence::Window;
use scan::{FoundOfItem, Missing, Touched};

/// How far clocks may differ, so how late a row can say that it was written.
const SKEW_MS: i64 = CLOCK_SKEW_MAX_MS;

/// The most lines of a report. All are counted.
const LINES_MAX: usize = 1_000;

/// What to repair.
#[derive(Debug, Clone, Copy)]
pub struct Repair {
    /// The moment that the table was restored to.
    pub restored_at: Timestamp,
    /// How long before that moment rows may be torn, in milliseconds.
    pub window_ms: i64,
    /// Whether to write. Without it, the report says what would be written.
    pub apply: bool,
}

/// What was repaired, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Rows of the table that were read.
    pub rows: u64,
    /// Items with rows in the window.
    pub items: u64,
    /// Items with torn rows that were repaired, or would be.
    pub torn: u64,
    /// Items with torn rows that can't be repaired, or that changed meanwhile.
    pub refused: u64,
    /// The first thousand lines about them.
    pub lines: Vec<RepairLine>,
}

/// What happened, or would happen, to one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairLine {
    /// The item.
    pub item_id: ItemId,
    /// How many rows were written, or would be; `None` if nothing was, for the reason in `what`.
    pub rows: Option<usize>,
    /// What was done, or why nothing was.
    pub what: Vec<String>,
}

impl RepairReport {
    fn add(&mut self, line: RepairLine) {
        *(if line.rows.is_some() { &mut self.torn } else { &mut self.refused }) += 1;
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }
}

/// What the repair has made so far, or would make.
#[derive(Debug, Default)]
struct Made {
    records: BTreeSet<CommandKey>,
    items: BTreeMap<ItemId, Item>,
    /// The claims of an item's record as it was found, which the repaired one may not name any more.
    claims: BTreeMap<ItemId, Vec<Claim>>,
}

/// What became of an item.
enum Ended {
    Sound,
    /// Outcomes that are older than the window are needed: a chunk of the ledger is missing.
    NeedsOlder(Vec<(LocationId, Range<u64>)>),
    Torn(RepairLine),
}

impl DynamoStore {
    /// Repairs what a restore has torn, or says what it would do. No worker may run meanwhile; if one does, its item is
    /// left and reported.
    ///
    /// # Errors
    /// The store does not answer, or the window holds too many outcomes.
    pub async fn repair(&self, repair: Repair) -> Result<RepairReport, StoreError> {
        let window = Window {
            from: repair.restored_at.plus_millis(-repair.window_ms),
            until: repair.restored_at.plus_millis(SKEW_MS),
        };
        let touched = self.scan_torn(window, &Missing::new()).await?;
        let mut report =
            RepairReport { rows: touched.rows, items: touched.items.len() as u64, ..RepairReport::default() };
        let mut made = Made::default();
        let mut older = Missing::new();
        for (item_id, found) in &touched.items {
            match self.repair_item(item_id, found, window, repair.apply, false, &mut made).await? {
                Ended::Sound => {}
                Ended::NeedsOlder(missing) => drop(older.insert(item_id.clone(), missing)),
                Ended::Torn(line) => report.add(line),
            }
        }
        if !older.is_empty() {
            let Touched { items, .. } = self.scan_torn(window, &older).await?;
            for (item_id, found) in items.into_iter().filter(|(item_id, _)| older.contains_key(item_id)) {
                let ended = self.repair_item(&item_id, &found, window, repair.apply, true, &mut made).await?;
                if let Ended::Torn(line) = ended {
                    report.add(line);
                }
            }
        }
        self.repair_links(touched.links, repair, &made, &mut report).await?;
        self.repair_claims(&touched.items, repair, &made, &mut report).await?;
        Ok(report)
    }

    async fn repair_item(
        &self,
        item_id: &ItemId,
        found: &FoundOfItem,
        window: Window,
        apply: bool,
        has_older: bool,
        made: &mut Made,
    ) -> Result<Ended, StoreError> {
        let refused =
            |why: String| Ok(Ended::Torn(RepairLine { item_id: item_id.clone(), rows: None, what: vec![why] }));
        let read = match self.remains(item_id, found, window).await {
            Ok(Ok(read)) => read,
            Ok(Err(why)) | Err(StoreError::Unreadable(why)) => return refused(why),
            Err(error) => return Err(error),
        };
        let missing = read.remains.missing();
        if !has_older && !missing.is_empty() {
            return Ok(Ended::NeedsOlder(missing));
        }
        let mut mended = match plan::mend(&read.remains, window) {
            Ok(mended) => mended,
            Err(why) => return refused(why),
        };
        let of_item = |command_id: &_| CommandKey { item_id: item_id.clone(), command_id: *command_id };
        made.records.extend(mended.records.keys().map(of_item));
        if let Some(item) = read.remains.item.as_ref().filter(|item| mended.item.as_ref() != Some(item)) {
            made.claims.insert(item_id.clone(), claims::claims_of(item).flatten().collect());
        }
        if let Some(item) = &mended.item {
            made.items.insert(item_id.clone(), item.clone());
        }
        let changes = write::changes(&read, &mended)?;
        if changes.is_empty() {
            return Ok(Ended::Sound);
        }
        let rows = changes.len();
        if mended.notes.is_empty() {
            mended.notes.push("brought rows up to what the others prove".to_owned());
        }
        if apply && let Err(why) = self.write_changes(changes).await? {
            return refused(why);
        }
        Ok(Ended::Torn(RepairLine { item_id: item_id.clone(), rows: Some(rows), what: mended.notes }))
    }
}
