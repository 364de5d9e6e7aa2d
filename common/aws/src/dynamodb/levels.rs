//! Lists levels by item, then location. A sparse index finds the low, out and oversold levels by the state that was
//! last judged. The index of the location finds all others or, for all locations, the list goes item by item.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::DynamoStore;
use super::call::CALLS_AT_ONCE;
use super::key::{self, Key};
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, Walk};
use super::row;
use super::table::{BY_ID, BY_LOCATION, Index, LOW_LEVELS};
use stockline_core::domain::{Item, Level};
use stockline_core::ports::{LevelFilter, LevelWithItem, Locations, Page, PageRequest, StoreError};

const LIST: &str = "levels";

fn keeps(filter: &LevelFilter, view: &LevelWithItem) -> bool {
    (filter.archived || !view.item.is_archived())
        && filter.location_id.as_ref().is_none_or(|location_id| view.level.location_id == *location_id)
        && filter.wants(view.state())
        && filter.is_recent(&view.item, &view.level)
}

/// The levels in an index of levels.
struct Named<'a> {
    store: &'a DynamoStore,
    filter: &'a LevelFilter,
}

impl Listing for Named<'_> {
    const LIST: &'static str = LIST;
    type Entry = LevelWithItem;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<LevelWithItem>, StoreError> {
        let item_of = |level: &Key| Key { pk: level.pk.clone(), sk: key::ITEM_SK.into() };
        let places: Vec<_> = spots.into_iter().filter_map(|spot| Some((Key::of(&spot.row)?, spot.place))).collect();
        let keys = places.iter().flat_map(|(key, _)| [key.clone(), item_of(key)]);
        let found = self.store.get_many(keys, false).await;
        let mut items: HashMap<String, Option<Arc<Item>>> = HashMap::new();
        let (rows, mut views) = (2 * places.len(), Vec::new());
        for (key, place) in places {
            let item = match items.get(&key.pk) {
                Some(item) => item.clone(),
                None => {
                    let item = found.read(&item_of(&key), row::item)?.map(Arc::new);
                    items.entry(key.pk.clone()).or_insert(item).clone()
                }
            };
            let (Some(item), Some(level)) = (item, found.read(&key, row::level)?) else {
                continue;
            };
            views.push((place, LevelWithItem { item, level }));
        }
        views.retain(|(_, view)| keeps(self.filter, view));
        Ok(Looked { found: views, rows })
    }
}

/// All levels of each item in an index of items.
pub(super) struct OfItems<'a> {
    pub(super) store: &'a DynamoStore,
    pub(super) filter: &'a LevelFilter,
}

impl OfItems<'_> {
    async fn of(&self, pk: &str, item: Item) -> Result<Looked<LevelWithItem>, StoreError> {
        let levels = self.store.levels_of(&item.item_id, false).await?;
        let (item, rows) = (Arc::new(item), levels.len());
        let views = levels.into_iter().map(|level| LevelWithItem { item: item.clone(), level });
        let place = |level: &Level| Place { sort: pk.to_owned(), partition: level.location_id.to_string() };
        let kept = views.filter(|view| keeps(self.filter, view));
        Ok(Looked { found: kept.map(|view| (place(&view.level), view)).collect(), rows })
    }
}

impl Listing for OfItems<'_> {
    const LIST: &'static str = LIST;
    /// Each item needs a read of its own, of as many levels as there are locations.
    const SPOTS_AT_ONCE_MAX: usize = 64;
    type Entry = LevelWithItem;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<LevelWithItem>, StoreError> {
        let keys: Vec<_> = spots.iter().filter_map(|spot| Key::of(&spot.row)).collect();
        let found = self.store.get_many(keys.iter().cloned(), false).await;
        let mut reads = Vec::new();
        for key in &keys {
            if let Some(item) = found.read(key, row::item)?
                && (self.filter.archived || !item.is_archived())
            {
                reads.push(self.of(&key.pk, item));
            }
        }
        let of_items: Vec<Looked<_>> = stream::iter(reads).buffered(CALLS_AT_ONCE).try_collect().await?;
        let rows = keys.len() + of_items.iter().map(|looked| looked.rows).sum::<usize>();
        Ok(Looked { found: of_items.into_iter().flat_map(|looked| looked.found).collect(), rows })
    }

    fn end(spot: &Spot) -> Place {
        // No location id is greater.
        Place { partition: char::MAX.into(), ..spot.place.clone() }
    }
}

impl DynamoStore {
    /// Lists levels by item, then location. All ways to find them have the same order, so a cursor works with each.
    pub(super) async fn list_levels(
        &self,
        filter: &LevelFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<LevelWithItem>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let after = Place::of_cursor(LIST, cursor)?;
        let after = after.as_ref();
        let scope = |index: Index| Scope::new(self, index, Range::default(), Order::Ascending, after, limit);
        let not_normal = filter.wants_no_normal();
        if filter.location_id.is_none() && !not_normal {
            let scope = scope(BY_ID);
            let mut spots = Walk::merged(self, &scope, key::item_shards());
            return lists::page(&OfItems { store: self, filter }, &mut spots, &scope, after).await;
        }
        let partitions = match &filter.location_id {
            Some(location_id) => vec![location_id.to_string()],
            None => self.locations().await?.into_iter().map(|settings| settings.location_id.to_string()).collect(),
        };
        let scope = scope(if not_normal { LOW_LEVELS } else { BY_LOCATION });
        let mut spots = Walk::merged(self, &scope, partitions);
        lists::page(&Named { store: self, filter }, &mut spots, &scope, after).await
    }
}
