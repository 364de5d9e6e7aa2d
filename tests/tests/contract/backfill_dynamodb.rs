//! Outcomes that an earlier release wrote in JSON are read as they are, and made compact beside the workers.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use stockline_aws::dynamodb::{Backfill, Backfilled, table};
use stockline_aws::{DynamoOptions, DynamoStore};
use stockline_core::domain::{Record, seal};
use stockline_core::ports::{FixedClock, Queries};
use stockline_core::testing::record_json;
use stockline_tests::contract::store::{Ports, Shop, at};
use stockline_tests::dynoxide::{Dynoxide, TABLE};
use stockline_tests::inject::Script;

type Row = HashMap<String, AttributeValue>;

async fn outcomes(client: &Client) -> Vec<Row> {
    let scan = client.scan().table_name(TABLE).filter_expression("begins_with(pk, :of) AND sk = :sk");
    let scan = scan.expression_attribute_values(":of", AttributeValue::S("CMD#".into()));
    scan.expression_attribute_values(":sk", AttributeValue::S("CMD".into())).send().await.unwrap().items.unwrap()
}

/// Writes an outcome's row as an earlier release did: `record` alone is JSON.
async fn write_json(client: &Client, row: &Row, json: String) {
    let update = client.update_item().table_name(TABLE).update_expression("SET #r = :json");
    let update = update.expression_attribute_names("#r", "record");
    let update = update.expression_attribute_values(":json", AttributeValue::S(json));
    let update = [table::PK, table::SK].iter().fold(update, |update, name| update.key(*name, row[*name].clone()));
    update.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_in_json_are_read_and_made_compact_once_with_what_was_set_beside_them() {
    let (engine, script) = (Dynoxide::start().await, Script::new());
    let client = engine.client(&script);
    let new_store = || {
        let clock = Arc::new(FixedClock::at(at(0)));
        DynamoStore::new(client.clone(), TABLE.to_owned(), DynamoOptions::default(), clock)
    };
    let store = new_store();
    let shop = Shop::new(Box::new(Ports::of(new_store()))).await;
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.receive("cola", "main", 9, at(1)).await;
    let sale = shop.run("sell", "cola", r#","location_id":"main","quantity":2"#, at(2)).await;
    let undo = format!(r#","reverses":"{}""#, sale.outcome.command_id);
    shop.run("reverse", "cola", &undo, at(3)).await;
    shop.run("sell", "cola", r#","location_id":"main","quantity":99,"on_shortage":"reject""#, at(4)).await;

    let rows = outcomes(&client).await;
    let keys: Vec<_> = {
        let found = rows.iter().map(|row| row[table::PK].as_s().unwrap().split('#').nth(2).unwrap().parse().unwrap());
        found.map(|command_id| stockline_core::domain::CommandKey { command_id, ..sale.reference() }).collect()
    };
    let records = async || store.records(&keys).await.unwrap().into_iter().flatten().collect::<Vec<Record>>();
    let compact = records().await;
    assert_eq!(compact.len(), 5);
    let mut json_bytes = 0;
    for (row, record) in rows.iter().zip(&compact) {
        // The mark of the reversal is beside the record, not in it.
        let mut as_decided = record.clone();
        as_decided.outcome.reversed_by = None;
        let json = seal(record_json(&as_decided).to_string());
        json_bytes += json.len();
        write_json(&client, row, json).await;
    }
    assert_eq!(records().await, compact, "outcomes in JSON are read");
    shop.audit().await;

    let mut told = 0;
    let done = store.backfill(Backfill::Records, &mut |done| told = done.rows).await.unwrap();
    assert_eq!((done.rows, done.unreadable, told), (5, 0, 5));
    assert_eq!(records().await, compact);
    assert_eq!(records().await.iter().filter(|record| record.outcome.reversed_by.is_some()).count(), 1);
    let bytes: usize = outcomes(&client).await.iter().map(|row| row["record"].as_b().unwrap().as_ref().len()).sum();
    assert!(bytes * 3 < json_bytes, "{bytes} of {json_bytes}");
    let again = store.backfill(Backfill::Records, &mut |_| ()).await.unwrap();
    assert_eq!(Backfilled { answers: 0, ..again }, Backfilled::default(), "nothing is left to do");

    // Damage and the outcome of another command are left for the audit.
    write_json(&client, &rows[0], r#"{"v":1,"status":"#.to_owned()).await;
    write_json(&client, &rows[1], seal(record_json(&compact[2]).to_string())).await;
    let done = store.backfill(Backfill::Records, &mut |_| ()).await.unwrap();
    assert_eq!((done.rows, done.unreadable), (0, 2));
}
