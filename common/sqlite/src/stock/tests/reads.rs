//! Reads beside writes: who waits for whom, and what a page of a list may cost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use stockline_core::ports::{LedgerFrom, PageRequest, Since};

use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::*;
use stockline_core::domain::{CommandKind, RejectionCode, StockState};

/// A read that holds its connection until the sender is dropped.
fn held(readers: &Arc<Readers>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>, oneshot::Receiver<()>) {
    let ((release, released), (begun, begins)) = (mpsc::channel::<()>(), oneshot::channel());
    let readers = Arc::clone(readers);
    let read = move |_: &mut View<'_>| {
        let _ = begun.send(());
        let _ = released.recv();
        Ok(())
    };
    (release, tokio::spawn(async move { readers.read(read).await.unwrap() }), begins)
}

/// Fails instead of hanging if somebody waits for a connection that nobody gives back.
async fn soon<T>(what: &str, answer: impl Future<Output = T>) -> T {
    let bounded = tokio::time::timeout(Duration::from_secs(20), answer).await;
    bounded.unwrap_or_else(|_| panic!("{what} waits for a list"))
}

#[tokio::test]
async fn lists_hold_no_connection_that_the_write_path_or_a_single_read_needs() {
    let mut shop = Shop::with(StoreOptions { list_connections: 2, ..StoreOptions::default() });
    shop.register("cola", "").await;
    let lists: Vec<_> = (0..66).map(|_| held(&shop.store.lanes.lists)).collect();
    let (mut releases, mut reads) = (Vec::new(), Vec::new());
    for (n, (release, read, begins)) in lists.into_iter().enumerate() {
        if n < 2 {
            soon("a list", begins).await.unwrap();
        }
        releases.push(release);
        reads.push(read);
    }
    // Both list connections are taken, and 64 more lists wait.
    let received = soon("the write path", shop.receive("cola", "main", 5, at(1))).await;
    let id = received.outcome.command_id;
    assert_eq!(soon("a status", shop.record("cola", id)).await, Some(received));
    assert_eq!(soon("an item", shop.on_hand("cola")).await, [("main".to_owned(), 5, 1)]);
    assert!(soon("a location", shop.store.location(&place("main"))).await.unwrap().is_some());
    soon("a ping", shop.store.ping()).await.unwrap();
    assert!(reads.iter().all(|read| !read.is_finished()));
    drop(releases);
    for read in reads {
        soon("a list", read).await.unwrap();
    }
}

#[tokio::test]
async fn lists_see_that_a_load_or_a_commit_is_in_progress() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    let slot = shop.slot("receive", "cola", r#","location_id":"main","quantity":1"#, at(1));
    let commit = shop.fold("cola", &[slot], at(1)).await.commit;
    assert!(!shop.store.activity.is_busy());
    let store = Arc::new(shop.shop.store);
    let until_busy = async |expected: bool| {
        while store.activity.is_busy() != expected {
            tokio::task::yield_now().await;
        }
    };

    // A load that waits for a connection.
    let holds: Vec<_> = (0..2).map(|_| held(&store.lanes.write_path)).collect();
    let load = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.load(&[LoadRequest::of(item_id("cola"))]).await.remove(0).unwrap() }
    });
    soon("a load", until_busy(true)).await;
    drop(holds);
    load.await.unwrap();
    assert!(!store.activity.is_busy());

    // A commit behind another write.
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let write = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.write(move |_, _| Ok(released.lock().unwrap().recv().is_ok())).await.unwrap() }
    });
    let commit = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(vec![commit]).await.remove(0).unwrap() }
    });
    soon("a commit", until_busy(true)).await;
    drop(release);
    assert!(!write.await.unwrap());
    assert_eq!(commit.await.unwrap(), CommitOutcome::Committed);
    assert!(!store.activity.is_busy());
}

/// Copies the item, its level, its refused sale and its alert so often, straight into the file. The copies have no
/// checksums, as rows of earlier versions.
fn grow(shop: &Shop, copies: i64) {
    let connection = Connection::open(shop.folder.path().join("stock.db")).unwrap();
    let numbers =
        format!("WITH RECURSIVE n(n) AS (VALUES(1000) UNION ALL SELECT n + 1 FROM n WHERE n < 999 + {copies})");
    let sql = format!(
        "{numbers} INSERT INTO item SELECT n, 'i' || n, 'i' || n, category, archived, low_stock_threshold, updated_at,
            replace(substr(body, 1, length(body) - length(',_crc_:_12345678_}}')) || '}}', 'cola', 'i' || n), levels, n, supplier
            FROM n, item WHERE item_id = 'cola';
         {numbers} INSERT INTO level (item_no, location_no, on_hand, seq, version, low_stock_threshold, state, alerted,
            alert_no, alert_epoch, counted_at, updated_at, tail, change_no) SELECT n, location_no, on_hand, seq, version, low_stock_threshold, state, alerted,
            alert_no, alert_epoch, counted_at, updated_at, x'', n FROM n, level WHERE item_no = 1;
         {numbers} INSERT INTO level_by_location SELECT location_no, 'i' || n, n FROM n, level_by_location
            WHERE item_no = 1;
         {numbers} INSERT INTO low_levels SELECT location_no, 'i' || n, n FROM n, low_levels WHERE item_no = 1;
         {numbers} INSERT INTO refused SELECT n, settled_at + n, status, code, location_id, settled_otherwise
            FROM n, (SELECT * FROM refused LIMIT 1);
         {numbers} INSERT INTO record SELECT n, command_id, item_no, body FROM n, record
            WHERE record_no = (SELECT min(record_no) FROM refused);
         {numbers} INSERT INTO movement SELECT recorded_at + n, record_no, leg, location_no, kind, operator
            FROM n, (SELECT * FROM movement LIMIT 1);
         {numbers} INSERT INTO change SELECT settled_at + n, record_no, item_no, kind, location_id
            FROM n, (SELECT * FROM change LIMIT 1);
         {numbers} INSERT INTO alert SELECT 'i' || n, raised_at + n, location_id, lease_until, sent_at, body
            FROM n, (SELECT * FROM alert LIMIT 1);"
    );
    connection.execute_batch(&sql).unwrap();
}

/// A shop with one of everything that lists show: a low level, a refused sale, an alert, a movement.
async fn one_of_everything(options: StoreOptions) -> Shop {
    let mut shop = Shop::with(options);
    shop.open_location("north").await;
    shop.open_location("empty").await;
    shop.register("cola", r#","category":"drinks","supplier":"Ltd","low_stock_threshold":5,"barcodes":["1"]"#).await;
    for location in ["main", "north"] {
        shop.receive("cola", location, 9, at(1)).await;
        let sold = shop.run("sell", "cola", &format!(r#","location_id":"{location}","quantity":6"#), at(2)).await;
        assert_eq!(sold.alerts.len(), 1);
        shop.store.mark_sent(&sold.alerts, at(3), Default::default()).await.unwrap();
    }
    shop.run("sell", "cola", r#","location_id":"main","quantity":99,"on_shortage":"reject""#, at(4)).await;
    shop
}

/// Reads the first page of every list with every combination of its filters. Returns what each page added to `steps`.
async fn every_list(shop: &Shop, limit: usize, steps: &AtomicU64) -> Vec<(String, u64)> {
    let store = &shop.store;
    let mut lists = Vec::new();
    macro_rules! list {
        ($name:expr, $page:expr) => {{
            let page = $page.await.unwrap();
            assert!(page.entries.len() <= limit);
            lists.push(($name, steps.swap(0, Ordering::Relaxed)));
        }};
    }
    let flags = [false, true];
    let searched = flags.into_iter().flat_map(|part| combinations().map(move |filter| (part, filter)));
    for (part, (archived, name, category, since, barcode, supplier)) in searched {
        let filter = ItemFilter {
            archived,
            name_prefix: name.then(|| "zzz".into()),
            name_part: part.then(|| "zz".into()),
            with_archived: false,
            category: category.then(|| "drinks".into()),
            supplier: supplier.then(|| "Ltd".into()),
            updated_since: since.then(|| at(1_000_000)),
            barcode: barcode.then(|| "1".into()),
        };
        list!(format!("{filter:?}"), store.items(&filter, PageRequest::first(limit)));
    }
    for location in [None, Some("main"), Some("empty"), Some("unknown")] {
        let location_id = location.map(place);
        for archived in flags {
            use StockState::{Low, Normal, Out, Oversold};
            for states in [&[][..], &[Normal], &[Low], &[Out], &[Oversold], &[Low, Out], &[Normal, Low]] {
                let filter = LevelFilter {
                    location_id: location_id.clone(),
                    states: states.to_vec(),
                    archived,
                    updated_since: None,
                };
                list!(format!("{filter:?}"), store.levels(&filter, PageRequest::first(limit)));
            }
            for (status, code, since) in [(false, false, false), (true, false, true), (false, true, true)] {
                let filter = CommandFilter {
                    status: if status { Status::DeadLettered } else { Status::Rejected },
                    code: code.then_some(RejectionCode::UnknownItem),
                    location_id: location_id.clone(),
                    since: since.then(|| at(0)),
                    settled_otherwise: archived,
                };
                list!(format!("{filter:?}"), store.commands(&filter, PageRequest::first(limit)));
            }
        }
        for (from, to, kind) in [(false, false, false), (true, false, true), (true, true, false), (false, true, true)] {
            let filter = MovementFilter {
                location_id: location_id.clone(),
                from: from.then(|| at(0)),
                to: to.then(|| at(1_000)),
                kind: kind.then_some(CommandKind::Count),
                operator: kind.then(|| "7".into()),
            };
            list!(format!("{filter:?}"), store.movements(&item_id("cola"), &filter, PageRequest::first(limit)));
            let all = async || store.all_movements(&filter, PageRequest::first(limit)).await.map(Option::unwrap);
            list!(format!("all {filter:?}"), all());
        }
        for (item, kind) in [(None, None), (Some("cola"), None), (None, Some(CommandKind::UpdateItem))] {
            let filter = ChangeFilter {
                item_id: item.map(item_id),
                kind,
                location_id: location_id.clone(),
                since: kind.map(|_| at(0)),
            };
            list!(format!("{filter:?}"), store.changes(&filter, PageRequest::first(limit)));
        }
        list!(format!("alerts {location_id:?}"), store.alerts(location_id.as_ref(), PageRequest::first(limit)));
    }
    for since in [Since::Time(at(0)), Since::Time(at(1_000_000))] {
        let (items, levels) = (ItemFilter::default(), LevelFilter::default());
        let asked = PageRequest::first(limit);
        let read = async || store.changed_items(&items, &since, at(9), asked).await.map(|changed| changed.page);
        list!(format!("changed items {since:?}"), read());
        let read = async || store.changed_levels(&levels, &since, at(9), asked).await.map(|changed| changed.page);
        list!(format!("changed levels {since:?}"), read());
    }
    list!("audit_items".into(), store.audit_items(PageRequest::first(limit)));
    list!("audit_records".into(), store.audit_records(PageRequest::first(limit)));
    store.locations().await.unwrap();
    store.stock_as_of(&item_id("cola"), at(2)).await.unwrap();
    store.audit_ledger(LedgerFrom::new(&item_id("cola"), &place("main"), 1, limit)).await.unwrap();
    lists
}

fn combinations() -> impl Iterator<Item = (bool, bool, bool, bool, bool, bool)> {
    (0..64_u8).map(|n| (n & 1 > 0, n & 2 > 0, n & 4 > 0, n & 8 > 0, n & 16 > 0, n & 32 > 0))
}

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

#[tokio::test]
async fn no_read_scans_a_table_that_grows_or_sorts_one() {
    let mut shop = one_of_everything(StoreOptions { list_connections: 1, ..StoreOptions::default() }).await;
    grow(&shop, 50);
    let trace = |view: &mut View<'_>| {
        let record = |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(_, sql) = event {
                STATEMENTS.lock().unwrap().insert(sql.to_owned());
            }
        };
        view.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(record));
        Ok(())
    };
    let lanes = &shop.store.lanes;
    for lane in [&lanes.lists, &lanes.points, &lanes.write_path] {
        lane.read(trace).await.unwrap();
    }
    every_list(&shop, 7, &AtomicU64::new(0)).await;
    shop.run("count", "cola", r#","location_id":"main","counted":3"#, at(5)).await;
    shop.store.load(&[LoadRequest::of(item_id("cola"))]).await.remove(0).unwrap();
    shop.store.location(&place("main")).await.unwrap();
    shop.store.notified_until(&place("main"), at(0)).await.unwrap();
    shop.store.openings(&place("main"), (at(0), at(9)), 9).await.unwrap();

    let statements = STATEMENTS.lock().unwrap().clone();
    assert!(statements.len() > 20, "{statements:#?}");
    let connection = Connection::open(shop.folder.path().join("stock.db")).unwrap();
    let mut wrong = Vec::new();
    for sql in statements.iter().filter(|sql| sql.starts_with("SELECT")) {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>().unwrap();
        // The locations are as many as a manager registers.
        let is_wrong = |step: &String| {
            let scans = step.strip_prefix("SCAN ").is_some_and(|of| of.split(' ').next() != Some("location"));
            scans || step.contains("TEMP B-TREE") || step.contains("AUTOMATIC")
        };
        if steps.iter().any(is_wrong) {
            wrong.push(format!("{sql}\n    {}", steps.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How many of its instructions SQLite counts at once.
const STEP: i32 = 10;

/// Returns what one page of each list costs in a store of this size, in instructions of SQLite.
async fn costs(items: i64) -> Vec<(String, u64)> {
    let options = StoreOptions { list_connections: 1, page_rows_max: 200, ..StoreOptions::default() };
    let mut shop = one_of_everything(options).await;
    grow(&shop, items);
    for _ in 0..items / 50 {
        let slots = (0..50).map(|_| shop.slot("receive", "cola", r#","location_id":"main","quantity":1"#, at(9)));
        let slots: Vec<_> = slots.collect();
        shop.settle("cola", slots, at(9)).await;
    }
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move |view: &mut View<'_>| {
        let count = move || counted.fetch_add(STEP.unsigned_abs().into(), Ordering::Relaxed) == u64::MAX;
        view.progress_handler(STEP, Some(count));
        Ok(())
    };
    shop.store.lanes.lists.read(count).await.unwrap();
    // The first round prepares the statements.
    every_list(&shop, 50, &steps).await;
    every_list(&shop, 50, &steps).await
}

#[tokio::test]
async fn a_page_costs_no_more_in_a_store_four_times_as_large() {
    let (small, large) = (costs(400).await, costs(1_600).await);
    for ((name, small), (_, large)) in small.into_iter().zip(large) {
        assert!(large <= small + small / 5 + 200, "{name}: {small} instructions, then {large}");
    }
}

#[tokio::test]
async fn a_list_that_nothing_matches_answers_empty_pages_and_ends_behind_the_last_row() {
    let options = StoreOptions { list_connections: 1, page_rows_max: 100, ..StoreOptions::default() };
    let shop = one_of_everything(options).await;
    grow(&shop, 450);
    let unknown = ItemFilter { name_part: Some("zz".into()), ..ItemFilter::default() };
    let nothing_new = ItemFilter { updated_since: Some(at(1_000_000)), ..ItemFilter::default() };
    let of_item = MovementFilter { kind: Some(CommandKind::Count), ..MovementFilter::default() };
    let out = LevelFilter { states: vec![StockState::Out], ..LevelFilter::default() };
    let oversold_here = LevelFilter {
        location_id: Some(place("main")),
        states: vec![StockState::Oversold],
        archived: true,
        updated_since: None,
    };
    let normal = LevelFilter { states: vec![StockState::Normal], ..LevelFilter::default() };
    let refused = CommandFilter {
        status: Status::Rejected,
        code: Some(RejectionCode::UnknownItem),
        location_id: None,
        since: None,
        settled_otherwise: false,
    };
    macro_rules! pages {
        ($cursor:ident => $page:expr) => {{
            let (mut pages, mut next) = (0, None::<String>);
            loop {
                let $cursor = next.as_deref();
                let page = $page.await.unwrap();
                assert!(page.entries.is_empty());
                pages += 1;
                next = page.next_cursor;
                if next.is_none() {
                    break pages;
                }
            }
        }};
    }
    let store = &shop.store;
    assert_eq!(pages!(cursor => store.items(&nothing_new, PageRequest::new(cursor, 9))), 5);
    assert_eq!(pages!(cursor => store.items(&unknown, PageRequest::new(cursor, 9))), 4);
    assert_eq!(pages!(cursor => store.levels(&out, PageRequest::new(cursor, 9))), 10);
    assert_eq!(pages!(cursor => store.levels(&oversold_here, PageRequest::new(cursor, 9))), 5);
    assert_eq!(pages!(cursor => store.levels(&normal, PageRequest::new(cursor, 9))), 10);
    assert_eq!(pages!(cursor => store.commands(&refused, PageRequest::new(cursor, 9))), 5);
    assert_eq!(pages!(cursor => store.movements(&item_id("cola"), &of_item, PageRequest::new(cursor, 9))), 1);
}

#[tokio::test]
async fn a_search_finds_every_name_with_the_text_however_many_pages_it_takes() {
    let options = StoreOptions { list_connections: 1, page_rows_max: 100, ..StoreOptions::default() };
    let shop = one_of_everything(options).await;
    grow(&shop, 900);
    let (mut found, mut pages, mut next) = (Vec::new(), 0, None::<String>);
    loop {
        let filter = ItemFilter { name_part: Some("I17".into()), ..ItemFilter::default() };
        let page = shop.store.items(&filter, PageRequest::new(next.as_deref(), 30)).await.unwrap();
        found.extend(page.entries.into_iter().map(|entry| entry.item.item_id.to_string()));
        pages += 1;
        next = page.next_cursor;
        if next.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (1_700..1_800).map(|n| format!("i{n}")).collect();
    assert!(found == expected && pages > 5, "{pages} pages: {found:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn lists_and_exports_are_read_at_a_lower_priority_than_what_a_till_waits_for() {
    let shop = Shop::new();
    let priority = |_: &mut View<'_>| Ok(rustix::process::getpriority_process(None).unwrap());
    let lanes = &shop.store.lanes;
    let read = |readers: &Arc<Readers>| {
        let readers = Arc::clone(readers);
        async move { readers.read(priority).await.unwrap() }
    };
    let (of_sales, of_points) = (read(&lanes.write_path).await, read(&lanes.points).await);
    assert_eq!(of_sales, of_points);
    // A larger number is a lower priority; 19 is the lowest.
    for of_lists in [read(&lanes.lists).await, read(&lanes.exports).await] {
        assert!(of_lists > of_sales || of_sales == 19, "{of_lists}, and sales {of_sales}");
    }
}
