//! The days of levels: they are those of the ledger, in the time zone of the location.

use std::collections::BTreeMap;
use std::sync::Arc;

use stockline_core::domain::analytics::{LevelDays, LocalDays};
use stockline_core::ports::{DaysFilter, LevelWithDays, PageRequest};

use super::{Shop, at, item_id, place};

/// Reads all pages. Returns `None` if the store has no days.
async fn all(shop: &Shop, filter: &DaysFilter, limit: usize) -> Option<Vec<LevelWithDays>> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page =
            shop.ports().queries.level_days(filter, PageRequest::new(cursor.as_deref(), limit)).await.unwrap()?;
        assert!(page.entries.len() <= limit && page.unreadable == 0, "{page:?}");
        found.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Some(found);
        }
    }
}

/// Checks each entry against the ledger as the audit reads it.
async fn check(shop: &Shop, filter: &DaysFilter, found: &[LevelWithDays]) {
    for LevelWithDays { item, level, days } in found {
        let reader = &shop.ports().audit;
        let ledger = reader.audit_ledger(&item.item_id, &level.location_id, 1, 100_000).await.unwrap();
        assert_eq!(ledger.entries.len() as u64, level.seq);
        let zone = filter.time_zones.get(&level.location_id).map_or("UTC", String::as_str);
        assert_eq!(**days, LevelDays::of_ledger(&ledger.entries, &LocalDays::of_zone(zone)), "{level:?}");
        assert_eq!(days.iter().last().map_or(level.on_hand, |day| day.closing), level.on_hand);
    }
}

pub async fn the_days_of_a_level_are_those_of_its_whole_ledger_in_the_zone_of_its_location(shop: Shop) {
    const HOUR: i64 = 3_600_000;
    shop.open_location("north").await;
    let mut now = at(0);
    for item in ["cola", "tea", "water"] {
        shop.register(item, "").await;
    }
    for n in 0..60 {
        now = now.plus_millis(2 * HOUR);
        let item = if n % 3 == 0 { "tea" } else { "cola" };
        shop.receive(item, if n % 2 == 0 { "main" } else { "north" }, 5, now).await;
        shop.settle(item, vec![shop.sale(item, 2, now)], now).await;
    }
    shop.run("archive_item", "tea", "", now).await;
    let zones = BTreeMap::from([(place("north"), "Pacific/Auckland".to_owned())]);
    let everywhere = DaysFilter { location_id: None, time_zones: Arc::new(zones) };
    let Some(found) = all(&shop, &everywhere, 1).await else {
        return;
    };
    let names = |found: &[LevelWithDays]| {
        let mut names: Vec<_> =
            found.iter().map(|entry| format!("{}:{}", entry.item.item_id, entry.level.location_id)).collect();
        assert!(names.is_sorted_by(|a, b| a.split(':').next() <= b.split(':').next()), "{names:?}");
        names.sort();
        names
    };
    assert_eq!(names(&found), ["cola:main", "cola:north", "tea:main", "tea:north"], "archived items too");
    check(&shop, &everywhere, &found).await;
    let auckland = found.iter().find(|entry| entry.level.location_id == place("north")).unwrap();
    let in_utc = DaysFilter::default();
    let utc = all(&shop, &in_utc, 1_000).await.unwrap();
    check(&shop, &in_utc, &utc).await;
    assert!(utc.iter().any(|entry| entry.item.item_id == auckland.item.item_id && entry.days != auckland.days));

    // What moves afterwards is in the days of the next call.
    shop.settle("cola", vec![shop.sale("cola", 1, now)], now).await;
    let at_main = DaysFilter { location_id: Some(place("main")), ..everywhere };
    let found = all(&shop, &at_main, 1).await.unwrap();
    assert_eq!(names(&found), ["cola:main", "tea:main"]);
    check(&shop, &at_main, &found).await;
    let sold = shop.ports().audit.audit_ledger(&item_id("cola"), &place("main"), 1, 100_000).await.unwrap();
    assert_eq!(sold.entries.len() as u64, found[0].level.seq);
    let nowhere = DaysFilter { location_id: Some(place("south")), ..DaysFilter::default() };
    assert_eq!(all(&shop, &nowhere, 10).await, Some(vec![]));
}
