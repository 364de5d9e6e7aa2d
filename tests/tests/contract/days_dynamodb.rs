//! Days on DynamoDB are those of the ledger, whatever the index of chunks shows. The index makes them cheap.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use stockline_aws::dynamodb::{Backfill, Backfilled, table};
use stockline_aws::{DynamoOptions, DynamoStore};
use stockline_core::domain::Timestamp;
use stockline_core::domain::analytics::{DayTotals, LocalDays};
use stockline_core::ports::{DaysFilter, FixedClock, LevelWithDays, PageRequest, Queries};
use stockline_tests::contract::store::{Ports, Shop, at, place};
use stockline_tests::dynoxide::{Dynoxide, TABLE};
use stockline_tests::inject::Script;

const DAY_MS: i64 = 24 * 3_600_000;
const ITEMS: [&str; 3] = ["cola", "tea", "water"];

/// A store on an engine of its own, and the calls that it gets.
struct Served {
    _engine: Dynoxide,
    script: Script,
    client: Client,
}

impl Served {
    async fn start() -> Self {
        let (engine, script) = (Dynoxide::start().await, Script::new());
        Self { client: engine.client(&script), script, _engine: engine }
    }

    /// Returns a store that keeps nothing of what it has read.
    fn store(&self) -> DynamoStore {
        let clock = Arc::new(FixedClock::at(at(0)));
        DynamoStore::new(self.client.clone(), TABLE.to_owned(), DynamoOptions::default(), clock)
    }

    /// Returns how many queries of single ledgers were made.
    fn ledgers_read(&self) -> usize {
        let of_ledger = |query: &&Value| {
            query["IndexName"].is_null() && query["ExpressionAttributeValues"].to_string().contains("LEDGER#")
        };
        self.script.bodies("Query").iter().filter(of_ledger).count()
    }

    async fn days(&self, since: Option<Timestamp>) -> Vec<LevelWithDays> {
        let filter = DaysFilter { location_id: Some(place("main")), since, ..DaysFilter::default() };
        let page = self.store().level_days(&filter, PageRequest::first(100)).await.unwrap().unwrap();
        assert_eq!((page.unreadable, page.next_cursor), (0, None));
        page.entries
    }

    /// Returns the days from a moment on, which are whole, of each level.
    async fn days_since(&self, since: Timestamp) -> Vec<Vec<DayTotals>> {
        let first = LocalDays::of_zone("UTC").day(since).plus(1);
        let found = self.days(Some(since)).await;
        found.iter().map(|level| level.days.iter().filter(|day| day.day >= first).collect()).collect()
    }

    /// Returns the keys of all chunks, ledger by ledger, oldest first.
    async fn chunks(&self) -> Vec<(String, String)> {
        let scan = self.client.scan().table_name(TABLE).filter_expression("begins_with(pk, :ledger)");
        let rows = scan.expression_attribute_values(":ledger", AttributeValue::S("LEDGER#".into())).send().await;
        let text = |value: &AttributeValue| value.as_s().unwrap().clone();
        let rows = rows.unwrap().items.unwrap();
        let mut keys: Vec<_> = rows.iter().map(|row| (text(&row[table::PK]), text(&row[table::SK]))).collect();
        keys.sort();
        keys
    }

    /// Makes a chunk one that is older than the index.
    async fn hide(&self, (pk, sk): &(String, String)) {
        let update = self.client.update_item().table_name(TABLE).update_expression("REMOVE chunk_month");
        let key = [(table::PK, pk), (table::SK, sk)];
        let update =
            key.into_iter().fold(update, |update, (name, value)| update.key(name, AttributeValue::S(value.clone())));
        update.send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_those_of_the_ledger_whatever_the_index_of_chunks_shows() {
    let served = Served::start().await;
    let mut shop = Shop::new(Box::new(Ports::of(served.store()))).await;
    shop.limits.max_tail_bytes = 200;
    let mut now = at(0);
    for item in ITEMS {
        shop.register(item, "").await;
        shop.receive(item, "main", 900, now).await;
    }
    for week in 0..60 {
        now = now.plus_millis(7 * DAY_MS);
        let item = ITEMS[week % 3];
        shop.settle(item, vec![shop.sale(item, 2, now), shop.sale(item, 1, now)], now).await;
    }
    let since = now.plus_millis(-100 * DAY_MS);
    let chunks = served.chunks().await;
    assert!(chunks.len() > 9, "{chunks:?}");
    let whole = served.days(None).await;
    assert_eq!(served.ledgers_read(), 0, "the index shows all chunks");
    let recent = served.days_since(since).await;
    assert_eq!((whole.len(), recent.len()), (3, 3));
    assert!(recent.iter().all(|days| (3..9).contains(&days.len())), "{recent:?}");
    // If the period begins between two chunks of a ledger, only the one before it says that there is none between them.
    assert!(served.ledgers_read() <= 3);

    let firsts: BTreeSet<_> = chunks.iter().filter(|(_, first)| first.ends_with("00001")).collect();
    let lasts: BTreeSet<_> =
        chunks.iter().zip(chunks[1..].iter().chain([&chunks[0]])).filter(|(a, b)| a.0 != b.0).map(|(a, _)| a).collect();
    assert_eq!((firsts.len(), lasts.len()), (3, 3));
    let mut listed = 0;
    for hidden in [lasts, firsts, chunks.iter().collect()] {
        for chunk in &hidden {
            served.hide(chunk).await;
        }
        let before = served.ledgers_read();
        assert_eq!(served.days(None).await, whole);
        assert_eq!(served.days_since(since).await, recent);
        assert!(served.ledgers_read() > before, "what the index does not show is read from the ledger");

        let done = served.store().backfill(Backfill::Chunks, &mut |done| listed = done.rows).await.unwrap();
        assert_eq!((done.rows, done.unreadable, listed), (hidden.len() as u64, 0, hidden.len() as u64));
        let again = served.store().backfill(Backfill::Chunks, &mut |_| ()).await.unwrap();
        assert_eq!(Backfilled { answers: 0, ..again }, Backfilled::default(), "nothing is left to do");
        let before = served.ledgers_read();
        assert_eq!(served.days(None).await, whole);
        assert_eq!(served.ledgers_read(), before, "the index shows all chunks again");
    }
    shop.audit().await;
}
