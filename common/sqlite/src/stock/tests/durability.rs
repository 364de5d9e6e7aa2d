use super::*;

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
    assert_eq!(shop.store.audit_items(None, 100).await.unwrap().entries, []);
    assert_eq!(shop.store.audit_records(None, 100).await.unwrap().entries, []);
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
    shop.store
        .write(|connection, _| {
            Ok(connection.execute_batch(
                "UPDATE level SET tail = x'0200'; UPDATE record SET body = json_set(body, '$.v', 2, '$.status', 'pledged')",
            )?)
        })
        .await
        .unwrap();
    let loaded = shop.store.load(&[LoadRequest::of(item_id("a"))]).await.remove(0);
    assert!(matches!(&loaded, Err(StoreError::Newer(what)) if what.contains("version 2")), "{loaded:?}");
    let command = CommandKey { item_id: item_id("a"), command_id: record.outcome.command_id };
    let read = shop.store.records(&[command]).await;
    assert!(matches!(&read, Err(StoreError::Newer(what)) if what.contains("version 2")), "{read:?}");
}

#[tokio::test]
async fn the_audit_repairs_nothing() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    for n in 0..120 {
        shop.receive("cola", "main", 1, at(n)).await;
    }
    shop.store
        .write(|connection, _| {
            Ok(connection.execute_batch(
                "DELETE FROM chunk WHERE chunk_no = 3;
         UPDATE chunk SET entries = (SELECT entries FROM chunk WHERE chunk_no = 1) WHERE chunk_no = 5;",
            )?)
        })
        .await
        .unwrap();
    let page = shop.store.audit_ledger(&item_id("cola"), &place("main"), 1, 1_000).await.unwrap();
    assert!(page.entries.iter().zip(1..).any(|(entry, n)| entry.seq != n));
}
