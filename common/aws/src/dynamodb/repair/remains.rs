//! Reads everything that is left of one item.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stockline_core::domain::{CommandId, Entry, ItemId, LocationId, Record, Status};
use stockline_core::ports::StoreError;

use super::super::key::{ITEM_SK, Key, LEVEL_SK_PREFIX};
use super::super::row::{self, Row};
use super::super::{DynamoStore, key};
use super::evidence::{Ledger, Remains, Window, entries_of};
use super::scan::FoundOfItem;

/// The remains of an item with the rows that they were read from.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) remains: Remains,
    pub(super) rows: HashMap<Key, Row>,
}

impl DynamoStore {
    /// Reads what is left of an item. The inner error says why it can't be repaired.
    pub(super) async fn remains(
        &self,
        item_id: &ItemId,
        found: &FoundOfItem,
        window: Window,
    ) -> Result<Result<Read, String>, StoreError> {
        let remains = Remains {
            item_id: item_id.clone(),
            item: None,
            ledgers: BTreeMap::new(),
            records: BTreeMap::new(),
            marks: BTreeMap::new(),
        };
        let mut read = Read { remains, rows: HashMap::new() };
        for row in self.pages(self.query_partition(Key::item_pk(item_id), None).consistent_read(true)).await? {
            read.take_row(row)?;
        }
        for row in found.records.values() {
            read.take_record(row.clone())?;
        }
        let mut places: BTreeSet<LocationId> = found.places.clone();
        let mut done = BTreeSet::new();
        loop {
            places.extend(read.remains.ledgers.keys().cloned());
            places.extend(read.remains.records.values().flat_map(entries_of).map(|(place, _)| place));
            for place in places.difference(&done).cloned().collect::<Vec<_>>() {
                if let Err(why) = self.read_ledger(&mut read, &place, window).await? {
                    return Ok(Err(format!("{why} (at {place})")));
                }
                done.insert(place);
            }
            let wanted = read.named(window);
            let keys = wanted.iter().map(|command_id| Key::record(item_id, *command_id));
            let rows = self.get_many(keys, true).await;
            let before = read.remains.records.len();
            for command_id in &wanted {
                if let Some(row) = rows.row(&Key::record(item_id, *command_id))? {
                    read.take_record(row.clone())?;
                }
            }
            if read.remains.records.len() == before {
                break;
            }
        }
        self.read_marks(&mut read, found).await?;
        Ok(Ok(read))
    }

    /// Reads all chunks of a level.
    async fn read_ledger(
        &self,
        read: &mut Read,
        place: &LocationId,
        window: Window,
    ) -> Result<Result<(), String>, StoreError> {
        let pk = Key::ledger_pk(&read.remains.item_id, place);
        let mut from = None;
        loop {
            let page = self.page(self.query_partition(pk.clone(), None).consistent_read(true), from).await?;
            for row in page.rows {
                let Some(key) = Key::of(&row) else { continue };
                let first = key.sk.parse().map_err(|_| StoreError::Unreadable(format!("{key} is not a seq")))?;
                let entries = row::chunk(&row)?;
                let ledger = read.remains.ledgers.entry(place.clone()).or_default();
                if let Err(why) = ledger.take(first, entries, window.from) {
                    return Ok(Err(why));
                }
                if ledger.chunks.contains_key(&first) {
                    read.rows.insert(key, row);
                }
            }
            from = page.next;
            if from.is_none() {
                read.remains.ledgers.entry(place.clone()).or_default();
                return Ok(Ok(()));
            }
        }
    }

    /// Reads the marks on the entries of movements that are taken back.
    async fn read_marks(&self, read: &mut Read, found: &FoundOfItem) -> Result<(), StoreError> {
        let item_id = read.remains.item_id.clone();
        let targets: BTreeSet<_> = read.remains.records.values().filter_map(reverses).collect();
        let is_marked =
            |record: &&Record| record.outcome.reversed_by.is_some() || targets.contains(&record.outcome.command_id);
        let marked = read.remains.records.values().filter(is_marked).flat_map(entries_of);
        let mut entries: BTreeSet<_> = marked.map(|(place, entry)| (place, entry.seq)).collect();
        entries.extend(found.marks.iter().cloned());
        let keys = entries.iter().map(|(place, seq)| Key::reversed(&item_id, place, *seq));
        let rows = self.get_many(keys, true).await;
        for (place, seq) in entries {
            let key = Key::reversed(&item_id, &place, seq);
            if let Some(row) = rows.row(&key)? {
                read.remains.marks.insert((place, seq), row::reversed_by(row)?);
                read.rows.insert(key, row.clone());
            }
        }
        Ok(())
    }
}

fn reverses(record: &Record) -> Option<CommandId> {
    let applied = record.outcome.status == Status::Applied;
    record.outcome.command.as_ref().filter(|_| applied)?.action.reverses()
}

impl Read {
    fn take_row(&mut self, row: Row) -> Result<(), StoreError> {
        let Some(key) = Key::of(&row) else { return Ok(()) };
        if key.sk == ITEM_SK {
            self.remains.item = Some(row::item(&row)?);
        } else if key.sk.starts_with(LEVEL_SK_PREFIX) {
            let level = row::level(&row)?;
            let ledger = self.remains.ledgers.entry(level.location_id.clone()).or_default();
            ledger.level = Some(level);
        }
        self.rows.insert(key, row);
        Ok(())
    }

    fn take_record(&mut self, row: Row) -> Result<(), StoreError> {
        let record = row::record(&row)?;
        if let Some(key) = key::Key::of(&row) {
            self.rows.insert(key, row);
        }
        self.remains.records.insert(record.outcome.command_id, record);
        Ok(())
    }

    /// Returns the commands that the rows name and whose outcomes are not read yet.
    fn named(&self, window: Window) -> BTreeSet<CommandId> {
        let Remains { ledgers, records, .. } = &self.remains;
        let tails = ledgers.values().filter_map(|ledger| ledger.level.as_ref()).flat_map(|level| &level.tail);
        let entries = ledgers.values().flat_map(|ledger: &Ledger| ledger.chunks.values().flatten()).chain(tails);
        let recent = entries.filter(|entry| entry.recorded_at >= window.from);
        let of_entry = |entry: &Entry| [Some(entry.command_id), entry.reverses];
        let of_record = |record: &Record| [reverses(record), record.outcome.reversed_by];
        let named = recent.flat_map(of_entry).chain(records.values().flat_map(of_record)).flatten();
        named.filter(|command_id| !records.contains_key(command_id)).collect()
    }
}
