use super::super::lists::{self, Order, Place, Range, Scope, Walk};
use super::table::BY_ID;
use super::*;
use stockline_core::ports::{ItemFilter, LevelFilter, Page, PageRequest, Queries, StoreError};

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
    let views =
        whole(limit, async |cursor| shop.store.items(filter, PageRequest::new(cursor.as_deref(), limit)).await).await;
    views.iter().map(|view| view.item.item_id.to_string()).collect()
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
    let page =
        shop.store.items(&ItemFilter { archived: true, ..Default::default() }, PageRequest::first(1)).await.unwrap();
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
        let scope = Scope {
            look_at: 1,
            ..Scope::new(&shop.store, BY_ID, Range::default(), Order::Ascending, after.as_ref(), 9)
        };
        let mut spots = Walk::merged(&shop.store, &scope, key::item_shards());
        let listing = levels::OfItems { store: &shop.store, filter: &filter };
        let page = lists::page(&listing, &mut spots, &scope, after.as_ref()).await.unwrap();
        pages.push(page.entries.len());
        found.extend(page.entries.iter().map(|v| format!("{}:{}", v.item.item_id, v.level.location_id)));
        after = Place::of_cursor("levels", page.next_cursor.as_deref()).unwrap();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["i00:main", "i30:north", "i59:main", "i59:north"]);
    // Each page looks at 25 items, the first of them the last one of the page before.
    assert_eq!(pages, [1, 1, 2]);
}
