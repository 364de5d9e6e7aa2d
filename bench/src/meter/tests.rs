use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::engine::{Engine, TABLE};
use crate::rng::Rng;
use crate::sqs_stub::SqsStub;
use crate::usual;

/// Returns a put of a row with this many bytes by DynamoDB's count.
fn put(pk: &str, sk: &str, bytes: usize) -> TransactWriteItem {
    let row = [("pk", pk), ("sk", sk)];
    let mut item: HashMap<_, _> =
        row.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))).collect();
    let rest = bytes - item_bytes(&item) - 1;
    item.insert("x".to_owned(), AttributeValue::S("x".repeat(rest)));
    let put = aws_sdk_dynamodb::types::Put::builder().table_name(TABLE).set_item(Some(item)).build().unwrap();
    TransactWriteItem::builder().put(put).build()
}

#[tokio::test]
async fn a_transaction_takes_two_units_for_each_started_kilobyte_of_each_row() {
    let (engine, meter) = (Engine::start().unwrap(), Meter::default());
    engine.create_table().await.unwrap();
    let client = engine.client(Some(meter.clone()));
    let rows = [("ITEM#cola", "LEVEL#main", 1_024), ("CMD#cola#1", "CMD", 700), ("CMD#cola#2", "CMD", 1_025)];
    let actions = rows.map(|(pk, sk, bytes)| put(pk, sk, bytes)).to_vec();
    client.transact_write_items().set_transact_items(Some(actions)).send().await.unwrap();
    let key = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
    let key = HashMap::from([key("pk", "CMD#cola#1"), key("sk", "CMD")]);
    client.get_item().table_name(TABLE).consistent_read(true).set_key(Some(key)).send().await.unwrap();

    let counts = meter.reset();
    assert_eq!((counts.rule_wru(), counts.engine_wru, counts.engine_index_wru), (8.0, 8.0, 0.0));
    assert_eq!(counts.engine_rru, 1.0);
    assert_eq!(counts.written["CMD"], Written { rows: 2, bytes: 1_725, max_bytes: 1_025, index_bytes: 0, wru: 6.0 });
    assert_eq!(counts.by_partition["CMD#cola#2"], 4.0);
    assert_eq!(counts.by_row["ITEM#cola LEVEL#main"], 2.0);
    assert_eq!(counts.calls, BTreeMap::from([("GetItem", 1), ("TransactWriteItems", 1)]));
    assert_eq!(meter.reset().calls.len(), 0);
}

#[tokio::test]
async fn a_failed_transaction_is_counted_by_the_rules() {
    let (engine, meter) = (Engine::start().unwrap(), Meter::default());
    engine.create_table().await.unwrap();
    let client = engine.client(Some(meter.clone()));
    let mut action = put("CMD#cola#1", "CMD", 500);
    action.put.as_mut().unwrap().condition_expression = Some("attribute_exists(pk)".into());
    client.transact_write_items().transact_items(action).send().await.unwrap_err();
    let counts = meter.reset();
    assert_eq!((counts.failed, counts.rule_wru(), counts.engine_wru), (1, 2.0, 0.0));
}

#[tokio::test]
async fn the_usual_design_writes_three_rows_and_sends_one_message_a_command() {
    let (engine, meter, stub) = (Engine::start().unwrap(), Meter::default(), SqsStub::start().unwrap());
    let mut rng = Rng::new(1);
    let sale = |n| {
        let id = rng.uuid();
        format!(r#"{{"type":"sell","command_id":"{id}","item_id":"item-{n}","location_id":"main","quantity":"1"}}"#)
    };
    let sales: Vec<_> = (0..10).map(sale).collect();
    usual::run(&engine, &meter, &stub, 10, &sales, || drop((meter.reset(), stub.reset()))).await.unwrap();
    let (counts, billed) = (meter.reset(), stub.reset());
    assert_eq!((counts.rule_wru(), counts.engine_wru, counts.failed), (60.0, 60.0, 0));
    let requests: Vec<_> = billed.iter().map(|(action, billed)| (*action, billed.requests)).collect();
    assert_eq!(requests, [("DeleteMessageBatch", 1), ("ReceiveMessage", 1), ("SendMessage", 10)]);
    assert_eq!(stub.depth(), 0);
}
