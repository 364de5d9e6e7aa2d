use super::*;
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Changed, LevelWithItem, PageRequest, Since, StoreError};

async fn read(shop: &Shop, since: &Since) -> Result<Changed<LevelWithItem>, StoreError> {
    shop.store.changed_levels(&LevelFilter::default(), since, at(9), PageRequest::first(9)).await
}

/// Returns the items whose levels have changed, and where to go on.
async fn changed(shop: &Shop, since: &Since) -> (Vec<String>, Since) {
    let read = read(shop, since).await.unwrap();
    let items = read.page.entries.iter().map(|found| found.item.item_id.to_string()).collect();
    (items, Since::Mark(read.next_updated_since))
}

const ALL: Since = Since::Time(Timestamp::EPOCH);

#[tokio::test]
async fn a_reader_of_a_past_that_a_restore_has_undone_begins_anew() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    shop.receive("cola", "main", 9, at(1)).await;
    let (_, before_backup) = changed(&shop, &ALL).await;
    let file = |folder: &TempDir| folder.path().join("stock.db");
    let backup = tempfile::tempdir().unwrap();
    let kept = backup.path().join("stock.db");
    let mut shop = shop.reopened_after(|folder| {
        std::fs::copy(file(folder), &kept).unwrap();
    });
    let (nothing, _) = changed(&shop, &before_backup).await;
    assert!(nothing.is_empty(), "a start alone changes nothing");
    shop.receive("cola", "main", 1, at(2)).await;
    let (again, lost) = changed(&shop, &before_backup).await;
    assert_eq!(again, ["cola"]);

    let mut shop = shop.reopened_after(|folder| {
        std::fs::copy(&kept, file(folder)).unwrap();
    });
    shop.receive("cola", "main", 2, at(3)).await;
    assert!(matches!(read(&shop, &lost).await, Err(StoreError::Cursor)), "that past is no more");
    assert_eq!(changed(&shop, &before_backup).await.0, ["cola"], "what was read before the backup still holds");
    assert_eq!(changed(&shop, &ALL).await.0, ["cola"]);
}

#[tokio::test]
async fn a_reading_ends_at_the_change_that_was_the_last_when_it_began() {
    let mut shop = Shop::new();
    for item in ["cola", "tea"] {
        shop.register(item, "").await;
        shop.receive(item, "main", 9, at(1)).await;
    }
    let page = async |shop: &Shop, asked: PageRequest<'_>| {
        let read = shop.store.changed_levels(&LevelFilter::default(), &ALL, at(9), asked).await.unwrap();
        let items = read.page.entries.iter().map(|found| found.item.item_id.to_string()).collect::<Vec<_>>();
        (items, read.page.next_cursor, Since::Mark(read.next_updated_since))
    };
    let (first, cursor, _) = page(&shop, PageRequest::first(1)).await;
    assert_eq!(first, ["cola"]);
    shop.receive("cola", "main", 1, at(2)).await;
    let (second, end, mark) = page(&shop, PageRequest::new(cursor.as_deref(), 9)).await;
    assert_eq!((second, end), (vec!["tea".to_owned()], None));
    assert_eq!(changed(&shop, &mark).await.0, ["cola"], "what came meanwhile is for the next reading");
}

#[tokio::test]
async fn a_reader_begins_anew_after_a_repair() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    shop.receive("cola", "main", 9, at(1)).await;
    let (_, mark) = changed(&shop, &ALL).await;
    shop.store.repair().await.unwrap();
    assert!(matches!(read(&shop, &mark).await, Err(StoreError::Cursor)));
    shop.receive("cola", "main", 1, at(2)).await;
    let (_, mark) = changed(&shop, &ALL).await;
    shop.receive("cola", "main", 1, at(3)).await;
    assert_eq!(changed(&shop, &mark).await.0, ["cola"]);
}
