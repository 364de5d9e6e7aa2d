//! The lists of items, levels, refused commands and locations: their order, filters and cursors.

use std::sync::Arc;

use stockline_core::domain::{
    CommandKey, CommandKind, Commit, LoadRequest, LocationSettings, RejectionCode, Status, StockState,
    barcode_spellings, canonical_barcode, rejudge,
};
use stockline_core::ports::{
    ChangeFilter, CommandFilter, CommitOutcome, ItemFilter, ItemWithLevels, LevelFilter, LocationPut, MovementFilter,
    Page, PageRequest, StoreError,
};

use super::{Bounds, Shop, all_pages, at, item_id, place};

async fn item_ids(shop: &Shop, filter: &ItemFilter, limit: usize) -> Vec<String> {
    let read =
        async |cursor: Option<&str>| shop.ports().queries.items(filter, PageRequest::new(cursor, limit)).await.unwrap();
    all_pages(limit, read).await.into_iter().map(|view| view.item.item_id.to_string()).collect()
}

pub async fn items_are_listed_by_name_whatever_its_case_and_by_every_filter(shop: Shop) {
    for (item, name, more) in [
        ("z", "apfel", r#","category":"fruit","barcodes":["1"]"#),
        ("y", "Äpfel", r#","category":"fruit","supplier":"Ltd""#),
        ("x", "Apfelsaft", r#","category":"drinks","supplier":"Ltd","barcodes":["2","3"]"#),
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
        (filter(|f| f.name_prefix = Some("c".into())), vec![]),
        (filter(|f| f.name_prefix = Some("apfelsaft ".into())), vec![]),
        (filter(|f| f.name_prefix = Some("ä".repeat(2_000))), vec![]),
        (filter(|f| f.name_part = Some("FELS".into())), vec!["x"]),
        (filter(|f| f.name_part = Some("PFEL".into())), vec!["z", "x", "y"]),
        (filter(|f| (f.name_part, f.name_prefix) = (Some("l".into()), Some("äp".into()))), vec!["y"]),
        (filter(|f| (f.name_part, f.barcode) = (Some("birne".into()), Some("3".into()))), vec![]),
        (filter(|f| f.category = Some("fruit".into())), vec!["z", "a", "y"]),
        (filter(|f| f.supplier = Some("Ltd".into())), vec!["x", "y"]),
        (filter(|f| f.supplier = Some("ltd".into())), vec![]),
        (filter(|f| (f.supplier, f.category) = (Some("Ltd".into()), Some("fruit".into()))), vec!["y"]),
        (filter(|f| (f.supplier, f.barcode) = (Some("Ltd".into()), Some("1".into()))), vec![]),
        (filter(|f| f.barcode = Some("3".into())), vec!["x"]),
        (filter(|f| f.barcode = Some("9".into())), vec![]),
        (filter(|f| f.barcode = Some("9".repeat(3_000))), vec![]),
        (filter(|f| (f.barcode, f.category) = (Some("3".into()), Some("fruit".into()))), vec![]),
        (filter(|f| f.archived = true), vec!["b"]),
        (filter(|f| f.updated_since = Some(at(900))), vec!["a"]),
    ] {
        assert_eq!(item_ids(&shop, &filter, 1).await, expected, "{filter:?}");
    }
    // A new name moves the item in the list.
    shop.run("update_item", "z", r#","name":"Zitrone""#, at(950)).await;
    assert_eq!(item_ids(&shop, &ItemFilter::default(), 2).await, ["x", "a", "z", "y"]);
    let listed =
        shop.ports().queries.items(&ItemFilter::default(), PageRequest::first(1)).await.unwrap().entries.remove(0);
    assert_eq!(listed.levels[0].seq, 1);
    assert_eq!(Some(listed), shop.ports().queries.item(&item_id("x")).await.unwrap());
}

pub async fn a_page_of_items_ends_before_it_holds_too_many_levels_and_the_next_goes_on(shop: Shop) {
    let shop = shop.reopened(Bounds { page_levels_max: 4, ..Bounds::default() }).await;
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
        let page =
            shop.ports().queries.items(&ItemFilter::default(), PageRequest::new(cursor.as_deref(), 100)).await.unwrap();
        let audit = shop.ports().audit.audit_items(PageRequest::new(audit_cursor.as_deref(), 100)).await.unwrap();
        let text = |page: &Page<ItemWithLevels>| {
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

pub async fn a_barcode_that_moved_is_found_where_it_is(shop: Shop) {
    shop.register("cola", r#","barcodes":["1","2"]"#).await;
    shop.register("fanta", "").await;
    shop.run("update_item", "cola", r#","barcodes":["2"]"#, at(1)).await;
    shop.run("update_item", "fanta", r#","barcodes":["1"]"#, at(2)).await;
    for (barcode, item) in [("1", "fanta"), ("2", "cola")] {
        let filter = ItemFilter { barcode: Some(barcode.into()), ..ItemFilter::default() };
        assert_eq!(item_ids(&shop, &filter, 10).await, [item]);
    }
}

pub async fn a_barcode_is_found_in_every_spelling_and_keeps_its_quantity(shop: Shop) {
    let pack = r#","barcodes":["0036000291452",{"code":"10036000291459","quantity":"12"},"A 1#b"]"#;
    shop.register("cola", pack).await;
    shop.register("fanta", r#","barcodes":["96385074"]"#).await;
    let queries = &shop.ports().queries;
    for (code, item) in [
        ("036000291452", "cola"),
        ("0036000291452", "cola"),
        ("00036000291452", "cola"),
        ("10036000291459", "cola"),
        ("A 1#b", "cola"),
        ("96385074", "fanta"),
        ("0000096385074", "fanta"),
    ] {
        let filter = ItemFilter { barcode: Some(code.into()), ..ItemFilter::default() };
        assert_eq!(item_ids(&shop, &filter, 10).await, [item], "{code}");
        let (held, holder) = queries.holder(&barcode_spellings(code)).await.unwrap().unwrap();
        assert_eq!((held.as_str(), holder.as_str()), (canonical_barcode(code).as_ref(), item));
    }
    let codes = ["none".to_owned(), "9".repeat(3_000), "96385074".to_owned(), "A 1#b".to_owned()];
    assert_eq!(queries.holder(&codes).await.unwrap().unwrap().1.as_str(), "fanta", "the first that is held");
    assert_eq!(queries.holder(&codes[..2]).await.unwrap(), None);
    let cola = queries.item(&"cola".parse().unwrap()).await.unwrap().unwrap();
    let held = cola.item.catalogue.barcodes.iter().map(|barcode| format!("{}={}", barcode.code, barcode.quantity));
    assert_eq!(held.collect::<Vec<_>>(), ["036000291452=1", "10036000291459=12", "A 1#b=1"]);
    let taken = shop.run("update_item", "fanta", r#","barcodes":["00036000291452"]"#, at(3)).await;
    assert_eq!(taken.outcome.rejection.unwrap().held_by, Some("cola".parse().unwrap()));
}

async fn level_ids(shop: &Shop, filter: &LevelFilter, limit: usize) -> Vec<String> {
    let read = async |cursor: Option<&str>| {
        shop.ports().queries.levels(filter, PageRequest::new(cursor, limit)).await.unwrap()
    };
    let views = all_pages(limit, read).await;
    let shown = |view: &stockline_core::ports::LevelWithItem| {
        assert!(filter.wants(view.state()), "{view:?}");
        format!("{}:{}", view.item.item_id, view.level.location_id)
    };
    views.iter().map(shown).collect()
}

fn by_state(state: StockState) -> LevelFilter {
    LevelFilter { states: vec![state], ..LevelFilter::default() }
}

/// Judges every level of an item by its default threshold, as the worker does after the threshold changes.
async fn rejudge_all(shop: &Shop, item: &str) {
    let command_id = shop.fresh_id();
    let loaded = shop.ports().store.load(&[LoadRequest::of(item_id(item))]).await.remove(0).unwrap();
    for level in loaded.levels.values() {
        let commit = rejudge(loaded.item.as_ref().unwrap(), &level.level, command_id, at(3));
        assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    }
}

pub async fn levels_are_listed_by_item_then_location_and_by_the_state_that_reads_show(shop: Shop) {
    shop.open_location("north").await;
    // The items are registered in another order than they are listed in.
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
    let north = LevelFilter { location_id: Some(place("north")), ..LevelFilter::default() };
    assert_eq!(level_ids(&shop, &north, 1).await, ["a:north", "b:north", "c:north"]);
    let oversold = LevelFilter { states: vec![StockState::Oversold], ..north };
    assert_eq!(level_ids(&shop, &oversold, 1).await, ["c:north"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 1).await, ["a:main"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Oversold), 1).await, ["c:north"]);
    assert!(level_ids(&shop, &by_state(StockState::Low), 1).await.is_empty());
    let out_or_oversold = LevelFilter { states: vec![StockState::Out, StockState::Oversold], ..LevelFilter::default() };
    for limit in [1, 2, 9] {
        assert_eq!(level_ids(&shop, &out_or_oversold, limit).await, ["a:main", "c:north"]);
    }
    let out_or_normal = LevelFilter { states: vec![StockState::Out, StockState::Normal], ..LevelFilter::default() };
    assert_eq!(level_ids(&shop, &out_or_normal, 2).await, everything[..5]);

    let nowhere = LevelFilter { location_id: Some(place("south")), ..LevelFilter::default() };
    assert!(level_ids(&shop, &nowhere, 1).await.is_empty());

    // The item `b` has a default threshold. Two levels have their own.
    shop.run("set_threshold", "b", r#","low_stock_threshold":10"#, at(3)).await;
    rejudge_all(&shop, "b").await;
    shop.run("set_threshold", "b", r#","location_id":"north","low_stock_threshold":2"#, at(3)).await;
    shop.run("set_threshold", "c", r#","location_id":"main","low_stock_threshold":6"#, at(3)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Low), 1).await, ["b:main", "c:main"]);
    assert_eq!(level_ids(&shop, &by_state(StockState::Normal), 1).await, ["a:north", "b:north"]);
    // The level is not re-judged yet. An index may still hold it, but the list must not show it.
    shop.run("set_threshold", "b", r#","low_stock_threshold":null"#, at(4)).await;
    shop.run("sell", "c", r#","quantity":5"#, at(4)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Low), 1).await, Vec::<String>::new());
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 1).await, ["a:main", "c:main"]);

    shop.run("archive_item", "c", "", at(5)).await;
    assert_eq!(level_ids(&shop, &by_state(StockState::Out), 9).await, ["a:main"]);
    assert_eq!(level_ids(&shop, &LevelFilter::default(), 9).await, everything[..4]);
    let archived_too = LevelFilter { archived: true, ..by_state(StockState::Out) };
    assert_eq!(level_ids(&shop, &archived_too, 9).await, ["a:main", "c:main"]);
}

/// A location carries an item once it has a level of it. The first movement makes one, or a threshold of its own.
pub async fn an_item_that_a_location_carries_is_out_there_until_its_first_stock(shop: Shop) {
    shop.open_location("north").await;
    for (item, fields) in [("carried", ""), ("nowhere", r#","low_stock_threshold":5"#), ("counted", "")] {
        shop.register(item, fields).await;
    }
    shop.run("set_threshold", "carried", r#","location_id":"north","low_stock_threshold":5"#, at(1)).await;
    shop.run("count", "counted", r#","location_id":"north","counted":0"#, at(1)).await;
    let here = LevelFilter { location_id: Some(place("north")), ..by_state(StockState::Out) };
    for filter in [&by_state(StockState::Out), &here, &LevelFilter::default()] {
        assert_eq!(level_ids(&shop, filter, 1).await, ["carried:north", "counted:north"]);
    }
    shop.receive("carried", "north", 3, at(2)).await;
    let low_or_out = LevelFilter { states: vec![StockState::Low, StockState::Out], ..here.clone() };
    assert_eq!(level_ids(&shop, &low_or_out, 1).await, ["carried:north", "counted:north"]);
    assert_eq!(level_ids(&shop, &here, 1).await, ["counted:north"]);
    shop.receive("carried", "north", 3, at(3)).await;
    assert_eq!(level_ids(&shop, &low_or_out, 1).await, ["counted:north"]);
}

pub async fn refused_commands_are_listed_newest_first_until_they_are_settled_otherwise(shop: Shop) {
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let mut refused = Vec::new();
    for n in 0..9 {
        let location = if n % 3 == 0 { "north" } else { "main" };
        let fields = format!(r#","location_id":"{location}","quantity":5,"on_shortage":"reject""#);
        refused.push(shop.run("sell", "cola", &fields, at(10 + n / 2)).await);
    }
    shop.run("sell", "nothing", r#","quantity":5"#, at(90)).await;
    // Commands of the same time are ordered by id.
    refused.reverse();
    let filter = CommandFilter {
        status: Status::Rejected,
        code: Some(RejectionCode::InsufficientStock),
        location_id: None,
        since: None,
        settled_otherwise: false,
    };
    let list = async |filter: &CommandFilter, limit| {
        let read = async |cursor: Option<&str>| {
            shop.ports().queries.commands(filter, PageRequest::new(cursor, limit)).await.unwrap()
        };
        all_pages(limit, read).await
    };
    for limit in [1, 4, 9, 100] {
        assert_eq!(list(&filter, limit).await, refused);
    }
    assert_eq!(list(&CommandFilter { code: None, ..filter.clone() }, 3).await.len(), 10);
    let since = CommandFilter { since: Some(at(13)), ..filter.clone() };
    assert_eq!(list(&since, 2).await, refused[..3]);
    let north = CommandFilter { location_id: Some(place("north")), ..filter.clone() };
    assert_eq!(list(&north, 2).await.len(), 3);
    for status in [Status::DeadLettered, Status::Applied] {
        assert!(list(&CommandFilter { status, ..filter.clone() }, 2).await.is_empty());
    }

    let old = CommandKey { item_id: item_id("cola"), command_id: refused[0].outcome.command_id };
    let mut commit = Commit::new(item_id("cola"));
    commit.resubmitted = vec![(old, shop.fresh_id())];
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    assert_eq!(list(&filter, 4).await, refused[1..]);
    assert_eq!(list(&CommandFilter { settled_otherwise: true, ..filter }, 4).await.len(), 9);
}

pub async fn changes_of_the_catalogue_are_listed_newest_first_by_every_filter(shop: Shop) {
    shop.open_location("north").await;
    let mut of_cola = vec![shop.register("cola", "").await];
    let tea = shop.register("tea", "").await;
    shop.receive("cola", "main", 9, at(2)).await;
    for (n, (kind, fields)) in (3..).zip([
        ("update_item", r#","name":"Cola""#),
        ("set_threshold", r#","low_stock_threshold":"2""#),
        ("set_threshold", r#","location_id":"north","low_stock_threshold":"3""#),
        ("set_planning", r#","location_id":"north","lead_time_days":3"#),
        ("archive_item", ""),
        ("restore_item", ""),
    ]) {
        of_cola.push(shop.run(kind, "cola", fields, at(n)).await);
    }
    // A change that was refused, and one whose effect was nothing new.
    shop.run("register_item", "cola", r#","name":"again""#, at(20)).await;
    of_cola.push(shop.run("update_item", "cola", r#","name":"Cola""#, at(21)).await);
    of_cola.reverse();
    let list = async |filter: &ChangeFilter, limit| {
        let read = async |cursor: Option<&str>| {
            shop.ports().queries.changes(filter, PageRequest::new(cursor, limit)).await.unwrap()
        };
        all_pages(limit, read).await
    };
    let all: Vec<_> = list(&ChangeFilter::default(), 3).await;
    assert_eq!(all.len(), of_cola.len() + 1);
    assert!(all.is_sorted_by(|a, b| a.outcome.settled_at >= b.outcome.settled_at));
    let of_item = ChangeFilter { item_id: Some(item_id("cola")), ..ChangeFilter::default() };
    for limit in [1, 3, 100] {
        assert_eq!(list(&of_item, limit).await, of_cola, "{limit}");
    }
    let of_tea = ChangeFilter { item_id: Some(item_id("tea")), ..ChangeFilter::default() };
    assert_eq!(list(&of_tea, 2).await, [tea]);
    let of_nothing = ChangeFilter { item_id: Some(item_id("nothing")), ..ChangeFilter::default() };
    assert!(list(&of_nothing, 2).await.is_empty());
    for filter in [ChangeFilter::default(), of_item] {
        let thresholds = ChangeFilter { kind: Some(CommandKind::SetThreshold), ..filter.clone() };
        assert_eq!(list(&thresholds, 1).await, of_cola[4..6]);
        let north = ChangeFilter { location_id: Some(place("north")), ..filter.clone() };
        assert_eq!(list(&north, 2).await, of_cola[3..5]);
        assert_eq!(list(&ChangeFilter { since: Some(at(6)), ..filter }, 2).await, of_cola[..4]);
    }
}

pub async fn main_is_a_location_before_and_after_it_is_put(shop: Shop) {
    let queries = &shop.ports().queries;
    assert_eq!(queries.locations().await.unwrap(), [LocationSettings::main()]);
    assert_eq!(queries.location(&place("main")).await.unwrap(), Some(LocationSettings::main()));
    assert_eq!(queries.location(&place("north")).await.unwrap(), None);
    for location in ["north", "a", "Z"] {
        shop.open_location(location).await;
    }
    let names = async || {
        let all = queries.locations().await.unwrap();
        all.iter().map(|settings| settings.location_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["Z", "a", "main", "north"]);
    let closed = LocationSettings { closed: true, updated_at: at(7), ..LocationSettings::main() };
    queries.put_location(&closed).await.unwrap();
    assert_eq!(queries.location(&place("main")).await.unwrap(), Some(closed));
    assert_eq!(names().await, ["Z", "a", "main", "north"]);
    queries.ping().await.unwrap();
}

/// Ids that people would take for one another: only one of them is registered, however many managers put them at once.
pub async fn of_locations_that_differ_by_case_one_is_registered(shop: Shop) {
    let shop = Arc::new(shop);
    let put = |id: &str| {
        let (shop, settings) = (shop.clone(), LocationSettings { location_id: place(id), ..LocationSettings::main() });
        tokio::spawn(async move { shop.ports().queries.put_location(&settings).await.unwrap() })
    };
    assert_eq!(put("Main").await.unwrap(), LocationPut::Taken(place("main")), "main is always registered");
    let twins = ["north", "North", "NORTH", "nOrTh"];
    for _ in 0..4 {
        let puts: Vec<_> = twins.into_iter().cycle().take(12).map(|id| (id, put(id))).collect();
        let mut answers = Vec::new();
        for (id, put) in puts {
            answers.push((id, put.await.unwrap()));
        }
        let registered = shop.ports().queries.locations().await.unwrap();
        let found: Vec<_> = registered.iter().map(|settings| settings.location_id.as_str()).collect();
        let winner = *found.iter().find(|id| **id != "main").unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        for (id, answer) in answers {
            let expected = if id == winner { LocationPut::Done } else { LocationPut::Taken(place(winner)) };
            assert_eq!(answer, expected, "{id}: its own settings may be put again");
        }
    }
    assert_eq!(put("south").await.unwrap(), LocationPut::Done);
}

pub async fn settings_that_were_put_hold_for_the_next_load(shop: Shop) {
    shop.register("cola", "").await;
    let unknown = shop.receive("cola", "north", 1, at(1)).await;
    assert_eq!(unknown.outcome.rejection.unwrap().code, RejectionCode::UnknownLocation);
    shop.open_location("north").await;
    assert_eq!(shop.receive("cola", "north", 1, at(2)).await.outcome.status, Status::Applied);
    let closed = LocationSettings { location_id: place("north"), closed: true, ..LocationSettings::main() };
    shop.ports().queries.put_location(&closed).await.unwrap();
    let refused = shop.receive("cola", "north", 1, at(3)).await;
    assert_eq!(refused.outcome.rejection.unwrap().code, RejectionCode::LocationClosed);
}

pub async fn a_list_of_many_rows_that_do_not_match_is_read_to_its_end_in_pages_of_few_rows(shop: Shop) {
    let shop = shop.reopened(Bounds { page_rows_max: 2, ..Bounds::default() }).await;
    shop.open_location("north").await;
    for n in 0..40 {
        let item = format!("i{n:02}");
        let more = if n % 13 == 12 { r#","category":"rare""# } else { "" };
        shop.run("register_item", &item, &format!(r#","name":"{item}"{more}"#), at(n)).await;
        shop.receive(&item, "main", 9, at(100)).await;
        shop.receive(&item, if n == 39 { "north" } else { "main" }, 9, at(101)).await;
        shop.run("sell", &item, r#","quantity":99,"on_shortage":"reject""#, at(110 + n)).await;
    }
    shop.run("count", "i39", r#","counted":9"#, at(200)).await;
    let rare = ItemFilter { category: Some("rare".into()), ..ItemFilter::default() };
    let new = ItemFilter { updated_since: Some(at(38)), ..ItemFilter::default() };
    let north = LevelFilter { location_id: Some(place("north")), ..LevelFilter::default() };
    let normal = LevelFilter { location_id: Some(place("north")), ..by_state(StockState::Normal) };
    for limit in [1, 7, 1_000] {
        assert_eq!(item_ids(&shop, &rare, limit).await, ["i12", "i25", "i38"]);
        assert_eq!(item_ids(&shop, &new, limit).await, ["i38", "i39"]);
        assert_eq!(item_ids(&shop, &ItemFilter::default(), limit).await.len(), 40);
        assert_eq!(level_ids(&shop, &north, limit).await, ["i39:north"]);
        assert_eq!(level_ids(&shop, &normal, limit).await, ["i39:north"]);
        assert_eq!(level_ids(&shop, &by_state(StockState::Normal), limit).await.len(), 41);
        assert!(level_ids(&shop, &by_state(StockState::Low), limit).await.is_empty());
        let old = CommandFilter {
            status: Status::Rejected,
            code: Some(RejectionCode::InsufficientStock),
            location_id: None,
            since: Some(at(147)),
            settled_otherwise: false,
        };
        let other = CommandFilter { code: Some(RejectionCode::UnknownItem), since: None, ..old.clone() };
        for (filter, expected) in [(old, 3), (other, 0)] {
            let read = async |cursor: Option<&str>| {
                shop.ports().queries.commands(&filter, PageRequest::new(cursor, limit)).await.unwrap()
            };
            assert_eq!(all_pages(limit, read).await.len(), expected);
        }
        let filter = MovementFilter { kind: Some(CommandKind::Receive), ..MovementFilter::default() };
        let item = item_id("i39");
        let read = async |cursor: Option<&str>| {
            shop.ports().queries.movements(&item, &filter, PageRequest::new(cursor, limit)).await.unwrap()
        };
        assert_eq!(all_pages(limit, read).await.len(), 2);
    }
}

pub async fn a_damaged_or_foreign_cursor_is_refused(shop: Shop) {
    for item in ["a", "b", "c"] {
        shop.register(item, "").await;
        shop.receive(item, "main", 1, at(1)).await;
        shop.receive(item, "main", 1, at(2)).await;
    }
    let queries = &shop.ports().queries;
    let of_items = queries.items(&ItemFilter::default(), PageRequest::first(1)).await.unwrap().next_cursor.unwrap();
    let is_refused = |answer: Result<usize, StoreError>| matches!(answer, Err(StoreError::Cursor));
    for cursor in ["", "¿", "AAAA", "e30", &of_items[1..], of_items.as_str()] {
        let levels = queries.levels(&LevelFilter::default(), PageRequest::new(Some(cursor), 2)).await;
        assert!(is_refused(levels.map(|page| page.entries.len())), "{cursor}");
        let movements =
            queries.movements(&item_id("a"), &MovementFilter::default(), PageRequest::new(Some(cursor), 1)).await;
        assert!(is_refused(movements.map(|page| page.entries.len())), "{cursor}");
        let changes = queries.changes(&ChangeFilter::default(), PageRequest::new(Some(cursor), 1)).await;
        assert!(is_refused(changes.map(|page| page.entries.len())), "{cursor}");
        if let Some(all) =
            queries.all_movements(&MovementFilter::default(), PageRequest::new(Some(cursor), 1)).await.transpose()
        {
            assert!(is_refused(all.map(|page| page.entries.len())), "{cursor}");
        }
        assert!(
            is_refused(queries.alerts(None, PageRequest::new(Some(cursor), 1)).await.map(|page| page.entries.len())),
            "{cursor}"
        );
        let items = queries.items(&ItemFilter::default(), PageRequest::new(Some(cursor), 1)).await;
        if cursor == of_items {
            assert_eq!(items.unwrap().entries[0].item.item_id, item_id("b"));
        } else {
            assert!(is_refused(items.map(|page| page.entries.len())), "{cursor}");
        }
    }
    // A limit that is out of range is clamped.
    assert_eq!(queries.items(&ItemFilter::default(), PageRequest::first(0)).await.unwrap().entries.len(), 1);
    assert_eq!(queries.items(&ItemFilter::default(), PageRequest::first(usize::MAX)).await.unwrap().entries.len(), 3);
}
