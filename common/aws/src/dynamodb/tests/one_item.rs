use std::sync::Mutex;
use stockline_core::domain::CommandKey;

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::*;
use stockline_core::ports::{ItemWithLevels, Queries, StoreError};

/// What is done just before a call goes out.
type Deed = Box<dyn FnOnce() + Send>;

/// Watches the calls of a store, and meddles with them.
#[derive(Default)]
struct Traffic {
    calls: Mutex<Vec<String>>,
    /// Before the call of this number.
    deeds: Mutex<BTreeMap<usize, Deed>>,
    /// Every read by transaction meets a write under way.
    conflicts: bool,
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traffic").finish_non_exhaustive()
    }
}

const CONFLICT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
    "CancellationReasons":[{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"}]}"#;

#[derive(Debug)]
struct Watch(Arc<Traffic>);

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let number = {
            let mut calls = self.0.calls.lock().unwrap();
            calls.push(operation);
            calls.len()
        };
        let deed = self.0.deeds.lock().unwrap().remove(&number);
        if let Some(deed) = deed {
            deed();
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let last = self.0.calls.lock().unwrap().last().cloned();
        if self.0.conflicts && last.as_deref() == Some("TransactGetItems") {
            *context.response_mut() = HttpResponse::new(400.try_into()?, SdkBody::from(CONFLICT));
        }
        Ok(())
    }
}

impl Shop {
    /// The same table through a client whose calls are watched.
    fn watched(&self, conflicts: bool) -> (DynamoStore, Arc<Traffic>) {
        let traffic = Arc::new(Traffic { conflicts, ..Traffic::default() });
        let config = self.engine.client.config().to_builder().interceptor(Watch(traffic.clone())).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let store = DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), self.clock.clone());
        (store, traffic)
    }

    /// One command from another thread, done when this returns.
    fn settle_elsewhere(&self, slot: Slot) -> impl FnOnce() + Send + use<> {
        let (config, clock) = (self.engine.client.config().clone(), self.clock.clone());
        move || {
            let work = async move {
                let client = aws_sdk_dynamodb::Client::from_conf(config);
                let store = DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), clock);
                settle_at(&store, slot).await;
            };
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime().block_on(work)).join().unwrap();
        }
    }

    fn transfer(&mut self, quantity: i64) -> Slot {
        let legs = format!(r#","from_location_id":"main","to_location_id":"north","quantity":{quantity}"#);
        self.slot("transfer", "cola", &legs, at(5))
    }
}

async fn settle_at(store: &DynamoStore, slot: Slot) {
    let (item_id, slots) = (item_id("cola"), [slot]);
    let request = LoadRequest::for_slots(item_id.clone(), &slots, &Rules::default());
    let loaded = store.load(&[request]).await.remove(0).unwrap();
    let fold = fold(&loaded, &item_id, &slots, &BTreeMap::new(), at(5), &Rules::default(), &FoldLimits::default());
    assert_eq!(store.commit(vec![fold.commit]).await.remove(0).unwrap(), CommitOutcome::Committed);
}

async fn shop_with_ten_colas() -> Shop {
    let mut shop = Shop::new().await;
    shop.open_location("north").await;
    shop.register("cola", "").await;
    shop.receive("cola", "main", 10, at(1)).await;
    shop
}

fn units(view: &ItemWithLevels) -> Vec<i64> {
    view.levels.iter().map(|level| level.on_hand.raw() / 1_000).collect()
}

#[tokio::test]
async fn an_item_that_stands_still_is_read_with_its_levels_by_location() {
    let mut shop = shop_with_ten_colas().await;
    assert_eq!(shop.store.item(&item_id("fanta")).await.unwrap(), None);
    shop.register("bare", "").await;
    assert!(shop.store.item(&item_id("bare")).await.unwrap().unwrap().levels.is_empty());
    let slot = shop.transfer(4);
    settle_at(&shop.store, slot).await;
    for conflicts in [false, true] {
        let view = shop.watched(conflicts).0.item(&item_id("cola")).await.unwrap().unwrap();
        assert_eq!((view.item.item_id.as_str(), units(&view)), ("cola", vec![6, 4]));
        assert_eq!((view.levels[0].tail.len(), view.levels[1].tail.len()), (2, 1));
    }
}

#[tokio::test]
async fn a_level_that_comes_while_its_item_is_read_is_read_too() {
    let mut shop = shop_with_ten_colas().await;
    let (store, traffic) = shop.watched(false);
    let slot = shop.transfer(4);
    // After the keys are known, before the rows are read.
    traffic.deeds.lock().unwrap().insert(2, Box::new(shop.settle_elsewhere(slot)));
    let view = store.item(&item_id("cola")).await.unwrap().unwrap();
    assert_eq!(units(&view), [6, 4]);
    let calls = ["Query", "TransactGetItems", "Query", "TransactGetItems", "Query"];
    assert_eq!(*traffic.calls.lock().unwrap(), calls);
}

#[tokio::test]
async fn what_changes_while_no_transaction_can_read_is_read_until_nothing_does() {
    let mut shop = shop_with_ten_colas().await;
    let slot = shop.transfer(1);
    settle_at(&shop.store, slot).await;
    let (store, traffic) = shop.watched(true);
    // After the first read of the rows and after the second: two levels change with each.
    for number in [4, 5] {
        let slot = shop.transfer(1);
        traffic.deeds.lock().unwrap().insert(number, Box::new(shop.settle_elsewhere(slot)));
    }
    let view = store.item(&item_id("cola")).await.unwrap().unwrap();
    assert_eq!(units(&view), [7, 3]);
    assert_eq!(*traffic.calls.lock().unwrap(), ["Query", "TransactGetItems", "Query", "Query", "Query", "Query"]);
}

#[tokio::test]
async fn one_level_that_never_stands_still_does_not_keep_its_item_from_being_read() {
    let mut shop = shop_with_ten_colas().await;
    let slot = shop.transfer(1);
    settle_at(&shop.store, slot).await;
    let (store, traffic) = shop.watched(true);
    for number in 3..20 {
        let slot = shop.slot("receive", "cola", r#","location_id":"main","quantity":1"#, at(5));
        traffic.deeds.lock().unwrap().insert(number, Box::new(shop.settle_elsewhere(slot)));
    }
    let view = store.item(&item_id("cola")).await.unwrap().unwrap();
    assert_eq!(units(&view), [11, 1], "as the second of three reads found it");
    assert_eq!(*traffic.calls.lock().unwrap(), ["Query", "TransactGetItems", "Query", "Query", "Query"]);
}

#[tokio::test]
async fn an_item_whose_levels_all_change_all_the_time_is_unavailable() {
    let mut shop = shop_with_ten_colas().await;
    let slot = shop.transfer(1);
    settle_at(&shop.store, slot).await;
    let (store, traffic) = shop.watched(true);
    for number in 3..20 {
        let slot = shop.transfer(1);
        traffic.deeds.lock().unwrap().insert(number, Box::new(shop.settle_elsewhere(slot)));
    }
    let found = store.item(&item_id("cola")).await;
    assert!(matches!(&found, Err(StoreError::Unavailable(why)) if why.contains("cola")), "{found:?}");
}

#[tokio::test]
async fn an_item_in_more_places_than_one_transaction_reads_is_read_whole() {
    let mut shop = Shop::new().await;
    shop.register("cola", "").await;
    for n in 0..101 {
        let location = format!("shop-{n:03}");
        shop.open_location(&location).await;
        shop.receive("cola", &location, n + 1, at(1)).await;
    }
    let (store, traffic) = shop.watched(false);
    let view = store.item(&item_id("cola")).await.unwrap().unwrap();
    assert_eq!(units(&view), (1..=101).collect::<Vec<_>>());
    assert_eq!(*traffic.calls.lock().unwrap(), ["Query", "Query", "Query"]);
}

#[tokio::test]
async fn a_status_poll_is_one_get_and_many_are_one_batch_in_input_order() {
    let mut shop = shop_with_ten_colas().await;
    let sold = shop.run("sell", "cola", r#","location_id":"main","quantity":1"#, at(2)).await;
    let state = |command_id| CommandKey { item_id: item_id("cola"), command_id };
    let (store, traffic) = shop.watched(false);
    let known = sold.outcome.command_id;
    assert_eq!(store.records(&[state(known)]).await.unwrap(), [Some(sold.clone())]);
    assert_eq!(traffic.calls.lock().unwrap().split_off(0), ["GetItem"]);
    let found = store.records(&[state(id(999)), state(known), state(id(1)), state(known)]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|record| record.map(|r| r.outcome.command_id)).collect();
    assert_eq!(found, [None, Some(known), Some(id(1)), Some(known)]);
    assert_eq!(traffic.calls.lock().unwrap().split_off(0), ["BatchGetItem"]);
    assert!(store.records(&[]).await.unwrap().is_empty());
    assert!(traffic.calls.lock().unwrap().is_empty());
}
