use super::*;
use stockline_core::ports::{LedgerFrom, PageRequest};
use stockline_core::testing::record_json;

/// A store whose file may grow by only `pages` pages, which behaves like a full disk.
fn full_soon(folder: &TempDir, pages: i64) -> SqliteStore {
    let path = folder.path().join("stock.db");
    let connection = schema::open(&path, SCHEMA, &OpenOptions::default()).unwrap();
    let now: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", now + pages).unwrap();
    SqliteStore::on(&path, connection, StoreOptions::default(), &OpenOptions::default()).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop { shop: testing::Shop::over(full_soon(&folder, 12)), folder };
    let mut commits = Vec::new();
    for n in 0..200 {
        let item = format!("i{n}");
        let slot = shop.slot("register_item", &item, r#","name":"x""#, at(1));
        commits.push(shop.fold(&item, &[slot], at(1)).await.commit);
    }
    for result in shop.store.commit(commits).await {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("unavailable") && error.contains("free some disk space"), "{error}");
    }
    assert_eq!(shop.store.audit_items(PageRequest::first(100)).await.unwrap().entries, []);
    assert_eq!(shop.store.audit_records(PageRequest::first(100)).await.unwrap().entries, []);
    // A smaller commit still succeeds, under the same ids.
    let slot = shop.slot("register_item", "small", r#","name":"x""#, at(1));
    shop.settle("small", vec![slot], at(1)).await;
}

#[tokio::test]
async fn everything_exists_after_a_reopening() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    let mut records = Vec::new();
    for n in 0..60 {
        records.push(shop.receive("cola", "main", 1, at(n)).await);
    }
    shop.open_location("north").await;
    let view = shop.store.item(&item_id("cola")).await.unwrap();
    let path = shop.folder.path().to_owned();
    let mut shop = shop.reopened();
    assert_eq!(shop.store.item(&item_id("cola")).await.unwrap(), view);
    for record in records {
        assert_eq!(shop.record("cola", record.outcome.command_id).await, Some(record));
    }
    assert_eq!(shop.store.locations().await.unwrap().len(), 2);
    shop.receive("cola", "north", 1, at(99)).await;
    drop(shop.shop);
    let left: Vec<_> = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["stock.db"], "one self-contained file");
}

#[tokio::test]
async fn a_damaged_row_is_unreadable_and_its_neighbours_are_not() {
    let mut shop = Shop::new();
    shop.register("a", "").await;
    shop.register("b", "").await;
    shop.receive("a", "main", 1, at(1)).await;
    shop.receive("b", "main", 1, at(1)).await;
    shop.store
        .write(|connection, _| {
            Ok(connection.execute_batch(
                "UPDATE level SET tail = x'01ff' WHERE item_no = (SELECT item_no FROM item WHERE item_id = 'a')",
            )?)
        })
        .await
        .unwrap();
    let requests = ["a", "b"].map(|item| LoadRequest::of(item_id(item)));
    let mut loaded = shop.store.load(&requests).await;
    assert!(matches!(loaded.remove(0), Err(StoreError::Unreadable(_))));
    assert_eq!(loaded.remove(0).unwrap().levels.len(), 1);
}

#[tokio::test]
async fn a_row_of_a_later_version_is_not_reported_as_damaged() {
    let mut shop = Shop::new();
    shop.register("a", "").await;
    let record = shop.receive("a", "main", 1, at(1)).await;
    let level = shop.store.item(&item_id("a")).await.unwrap().unwrap().levels.remove(0);
    let mut tail = vec![4_u8, 0];
    tail.extend_from_slice(&crc32fast::hash(&tail).to_le_bytes());
    let mut tail = sealed::seal(&[b"a", &sealed::level_columns(&level)], &tail);
    let later = record_json(&record).to_string().replacen(r#""v":1"#, r#""v":2"#, 1).replace("applied", "pledged");
    let rows = move |connection: &Connection, later: &str, tail: &[u8]| {
        connection.execute("UPDATE record SET body = CAST(?1 AS BLOB)", [later])?;
        connection.execute("UPDATE level SET tail = ?1", [tail])?;
        Ok(())
    };
    let (sealed_later, sealed_tail) = (seal(later.clone()), tail.clone());
    shop.store.write(move |connection, _| rows(connection, &sealed_later, &sealed_tail)).await.unwrap();
    let loaded = shop.store.load(&[LoadRequest::of(item_id("a"))]).await.remove(0);
    assert!(matches!(&loaded, Err(StoreError::Newer(what)) if what.contains("version 4")), "{loaded:?}");
    let command = CommandKey { item_id: item_id("a"), command_id: record.outcome.command_id };
    let read = shop.store.records(&[command]).await;
    assert!(matches!(&read, Err(StoreError::Newer(what)) if what.contains("version 2")), "{read:?}");

    // Without the right checksum it is no later version: it is damaged.
    tail[6] ^= 1;
    shop.store.write(move |connection, _| rows(connection, &later, &tail)).await.unwrap();
    let loaded = shop.store.load(&[LoadRequest::of(item_id("a"))]).await.remove(0);
    assert!(matches!(loaded, Err(StoreError::Unreadable(_))), "{loaded:?}");
    let command = CommandKey { item_id: item_id("a"), command_id: record.outcome.command_id };
    assert!(matches!(shop.store.records(&[command]).await, Err(StoreError::Unreadable(_))));
}

#[tokio::test]
async fn the_audit_repairs_nothing() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    for n in 0..120 {
        shop.receive("cola", "main", 1, at(n)).await;
    }
    shop.store
        .write(|connection, _| Ok(connection.execute_batch("DELETE FROM chunk WHERE chunk_no = 3;")?))
        .await
        .unwrap();
    let page = shop.store.audit_ledger(LedgerFrom::new(&item_id("cola"), &place("main"), 1, 1_000)).await.unwrap();
    assert!(page.entries.iter().zip(1..).any(|(entry, n)| entry.seq != n));
    let read = shop.store.movements(&item_id("cola"), &MovementFilter::default(), PageRequest::first(1_000)).await;
    assert!(matches!(read, Err(StoreError::Unreadable(_))), "people are shown no history with a gap");
    let foreign = "UPDATE chunk SET entries = (SELECT entries FROM chunk WHERE chunk_no = 1) WHERE chunk_no = 5";
    shop.store.write(|connection, _| Ok(connection.execute(foreign, [])?)).await.unwrap();
    let read = shop.store.audit_ledger(LedgerFrom::new(&item_id("cola"), &place("main"), 1, 1_000)).await;
    assert!(matches!(read, Err(StoreError::Unreadable(_))), "a chunk under another key is damaged");
}

/// As a damaged page of a B-tree does, which leads a look-up astray.
#[tokio::test]
async fn what_is_there_and_not_found_is_noticed_and_never_begins_anew() {
    let mut shop = Shop::with(StoreOptions { hot_bytes_max: 0, ..StoreOptions::default() });
    shop.register("cola", "").await;
    shop.register("tea", "").await;
    shop.open_location("north").await;
    let sale = shop.receive("cola", "main", 5, at(1)).await;
    shop.receive("tea", "main", 5, at(1)).await;
    let slots = vec![shop.slot("sell", "cola", r#","quantity":1"#, at(2))];
    let request = |item: &str| LoadRequest::for_slots(item_id(item), &slots, &Rules::default());
    let lose = |sql: &'static str| shop.store.write(move |connection, _| Ok(connection.execute(sql, [])?));

    lose("DELETE FROM level WHERE item_no = (SELECT item_no FROM item WHERE item_id = 'cola')").await.unwrap();
    let loaded = shop.store.load(&[request("cola")]).await.remove(0);
    assert!(matches!(&loaded, Err(StoreError::Unreadable(what)) if what.contains("1 levels")), "{loaded:?}");
    assert!(matches!(shop.store.item(&item_id("cola")).await, Err(StoreError::Unreadable(_))));
    let listed = shop.store.items(&ItemFilter::default(), PageRequest::first(10)).await.unwrap().entries;
    assert_eq!(listed.iter().map(|view| view.item.item_id.as_str()).collect::<Vec<_>>(), ["tea"], "the rest is shown");

    lose("UPDATE item SET item_id = 'cole' WHERE item_id = 'cola'").await.unwrap();
    let found = shop.store.item(&item_id("cole")).await;
    assert!(matches!(&found, Err(StoreError::Unreadable(what)) if what.contains("holds item cola")), "{found:?}");

    lose("DELETE FROM record WHERE record_no = 3").await.unwrap();
    let key = CommandKey { item_id: item_id("cola"), command_id: sale.outcome.command_id };
    let found = shop.store.records(&[key]).await;
    assert!(matches!(&found, Err(StoreError::Unreadable(what)) if what.contains("is missing")), "{found:?}");
}

#[tokio::test]
async fn a_refused_command_whose_record_can_not_be_read_is_listed_with_the_others_and_the_audit_reads_on() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    let mut refused = Vec::new();
    for n in 0..3 {
        let fields = r#","location_id":"main","quantity":9,"on_shortage":"reject""#;
        refused.push(shop.run("sell", "cola", fields, at(n)).await.outcome.command_id);
    }
    let damage =
        "UPDATE record SET body = CAST(replace(body, 'insufficient', 'insufficiens') AS BLOB) WHERE record_no = 3";
    shop.store.write(move |connection, _| Ok(connection.execute(damage, [])?)).await.unwrap();
    let filter = CommandFilter {
        status: Status::Rejected,
        code: None,
        location_id: None,
        since: None,
        settled_otherwise: false,
    };
    let listed = shop.store.commands(&filter, PageRequest::first(10)).await.unwrap().entries;
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|record| refused.contains(&record.outcome.command_id)));
    let unreadable = listed.iter().filter_map(|record| record.outcome.dead_letter.as_ref()).collect::<Vec<_>>();
    assert!(unreadable.len() == 1 && unreadable[0].reason.contains("can't be read"), "{unreadable:?}");

    assert_eq!(
        shop.store.audit_records(PageRequest::first(10)).await.unwrap().entries.len(),
        3,
        "the audit reads the others"
    );
    let faults = shop.store.audit_rows().await.unwrap();
    assert!(
        faults.iter().any(|fault| fault.item_id == Some(item_id("cola")) && fault.what.contains("record 3")),
        "{faults:?}"
    );
}

#[tokio::test]
async fn the_audit_checks_index_and_lists_both_ways_and_a_repair_makes_them_anew() {
    for (damage, named) in [
        ("DELETE FROM key_log", None),
        ("DELETE FROM low_levels", Some("not in the list")),
        ("INSERT INTO low_levels VALUES (1, 'tea', 2)", Some("whose level is not low")),
        ("UPDATE low_levels SET item_id = 'ale'", Some("whose level is not low")),
        ("DELETE FROM level_by_location WHERE item_no = 2", Some("not in the list by location")),
        ("INSERT INTO level_by_location VALUES (9, 'tea', 2)", Some("which has no such level")),
        ("DELETE FROM refused", Some("the list of refused commands says")),
        ("UPDATE refused SET record_no = 99", Some("which is not there")),
        ("DELETE FROM movement WHERE record_no = 2", Some("not in the list of movements")),
        ("UPDATE movement SET operator = '7'", Some("not in the list of movements")),
        ("INSERT INTO movement VALUES (1, 99, 0, 1, 'sell', NULL)", Some("the list of movements has 3 rows")),
        ("DELETE FROM change", Some("not in the list of changes")),
        ("INSERT INTO change VALUES (1, 2, 1, 'update_item', NULL)", Some("the list of changes has 3 rows")),
        ("UPDATE item SET levels = levels + 1 WHERE item_id = 'tea'", Some("not those that it has")),
    ] {
        let mut shop = Shop::new();
        shop.register("cola", r#","low_stock_threshold":9"#).await;
        shop.receive("cola", "main", 5, at(1)).await;
        shop.register("tea", "").await;
        shop.receive("tea", "main", 5, at(1)).await;
        shop.run("sell", "tea", r#","location_id":"main","quantity":9,"on_shortage":"reject""#, at(2)).await;
        assert_eq!(shop.store.audit_rows().await.unwrap(), []);
        shop.store.write(move |connection, _| Ok(connection.execute(damage, [])?)).await.unwrap();
        let shop = shop.reopened();
        let faults = shop.store.audit_rows().await.unwrap();
        match named {
            Some(named) => assert!(faults.iter().any(|fault| fault.what.contains(named)), "{damage}: {faults:?}"),
            None => assert_eq!(faults, [], "the start has made it anew"),
        }
        shop.store.repair().await.unwrap();
        assert_eq!(shop.store.audit_rows().await.unwrap(), [], "{damage}");
        assert_eq!(shop.reopened().store.audit_rows().await.unwrap(), [], "{damage}");
    }
}

#[tokio::test]
async fn a_repair_makes_damaged_and_missing_levels_anew_from_the_outcomes() {
    for damage in [
        "UPDATE level SET on_hand = on_hand + 64",
        "UPDATE level SET tail = zeroblob(3)",
        "UPDATE level SET location_no = location_no + 8",
        "DELETE FROM level",
    ] {
        let mut shop = Shop::new();
        shop.open_location("north").await;
        shop.register("cola", "").await;
        for n in 0..40 {
            shop.receive("cola", "main", 2, at(n)).await;
        }
        shop.run("set_threshold", "cola", r#","location_id":"main","low_stock_threshold":9"#, at(41)).await;
        shop.run("transfer", "cola", r#","from_location_id":"main","to_location_id":"north","quantity":73"#, at(42))
            .await;
        shop.run("count", "cola", r#","location_id":"north","counted":70"#, at(43)).await;
        let before = shop.store.item(&item_id("cola")).await.unwrap().unwrap();
        shop.store.write(move |connection, _| Ok(connection.execute(damage, [])?)).await.unwrap();
        assert!(shop.store.item(&item_id("cola")).await.is_err(), "{damage}");
        let done = shop.store.repair().await.unwrap();
        let after = shop.store.item(&item_id("cola")).await.unwrap().unwrap();
        let without_version = |view: &ItemWithLevels| {
            view.levels.iter().map(|level| Level { version: 0, ..level.clone() }).collect::<Vec<_>>()
        };
        assert_eq!(without_version(&after), without_version(&before), "{damage}: {done:?}");
        assert_eq!(shop.store.audit_rows().await.unwrap(), [], "{damage}");
        shop.run("sell", "cola", r#","location_id":"main","quantity":1"#, at(44)).await;
        assert_eq!(shop.store.audit_rows().await.unwrap(), [], "{damage}");
    }
}

/// Its id was taken once. It must not count as new because the row is gone: the command could take effect again.
#[tokio::test]
async fn a_record_that_is_gone_at_the_end_of_the_table_stays_undecidable() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    shop.receive("cola", "main", 9, at(1)).await;
    let last = shop.receive("cola", "main", 1, at(2)).await.outcome.command_id;
    let key = CommandKey { item_id: item_id("cola"), command_id: last };
    let shop = shop.reopened_after(|folder| {
        let connection = Connection::open(folder.path().join("stock.db")).unwrap();
        connection.execute("DELETE FROM record WHERE record_no = (SELECT max(record_no) FROM record)", []).unwrap();
    });
    let found = shop.store.records(std::slice::from_ref(&key)).await;
    assert!(matches!(found, Err(StoreError::Unreadable(_))), "{found:?}");
}
