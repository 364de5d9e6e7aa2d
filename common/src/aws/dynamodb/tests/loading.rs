use super::*;
use crate::domain::Claim;

#[tokio::test]
async fn a_load_finds_what_is_there_and_nothing_else() {
    let mut shop = Shop::new().await;
    shop.open_location("north").await;
    shop.register("cola", r#","barcodes":["1"]"#).await;
    shop.receive("cola", "north", 2, at(1)).await;
    shop.receive("cola", "main", 3, at(1)).await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2)).await;
    let old = |n| Resubmits { item_id: item_id("cola"), command_id: n };
    let mut request = LoadRequest::for_rejudge(item_id("cola"));
    request.locations = ["main", "north", "nowhere"].map(place).into();
    request.claims = [Claim::Barcode("1".into()), Claim::Barcode("2".into()), Claim::ItemKey("cola".into())].into();
    request.records = [old(refused.outcome.command_id), old(id(77))].into();
    let named = LoadRequest { all_levels: false, locations: [place("north")].into(), ..request.clone() };
    let unknown = LoadRequest::for_rejudge(item_id("fanta"));
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

#[tokio::test]
async fn more_keys_than_one_batch_takes_answer_in_input_order() {
    let mut shop = Shop::new().await;
    let items: Vec<_> = (0..130).map(|n| format!("i{n}")).collect();
    let mut commits = Vec::new();
    for item in &items {
        let slot = shop.slot("register_item", item, r#","name":"x""#, at(0));
        commits.push(shop.fold(item, &[slot], at(0)).await.commit);
    }
    assert!(shop.store.commit(commits).await.into_iter().all(|outcome| outcome.unwrap() == CommitOutcome::Committed));
    let requests: Vec<_> =
        items.iter().map(|item| LoadRequest { all_levels: false, ..LoadRequest::for_rejudge(item_id(item)) }).collect();
    let loaded = shop.store.load(&requests).await;
    let found: Vec<_> = loaded.into_iter().map(|loaded| loaded.unwrap().item.unwrap().item_id.to_string()).collect();
    assert_eq!(found, items);
}

#[tokio::test]
async fn a_late_count_gets_the_history_before_the_tail() {
    let mut shop = Shop::new().await;
    shop.register("cola", "").await;
    for n in 0..40 {
        shop.receive("cola", "main", 1, at(n)).await;
    }
    let mut request = LoadRequest::for_rejudge(item_id("cola"));
    request.since.insert(place("main"), at(9));
    let loaded = shop.store.load(&[request]).await.remove(0).unwrap();
    let level = &loaded.levels[&place("main")];
    let seqs: Vec<_> = level.history.iter().chain(&level.level.tail).map(|entry| entry.seq).collect();
    assert_eq!((seqs, level.history_complete), ((11..=40).collect(), true));
}

async fn settings_in_a_fold(shop: &Shop, location: &str) -> Option<LocationSettings> {
    let request = LoadRequest {
        locations: [place(location)].into(),
        all_levels: false,
        ..LoadRequest::for_rejudge(item_id("x"))
    };
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
async fn main_is_there_before_anyone_has_put_it() {
    let shop = Shop::new().await;
    assert_eq!(shop.store.location(&place("main")).await.unwrap(), Some(LocationSettings::main()));
    assert_eq!(shop.store.location(&place("north")).await.unwrap(), None);
    assert_eq!(settings_in_a_fold(&shop, "main").await, Some(LocationSettings::main()));
    for location in ["north", "a", "Z"] {
        shop.open_location(location).await;
    }
    let names = async || {
        let all = shop.store.locations().await.unwrap();
        all.iter().map(|settings| settings.location_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["Z", "a", "main", "north"]);
    shop.open_location("main").await;
    assert_eq!(names().await, ["Z", "a", "main", "north"]);
}
