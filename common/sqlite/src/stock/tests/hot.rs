use stockline_core::domain::{Claim, LocationSettings};

use super::*;

/// Loads an item with two locations from the kept rows, where they are kept, and from the file. Returns whether both agree,
/// and whether the rows were kept.
async fn agree(shop: &Shop, item: &str) -> bool {
    let mut request = LoadRequest::for_slots(item_id(item), [], &Rules::default());
    request.locations.extend([place("main"), place("north")]);
    let from_file = LoadRequest { claims: [Claim::Barcode("no such code".into())].into(), ..request.clone() };
    let is_kept = shop.store.hot.load(&request).is_some();
    let loaded = shop.store.load(&[request, from_file]).await;
    let [Ok(kept), Ok(read)] = &loaded[..] else { panic!("{loaded:?}") };
    assert_eq!(kept, read, "{item}");
    is_kept
}

/// A small generator of numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[tokio::test]
async fn kept_rows_are_those_of_the_file_after_any_history_and_with_any_room() {
    for (hot_bytes_max, at_least) in [(0, 0), (6_000, 5), (1 << 20, 60)] {
        let mut shop = Shop::with(StoreOptions { hot_bytes_max, ..StoreOptions::default() });
        shop.open_location("north").await;
        let items: Vec<String> = (0..8).map(|n| format!("item-{n}")).collect();
        let (mut numbers, mut kept) = (Numbers(7), 0);
        for step in 0..600_i64 {
            let item = &items[numbers.below(8) as usize];
            let (now, n) = (at(step), numbers.below(9) + 1);
            let location = if numbers.below(2) == 0 { "main" } else { "north" };
            let there = format!(r#","location_id":"{location}""#);
            match numbers.below(12) {
                0 => drop(shop.register(item, "").await),
                1 => drop(shop.run("update_item", item, &format!(r#","name":"Name {n}""#), now).await),
                2 => drop(shop.run("set_threshold", item, &format!(r#"{there},"low_stock_threshold":{n}"#), now).await),
                3 => drop(shop.run("count", item, &format!(r#"{there},"counted":{n}"#), now).await),
                4 => {
                    let fields = format!(r#","from_location_id":"main","to_location_id":"north","quantity":{n}"#);
                    drop(shop.run("transfer", item, &fields, now).await);
                }
                5 => {
                    let name = format!("North {n}");
                    let settings = LocationSettings { location_id: place("north"), name, ..LocationSettings::main() };
                    shop.store.put_location(&settings).await.unwrap();
                }
                6 => drop(shop.receive(item, location, n as i64, now).await),
                _ => drop(shop.run("sell", item, &format!(r#"{there},"quantity":{n}"#), now).await),
            }
            kept += usize::from(agree(&shop, &items[numbers.below(8) as usize]).await);
            if step % 200 == 199 {
                shop = shop.reopened_with(StoreOptions { hot_bytes_max, ..StoreOptions::default() });
            }
        }
        assert!(kept >= at_least && (hot_bytes_max > 0 || kept == 0), "{hot_bytes_max} bytes: {kept} times kept");
    }
}

#[tokio::test]
async fn a_commit_that_meets_other_rows_forgets_its_item_so_that_the_next_load_reads_them() {
    let mut shop = Shop::new();
    shop.open_location("north").await;
    shop.register("cola", "").await;
    for location in ["main", "north"] {
        shop.receive("cola", location, 9, at(1)).await;
    }
    assert!(agree(&shop, "cola").await);
    let slot = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let stale = shop.fold("cola", &[slot], at(2)).await.commit;
    shop.receive("cola", "main", 1, at(3)).await;
    assert_eq!(shop.commit(stale).await, CommitOutcome::Conflict);
    assert!(!agree(&shop, "cola").await, "it is forgotten");
    assert_eq!(shop.on_hand("cola").await[0].1, 10);
}

#[tokio::test]
async fn a_load_that_a_change_of_an_item_or_a_location_overtakes_keeps_nothing() {
    let mut shop = Shop::new();
    shop.open_location("north").await;
    shop.register("cola", "").await;
    shop.receive("cola", "main", 9, at(1)).await;
    let mut request = LoadRequest::for_slots(item_id("cola"), [], &Rules::default());
    request.locations.insert(place("main"));
    let before = shop.store.hot.changes();
    let old = shop.store.load(std::slice::from_ref(&request)).await.remove(0).unwrap();
    shop.run("update_item", "cola", r#","name":"Cola""#, at(2)).await;
    shop.store.hot.keep(&request, &old, before);
    assert_eq!(shop.load("cola", &[]).await.item.unwrap().catalogue.name, "Cola");
    let before = shop.store.hot.changes();
    let settings = LocationSettings { location_id: place("main"), name: "Shop".into(), ..LocationSettings::main() };
    shop.store.put_location(&settings).await.unwrap();
    shop.store.hot.keep(&request, &old, before);
    let loaded = shop.store.load(&[request]).await.remove(0).unwrap();
    assert_eq!(loaded.locations[&place("main")].name, "Shop");
}

#[tokio::test]
async fn what_is_kept_stays_within_its_room() {
    let options = StoreOptions { hot_bytes_max: 40_000, ..StoreOptions::default() };
    let mut shop = Shop::with(options);
    for n in 0..200 {
        let item = format!("item-{n}");
        shop.register(&item, "").await;
        shop.receive(&item, "main", 9, at(1)).await;
        assert!(shop.store.hot.bytes() <= options.hot_bytes_max + 2_000, "{} bytes", shop.store.hot.bytes());
    }
    assert!(shop.store.hot.bytes() > options.hot_bytes_max / 3);
}
