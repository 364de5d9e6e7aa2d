use super::*;
use stockline_core::domain::StockState;

/// Turns a file of today into one of schema version 1, with its keys in both logs.
const TO_VERSION_1: &str = "
    ALTER TABLE low_levels RENAME TO unwell;
    ALTER TABLE notice RENAME COLUMN notified_until TO told_until;
    CREATE TABLE key_log_0 (
        log_no INTEGER PRIMARY KEY, keys BLOB NOT NULL, position_key INTEGER, position_record_no INTEGER
    ) STRICT;
    CREATE TABLE key_log_1 (
        log_no INTEGER PRIMARY KEY, keys BLOB NOT NULL, position_key INTEGER, position_record_no INTEGER
    ) STRICT;
    INSERT INTO key_log_0 SELECT log_no, keys, position_key, position_record_no FROM key_log WHERE log_no <= 3;
    INSERT INTO key_log_1 SELECT log_no, keys, position_key, position_record_no FROM key_log WHERE log_no > 3;
    DROP TABLE key_log;
    PRAGMA user_version = 1;
";

async fn low(shop: &Shop) -> Vec<String> {
    let filter = LevelFilter { state: Some(StockState::Low), ..LevelFilter::default() };
    let page = shop.store.levels(&filter, None, 100).await.unwrap();
    page.entries.iter().map(|level| level.item.item_id.to_string()).collect()
}

#[tokio::test]
async fn a_folder_of_version_1_is_migrated_with_its_lists_notices_and_record_keys() {
    let mut shop = Shop::new();
    let mut records = Vec::new();
    for item in ["cola", "tea"] {
        records.push(shop.register(item, r#","low_stock_threshold":5"#).await);
        records.push(shop.receive(item, "main", 9, at(1)).await);
    }
    records.push(shop.run("sell", "cola", r#","location_id":"main","quantity":6"#, at(2)).await);
    let notice = RefusedNotice { location_id: place("main"), day: "2026-01-31".into() };
    shop.store.mark_notice_sent(&notice, at(3)).await.unwrap();
    assert_eq!(low(&shop).await, ["cola"]);

    let mut shop = shop.reopened_after(|folder| {
        Connection::open(folder.path().join("stock.db")).unwrap().execute_batch(TO_VERSION_1).unwrap();
    });

    assert_eq!(low(&shop).await, ["cola"]);
    shop.run("sell", "tea", r#","location_id":"main","quantity":6"#, at(4)).await;
    assert_eq!(low(&shop).await, ["cola", "tea"]);
    assert_eq!(shop.store.notified_until(&place("main")).await.unwrap(), Some(at(3)));
    let shop = shop.reopened();
    for record in records {
        assert_eq!(shop.record(record.outcome.item_id.as_str(), record.outcome.command_id).await, Some(record));
    }
    assert!(shop.folder.path().join("stock.db.v1.bak").exists());
}
