use super::super::lists::{self, Order, Place, Range, Scope, Walk};
use super::table::BY_ID;
use super::*;
use crate::domain::{Alert, AlertKind, RejectionCode, StockState};
use crate::ports::{
    AlertBook, AuditReader, Claimed, CommandFilter, ItemFilter, ItemView, LevelFilter, Page, Queries, StoreError,
};

/// All entries of a list, page by page.
async fn whole<T>(limit: usize, page: impl AsyncFn(Option<String>) -> Result<Page<T>, StoreError>) -> Vec<T> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = page(cursor).await.unwrap();
        assert!(page.entries.len() <= limit);
        seen.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

async fn item_ids(shop: &Shop, filter: &ItemFilter, limit: usize) -> Vec<String> {
    let views = whole(limit, async |cursor| shop.store.items(filter, cursor.as_deref(), limit).await).await;
    views.iter().map(|view| view.item.item_id.to_string()).collect()
}

#[tokio::test]
async fn items_are_listed_by_name_whatever_its_case_and_by_every_filter() {
    let mut shop = Shop::new().await;
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
    shop.receive("x", "main", 2, at(901)).await;
    for limit in [1, 2, 10] {
        assert_eq!(item_ids(&shop, &ItemFilter::default(), limit).await, ["z", "x", "a", "y"]);
    }
    let filter = |change: fn(&mut ItemFilter)| {
        let mut filter = ItemFilter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (filter(|f| f.name_prefix = Some("APF".into())), vec!["z", "x"]),
        (filter(|f| f.name_prefix = Some("ä".into())), vec!["y"]),
        (filter(|f| f.name_prefix = Some("apfelsaft ".into())), vec![]),
        (filter(|f| f.name_prefix = Some("ä".repeat(2_000))), vec![]),
        (filter(|f| f.category = Some("fruit".into())), vec!["z", "a", "y"]),
        (filter(|f| f.barcode = Some("3".into())), vec!["x"]),
        (filter(|f| f.barcode = Some("9".into())), vec![]),
        (filter(|f| f.barcode = Some("9".repeat(3_000))), vec![]),
        (filter(|f| (f.barcode, f.category) = (Some("3".into()), Some("fruit".into()))), vec![]),
        (filter(|f| f.archived = true), vec!["b"]),
        (filter(|f| f.updated_since = Some(at(900))), vec!["a"]),
    ] {
        assert_eq!(item_ids(&shop, &filter, 1).await, expected, "{filter:?}");
    }
    let saft = ItemFilter { name_prefix: Some("apfelsaft".into()), ..Default::default() };
    let page = shop.store.items(&saft, None, 5).await.unwrap();
    assert_eq!(page.entries[0].levels[0].seq, 1);
    assert_eq!(page.entries[0], shop.store.item(&item_id("x")).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_page_of_items_ends_before_it_holds_too_many_levels_and_the_next_goes_on() {
    let mut shop = Shop::with(DynamoOptions { page_levels_max: 4, ..DynamoOptions::default() }).await;
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

#[tokio::test]
async fn a_renamed_item_is_listed_once_where_its_new_name_belongs() {
    let mut shop = Shop::new().await;
    for (item, name) in [("1", "Ale"), ("2", "Bock"), ("3", "Cider")] {
        shop.run("register_item", item, &format!(r#","name":"{name}""#), at(0)).await;
    }
    shop.run("update_item", "1", r#","name":"Brown ale""#, at(1)).await;
    assert_eq!(item_ids(&shop, &ItemFilter::default(), 2).await, ["2", "1", "3"]);
}

async fn level_ids(shop: &Shop, filter: &LevelFilter, limit: usize) -> Vec<String> {
    let views = whole(limit, async |cursor| shop.store.levels(filter, cursor.as_deref(), limit).await).await;
    assert!(views.iter().all(|view| filter.state.is_none_or(|state| view.state() == state)), "{views:?}");
    views.iter().map(|view| format!("{}:{}", view.item.item_id, view.level.location_id)).collect()
}

fn by_state(state: StockState) -> LevelFilter {
    LevelFilter { state: Some(state), ..Default::default() }
}

/// Judges every level of an item by its default threshold, as the worker does after it changed.
async fn rejudge_all(shop: &mut Shop, item: &str, now: Timestamp) {
    shop.next_id += 1;
    let id = id(shop.next_id);
    let loaded = shop.store.load(&[LoadRequest::for_rejudge(item_id(item))]).await.remove(0).unwrap();
    for level in loaded.levels.values() {
        let commit = rejudge(loaded.item.as_ref().unwrap(), &level.level, id, now);
        assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    }
}

#[tokio::test]
async fn levels_are_listed_by_item_then_location_and_by_the_state_that_reads_show() {
    let mut shop = Shop::new().await;
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
    let unwell_in_north = LevelFilter { state: Some(StockState::Oversold), ..north.clone() };
    assert_eq!(level_ids(&shop, &north, 1).await, ["a:north", "b:north", "c:north"]);
    assert_eq!(level_ids(&shop, &unwell_in_north, 1).await, ["c:north"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 1).await, ["a:main"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Oversold), 1).await, ["c:north"]);
    assert!(level_ids(&shop, &by_state(StockState::Low), 1).await.is_empty());
    let nowhere = LevelFilter { location_id: Some(place("south")), ..Default::default() };
    assert!(level_ids(&shop, &nowhere, 1).await.is_empty());

    shop.run("set_threshold", "b", r#","low_stock_threshold":10"#, at(3)).await;
    rejudge_all(&mut shop, "b", at(3)).await;
    shop.run("set_threshold", "b", r#","location_id":"north","low_stock_threshold":2"#, at(3)).await;
    shop.run("set_threshold", "c", r#","location_id":"main","low_stock_threshold":6"#, at(3)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Low), 1).await, ["b:main", "c:main"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Normal), 1).await, ["a:north", "b:north"]);
    // Not yet re-judged: the index still names it, what is read does not show it.
    shop.run("set_threshold", "b", r#","low_stock_threshold":null"#, at(4)).await;
    shop.run("sell", "c", r#","location_id":"main","quantity":5"#, at(4)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Low), 1).await, Vec::<String>::new());
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 1).await, ["a:main", "c:main"]);

    shop.run("archive_item", "c", "", at(5)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 9).await, ["a:main"]);
    assert_eq!(level_ids(&shop, &LevelFilter::default(), 3).await, everything[..4]);
    let archived_too = LevelFilter { archived: true, ..by_state(StockState::Out) };
    assert_eq!(level_ids(&shop, &archived_too, 9).await, ["a:main", "c:main"]);
}

#[tokio::test]
async fn lists_go_on_over_many_reads_of_every_shard() {
    let mut shop = Shop::new().await;
    let (mut expected, mut commits) = (Vec::new(), Vec::new());
    for n in 0..240 {
        let item = format!("i{n:03}");
        let slot = shop.slot("register_item", &item, &format!(r#","name":"Item {item}""#), at(0));
        let (none, rules, limits) = (BTreeMap::new(), Rules::default(), FoldLimits::default());
        commits.push(fold(&Loaded::default(), &item_id(&item), &[slot], &none, at(0), &rules, &limits).commit);
        expected.push(item);
    }
    assert!(shop.store.commit(commits).await.into_iter().all(|done| done.unwrap() == CommitOutcome::Committed));
    for limit in [7, 1_000] {
        assert_eq!(item_ids(&shop, &ItemFilter::default(), limit).await, expected);
    }
    // Nothing matches: one page looks at all of them.
    let page = shop.store.items(&ItemFilter { archived: true, ..Default::default() }, None, 1).await.unwrap();
    assert_eq!((page.entries.len(), page.next_cursor), (0, None));
}

#[tokio::test]
async fn a_page_that_looked_at_enough_ends_early_and_goes_on_behind_it() {
    let mut shop = Shop::new().await;
    shop.open_location("north").await;
    for n in 0..60 {
        shop.register(&format!("i{n:02}"), "").await;
    }
    for (item, location) in [("i00", "main"), ("i30", "north"), ("i59", "main"), ("i59", "north")] {
        shop.receive(item, location, 1, at(1)).await;
    }
    let (filter, mut after) = (LevelFilter::default(), None);
    let (mut pages, mut found) = (Vec::new(), Vec::new());
    // More than three would mean that a page does not go on.
    for _ in 0..4 {
        let scope = Scope { look_at: 1, ..Scope::new(BY_ID, Range::default(), Order::Ascending, after.as_ref(), 9) };
        let mut spots = Walk::merged(&shop.store, &scope, key::item_shards());
        let listing = levels::OfItems { store: &shop.store, filter: &filter };
        let page = lists::page(&listing, &mut spots, &scope, after.as_ref()).await.unwrap();
        pages.push(page.entries.len());
        found.extend(page.entries.iter().map(|v| format!("{}:{}", v.item.item_id, v.level.location_id)));
        after = Place::of_cursor("levels", page.next_cursor.as_deref());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["i00:main", "i30:north", "i59:main", "i59:north"]);
    // Each page looks at 25 items, the first of them the last one of the page before.
    assert_eq!(pages, [1, 1, 2]);
}

#[tokio::test]
async fn refused_commands_are_listed_newest_first_until_they_are_settled_otherwise() {
    let mut shop = Shop::new().await;
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let mut refused = Vec::new();
    for n in 0..9 {
        let location = if n % 3 == 0 { "north" } else { "main" };
        let fields = format!(r#","location_id":"{location}","quantity":5,"on_shortage":"reject""#);
        refused.push(shop.run("sell", "cola", &fields, at(10 + n / 2)).await);
    }
    shop.run("sell", "nothing", r#","location_id":"main","quantity":5"#, at(90)).await;
    // Of one moment: by id.
    refused.reverse();
    let filter = CommandFilter {
        status: Status::Rejected,
        code: Some(RejectionCode::InsufficientStock),
        location_id: None,
        since: None,
        settled_otherwise: false,
    };
    let list = async |filter: &CommandFilter, limit: usize| {
        whole(limit, async |cursor| shop.store.commands(filter, cursor.as_deref(), limit).await).await
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
    assert!(list(&CommandFilter { status: Status::Applied, ..filter.clone() }, 2).await.is_empty());

    let old = Resubmits { item_id: item_id("cola"), command_id: refused[0].outcome.command_id };
    let mut commit = Commit::new(item_id("cola"));
    commit.resubmitted = vec![(old, id(1_000))];
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    assert_eq!(list(&filter, 4).await, refused[1..]);
    assert_eq!(list(&CommandFilter { settled_otherwise: true, ..filter }, 4).await.len(), 9);
}

fn alert(n: u64, location: &str, raised_at: Timestamp) -> Alert {
    Alert {
        item_id: item_id("cola"),
        location_id: place(location),
        alert_no: n,
        kind: AlertKind::Low,
        on_hand: "1".parse().unwrap(),
        low_stock_threshold: Some("2".parse().unwrap()),
        seq: n,
        raised_at,
        command_id: id(n.into()),
        item_name: "Cola".into(),
        unit: "piece".into(),
    }
}

#[tokio::test]
async fn alerts_are_listed_newest_first_over_months_and_by_location() {
    const DAY_MS: i64 = 86_400_000;
    let shop = Shop::new().await;
    // Two a day, every fifth day over four months, one month of them left out.
    let days = (0..120_i64).step_by(5).filter(|day| !(30..60).contains(day));
    let alerts: Vec<_> = days
        .flat_map(|day| [(day, 0, "main"), (day, 7, "north")])
        .zip(1..)
        .map(|((day, millis, location), n)| alert(n, location, at(day * DAY_MS + millis)))
        .collect();
    let claimed = shop.store.claim(&alerts, at(0), at(5)).await;
    assert!(claimed.into_iter().all(|claim| claim.unwrap() == Claimed::Ours));
    shop.store.mark_sent(&alerts[..1], at(9)).await.unwrap();
    let list = async |location: Option<&str>, limit: usize| {
        let location = location.map(place);
        let records =
            whole(limit, async |cursor| shop.store.alerts(location.as_ref(), cursor.as_deref(), limit).await).await;
        assert_eq!(records.last().unwrap().sent_at.is_some(), location.is_none_or(|id| id == place("main")));
        records.into_iter().map(|record| record.alert).collect::<Vec<_>>()
    };
    let newest_first = |location: Option<&str>| {
        let there = alerts.iter().rev().filter(|alert| location.is_none_or(|id| alert.location_id == place(id)));
        there.cloned().collect::<Vec<_>>()
    };
    for limit in [1, 7, 1_000] {
        assert_eq!(list(None, limit).await, newest_first(None));
    }
    assert_eq!(list(Some("north"), 7).await, newest_first(Some("north")));
    assert_eq!(list(Some("main"), 1_000).await, newest_first(Some("main")));
}

#[tokio::test]
async fn a_cursor_of_another_list_or_made_up_is_answered_with_the_first_page() {
    let mut shop = Shop::new().await;
    for item in ["a", "b", "c"] {
        shop.register(item, "").await;
        shop.receive(item, "main", 1, at(1)).await;
    }
    let of_items = shop.store.items(&ItemFilter::default(), None, 2).await.unwrap().next_cursor.unwrap();
    let first = shop.store.levels(&LevelFilter::default(), None, 2).await.unwrap();
    for cursor in [of_items.as_str(), "¿", "", "WyJsZXZlbHMiLHsic29ydCI6IiIsInBhcnRpdGlvbiI6IiJ9XQ"] {
        assert_eq!(shop.store.levels(&LevelFilter::default(), Some(cursor), 2).await.unwrap(), first, "{cursor}");
    }
    shop.store.ping().await.unwrap();
}
