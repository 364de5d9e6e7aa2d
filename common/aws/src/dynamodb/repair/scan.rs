//! Finds the items that a restore may have torn: one pass over the whole table.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use futures_util::FutureExt;
use stockline_core::domain::{CommandId, CommandKey, ItemId, LocationId, Record, Status};
use stockline_core::ports::{Part, StoreError};

use super::super::audit::PARTS;
use super::super::call::{NextKey, side_by_side};
use super::super::fault::unavailable;
use super::super::key::{self, Key, RowOf};
use super::super::row::{self, Row};
use super::super::{DynamoStore, call::Found};
use super::evidence::{Window, entries_of};

/// The most outcomes that one repair keeps in memory, some two kilobytes each.
const RECORDS_MAX: usize = 500_000;

/// What the pass found about one item.
#[derive(Debug, Clone, Default)]
pub(super) struct FoundOfItem {
    /// Outcomes of the window, and those that are named by what is missing.
    pub(super) records: BTreeMap<CommandId, Row>,
    pub(super) places: BTreeSet<LocationId>,
    /// Marks on entries whose reversal is missing.
    pub(super) marks: BTreeSet<(LocationId, u64)>,
    /// Claims of the item that its catalogue record does not name.
    pub(super) claims: Vec<Row>,
}

/// Entries that no chunk holds any more.
pub(super) type Missing = BTreeMap<ItemId, Vec<(LocationId, Range<u64>)>>;

/// A refused command, and the resubmission that it names or that names it.
pub(super) type Link = (CommandKey, CommandKey);

/// The result of the pass.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) rows: u64,
    pub(super) items: BTreeMap<ItemId, FoundOfItem>,
    pub(super) links: BTreeSet<Link>,
    /// How many outcomes are kept.
    records: usize,
}

impl Touched {
    fn item(&mut self, item_id: ItemId) -> &mut FoundOfItem {
        self.items.entry(item_id).or_default()
    }

    fn absorb(&mut self, other: Self) {
        self.rows += other.rows;
        self.links.extend(other.links);
        for (item_id, found) in other.items {
            let mine = self.item(item_id);
            mine.records.extend(found.records);
            mine.places.extend(found.places);
            mine.marks.extend(found.marks);
            mine.claims.extend(found.claims);
        }
    }
}

/// The rows of one page that must be compared with others.
#[derive(Default)]
struct Doubts {
    /// Outcomes that are marked as taken back, by which command.
    reversed: Vec<(CommandId, Row, CommandKey)>,
    /// Outcomes that are marked as resubmitted, and as what.
    links: Vec<Link>,
    /// Marks on entries.
    marks: Vec<(LocationId, u64, CommandKey)>,
    /// Claims, and who holds them.
    claims: Vec<(Row, ItemId)>,
}

impl DynamoStore {
    /// Reads the whole table. Of `older` entries, the outcomes are needed although they are older than the window.
    pub(super) async fn scan_torn(&self, window: Window, older: &Missing) -> Result<Touched, StoreError> {
        let kept = AtomicUsize::new(0);
        let part = |number| self.scan_part(Part { number, of: PARTS }, window, older, &kept).boxed();
        let mut touched = Touched::default();
        for part in side_by_side((0..PARTS).map(part).collect()).await {
            touched.absorb(part?);
        }
        Ok(touched)
    }

    async fn scan_part(
        &self,
        part: Part,
        window: Window,
        older: &Missing,
        kept: &AtomicUsize,
    ) -> Result<Touched, StoreError> {
        let mut touched = Touched::default();
        let mut next: Option<NextKey> = None;
        loop {
            let scan = ScanInputBuilder::default()
                .table_name(&self.table)
                .segment(i32::try_from(part.number).unwrap_or(0))
                .total_segments(i32::try_from(part.of).unwrap_or(1))
                .consistent_read(true)
                .set_exclusive_start_key(next);
            let answer = self.wire.scan(scan).await.map_err(|error| unavailable("Scan", &error))?;
            let mut doubts = Doubts::default();
            for row in answer.items.unwrap_or_default() {
                touched.rows += 1;
                sort(row, &mut touched, &mut doubts, window, older)?;
            }
            self.settle(doubts, &mut touched).await?;
            let of_page = std::mem::take(&mut touched.records);
            if kept.fetch_add(of_page, Ordering::Relaxed) + of_page > RECORDS_MAX {
                let why = format!("more than {RECORDS_MAX} commands were decided in the window; choose a shorter one");
                return Err(StoreError::Unreadable(why));
            }
            next = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(touched);
            }
        }
    }

    /// Looks up the other halves of marks and claims.
    async fn settle(&self, doubts: Doubts, touched: &mut Touched) -> Result<(), StoreError> {
        let by = doubts.reversed.iter().map(|(_, _, by)| by).chain(doubts.marks.iter().map(|(_, _, by)| by));
        let by = by.map(|by| Key::record(&by.item_id, by.command_id));
        let by = by.chain(doubts.links.iter().map(|(_, new)| Key::record(&new.item_id, new.command_id)));
        let holders = doubts.claims.iter().map(|(_, item_id)| Key::item(item_id));
        let found = self.get_many(by.chain(holders), true).await;
        for (command_id, row, by) in doubts.reversed {
            if !takes_back(&found, &by)? {
                touched.item(by.item_id).records.insert(command_id, row);
            }
        }
        for (old, new) in doubts.links {
            if found.row(&Key::record(&new.item_id, new.command_id))?.is_none() {
                touched.links.insert((old, new));
            }
        }
        for (location_id, seq, by) in doubts.marks {
            if !takes_back(&found, &by)? {
                touched.item(by.item_id).marks.insert((location_id, seq));
            }
        }
        for (claim, item_id) in doubts.claims {
            let item = found.read(&Key::item(&item_id), row::item)?;
            let is_named = item.is_some_and(|item| {
                let of_item = item.catalogue.barcodes.iter();
                let codes = of_item.flat_map(|barcode| stockline_core::domain::Claim::of_barcode(&barcode.code));
                Key::of(&claim).is_some_and(|key| codes.map(|claim| Key::claim(&claim)).any(|named| named == key))
            });
            if !is_named {
                touched.item(item_id).claims.push(claim);
            }
        }
        Ok(())
    }
}

fn takes_back(found: &Found, by: &CommandKey) -> Result<bool, StoreError> {
    let record = found.read(&Key::record(&by.item_id, by.command_id), row::record)?;
    Ok(record.is_some_and(|record| record.outcome.status == Status::Applied))
}

/// Notes what one row tells.
fn sort(
    row: Row,
    touched: &mut Touched,
    doubts: &mut Doubts,
    window: Window,
    older: &Missing,
) -> Result<(), StoreError> {
    let Some(key) = Key::of(&row) else { return Ok(()) };
    match key::row_of(&key) {
        Some(RowOf::Item(item_id)) => {
            let changed_at = row::item(&row)?.updated_at;
            if changed_at >= window.from || older.contains_key(&item_id) {
                touched.item(item_id);
            }
        }
        Some(RowOf::Level(item_id, location_id)) => {
            let changed_at = row::level(&row)?.updated_at;
            if changed_at >= window.from || older.contains_key(&item_id) {
                touched.item(item_id).places.insert(location_id);
            }
        }
        Some(RowOf::Chunk(item_id, location_id)) => {
            let last = row::chunk(&row)?.last().map(|entry| entry.recorded_at);
            if last.is_some_and(|at| at >= window.from) {
                touched.item(item_id).places.insert(location_id);
            }
        }
        Some(RowOf::Record) => {
            let record = row::record(&row)?;
            outcome(row, record, touched, doubts, window, older);
        }
        Some(RowOf::Reversed(item_id, location_id)) => {
            let command_id = row::reversed_by(&row)?;
            if let Ok(seq) = key.sk.parse() {
                doubts.marks.push((location_id, seq, CommandKey { item_id, command_id }));
            }
        }
        Some(RowOf::Barcode) => {
            let holder = row::holder(&row)?;
            doubts.claims.push((row, holder));
        }
        None => {}
    }
    Ok(())
}

fn outcome(row: Row, record: Record, touched: &mut Touched, doubts: &mut Doubts, window: Window, older: &Missing) {
    let reference = record.reference();
    if let Some(new) = &record.resubmitted_as {
        doubts.links.push((reference.clone(), new.clone()));
    }
    let CommandKey { item_id, command_id } = reference.clone();
    let is_new = record.outcome.settled_at >= window.from;
    if let Some(old) = record.resubmits.clone().filter(|_| is_new) {
        touched.links.insert((old, reference));
    }
    let missing = older.get(&item_id).map(Vec::as_slice).unwrap_or_default();
    let is_missing = |location_id: &LocationId, seq: u64| {
        missing.iter().any(|(place, seqs)| place == location_id && seqs.contains(&seq))
    };
    if is_new || entries_of(&record).any(|(location_id, entry)| is_missing(&location_id, entry.seq)) {
        touched.records += 1;
        touched.item(item_id).records.insert(command_id, row);
    } else if let Some(by) = record.outcome.reversed_by {
        doubts.reversed.push((command_id, row, CommandKey { item_id, command_id: by }));
    }
}
