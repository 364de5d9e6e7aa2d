//! The days of levels: they are those of the ledger, in the time zone of the location.

use std::collections::BTreeMap;
use std::sync::Arc;

use stockline_core::domain::Timestamp;
use stockline_core::domain::analytics::{Calendar, DayTotals, LevelDays, LocalDays, Period, Seen, Sums};
use stockline_core::ports::{DaysFilter, LedgerFrom, LevelWithDays, PageRequest};

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
        let ledger = reader.audit_ledger(LedgerFrom::new(&item.item_id, &level.location_id, 1, 100_000)).await.unwrap();
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
    let everywhere = DaysFilter { time_zones: Arc::new(zones), ..DaysFilter::default() };
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
    let sold =
        shop.ports().audit.audit_ledger(LedgerFrom::new(&item_id("cola"), &place("main"), 1, 100_000)).await.unwrap();
    assert_eq!(sold.entries.len() as u64, found[0].level.seq);
    let nowhere = DaysFilter { location_id: Some(place("south")), ..DaysFilter::default() };
    assert_eq!(all(&shop, &nowhere, 10).await, Some(vec![]));
}

/// Adds up a period of a level's days, as reports do.
fn sums(entry: &LevelWithDays, zone: &str, period: Period, as_of: Timestamp) -> (Sums, Vec<DayTotals>) {
    let calendar = Calendar { days: LocalDays::of_zone(zone), as_of };
    let mut days = Vec::new();
    let sums = calendar.sums(&entry.days, period, |seen| {
        if let Seen::Day(day, _) = seen {
            days.push(*day);
        }
    });
    // A store that sums up what was before does not say when it was.
    (Sums { last_sold: None, last_received: None, ..sums }, days)
}

pub async fn days_from_a_moment_on_are_those_of_the_whole_ledger(shop: Shop) {
    const DAY: i64 = 24 * 3_600_000;
    const ZONE: &str = "Pacific/Auckland";
    for (item, cost) in [("cola", r#","unit_cost":"0.41""#), ("tea", r#","unit_cost":"1.1""#), ("water", "")] {
        shop.register(item, cost).await;
    }
    // A year and a half: cola moves each week, tea stopped after the first months, water has just come.
    let mut now = at(0);
    for week in 0..80 {
        now = now.plus_millis(7 * DAY);
        shop.receive("cola", "main", 5, now).await;
        shop.settle("cola", vec![shop.sale("cola", 2 + week % 7, now.plus_millis(DAY))], now.plus_millis(DAY)).await;
        if week < 12 {
            shop.settle("tea", vec![shop.sale("tea", 1, now)], now).await;
        }
        if week > 77 {
            shop.receive("water", "main", 1, now).await;
        }
    }
    let as_of = now.plus_millis(3 * DAY);
    let time_zones = Arc::new(BTreeMap::from([(place("main"), ZONE.to_owned())]));
    let whole = DaysFilter { location_id: Some(place("main")), time_zones, since: None };
    let Some(wholes) = all(&shop, &whole, 2).await else {
        return;
    };
    check(&shop, &whole, &wholes).await;
    let days = LocalDays::of_zone(ZONE);
    for back in [0, 1, 6, 13, 28, 60, 91, 364, 500, 700] {
        let from = days.day(as_of.plus_millis(-back * DAY));
        let filter = DaysFilter { since: Some(days.begin(from)), ..whole.clone() };
        let found = all(&shop, &filter, 2).await.unwrap();
        assert_eq!(found.len(), 3);
        for to in [from.plus(1), from.plus(7), days.day(as_of).plus(1)] {
            let period = Period { from, to };
            for (one, other) in wholes.iter().zip(&found) {
                assert_eq!(one.level, other.level);
                let (one, other) = (sums(one, ZONE, period, as_of), sums(other, ZONE, period, as_of));
                assert_eq!(one, other, "{back} days back, to {to}");
            }
        }
    }
}
