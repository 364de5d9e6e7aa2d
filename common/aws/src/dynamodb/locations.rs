//! The settings of locations, with a short-lived cache for the write path.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use super::call::{Found, names};
use super::fault::unavailable;
use super::key::{Key, LOCATION_PK};
use super::{DynamoStore, row};
use stockline_core::domain::{LocationId, LocationSettings, MAIN_LOCATION, Timestamp};
use stockline_core::ports::{LocationPut, Locations, StoreError};

/// Nobody has the lower-cased id, or this location has it.
const FREE_OR_MINE: &str = "attribute_not_exists(#pk) OR #location_id = :me";

/// The most locations in the cache. Others are read each time.
const KEPT_MAX: usize = 10_000;

/// From this many cached locations on, what has grown too old is read by one query of all of them. All rows are in one
/// partition, which takes 3,000 reads a second: key by key, the workers of a chain of 5,000 shops would be more.
const QUERIED_FROM: usize = 16;

/// The cached settings with the time of their request. A missing location is never cached, because a location that was
/// just registered must not refuse a sale.
#[derive(Debug, Default)]
pub(super) struct KeptLocations {
    settings: Mutex<HashMap<LocationId, (LocationSettings, Timestamp)>>,
    /// When all locations were last requested at once. Held while they are read.
    queried: tokio::sync::Mutex<Option<Timestamp>>,
}

impl KeptLocations {
    fn kept(&self) -> MutexGuard<'_, HashMap<LocationId, (LocationSettings, Timestamp)>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns settings that were requested less than `keep` ago.
    fn find(&self, location_id: &LocationId, now: Timestamp, keep: Duration) -> Option<LocationSettings> {
        let kept = self.kept();
        let (settings, asked_at) = kept.get(location_id)?;
        is_fresh(*asked_at, now, keep).then(|| settings.clone())
    }

    /// Returns whether one of these locations is known, and so many are that one query is cheaper than many reads.
    fn is_worth_a_query(&self, outdated: &BTreeSet<LocationId>) -> bool {
        let kept = self.kept();
        kept.len() >= QUERIED_FROM && outdated.iter().any(|location_id| kept.contains_key(location_id))
    }

    fn keep(&self, settings: &LocationSettings, asked_at: Timestamp) {
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX || kept.contains_key(&settings.location_id) {
            kept.insert(settings.location_id.clone(), (settings.clone(), asked_at));
        }
    }

    fn forget(&self, location_id: &LocationId) {
        self.kept().remove(location_id);
    }
}

/// Returns whether what was requested then is younger than `keep`. If the clock went back, it is too old.
pub(super) fn is_fresh(asked_at: Timestamp, now: Timestamp, keep: Duration) -> bool {
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    (0..keep_ms).contains(&now.millis_since(asked_at))
}

/// The settings that a load has from the cache, and those that it must read.
#[derive(Debug)]
pub(super) struct WantedLocations {
    kept: BTreeMap<LocationId, LocationSettings>,
    missing: BTreeSet<LocationId>,
    asked_at: Timestamp,
}

impl WantedLocations {
    /// Returns the keys of the rows to read.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.missing.iter().map(Key::location)
    }

    /// Returns the settings of a location from the cache or the rows read.
    pub(super) fn settings(
        &self,
        location_id: &LocationId,
        found: &Found,
    ) -> Result<Option<LocationSettings>, StoreError> {
        match self.kept.get(location_id) {
            Some(settings) => Ok(Some(settings.clone())),
            None => Ok(found.read(&Key::location(location_id), row::settings)?.or_else(|| unset(location_id))),
        }
    }
}

/// Returns the settings of `main`, which exists before anyone writes it.
fn unset(location_id: &LocationId) -> Option<LocationSettings> {
    (location_id.as_str() == MAIN_LOCATION).then(LocationSettings::main)
}

impl DynamoStore {
    /// Looks settings up in the cache. If some are too old and the cache is large, all are read anew at once.
    pub(super) async fn want_locations<'a>(&self, wanted: impl Iterator<Item = &'a LocationId>) -> WantedLocations {
        let wanted: BTreeSet<&LocationId> = wanted.collect();
        let found = self.look_up(&wanted);
        if self.kept_locations.is_worth_a_query(&found.missing) && self.query_locations().await {
            return self.look_up(&wanted);
        }
        found
    }

    fn look_up(&self, wanted: &BTreeSet<&LocationId>) -> WantedLocations {
        let asked_at = self.clock.now();
        let (mut kept, mut missing) = (BTreeMap::new(), BTreeSet::new());
        for location_id in wanted {
            match self.kept_locations.find(location_id, asked_at, self.options.locations_kept) {
                Some(settings) => drop(kept.insert((*location_id).clone(), settings)),
                None => drop(missing.insert((*location_id).clone())),
            }
        }
        WantedLocations { kept, missing, asked_at }
    }

    /// Reads all locations into the cache, unless another load just did. Returns whether they are fresh; if not, the load
    /// reads what it needs by its keys.
    async fn query_locations(&self) -> bool {
        let mut queried = self.kept_locations.queried.lock().await;
        let asked_at = self.clock.now();
        if queried.is_some_and(|at| is_fresh(at, asked_at, self.options.locations_kept)) {
            return true;
        }
        let Ok(rows) = self.pages(self.query_partition(LOCATION_PK, None).consistent_read(true)).await else {
            return false;
        };
        // A row that can't be read is missing here, and harms only who needs it.
        for settings in rows.iter().filter_map(|row| row::settings(row).ok()) {
            self.kept_locations.keep(&settings, asked_at);
        }
        *queried = Some(asked_at);
        true
    }

    /// Puts the settings read into the cache.
    pub(super) fn keep_locations(&self, wanted: &WantedLocations, found: &Found) {
        for location_id in &wanted.missing {
            if let Ok(Some(settings)) = wanted.settings(location_id, found) {
                self.kept_locations.keep(&settings, wanted.asked_at);
            }
        }
    }
}

impl DynamoStore {
    async fn replace_settings(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError> {
        let put = PutItemInputBuilder::default().table_name(&self.table).set_item(Some(row::of_settings(settings)?));
        let put = self.wire.put_item(put).await;
        self.kept_locations.forget(&settings.location_id);
        put.map(|_| LocationPut::Done).map_err(|error| unavailable("PutItem", &error))
    }
}

#[async_trait]
impl Locations for DynamoStore {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        let row = self.get(&Key::location(location_id), true).await?;
        Ok(row.as_ref().map(row::settings).transpose()?.or_else(|| unset(location_id)))
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        let rows = self.pages(self.query_partition(LOCATION_PK, None)).await?;
        let main = LocationSettings::main();
        let mut all = BTreeMap::from([(main.location_id.clone(), main)]);
        for row in &rows {
            let settings = row::settings(row)?;
            all.insert(settings.location_id.clone(), settings);
        }
        Ok(all.into_values().collect())
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError> {
        let id = &settings.location_id;
        if id.as_str() != MAIN_LOCATION && id.folded() == MAIN_LOCATION {
            // `main` exists before it has a row.
            return Ok(LocationPut::Taken(LocationSettings::main().location_id));
        }
        let unsendable = |error: BuildError| StoreError::Unreadable(format!("the settings of {id}: {error}"));
        let put = |row| Put::builder().table_name(&self.table).set_item(Some(row));
        let key = put(row::of_location_key(id))
            .condition_expression(FREE_OR_MINE)
            .set_expression_attribute_names(Some(names(FREE_OR_MINE)))
            .expression_attribute_values(":me", row::text(id.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let puts = [key, put(row::of_settings(settings)?)].map(|put| {
            let put = put.build().map_err(unsendable)?;
            Ok::<_, StoreError>(TransactWriteItem::builder().put(put).build())
        });
        let puts = puts.into_iter().collect::<Result<_, _>>()?;
        let call = TransactWriteItemsInputBuilder::default().set_transact_items(Some(puts));
        let put = self.wire.transact_write_items(call).await;
        // After the put, even if it failed: a concurrent read may have cached the old settings.
        self.kept_locations.forget(id);
        let error = match put {
            Ok(_) => return Ok(LocationPut::Done),
            Err(error) => error,
        };
        if let SdkError::ServiceError(service) = &error
            && let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err()
            && let Some(reason) = cancelled.cancellation_reasons().first()
            && reason.code() == Some("ConditionalCheckFailed")
            && let Some(holder) = reason.item()
        {
            let holder = row::location_id(holder)?;
            // Earlier programs registered both if two managers put them at the same moment.
            let is_registered = self.get(&Key::location(id), true).await?.is_some();
            return if is_registered { self.replace_settings(settings).await } else { Ok(LocationPut::Taken(holder)) };
        }
        Err(unavailable("TransactWriteItems", &error))
    }
}
