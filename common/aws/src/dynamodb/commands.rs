//! Reads outcomes by id, and lists refused commands and changes of the catalogue, newest first.

use super::key::{self, Key};
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, Walk};
use super::table::{CHANGES, REFUSED, SHARDS};
use super::{DynamoStore, row};
use stockline_core::domain::{CommandKey, Record, Status};
use stockline_core::ports::{ChangeFilter, CommandFilter, Page, PageRequest, StoreError};

const LIST: &str = "commands";
const CHANGED: &str = "changes";

/// The list of refused commands.
struct Refused<'a> {
    store: &'a DynamoStore,
    filter: &'a CommandFilter,
}

impl Refused<'_> {
    fn keeps(&self, record: &Record) -> bool {
        let outcome = &record.outcome;
        let code = outcome.rejection.as_ref().map(|rejection| rejection.code);
        let location = outcome.command.as_ref().and_then(|command| command.action.locations().next());
        outcome.status == self.filter.status
            && (self.filter.settled_otherwise || !record.is_settled_otherwise())
            && self.filter.code.is_none_or(|wanted| code == Some(wanted))
            && self.filter.location_id.as_ref().is_none_or(|wanted| location == Some(wanted))
    }
}

impl Listing for Refused<'_> {
    const LIST: &'static str = LIST;
    type Entry = Record;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<Record>, StoreError> {
        let kept = |place: &Place, record: &Record| {
            // A dead letter that failed again is listed by its last failure, and once.
            place.sort.starts_with(&key::millis(record.outcome.settled_at)) && self.keeps(record)
        };
        self.store.read_records(spots, kept).await
    }
}

/// The list of changes.
struct Changes<'a> {
    store: &'a DynamoStore,
    filter: &'a ChangeFilter,
}

impl Listing for Changes<'_> {
    const LIST: &'static str = CHANGED;
    type Entry = Record;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<Record>, StoreError> {
        self.store.read_records(spots, |_, record| self.filter.keeps(record)).await
    }
}

impl DynamoStore {
    /// Reads outcomes by item and id, in input order.
    pub(super) async fn find_records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        let key = |command: &CommandKey| Key::record(&command.item_id, command.command_id);
        if let [command] = commands {
            return Ok(vec![self.get(&key(command), true).await?.as_ref().map(row::record).transpose()?]);
        }
        let found = self.get_many(commands.iter().map(key), true).await;
        commands.iter().map(|command| found.read(&key(command), row::record)).collect()
    }

    /// Lists refused commands, newest first.
    pub(super) async fn list_commands(
        &self,
        filter: &CommandFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let after = Place::of_cursor(LIST, cursor)?;
        if filter.status == Status::Applied {
            return Ok(Page { entries: Vec::new(), next_cursor: None });
        }
        let range = Range { from: filter.since.map(key::millis), to: None };
        let scope = Scope::new(self, REFUSED, range, Order::Descending, after.as_ref(), limit);
        let partitions = (0..SHARDS).map(|shard| row::refused_partition(filter.status, shard));
        let mut spots = Walk::merged(self, &scope, partitions);
        lists::page(&Refused { store: self, filter }, &mut spots, &scope, after.as_ref()).await
    }

    /// Lists changes of the catalogue, newest first: those of one item along an index of their own.
    pub(super) async fn list_changes(
        &self,
        filter: &ChangeFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let after = Place::of_cursor(CHANGED, cursor)?;
        let range = Range { from: filter.since.map(key::millis), to: None };
        let index = if filter.item_id.is_some() { CHANGES } else { REFUSED };
        let scope = Scope::new(self, index, range, Order::Descending, after.as_ref(), limit);
        let partitions = match &filter.item_id {
            Some(item_id) => vec![item_id.to_string()],
            None => (0..SHARDS).map(|shard| row::refused_partition(Status::Applied, shard)).collect(),
        };
        let mut spots = Walk::merged(self, &scope, partitions);
        lists::page(&Changes { store: self, filter }, &mut spots, &scope, after.as_ref()).await
    }

    async fn read_records(
        &self,
        spots: Vec<Spot>,
        keeps: impl Fn(&Place, &Record) -> bool + Send,
    ) -> Result<Looked<Record>, StoreError> {
        let found = self.get_many(spots.iter().filter_map(|spot| Key::of(&spot.row)), false).await;
        let (rows, mut kept) = (spots.len(), Vec::new());
        for Spot { place, row } in spots {
            let Some(key) = Key::of(&row) else {
                continue;
            };
            if let Some(record) = found.read(&key, row::record)?
                && keeps(&place, &record)
            {
                kept.push((place, record));
            }
        }
        Ok(Looked { found: kept, rows })
    }
}
