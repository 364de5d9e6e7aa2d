//! The reads of the audit: everything as it is stored, consistently.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::call::{CALLS_AT_ONCE, NextKey, names};
use super::fault::unavailable;
use super::key::{self, Key, RECORD_PK_PREFIX, RECORD_SK};
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, Walk};
use super::row::Row;
use super::table::{BY_ID, PK, SK};
use super::{DynamoStore, Wire, items, row};
use stockline_core::domain::{Entry, Record};
use stockline_core::ports::cursor;
use stockline_core::ports::{ItemWithLevels, LedgerFrom, LedgerPage, Page, PageRequest, Part, StoreError};

const ITEMS: &str = "audit_items";
const RECORDS: &str = "audit_records";

/// How many chunks one read returns.
const CHUNKS_PER_READ: i32 = 64;

/// In how many parts the records are scanned at once.
pub(super) const PARTS: u32 = 16;

/// How many answers of a scan one page reads before it ends early. Each is at most 1 MB.
const SCANS_PER_PAGE_MAX: usize = 32;

/// All items by id. An item's rows are read one by one; an item that changes meanwhile is audited again.
struct Items<'a>(&'a DynamoStore);

impl Items<'_> {
    async fn one(&self, place: Place, pk: String) -> Result<Option<(Place, ItemWithLevels)>, StoreError> {
        let view = items::view(&self.0.item_rows(pk).await?)?;
        Ok(view.map(|view| (place, view)))
    }
}

impl Listing for Items<'_> {
    const LIST: &'static str = ITEMS;
    const SPOTS_AT_ONCE_MAX: usize = 64;
    type Entry = ItemWithLevels;

    fn levels(view: &ItemWithLevels) -> usize {
        view.levels.len()
    }

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<ItemWithLevels>, StoreError> {
        let keys = spots.into_iter().filter_map(|spot| Some((spot.place, Key::of(&spot.row)?)));
        let reads: Vec<_> = keys.map(|(place, key)| self.one(place, key.pk)).collect();
        let views: Vec<_> = stream::iter(reads).buffered(CALLS_AT_ONCE).try_collect().await?;
        let found: Vec<_> = views.into_iter().flatten().collect();
        let rows = found.iter().map(|(_, view)| 1 + view.levels.len()).sum();
        Ok(Looked { found, rows })
    }
}

/// The position of a scan: the key of the last row it read.
type ScannedTo = (String, String);

impl DynamoStore {
    /// Lists all items by id.
    pub(super) async fn all_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let after = Place::of_cursor(ITEMS, cursor)?;
        let scope = Scope::new(self, BY_ID, Range::default(), Order::Ascending, after.as_ref(), limit);
        let mut spots = Walk::merged(self, &scope, key::item_shards());
        lists::page(&Items(self), &mut spots, &scope, after.as_ref()).await
    }

    /// Reads the ledger of one level in whole pieces as they are stored. A page ends with the chunk that reaches
    /// `limit`, and the last page has the tail.
    pub(super) async fn ledger_page(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError> {
        let LedgerFrom { item_id, location_id, seq: from_seq, limit } = from;
        // The level is read first. An entry that leaves its tail later is in both; one that left before is in a chunk.
        let level = self.get(&Key::level(item_id, location_id), true).await?;
        let tail = level.as_ref().map(row::level).transpose()?.map(|level| level.tail).unwrap_or_default();
        let pk = Key::ledger_pk(item_id, location_id);
        let mut entries: Vec<Entry> = Vec::new();
        let mut first = self.chunk_before(&pk, from_seq).await?.unwrap_or_default();
        loop {
            let query = self.chunks(&pk, ">=", &first).limit(CHUNKS_PER_READ);
            let page = self.page(query, None).await?;
            for row in &page.rows {
                let Some(first_seq) = Key::of(row).and_then(|key| key.sk.parse::<u64>().ok()) else {
                    continue;
                };
                if entries.len() >= limit.max(1) {
                    return Ok(LedgerPage { entries, next_seq: Some(first_seq) });
                }
                // The first piece may begin before `from_seq`.
                let piece = row::chunk(row)?.into_iter();
                entries.extend(piece.filter(|entry| first_seq >= from_seq || entry.seq >= from_seq));
                first = first_seq + 1;
            }
            if page.next.is_none() {
                break;
            }
        }
        entries.extend(tail.into_iter().filter(|entry| entry.seq >= from_seq));
        Ok(LedgerPage { entries, next_seq: None })
    }

    /// Returns the key of the last chunk that begins at or before a seq.
    async fn chunk_before(&self, pk: &str, seq: u64) -> Result<Option<u64>, StoreError> {
        let query = self.chunks(pk, "<=", &seq).scan_index_forward(false).limit(1);
        let keys = query.projection_expression(format!("{PK}, {SK}"));
        let found = self.page(keys, None).await?.rows;
        Ok(found.first().and_then(Key::of).and_then(|key| key.sk.parse().ok()))
    }

    fn chunks(&self, pk: &str, compare: &str, first_seq: &u64) -> QueryInputBuilder {
        let values = [(":pk", AttributeValue::S(pk.into())), (":first", AttributeValue::S(Key::chunk_sk(*first_seq)))];
        self.query(&format!("#{PK} = :pk AND #{SK} {compare} :first"), &values).consistent_read(true)
    }

    /// Lists the records of one part, in the order of the table.
    pub(super) async fn records_of(&self, part: Part, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let limit = cursor::clamp(limit);
        let at = cursor::decode::<ScannedTo>(RECORDS, cursor)?.filter(|(pk, sk)| !pk.is_empty() && !sk.is_empty());
        let mut next = at.map(|(pk, sk)| Key { pk, sk }.attributes());
        let mut entries = Vec::new();
        for _ in 0..SCANS_PER_PAGE_MAX {
            let (records, further) = self.scan_records(part, next, limit - entries.len()).await?;
            entries.extend(records);
            next = further;
            if next.is_none() || entries.len() >= limit {
                break;
            }
        }
        let scanned_to: Option<ScannedTo> = next.as_ref().and_then(Key::of).map(|key| (key.pk, key.sk));
        Ok(cursor::page_until(RECORDS, entries, scanned_to))
    }

    /// Scans up to `look_at` rows and returns the records among them.
    async fn scan_records(
        &self,
        part: Part,
        from: Option<NextKey>,
        look_at: usize,
    ) -> Result<(Vec<Record>, Option<NextKey>), StoreError> {
        let filter = format!("begins_with(#{PK}, :pk) AND #{SK} = :sk");
        let scan = self
            .scan_of(part, from, &filter)
            .consistent_read(true)
            .expression_attribute_values(":pk", AttributeValue::S(RECORD_PK_PREFIX.into()))
            .expression_attribute_values(":sk", AttributeValue::S(RECORD_SK.into()))
            .limit(i32::try_from(look_at).unwrap_or(i32::MAX));
        // Reading the answer takes more time than waiting for it, so the parts are read on all threads.
        let wire = Arc::clone(&self.wire);
        let reading = tokio::spawn(async move {
            let (rows, next) = answer(&*wire, scan).await?;
            let records = rows.iter().map(row::record).collect::<Result<Vec<_>, _>>()?;
            Ok((records, next))
        });
        reading.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("Scan: {error}"))))
    }

    /// Starts a scan of one part of the table behind a row.
    pub(super) fn scan_of(&self, part: Part, from: Option<NextKey>, filter: &str) -> ScanInputBuilder {
        let number = |number: u32| (part.of > 1).then(|| i32::try_from(number).ok()).flatten();
        ScanInputBuilder::default()
            .table_name(&self.table)
            .set_segment(number(part.number))
            .set_total_segments(number(part.of))
            .set_expression_attribute_names(Some(names(filter)))
            .filter_expression(filter)
            .set_exclusive_start_key(from)
    }

    /// Reads one answer of a scan: the rows, and where the next begins.
    pub(super) async fn scan(&self, scan: ScanInputBuilder) -> Result<(Vec<Row>, Option<NextKey>), StoreError> {
        answer(&*self.wire, scan).await
    }
}

async fn answer(wire: &dyn Wire, scan: ScanInputBuilder) -> Result<(Vec<Row>, Option<NextKey>), StoreError> {
    let answer = wire.scan(scan).await.map_err(|error| unavailable("Scan", &error))?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
}
