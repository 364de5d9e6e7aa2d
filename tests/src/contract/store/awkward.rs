//! Ids with every character that design.md §3 allows. The keys of a store must keep them apart.

use std::collections::BTreeSet;

use serde_json::Value;
use stockline_core::domain::{AlertKind, Quantity, RejectionCode};
use stockline_core::ports::{Claimed, ItemFilter, Lease, LevelFilter, MovementFilter, PageRequest};
use stockline_core::testing::{AWKWARD_ITEMS, AWKWARD_PLACES, alert};

use super::{Shop, all_pages, at, item_id, place};

/// The sales of each level, which fill its tail and at least one chunk.
const SALES: i64 = 24;

/// Returns how much of an item a place gets: no two levels get the same.
fn opening(item: usize, at: usize) -> i64 {
    1_000 + i64::try_from(item * AWKWARD_PLACES.len() + at).unwrap()
}

async fn open_places(shop: &Shop) {
    for location in AWKWARD_PLACES {
        shop.open_location(location).await;
    }
}

/// Sells each item at each place so often that its ledger has chunks.
pub async fn ids_that_a_shop_writes_are_kept_apart(shop: Shop) {
    open_places(&shop).await;
    for (n, item) in AWKWARD_ITEMS.into_iter().enumerate() {
        shop.register(item, "").await;
        let mut slots = Vec::new();
        for (m, location) in AWKWARD_PLACES.into_iter().enumerate() {
            let quoted = Value::from(location);
            let quantity = opening(n, m);
            slots.push(shop.slot("receive", item, &format!(r#","location_id":{quoted},"quantity":{quantity}"#), at(1)));
        }
        shop.settle(item, slots, at(1)).await;
        for round in 0..SALES {
            let sale = |location: &str| {
                let fields = format!(
                    r#","location_id":{},"quantity":1,"note":"long enough to fill a tail""#,
                    Value::from(location)
                );
                shop.slot("sell", item, &fields, at(2 + round))
            };
            let slots = AWKWARD_PLACES.into_iter().map(sale).collect();
            shop.settle(item, slots, at(2 + round)).await;
        }
    }
    for (n, item) in AWKWARD_ITEMS.into_iter().enumerate() {
        let levels = shop.levels(item).await;
        assert_eq!(levels.len(), AWKWARD_PLACES.len(), "{item}");
        for (m, location) in AWKWARD_PLACES.into_iter().enumerate() {
            let level = levels.iter().find(|level| level.location_id == place(location)).unwrap();
            assert_eq!(Some(level.on_hand), Quantity::from_units(opening(n, m) - SALES), "{item} at {location}");
            let seqs = shop.ledger_seqs(item, location, 7).await;
            assert_eq!(seqs, (1..=25).collect::<Vec<u64>>(), "{item} at {location}");
        }
        let queries = &shop.ports().queries;
        let all = MovementFilter::default();
        let read = async |cursor: Option<&str>| {
            queries.movements(&item_id(item), &all, PageRequest::new(cursor, 30)).await.unwrap()
        };
        let movements = all_pages(30, read).await;
        assert_eq!(movements.len(), AWKWARD_PLACES.len() * 25, "{item}");
        assert!(movements.iter().all(|movement| movement.item_id == item_id(item)), "{item}");
        let first = movements.last().unwrap().entry.command_id;
        assert_eq!(shop.record(item, first).await.unwrap().outcome.item_id, item_id(item));
    }
    shop.audit().await;
}

pub async fn lists_of_awkward_ids_page_in_the_order_of_their_bytes(shop: Shop) {
    open_places(&shop).await;
    for item in AWKWARD_ITEMS {
        shop.register(item, r#","low_stock_threshold":"5""#).await;
        for location in AWKWARD_PLACES {
            shop.receive(item, location, 1, at(1)).await;
        }
    }
    let queries = &shop.ports().queries;
    let mut ids: Vec<_> = AWKWARD_ITEMS.into_iter().map(item_id).collect();
    ids.sort();
    let mut places: Vec<_> = AWKWARD_PLACES.into_iter().map(place).collect();
    places.sort();
    let all = ItemFilter::default();
    let items =
        all_pages(3, async |cursor: Option<&str>| queries.items(&all, PageRequest::new(cursor, 3)).await.unwrap());
    let listed: BTreeSet<_> = items.await.into_iter().map(|item| item.item.item_id).collect();
    assert_eq!(listed, ids.iter().cloned().collect());
    for filter in [
        LevelFilter::default(),
        LevelFilter { states: vec![stockline_core::domain::StockState::Low], ..LevelFilter::default() },
    ] {
        let levels = all_pages(5, async |cursor: Option<&str>| {
            queries.levels(&filter, PageRequest::new(cursor, 5)).await.unwrap()
        });
        let listed: Vec<_> =
            levels.await.into_iter().map(|found| (found.item.item_id.clone(), found.level.location_id)).collect();
        let expected = ids.iter().flat_map(|id| places.iter().map(move |place| (id.clone(), place.clone())));
        assert_eq!(listed, expected.collect::<Vec<_>>());
    }
    for location in &places {
        let filter = LevelFilter { location_id: Some(location.clone()), ..LevelFilter::default() };
        let levels = all_pages(4, async |cursor: Option<&str>| {
            queries.levels(&filter, PageRequest::new(cursor, 4)).await.unwrap()
        });
        let listed: Vec<_> = levels.await.into_iter().map(|found| found.item.item_id.clone()).collect();
        assert_eq!(listed, ids, "{location}");
    }
}

pub async fn alerts_of_ids_with_separators_are_kept_apart(shop: Shop) {
    let of = |item: &str, location: &str| stockline_core::domain::Alert {
        item_id: item_id(item),
        location_id: place(location),
        ..alert(1, "main", 0)
    };
    let alerts: Vec<_> = AWKWARD_ITEMS
        .into_iter()
        .flat_map(|item| AWKWARD_PLACES.into_iter().map(move |location| of(item, location)))
        .collect();
    let lease = Lease { holder: "a".into(), from: at(0), until: at(100) };
    for claimed in shop.ports().alerts.claim(&alerts, &lease).await {
        assert_eq!(claimed.unwrap(), Claimed::Ours);
    }
    let queries = &shop.ports().queries;
    let listed =
        all_pages(10, async |cursor: Option<&str>| queries.alerts(None, PageRequest::new(cursor, 10)).await.unwrap());
    let ids: BTreeSet<_> = listed.await.into_iter().map(|found| (found.alert_id, found.alert.item_id)).collect();
    assert_eq!(ids, alerts.iter().map(|alert| (alert.id(), alert.item_id.clone())).collect());
    assert_eq!(ids.len(), AWKWARD_ITEMS.len() * AWKWARD_PLACES.len());
    assert_eq!(alerts[0].kind, AlertKind::Low);
}

pub async fn an_id_that_differs_by_case_is_taken(shop: Shop) {
    for (first, twin) in [("Größe-L", "GRÖẞE-l"), ("№5 Σ", "№5 ς"), ("AB/12 x", "ab/12 X")] {
        shop.register(first, "").await;
        let record = shop.register(twin, "").await;
        let rejection = record.outcome.rejection.unwrap();
        assert_eq!(rejection.code, RejectionCode::ItemExists, "{twin}");
    }
    let apart = shop.register("GRÖSSE-L", "").await;
    assert!(apart.outcome.rejection.is_none(), "simple folding leaves ß one character");
}
