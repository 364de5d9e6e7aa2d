use super::*;
use crate::domain::{RejectionCode, StockState};

async fn item_ids(shop: &Shop, filter: &ItemFilter, limit: usize) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = shop.store.items(filter, cursor.as_deref(), limit).await.unwrap();
        seen.extend(page.entries.iter().map(|view| view.item.item_id.to_string()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn items_are_listed_by_name_whatever_its_case_and_by_every_filter() {
    let mut shop = Shop::new();
    for (item, name, more) in [
        ("z", "apfel", r#","category":"fruit","barcodes":["1"]"#),
        ("y", "Äpfel", r#","category":"fruit""#),
        ("x", "Apfelsaft", r#","category":"drinks","barcodes":["2","3"]"#),
        ("b", "birne", r#","category":"fruit""#),
        ("a", "Birne", r#","category":"fruit""#),
    ] {
        shop.run("register_item", item, &format!(r#","name":"{name}"{more}"#), at(0)).await;
    }
    shop.run("archive_item", "b", "", at(500)).await;
    shop.run("update_item", "a", r#","unit":"kg""#, at(900)).await;
    let all = ItemFilter::default();
    for limit in [1, 2, 10] {
        assert_eq!(item_ids(&shop, &all, limit).await, ["z", "x", "a", "y"]);
    }
    let filter = |change: fn(&mut ItemFilter)| {
        let mut filter = ItemFilter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (filter(|f| f.name_prefix = Some("APF".into())), vec!["z", "x"]),
        (filter(|f| f.name_prefix = Some("ä".into())), vec!["y"]),
        (filter(|f| f.category = Some("fruit".into())), vec!["z", "a", "y"]),
        (filter(|f| f.barcode = Some("3".into())), vec!["x"]),
        (filter(|f| f.barcode = Some("9".into())), vec![]),
        (filter(|f| f.archived = true), vec!["b"]),
        (filter(|f| f.updated_since = Some(at(900))), vec!["a"]),
    ] {
        assert_eq!(item_ids(&shop, &filter, 1).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_page_of_items_ends_before_it_holds_too_many_levels_and_the_next_goes_on() {
    let mut shop = Shop::with(StoreOptions { page_levels_max: 4, ..StoreOptions::default() });
    let locations = ["main", "l1", "l2", "l3", "l4", "l5"];
    for location in &locations[1..] {
        shop.open_location(location).await;
    }
    for (item, levels) in [("a", 2), ("b", 2), ("c", 1), ("d", 6), ("e", 0), ("f", 4)] {
        shop.register(item, "").await;
        for location in &locations[..levels] {
            shop.receive(item, location, 1, at(1)).await;
        }
    }
    let (mut pages, mut audited) = (Vec::new(), Vec::new());
    let (mut cursor, mut audit_cursor) = (None, None);
    loop {
        let page = shop.store.items(&ItemFilter::default(), cursor.as_deref(), 100).await.unwrap();
        let audit = shop.store.audit_items(audit_cursor.as_deref(), 100).await.unwrap();
        let text = |page: &Page<ItemView>| {
            page.entries.iter().map(|view| format!("{}{}", view.item.item_id, view.levels.len())).collect::<String>()
        };
        pages.push(text(&page));
        audited.push(text(&audit));
        (cursor, audit_cursor) = (page.next_cursor, audit.next_cursor);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["a2b2", "c1", "d6", "e0f4"]);
    assert_eq!((audited, audit_cursor), (pages, None));
    assert_eq!(item_ids(&shop, &ItemFilter::default(), 1).await, ["a", "b", "c", "d", "e", "f"]);
}

async fn level_ids(shop: &Shop, filter: &LevelFilter, limit: usize) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = shop.store.levels(filter, cursor.as_deref(), limit).await.unwrap();
        for view in &page.entries {
            assert!(filter.state.is_none_or(|state| view.state() == state), "{view:?}");
            seen.push(format!("{}:{}", view.item.item_id, view.level.location_id));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

fn by_state(state: StockState) -> LevelFilter {
    LevelFilter { state: Some(state), ..Default::default() }
}

#[tokio::test]
async fn levels_are_listed_by_item_then_location_and_by_the_state_that_reads_show() {
    let mut shop = Shop::new();
    shop.open_location("north").await;
    // Registered in another order than listed.
    for (item, main, north) in [("c", 5, -1), ("a", 0, 3), ("b", 9, 9)] {
        shop.register(item, "").await;
        for (location, on_hand) in [("north", north), ("main", main)] {
            shop.receive(item, location, 10, at(1)).await;
            let fields = format!(r#","location_id":"{location}","quantity":{}"#, 10 - on_hand);
            shop.run("sell", item, &fields, at(2)).await;
        }
    }
    let everything = ["a:main", "a:north", "b:main", "b:north", "c:main", "c:north"];
    for limit in [1, 2, 5, 6, 7] {
        assert_eq!(level_ids(&shop, &LevelFilter::default(), limit).await, everything);
    }
    let north = LevelFilter { location_id: Some(place("north")), ..Default::default() };
    assert_eq!(level_ids(&shop, &north, 1).await, ["a:north", "b:north", "c:north"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 1).await, ["a:main"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Oversold), 1).await, ["c:north"]);
    assert!(level_ids(&shop, &by_state(StockState::Low), 1).await.is_empty());

    // A default threshold, not yet re-judged, and one of a level's own.
    shop.run("set_threshold", "b", r#","low_stock_threshold":10"#, at(3)).await;
    shop.run("set_threshold", "b", r#","location_id":"north","low_stock_threshold":2"#, at(3)).await;
    shop.run("set_threshold", "c", r#","location_id":"main","low_stock_threshold":6"#, at(3)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Low), 1).await, ["b:main", "c:main"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Normal), 1).await, ["a:north", "b:north"]);
    shop.run("set_threshold", "b", r#","low_stock_threshold":null"#, at(4)).await;
    shop.run("sell", "c", r#","quantity":5"#, at(4)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Low), 1).await, Vec::<String>::new());
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 1).await, ["a:main", "c:main"]);

    shop.run("archive_item", "c", "", at(5)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 9).await, ["a:main"]);
    let archived_too = LevelFilter { archived: true, ..by_state(StockState::Out) };
    assert_eq!(level_ids(&shop, &archived_too, 9).await, ["a:main", "c:main"]);
}

#[tokio::test]
async fn refused_commands_are_listed_newest_first_until_they_are_settled_otherwise() {
    let mut shop = Shop::new();
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let mut refused = Vec::new();
    for n in 0..9 {
        let location = if n % 3 == 0 { "north" } else { "main" };
        let fields = format!(r#","location_id":"{location}","quantity":5,"on_shortage":"reject""#);
        refused.push(shop.run("sell", "cola", &fields, at(10 + n / 2)).await);
    }
    shop.run("sell", "nothing", r#","quantity":5"#, at(90)).await;
    refused.reverse();
    let filter = CommandFilter {
        status: Status::Rejected,
        code: Some(RejectionCode::InsufficientStock),
        location_id: None,
        since: None,
        settled_otherwise: false,
    };
    let list = async |filter: &CommandFilter, limit| {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = shop.store.commands(filter, cursor.as_deref(), limit).await.unwrap();
            seen.extend(page.entries);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return seen;
            }
        }
    };
    for limit in [1, 4, 9, 100] {
        assert_eq!(list(&filter, limit).await, refused);
    }
    assert_eq!(list(&CommandFilter { code: None, ..filter.clone() }, 3).await.len(), 10);
    let since = CommandFilter { since: Some(at(13)), ..filter.clone() };
    assert_eq!(list(&since, 2).await, refused[..3]);
    let north = CommandFilter { location_id: Some(place("north")), ..filter.clone() };
    assert_eq!(list(&north, 2).await.len(), 3);
    assert!(list(&CommandFilter { status: Status::DeadLettered, ..filter.clone() }, 2).await.is_empty());

    let old = Resubmits { item_id: item_id("cola"), command_id: refused[0].outcome.command_id };
    let mut commit = Commit::new(item_id("cola"));
    commit.resubmitted = vec![(old, id(1_000))];
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    assert_eq!(list(&filter, 4).await, refused[1..]);
    assert_eq!(list(&CommandFilter { settled_otherwise: true, ..filter }, 4).await.len(), 9);
}

#[tokio::test]
async fn main_is_a_location_before_and_after_it_is_put() {
    let shop = Shop::new();
    assert_eq!(shop.store.locations().await.unwrap(), [LocationSettings::main()]);
    assert_eq!(shop.store.location(&place("north")).await.unwrap(), None);
    shop.open_location("north").await;
    let closed = LocationSettings { closed: true, ..LocationSettings::main() };
    shop.store.put_location(&closed).await.unwrap();
    assert_eq!(shop.store.location(&place("main")).await.unwrap(), Some(closed));
    let ids: Vec<_> = shop.store.locations().await.unwrap().into_iter().map(|l| l.location_id).collect();
    assert_eq!(ids, [place("main"), place("north")]);
    shop.store.ping().await.unwrap();
}
