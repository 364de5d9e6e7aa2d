//! Readers that keep a list of their own by reading only what has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use stockline_core::domain::{Item, ItemId, Level, LocationId, Timestamp};
use stockline_core::ports::{ItemFilter, LevelFilter, PageRequest, Queries, Since, StoreError};

use super::{Shop, all_pages, at, item_id};

/// Entries of a page: few, so that rows move while a list is read.
const LIMIT: usize = 3;
const ITEMS: usize = 6;
/// How often each item is moved at least.
const ROUNDS: i64 = 25;
/// How often the till reads at least while items are moved. Lists give way to writes, so this may take more rounds.
const READINGS: usize = 3;

/// What a till keeps.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    items: BTreeMap<ItemId, (String, u64, bool)>,
    levels: BTreeMap<(ItemId, LocationId), (Level, u64)>,
}

fn as_kept(item: &Item) -> (String, u64, bool) {
    (item.catalogue.name.clone(), item.version, item.is_archived())
}

/// A till that reads changes only.
#[derive(Debug)]
struct Till {
    kept: Kept,
    items_since: Since,
    levels_since: Since,
}

impl Till {
    fn new() -> Self {
        let all = Since::Time(Timestamp::EPOCH);
        Self { kept: Kept::default(), items_since: all.clone(), levels_since: all }
    }

    /// Reads both lists to their ends.
    async fn read(&mut self, queries: &dyn Queries, now: Timestamp) {
        let (items, levels) = (ItemFilter::default(), LevelFilter::default());
        let mut cursor = None::<String>;
        loop {
            let asked = PageRequest::new(cursor.as_deref(), LIMIT);
            let read = queries.changed_items(&items, &self.items_since, now, asked).await.unwrap();
            self.kept.items.extend(read.page.entries.iter().map(|e| (e.item.item_id.clone(), as_kept(&e.item))));
            cursor = read.page.next_cursor;
            if cursor.is_none() {
                self.items_since = Since::Mark(read.next_updated_since);
                break;
            }
        }
        loop {
            let asked = PageRequest::new(cursor.as_deref(), LIMIT);
            let read = queries.changed_levels(&levels, &self.levels_since, now, asked).await.unwrap();
            for found in read.page.entries {
                let key = (found.item.item_id.clone(), found.level.location_id.clone());
                self.kept.levels.insert(key, (Level { tail: Vec::new(), ..found.level }, found.item.version));
            }
            cursor = read.page.next_cursor;
            if cursor.is_none() {
                self.levels_since = Since::Mark(read.next_updated_since);
                return;
            }
        }
    }
}

/// Reads everything that the store has.
async fn whole(queries: &dyn Queries) -> Kept {
    let mut kept = Kept::default();
    for archived in [false, true] {
        let filter = ItemFilter { archived, ..ItemFilter::default() };
        let read = async |cursor: Option<&str>| queries.items(&filter, PageRequest::new(cursor, 100)).await.unwrap();
        kept.items.extend(all_pages(100, read).await.iter().map(|e| (e.item.item_id.clone(), as_kept(&e.item))));
    }
    let filter = LevelFilter { archived: true, ..LevelFilter::default() };
    let read = async |cursor: Option<&str>| queries.levels(&filter, PageRequest::new(cursor, 100)).await.unwrap();
    for found in all_pages(100, read).await {
        let key = (found.item.item_id.clone(), found.level.location_id.clone());
        kept.levels.insert(key, (Level { tail: Vec::new(), ..found.level }, found.item.version));
    }
    kept
}

/// Writers sell, rename, archive and restore while the till reads on and on.
pub async fn a_reader_that_follows_the_changes_ends_with_the_state_of_the_store(shop: Shop) {
    for location in ["north", "south"] {
        shop.open_location(location).await;
    }
    let (shop, clock, readings) = (Arc::new(shop), Arc::new(AtomicI64::new(1)), Arc::new(AtomicUsize::new(0)));
    let write = async |shop: Arc<Shop>, clock: Arc<AtomicI64>, readings: Arc<AtomicUsize>, n: usize| {
        let item = format!("item-{n}");
        let now = || at(clock.fetch_add(1, Ordering::SeqCst));
        shop.register(&item, "").await;
        let is_enough = |round: &i64| *round < ROUNDS || readings.load(Ordering::SeqCst) < READINGS;
        for round in (0..).take_while(is_enough) {
            let location = ["main", "north", "south"][(n + round as usize) % 3];
            shop.receive(&item, location, 5, now()).await;
            shop.run("sell", &item, &format!(r#","location_id":"{location}","quantity":{}"#, 1 + round % 3), now())
                .await;
            match round % 6 {
                1 => drop(shop.run("update_item", &item, &format!(r#","name":"{item} of {round}""#), now()).await),
                3 => drop(shop.run("archive_item", &item, "", now()).await),
                4 => drop(shop.run("restore_item", &item, "", now()).await),
                _ => {}
            }
        }
    };
    let writers: Vec<_> =
        (0..ITEMS).map(|n| tokio::spawn(write(shop.clone(), clock.clone(), readings.clone(), n))).collect();
    let mut till = Till::new();
    let queries = &*shop.ports().queries;
    while writers.iter().any(|writer| !writer.is_finished()) {
        till.read(queries, at(clock.load(Ordering::SeqCst))).await;
        readings.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    till.read(queries, at(clock.load(Ordering::SeqCst))).await;
    assert_eq!(till.kept, whole(queries).await);
}

pub async fn archived_items_and_renamed_ones_are_among_the_changes(shop: Shop) {
    for item in ["cola", "tea"] {
        shop.register(item, "").await;
        shop.receive(item, "main", 9, at(1)).await;
    }
    let queries = &*shop.ports().queries;
    let mut till = Till::new();
    till.read(queries, at(2)).await;
    shop.run("update_item", "cola", r#","name":"Cola 2""#, at(3)).await;
    shop.run("archive_item", "tea", "", at(4)).await;
    till.read(queries, at(5)).await;
    assert_eq!(till.kept.items[&item_id("cola")].0, "Cola 2");
    assert!(till.kept.items[&item_id("tea")].2, "archived");
    assert_eq!(till.kept, whole(queries).await);
}

pub async fn a_mark_of_another_store_makes_the_reader_begin_anew(shop: Shop) {
    shop.register("cola", "").await;
    let queries = &shop.ports().queries;
    for mark in ["x", "WyJjaGFuZ2VkX2xldmVsc19zaW5jZSIse30sMV0", ""] {
        let since = Since::Mark(mark.into());
        let items = queries.changed_items(&ItemFilter::default(), &since, at(1), PageRequest::first(9)).await;
        assert!(matches!(items, Err(StoreError::Cursor)), "{mark}: {items:?}");
        let levels = queries.changed_levels(&LevelFilter::default(), &since, at(1), PageRequest::first(9)).await;
        assert!(matches!(levels, Err(StoreError::Cursor)), "{mark}: {levels:?}");
    }
}
