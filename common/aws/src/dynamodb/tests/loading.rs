use super::*;
use stockline_core::domain::Claim;

#[tokio::test]
async fn a_load_finds_what_is_there_and_nothing_else() {
    let mut shop = Shop::new().await;
    shop.open_location("north").await;
    shop.register("cola", r#","barcodes":["1"]"#).await;
    shop.receive("cola", "north", 2, at(1)).await;
    shop.receive("cola", "main", 3, at(1)).await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2)).await;
    let old = |n| CommandKey { item_id: item_id("cola"), command_id: n };
    let mut request = LoadRequest::of(item_id("cola"));
    request.locations = ["main", "north", "nowhere"].map(place).into();
    request.claims = [Claim::Barcode("1".into()), Claim::Barcode("2".into()), Claim::ItemKey("cola".into())].into();
    request.records = [old(refused.outcome.command_id), old(id(77))].into();
    let named = LoadRequest { all_levels: false, locations: [place("north")].into(), ..request.clone() };
    let unknown = LoadRequest::of(item_id("fanta"));
    let mut loaded = shop.store.load(&[request, unknown, named]).await.into_iter().map(Result::unwrap);
    let (all, unknown, named) = (loaded.next().unwrap(), loaded.next().unwrap(), loaded.next().unwrap());
    assert_eq!(unknown, Loaded::default());
    assert_eq!(all.levels.keys().collect::<Vec<_>>(), [&place("main"), &place("north")]);
    assert_eq!(named.levels.keys().collect::<Vec<_>>(), [&place("north")]);
    assert_eq!(all.levels[&place("north")], named.levels[&place("north")]);
    assert_eq!(all.locations.keys().collect::<Vec<_>>(), [&place("main"), &place("north")]);
    let mine = item_id("cola");
    let holders = [(Claim::Barcode("1".into()), mine.clone()), (Claim::ItemKey("cola".into()), mine)];
    assert_eq!(all.holders, holders.into());
    assert_eq!(all.records, [(old(refused.outcome.command_id), refused)].into());
    assert_eq!(all.item.map(|item| item.version), Some(1));
}

async fn settings_in_a_fold(shop: &Shop, location: &str) -> Option<LocationSettings> {
    let request =
        LoadRequest { locations: [place(location)].into(), all_levels: false, ..LoadRequest::of(item_id("x")) };
    shop.store.load(&[request]).await.remove(0).unwrap().locations.remove(&place(location))
}

#[tokio::test]
async fn the_write_path_keeps_settings_that_were_found_for_a_moment_and_never_that_there_were_none() {
    let shop = Shop::new().await;
    assert_eq!(settings_in_a_fold(&shop, "north").await, None);
    shop.open_location("north").await;
    assert!(settings_in_a_fold(&shop, "north").await.is_some_and(|north| !north.closed));

    // Another process closes it.
    let closed = LocationSettings { location_id: place("north"), closed: true, ..LocationSettings::main() };
    let row = row::of_settings(&closed).unwrap();
    shop.engine.client.put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
    let kept_ms = DynamoOptions::default().locations_kept.as_millis() as i64;
    shop.clock.advance_ms(kept_ms - 1);
    assert!(settings_in_a_fold(&shop, "north").await.is_some_and(|north| !north.closed));
    assert_eq!(shop.store.location(&place("north")).await.unwrap(), Some(closed.clone()), "single reads keep nothing");
    shop.clock.advance_ms(1);
    assert_eq!(settings_in_a_fold(&shop, "north").await, Some(closed.clone()));
    shop.open_location("north").await;
    assert!(settings_in_a_fold(&shop, "north").await.is_some_and(|north| !north.closed), "its own put counts at once");
    shop.clock.advance_ms(-3_600_000);
    let row = row::of_settings(&closed).unwrap();
    shop.engine.client.put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
    assert_eq!(settings_in_a_fold(&shop, "north").await, Some(closed), "a clock that went back ends it");
}

#[tokio::test]
async fn many_locations_are_read_by_one_query_a_minute() {
    let shop = Shop::new().await;
    let shops: Vec<String> = (0..20).map(|n| format!("shop-{n}")).collect();
    for location in &shops {
        shop.open_location(location).await;
        assert!(settings_in_a_fold(&shop, location).await.is_some());
    }
    let kept_ms = DynamoOptions::default().locations_kept.as_millis() as i64;
    shop.clock.advance_ms(kept_ms);
    assert!(settings_in_a_fold(&shop, "shop-1").await.is_some());
    // Another process closes one that was not asked for.
    let closed = LocationSettings { location_id: place("shop-7"), closed: true, ..LocationSettings::main() };
    let row = row::of_settings(&closed).unwrap();
    shop.engine.client.put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
    assert!(settings_in_a_fold(&shop, "shop-7").await.is_some_and(|kept| !kept.closed), "it was read with the other");
    assert_eq!(settings_in_a_fold(&shop, "nowhere").await, None);
    shop.clock.advance_ms(kept_ms);
    assert_eq!(settings_in_a_fold(&shop, "shop-7").await, Some(closed));
}
