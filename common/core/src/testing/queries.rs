use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MemoryStore;
use crate::domain::analytics::{LevelDays, LocalDays};
use crate::domain::{Claim, CommandKey, Entry, Item, ItemId, LocationId, Quantity, Record, Timestamp};
use crate::ports::{
    AlertRecord, ChangeFilter, CommandFilter, DaysFilter, DaysPage, ItemFilter, ItemWithLevels, LevelFilter,
    LevelWithDays, LevelWithItem, MailState, Movement, MovementFilter, Page, PageRequest, Queries, StoreError, cursor,
};

/// Sorts all matching entries by `key`, and returns the page after the cursor.
fn page<T, K>(
    list: &str,
    all: impl Iterator<Item = T>,
    asked: PageRequest<'_>,
    key: impl Fn(&T) -> K,
) -> Result<Page<T>, StoreError>
where
    K: Ord + Serialize + DeserializeOwned,
{
    let PageRequest { cursor, limit } = asked;
    let (limit, after) = (cursor::clamp(limit), cursor::decode::<K>(list, cursor)?);
    let mut entries: Vec<T> = all.filter(|entry| after.as_ref().is_none_or(|after| key(entry) > *after)).collect();
    entries.sort_by_key(&key);
    entries.truncate(limit + 1);
    Ok(cursor::page(list, entries, limit, key))
}

/// Returns a page of items in order. The page ends before the first item whose levels no longer fit.
pub(super) fn page_of_items<K: Serialize>(
    list: &str,
    views: impl Iterator<Item = ItemWithLevels>,
    limit: usize,
    levels_max: usize,
    key: impl Fn(&Item) -> K,
) -> Page<ItemWithLevels> {
    let mut limit = cursor::clamp(limit);
    let (mut entries, mut levels) = (Vec::new(), 0);
    for view in views.take(limit + 1) {
        levels += view.places();
        entries.push(view);
        if levels > levels_max && entries.len() > 1 {
            limit = limit.min(entries.len() - 1);
            break;
        }
    }
    cursor::page(list, entries, limit, |view| key(&view.item))
}

#[async_trait]
impl Queries for MemoryStore {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        let stock = self.stock();
        Ok(commands.iter().map(|command| stock.records.get(command).cloned()).collect())
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let stock = self.stock();
        Ok(stock.items.get(item_id).map(|item| stock.view(item)))
    }

    async fn holder(&self, codes: &[String]) -> Result<Option<(String, ItemId)>, StoreError> {
        let stock = self.stock();
        let held = |code: &String| Some((code.clone(), stock.claims.get(&Claim::Barcode(code.clone()))?.clone()));
        Ok(codes.iter().find_map(held))
    }

    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        const ITEMS: &str = "items";
        let stock = self.stock();
        let name = |item: &Item| item.catalogue.name.to_lowercase();
        let key = |item: &Item| (name(item), item.item_id.clone());
        let holder = filter.barcode.as_ref().map(|code| Claim::of_barcode(code).find_map(|c| stock.claims.get(&c)));
        let prefix = filter.name_prefix.as_ref().map(|prefix| prefix.to_lowercase());
        let after: Option<(String, ItemId)> = cursor::decode(ITEMS, cursor)?;
        let wanted = |item: &&Item| {
            filter.wants_archived(item.is_archived())
                && holder.is_none_or(|holder| holder == Some(&item.item_id))
                && prefix.as_ref().is_none_or(|prefix| name(item).starts_with(prefix))
                && filter.has_part(&name(item))
                && filter.is_of(&item.catalogue)
                && filter.updated_since.is_none_or(|since| item.updated_at >= since)
                && after.as_ref().is_none_or(|after| key(item) > *after)
        };
        let mut items: Vec<&Item> = stock.items.values().filter(wanted).collect();
        items.sort_by_key(|item| key(item));
        let views = items.into_iter().map(|item| stock.view(item));
        Ok(page_of_items(ITEMS, views, limit, self.page_levels_max, key))
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError> {
        let stock = self.stock();
        let of_level = |location_id: &LocationId| {
            let movement = |entry: Entry| {
                let key = CommandKey { item_id: item_id.clone(), command_id: entry.command_id };
                let reversed_by = stock.records.get(&key).and_then(|record| record.outcome.reversed_by);
                Movement { item_id: item_id.clone(), location_id: location_id.clone(), entry, reversed_by }
            };
            stock.ledger(item_id, location_id).into_iter().map(movement).collect::<Vec<_>>()
        };
        let wanted = |movement: &Movement| {
            let entry = &movement.entry;
            filter.location_id.as_ref().is_none_or(|only| *only == movement.location_id)
                && filter.from.is_none_or(|from| entry.recorded_at >= from)
                && filter.to.is_none_or(|to| entry.recorded_at < to)
                && filter.keeps(entry)
        };
        let all = stock.levels_of(item_id).flat_map(|level| of_level(&level.location_id)).filter(wanted);
        page("movements", all, asked, |movement| {
            let entry = &movement.entry;
            (Reverse(entry.recorded_at.as_millis()), Reverse(entry.seq), movement.location_id.clone())
        })
    }

    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        let stock = self.stock();
        let all = stock.records.values().flat_map(|record| {
            let outcome = &record.outcome;
            outcome.effects.iter().filter_map(|effect| Movement::of_effect(outcome, effect))
        });
        let wanted = |movement: &Movement| {
            let entry = &movement.entry;
            filter.location_id.as_ref().is_none_or(|only| *only == movement.location_id)
                && filter.from.is_none_or(|from| entry.recorded_at >= from)
                && filter.to.is_none_or(|to| entry.recorded_at < to)
                && filter.keeps(entry)
        };
        page("all_movements", all.filter(wanted), asked, |movement| {
            let Movement { item_id, location_id, entry, .. } = movement;
            (Reverse(entry.recorded_at.as_millis()), item_id.clone(), location_id.clone(), Reverse(entry.seq))
        })
        .map(Some)
    }

    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        let stock = self.stock();
        if !stock.items.contains_key(item_id) {
            return Ok(None);
        }
        let balance = |location_id: &LocationId| {
            let ledger = stock.ledger(item_id, location_id);
            let last = ledger.iter().rfind(|entry| entry.recorded_at <= at)?;
            Some((location_id.clone(), last.after, last.seq))
        };
        Ok(Some(stock.levels_of(item_id).filter_map(|level| balance(&level.location_id)).collect()))
    }

    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        let stock = self.stock();
        let all = stock.levels.iter().filter_map(|((item_id, _), level)| {
            let item = Arc::new(stock.items.get(item_id)?.clone());
            Some(LevelWithItem { item, level: level.clone() })
        });
        let wanted = |view: &LevelWithItem| {
            (filter.archived || !view.item.is_archived())
                && filter.location_id.as_ref().is_none_or(|only| *only == view.level.location_id)
                && filter.wants(view.state())
                && filter.is_recent(&view.item, &view.level)
        };
        page("levels", all.filter(wanted), asked, |view| (view.item.item_id.clone(), view.level.location_id.clone()))
    }

    async fn level_days(&self, filter: &DaysFilter, asked: PageRequest<'_>) -> Result<Option<DaysPage>, StoreError> {
        let stock = self.stock();
        let wanted = |location_id: &LocationId| filter.location_id.as_ref().is_none_or(|only| only == location_id);
        let all = stock.levels.iter().filter(|((_, location_id), _)| wanted(location_id));
        let days = all.filter_map(|((item_id, location_id), level)| {
            let zone = filter.time_zones.get(location_id).map_or("UTC", String::as_str);
            let days = LevelDays::of_ledger(&stock.ledger(item_id, location_id), &LocalDays::of_zone(zone));
            let item = Arc::new(stock.items.get(item_id)?.clone());
            Some(LevelWithDays { item, level: level.clone(), days: Arc::new(days) })
        });
        let key = |entry: &LevelWithDays| (entry.item.item_id.clone(), entry.level.location_id.clone());
        let Page { entries, next_cursor } = page("level_days", days, asked, key)?;
        Ok(Some(DaysPage { entries, unreadable: 0, next_cursor }))
    }

    fn pays_for_days(&self) -> bool {
        self.stock().pays_for_days
    }

    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let stock = self.stock();
        let wanted = |(_, record): &(&CommandKey, &Record)| {
            let outcome = &record.outcome;
            let location = outcome.command.as_ref().and_then(|command| command.action.locations().next());
            outcome.status == filter.status
                && filter.code.is_none_or(|code| outcome.rejection.as_ref().is_some_and(|found| found.code == code))
                && filter.location_id.as_ref().is_none_or(|only| location == Some(only))
                && filter.since.is_none_or(|since| outcome.settled_at >= since)
                && (filter.settled_otherwise || !record.is_settled_otherwise())
        };
        let found = page("commands", stock.records.iter().filter(wanted), asked, |(key, record)| {
            (Reverse(record.outcome.settled_at.as_millis()), Reverse((*key).clone()))
        })?;
        let entries = found.entries.into_iter().map(|(_, record)| record.clone()).collect();
        Ok(Page { entries, next_cursor: found.next_cursor })
    }

    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let stock = self.stock();
        let changes = stock.records.iter().filter(|(_, record)| filter.keeps(record));
        let found = page("changes", changes, asked, |(key, record)| {
            (Reverse(record.outcome.settled_at.as_millis()), Reverse((*key).clone()))
        })?;
        let entries = found.entries.into_iter().map(|(_, record)| record.clone()).collect();
        Ok(Page { entries, next_cursor: found.next_cursor })
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let stock = self.stock();
        let of_location = stock
            .alerts
            .iter()
            .filter(|(_, (alert, _))| location_id.is_none_or(|location_id| *location_id == alert.location_id));
        let all = of_location.map(|(id, (alert, claim))| AlertRecord {
            alert_id: id.clone(),
            alert: alert.clone(),
            sent_at: claim.sent_at,
            mail: MailState {
                no_recipient: claim.no_recipient,
                tally: claim.tally,
                waiting: u32::try_from(claim.missing.len()).unwrap(),
            },
        });
        page("alerts", all, asked, |record| {
            (Reverse(record.alert.raised_at.as_millis()), Reverse(record.alert_id.clone()))
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
