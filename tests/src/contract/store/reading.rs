//! Reads of the ledger: movements, stock at a point in time, history for late counts, and the audit.

use stockline_core::domain::{Claim, CommandKey, CommandKind, Entry, LoadRequest, LocationId, Quantity, Timestamp};
use stockline_core::ports::{
    ItemFilter, LedgerFrom, LevelFilter, Movement, MovementFilter, PageRequest, Part, Snapshot,
};

use super::{Bounds, Shop, all_pages, at, id, item_id, place};

/// Fills two levels of `cola` with some hundred entries, a few in the same millisecond, in chunks and tails. Returns
/// the movements, newest first.
pub async fn busy(shop: &Shop) -> Vec<Movement> {
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let mut expected = Vec::new();
    for n in 0..120_i64 {
        let now = at(10 + n / 4);
        let record = match n % 5 {
            4 => {
                let legs = r#","from_location_id":"main","to_location_id":"north","quantity":1"#;
                shop.run("transfer", "cola", legs, now).await
            }
            n => shop.receive("cola", if n % 2 == 0 { "main" } else { "north" }, n + 1, now).await,
        };
        let outcome = &record.outcome;
        expected.extend(outcome.effects.iter().filter_map(|effect| Movement::of_effect(outcome, effect)));
    }
    expected.sort_by_cached_key(newest_first);
    expected
}

fn newest_first(movement: &Movement) -> (std::cmp::Reverse<(Timestamp, u64)>, LocationId) {
    (std::cmp::Reverse((movement.entry.recorded_at, movement.entry.seq)), movement.location_id.clone())
}

/// Reads all movements of `cola` that the filter selects, in pages of `limit`.
pub async fn movements(shop: &Shop, filter: &MovementFilter, limit: usize) -> Vec<Movement> {
    let queries = &shop.ports().queries;
    let read = async |cursor: Option<&str>| {
        queries.movements(&item_id("cola"), filter, PageRequest::new(cursor, limit)).await.unwrap()
    };
    all_pages(limit, read).await
}

pub async fn movements_page_newest_first_across_chunks_tails_and_locations(shop: Shop) {
    let expected = busy(&shop).await;
    for limit in [1, 7, 1_000] {
        assert_eq!(movements(&shop, &MovementFilter::default(), limit).await, expected, "{limit}");
    }
    let only = |keep: &dyn Fn(&Movement) -> bool| expected.iter().filter(|m| keep(m)).cloned().collect::<Vec<_>>();
    let north = MovementFilter { location_id: Some(place("north")), ..MovementFilter::default() };
    assert_eq!(movements(&shop, &north, 5).await, only(&|m| m.location_id == place("north")));
    let legs = MovementFilter { kind: Some(CommandKind::Transfer), ..MovementFilter::default() };
    assert_eq!(movements(&shop, &legs, 3).await, only(&|m| m.entry.counterpart.is_some()));
    for (from, to) in [(15, 30), (0, 11), (12, 13), (39, 90), (50, 60)] {
        let between = MovementFilter { from: Some(at(from)), to: Some(at(to)), ..MovementFilter::default() };
        let inside = |m: &Movement| m.entry.recorded_at >= at(from) && m.entry.recorded_at < at(to);
        assert_eq!(movements(&shop, &between, 3).await, only(&inside), "{from} {to}");
    }
    let before_all = MovementFilter { to: Some(Timestamp::EPOCH), ..MovementFilter::default() };
    assert!(movements(&shop, &before_all, 3).await.is_empty());
    let nowhere = MovementFilter { location_id: Some(place("south")), ..MovementFilter::default() };
    assert!(movements(&shop, &nowhere, 3).await.is_empty());
    let queries = &shop.ports().queries;
    let unknown =
        queries.movements(&item_id("fanta"), &MovementFilter::default(), PageRequest::first(3)).await.unwrap();
    assert_eq!((unknown.entries.len(), unknown.next_cursor), (0, None));
    shop.audit().await;
}

pub async fn movements_of_all_items_page_newest_first_by_every_filter_or_are_not_kept(shop: Shop) {
    let mut expected = busy(&shop).await;
    shop.register("tea", "").await;
    for n in 0..9_i64 {
        let fields = format!(r#","location_id":"north","quantity":1,"operator":"{}""#, n % 2);
        let record = shop.run("return", "tea", &fields, at(8 + n * 3)).await;
        let outcome = &record.outcome;
        expected.extend(outcome.effects.iter().filter_map(|effect| Movement::of_effect(outcome, effect)));
    }
    let in_order = |movements: &[Movement]| {
        let mut keys: Vec<_> = movements.iter().map(|m| (newest_first(m), m.item_id.clone())).collect();
        keys.sort_unstable();
        keys
    };
    let queries = &shop.ports().queries;
    let default = MovementFilter::default();
    let tea_of_1 = MovementFilter { operator: Some("1".into()), ..MovementFilter::default() };
    let of_item = queries.movements(&item_id("tea"), &tea_of_1, PageRequest::first(100)).await.unwrap().entries;
    assert_eq!(of_item.len(), 4);
    if queries.all_movements(&default, PageRequest::first(3)).await.unwrap().is_none() {
        assert!(queries.all_movements(&tea_of_1, PageRequest::first(3)).await.unwrap().is_none());
        return;
    }
    let list = async |filter: &MovementFilter, limit| {
        let read = async |cursor: Option<&str>| {
            queries.all_movements(filter, PageRequest::new(cursor, limit)).await.unwrap().unwrap()
        };
        let found = all_pages(limit, read).await;
        assert!(found.is_sorted_by(|a, b| a.entry.recorded_at >= b.entry.recorded_at));
        found
    };
    for limit in [1, 7, 1_000] {
        assert_eq!(in_order(&list(&default, limit).await), in_order(&expected), "{limit}");
    }
    let only =
        |keep: &dyn Fn(&Movement) -> bool| in_order(&expected.iter().filter(|m| keep(m)).cloned().collect::<Vec<_>>());
    assert_eq!(list(&tea_of_1, 3).await, of_item);
    let north = MovementFilter { location_id: Some(place("north")), ..MovementFilter::default() };
    assert_eq!(in_order(&list(&north, 5).await), only(&|m| m.location_id == place("north")));
    let legs = MovementFilter { kind: Some(CommandKind::Transfer), ..MovementFilter::default() };
    assert_eq!(in_order(&list(&legs, 3).await), only(&|m| m.entry.counterpart.is_some()));
    for (from, to) in [(15, 30), (0, 11), (12, 13), (39, 90), (50, 60)] {
        let between = MovementFilter { from: Some(at(from)), to: Some(at(to)), ..MovementFilter::default() };
        let inside = |m: &Movement| m.entry.recorded_at >= at(from) && m.entry.recorded_at < at(to);
        assert_eq!(in_order(&list(&between, 3).await), only(&inside), "{from} {to}");
    }
    let before_all = MovementFilter { to: Some(Timestamp::EPOCH), ..MovementFilter::default() };
    assert!(list(&before_all, 3).await.is_empty());
    let nowhere = MovementFilter { location_id: Some(place("south")), ..MovementFilter::default() };
    assert!(list(&nowhere, 3).await.is_empty());
    shop.audit().await;
}

pub async fn a_page_goes_on_rightly_while_the_tail_moves_into_chunks(shop: Shop) {
    let expected = busy(&shop).await;
    let filter = MovementFilter::default();
    let queries = &shop.ports().queries;
    let first = queries.movements(&item_id("cola"), &filter, PageRequest::first(3)).await.unwrap();
    let (mut seen, mut cursor) = (first.entries, first.next_cursor);
    while let Some(at_cursor) = cursor {
        for _ in 0..9 {
            shop.receive("cola", "main", 1, at(500)).await;
        }
        let page = queries.movements(&item_id("cola"), &filter, PageRequest::new(Some(&at_cursor), 11)).await.unwrap();
        seen.extend(page.entries);
        cursor = page.next_cursor;
    }
    assert_eq!(seen, expected);
}

/// Computes from these movements what [`stockline_core::ports::Queries::stock_as_of`] must return.
pub fn balances(movements: &[Movement], time: Timestamp) -> Vec<(LocationId, Quantity, u64)> {
    let mut balances = Vec::new();
    for location in ["main", "north"] {
        let mut there = movements.iter().filter(|m| m.location_id == place(location));
        if let Some(last) = there.find(|m| m.entry.recorded_at <= time) {
            balances.push((place(location), last.entry.after, last.entry.seq));
        }
    }
    balances
}

pub async fn the_stock_at_any_time_is_the_balance_after_its_last_entry(shop: Shop) {
    let movements = busy(&shop).await;
    for millis in 0..45 {
        let found = shop.ports().queries.stock_as_of(&item_id("cola"), at(millis)).await.unwrap();
        assert_eq!(found, Some(balances(&movements, at(millis))), "{millis}");
    }
    assert_eq!(shop.ports().queries.stock_as_of(&item_id("fanta"), at(9)).await.unwrap(), None);
}

async fn history(shop: &Shop, since: Timestamp) -> (Vec<Entry>, bool, u64) {
    let mut request = LoadRequest::of(item_id("cola"));
    request.since.insert(place("main"), since);
    let loaded = shop.ports().store.load(&[request]).await.remove(0).unwrap();
    let level = &loaded.levels[&place("main")];
    (level.history.clone(), level.history_complete, level.level.seq - level.level.tail.len() as u64)
}

pub async fn a_late_count_gets_the_history_back_to_its_time_and_no_further_than_the_bound(shop: Shop) {
    let movements = busy(&shop).await;
    let mut ledger: Vec<_> =
        movements.into_iter().filter(|m| m.location_id == place("main")).map(|m| m.entry).collect();
    ledger.reverse();
    for since in [-1, 10, 17, 25, 99] {
        let (found, complete, before_tail) = history(&shop, at(since)).await;
        let expected = ledger.iter().filter(|e| e.recorded_at > at(since) && e.seq <= before_tail);
        assert!(complete);
        assert_eq!(found, expected.cloned().collect::<Vec<_>>(), "{since}");
    }
    let shop = shop.reopened(Bounds { late_count_entries_max: 20, ..Bounds::default() }).await;
    let (found, complete, before_tail) = history(&shop, at(-1)).await;
    assert!(!complete && found.len() <= 20, "{complete}, {} entries", found.len());
    assert_eq!(found.last().map(|e| e.seq), Some(before_tail));
    assert!(found.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
}

pub async fn the_audit_reads_every_entry_and_record_once(shop: Shop) {
    let movements = busy(&shop).await;
    for location in ["main", "north"] {
        let count = movements.iter().filter(|m| m.location_id == place(location)).count() as u64;
        for limit in [5, 1_000] {
            assert_eq!(shop.ledger_seqs("cola", location, limit).await, (1..=count).collect::<Vec<_>>());
        }
        let reader = &shop.ports().audit;
        let late =
            reader.audit_ledger(LedgerFrom::new(&item_id("cola"), &place(location), count - 1, 5)).await.unwrap();
        assert_eq!(late.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [count - 1, count]);
    }
    for item in ["apple", "zebra"] {
        shop.register(item, "").await;
    }
    shop.run("archive_item", "apple", "", at(1)).await;
    let audit = &shop.ports().audit;
    for limit in [1, 2, 50] {
        let read = async |cursor: Option<&str>| audit.audit_items(PageRequest::new(cursor, limit)).await.unwrap();
        let items = all_pages(limit, read).await;
        let ids: Vec<_> = items.iter().map(|view| (view.item.item_id.as_str(), view.levels.len())).collect();
        assert_eq!(ids, [("apple", 0), ("cola", 2), ("zebra", 0)]);
    }
    let read = async |cursor: Option<&str>| audit.audit_records(PageRequest::new(cursor, 50)).await.unwrap();
    let mut ids: Vec<_> = all_pages(50, read).await.iter().map(|record| record.outcome.command_id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=124).map(id).collect::<Vec<_>>());
    let (mut ids, of) = (Vec::new(), audit.audit_parts());
    for number in 0..of {
        let part = Part { number, of };
        let read = async |cursor: Option<&str>| audit.audit_part(part, PageRequest::new(cursor, 50)).await.unwrap();
        ids.extend(all_pages(50, read).await.iter().map(|record| record.outcome.command_id));
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=124).map(id).collect::<Vec<_>>(), "the {of} parts together are all records, each once");
    shop.audit().await;
}

pub async fn records_answer_in_input_order_and_absence_is_told(shop: Shop) {
    shop.register("cola", "").await;
    let mut states = Vec::new();
    for n in 0..130_u32 {
        if n % 2 == 0 {
            shop.receive("cola", "main", 1, at(n.into())).await;
        }
        let command_id = if n % 2 == 0 { id(u128::from(n / 2) + 2) } else { id(u128::from(n) + 1_000) };
        states.push(CommandKey { item_id: item_id("cola"), command_id });
    }
    states.reverse();
    // The list asks for one record twice, and for one id under another item.
    states.extend([states[1].clone(), CommandKey { item_id: item_id("Cola"), ..states[1].clone() }]);
    let records = shop.ports().queries.records(&states).await.unwrap();
    assert_eq!(records.len(), states.len());
    for (n, (state, record)) in states.iter().zip(&records).enumerate() {
        let there = n == 130 || (n < 130 && n % 2 == 1);
        assert_eq!(record.as_ref().map(|r| r.outcome.command_id), there.then_some(state.command_id), "{n}");
    }
    assert!(shop.ports().queries.records(&[]).await.unwrap().is_empty());
}

pub async fn items_are_read_by_their_ids_and_barcodes_lead_to_their_holders(shop: Shop) {
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.register("tea", "").await;
    shop.receive("cola", "main", 5, at(1)).await;
    let queries = &shop.ports().queries;
    let wanted = ["tea", "none", "cola"].map(item_id);
    let mut expected = Vec::new();
    for item_id in &wanted {
        expected.push(queries.item(item_id).await.unwrap());
    }
    assert_eq!(queries.items_by_id(&wanted).await.unwrap(), expected);
    assert!(expected[1].is_none() && expected[2].as_ref().is_some_and(|cola| cola.levels.len() == 1));
    let claims = ["96385074", "4006381333931"].map(|code| Claim::Barcode(code.into()));
    assert_eq!(queries.holders(&claims).await.unwrap(), [None, Some(item_id("cola"))]);
}

pub async fn a_snapshot_shows_the_moment_when_it_was_opened(shop: Shop) {
    shop.register("cola", "").await;
    shop.receive("cola", "main", 5, at(1)).await;
    let queries = &shop.ports().queries;
    let Some(snapshot) = queries.snapshot().await.unwrap() else { return };
    shop.register("tea", "").await;
    shop.receive("cola", "main", 2, at(2)).await;
    let levels = async |of: &dyn Snapshot| {
        let page = of.levels(&LevelFilter::default(), PageRequest::first(10)).await.unwrap();
        page.entries.iter().map(|level| level.level.on_hand).collect::<Vec<_>>()
    };
    let units = |units| Quantity::from_units(units).unwrap();
    assert_eq!(levels(&*snapshot).await, [units(5)]);
    let items = snapshot.items(&ItemFilter::default(), PageRequest::first(10)).await.unwrap();
    assert_eq!(items.entries.len(), 1);
    let movements = snapshot.all_movements(&MovementFilter::default(), PageRequest::first(10)).await.unwrap();
    assert!(movements.is_none_or(|movements| movements.entries.len() == 1));
    // Another one, beside it.
    let next = queries.snapshot().await.unwrap().unwrap();
    assert_eq!((levels(&*next).await, levels(&*snapshot).await), (vec![units(7)], vec![units(5)]));
}
