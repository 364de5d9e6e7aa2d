//! Loads what folds need: first all levels, and only then the rest. So an item is never older than the levels that are
//! judged by it (design.md §7).

use std::collections::BTreeMap;

use futures_util::{FutureExt, future};

use super::call::{Found, side_by_side};
use super::key::{Key, LEVEL_SK_PREFIX};
use super::locations::WantedLocations;
use super::{DynamoStore, row};
use stockline_core::domain::{Level, LoadRequest, Loaded, LoadedLevel, LocationId};
use stockline_core::ports::StoreError;

impl DynamoStore {
    /// Loads many items side by side. Each succeeds or fails alone, in input order.
    pub(super) async fn load_all(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let levels = self.load_levels(requests).await;
        let wanted = self.want_locations(requests.iter().flat_map(|request| &request.locations)).await;
        let found = self.get_many(requests.iter().flat_map(keys_beside_levels).chain(wanted.keys()), true).await;
        self.keep_locations(&wanted, &found);
        let finish = |(request, levels)| self.finish(request, levels, &wanted, &found).boxed();
        let mut answers = side_by_side(requests.iter().zip(levels).map(finish).collect()).await;
        outage_if_all_are_busy(&mut answers);
        answers
    }

    async fn load_levels(&self, requests: &[LoadRequest]) -> Vec<Result<Vec<Level>, StoreError>> {
        let named = requests.iter().filter(|request| !request.all_levels).flat_map(level_keys);
        let whole = requests.iter().filter(|request| request.all_levels);
        let whole = whole.map(|request| self.all_levels(request).boxed()).collect();
        let (found, whole) = future::join(self.get_many(named, true), side_by_side(whole)).await;
        let mut whole = whole.into_iter();
        let levels = |request: &LoadRequest| match request.all_levels {
            true => whole.next().unwrap_or_else(|| Ok(Vec::new())),
            false => level_keys(request).filter_map(|key| found.read(&key, row::level).transpose()).collect(),
        };
        requests.iter().map(levels).collect()
    }

    async fn all_levels(&self, request: &LoadRequest) -> Result<Vec<Level>, StoreError> {
        let query = self.query_partition(Key::item_pk(&request.item_id), Some(LEVEL_SK_PREFIX));
        self.pages(query.consistent_read(true)).await?.iter().map(row::level).collect()
    }

    async fn finish(
        &self,
        request: &LoadRequest,
        levels: Result<Vec<Level>, StoreError>,
        wanted: &WantedLocations,
        found: &Found,
    ) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded { item: found.read(&Key::item(&request.item_id), row::item)?, ..Loaded::default() };
        for location_id in &request.locations {
            if let Some(settings) = wanted.settings(location_id, found)? {
                loaded.locations.insert(location_id.clone(), settings);
            }
        }
        for claim in &request.claims {
            if let Some(holder) = found.read(&Key::claim(claim), row::holder)? {
                loaded.holders.insert(claim.clone(), holder);
            }
        }
        for old in &request.records {
            if let Some(record) = found.read(&Key::record(&old.item_id, old.command_id), row::record)? {
                loaded.records.insert(old.clone(), record);
            }
        }
        loaded.levels = self.with_history(request, levels?).await?;
        Ok(loaded)
    }

    async fn with_history(
        &self,
        request: &LoadRequest,
        levels: Vec<Level>,
    ) -> Result<BTreeMap<LocationId, LoadedLevel>, StoreError> {
        let mut loaded = BTreeMap::new();
        for level in levels {
            let location_id = level.location_id.clone();
            let mut entry = LoadedLevel::bare(level);
            if let Some(since) = request.since.get(&location_id) {
                let max = self.options.late_count_entries_max;
                (entry.history, entry.history_complete) =
                    self.history_since(&request.item_id, &entry.level, *since, max).await?;
            }
            loaded.insert(location_id, entry);
        }
        Ok(loaded)
    }
}

/// Turns busy answers for several items, and only such answers, into an outage: then the whole table is throttled. One
/// item alone proves nothing about the others.
fn outage_if_all_are_busy(answers: &mut [Result<Loaded, StoreError>]) {
    if answers.len() < 2 || !answers.iter().all(|answer| matches!(answer, Err(StoreError::Busy(_)))) {
        return;
    }
    for answer in answers {
        if let Err(StoreError::Busy(why)) = answer {
            *answer = Err(StoreError::Unavailable(std::mem::take(why)));
        }
    }
}

fn level_keys(request: &LoadRequest) -> impl Iterator<Item = Key> {
    request.locations.iter().map(|location_id| Key::level(&request.item_id, location_id))
}

fn keys_beside_levels(request: &LoadRequest) -> impl Iterator<Item = Key> {
    let records = request.records.iter().map(|old| Key::record(&old.item_id, old.command_id));
    [Key::item(&request.item_id)].into_iter().chain(request.claims.iter().map(Key::claim)).chain(records)
}
