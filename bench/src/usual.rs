//! The usual design, for comparison: one message and one transaction of three rows per command.
//!
//! The API sends each command in its own SQS request. A consumer receives and deletes ten messages at a time. The
//! transaction updates the stock row under a condition, puts the movement, and puts the id if it is absent. An index
//! that holds whole movements serves the history of an item. Nothing is read beforehand.

use std::collections::HashMap;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, Projection, ProjectionType, Put,
    ScalarAttributeType, TransactWriteItem, Update,
};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use futures_util::future::try_join_all;
use serde_json::Value;
use stockline_aws::dynamodb::table::{PK, SK, key_schema};

use crate::engine::{Engine, sqs_client};
use crate::meter::Meter;
use crate::rng::Rng;
use crate::sqs_stub::SqsStub;

const TABLE: &str = "usual";
const HISTORY: &str = "history";
/// Messages per receive and per delete.
const RECEIVE_MAX: i32 = 10;
/// Every item starts with this stock, so no sale fails for shortage.
const OPENING: &str = "1000000";

/// Creates `items` items, calls `begin` to start counting, and settles the sales.
pub(crate) async fn run(
    engine: &Engine,
    meter: &Meter,
    stub: &SqsStub,
    items: usize,
    sales: &[String],
    begin: impl FnOnce(),
) -> Result<()> {
    let dynamodb = engine.client(Some(meter.clone()));
    create_table(&dynamodb).await?;
    for item in 0..items {
        let row = HashMap::from([key(PK, &format!("STOCK#item-{item}")), key(SK, "main"), number("on_hand", OPENING)]);
        dynamodb.put_item().table_name(TABLE).set_item(Some(row)).send().await?;
    }
    begin();
    let (sqs, queue_url) = (sqs_client(stub.url()), stub.queue_url());
    let mut rng = Rng::new(17);
    for ten in sales.chunks(RECEIVE_MAX as usize) {
        for sale in ten {
            let parsed: Value = serde_json::from_str(sale)?;
            let group = parsed["item_id"].as_str().context("item_id")?;
            let id = rng.uuid().to_string();
            let message = sqs.send_message().queue_url(&queue_url).message_group_id(group);
            message.message_deduplication_id(id).message_body(sale).send().await?;
        }
        let received = sqs
            .receive_message()
            .queue_url(&queue_url)
            .max_number_of_messages(RECEIVE_MAX)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .send()
            .await?;
        let messages = received.messages();
        try_join_all(messages.iter().map(|message| settle(&dynamodb, message))).await?;
        let entry = |(n, message): (usize, &Message)| {
            let handle = message.receipt_handle().unwrap_or_default();
            Ok(DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(handle).build()?)
        };
        let entries = messages.iter().enumerate().map(entry).collect::<Result<Vec<_>>>()?;
        sqs.delete_message_batch().queue_url(&queue_url).set_entries(Some(entries)).send().await?;
    }
    Ok(())
}

/// Settles one message: three rows in one transaction.
async fn settle(dynamodb: &aws_sdk_dynamodb::Client, message: &Message) -> Result<()> {
    let sale: Value = serde_json::from_str(message.body().unwrap_or_default())?;
    let text = |name: &str| sale[name].as_str().unwrap_or_default().to_owned();
    let (item, id) = (text("item_id"), text("command_id"));
    let stock = Update::builder()
        .table_name(TABLE)
        .key(PK, AttributeValue::S(format!("STOCK#{item}")))
        .key(SK, AttributeValue::S(text("location_id")))
        .update_expression("SET on_hand = on_hand - :quantity")
        .condition_expression("on_hand >= :quantity")
        .expression_attribute_values(":quantity", AttributeValue::N(text("quantity")))
        .build()?;
    let mut movement = HashMap::from([
        key(PK, &format!("MOVE#{id}")),
        key(SK, "MOVE"),
        key("item", &item),
        key("recorded_at", &format!("2026-11-22T18:00:00.000Z#{id}")),
        key("submitted_by", "4c9b1ad4-90d1-70f5-0b3c-6a2f6cb0a001"),
    ]);
    for name in ["location_id", "quantity", "type", "on_shortage", "device_id", "reference", "occurred_at"] {
        movement.extend([key(name, &text(name))]);
    }
    let once = HashMap::from([key(PK, &format!("ONCE#{id}")), key(SK, "ONCE"), key("status", "applied")]);
    let put = |row| Put::builder().table_name(TABLE).set_item(Some(row)).build();
    let mut once = put(once)?;
    once.condition_expression = Some("attribute_not_exists(pk)".into());
    dynamodb
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().update(stock).build())
        .transact_items(TransactWriteItem::builder().put(put(movement)?).build())
        .transact_items(TransactWriteItem::builder().put(once).build())
        .send()
        .await?;
    Ok(())
}

fn key(name: &str, value: &str) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::S(value.to_owned()))
}

fn number(name: &str, value: &str) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::N(value.to_owned()))
}

async fn create_table(dynamodb: &aws_sdk_dynamodb::Client) -> Result<()> {
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let history = GlobalSecondaryIndex::builder()
        .index_name(HISTORY)
        .set_key_schema(Some(key_schema("item", "recorded_at")))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()?;
    let request = dynamodb.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    request
        .attribute_definitions(attribute(PK)?)
        .attribute_definitions(attribute(SK)?)
        .attribute_definitions(attribute("item")?)
        .attribute_definitions(attribute("recorded_at")?)
        .set_key_schema(Some(key_schema(PK, SK)))
        .global_secondary_indexes(history)
        .send()
        .await
        .context("can't create the table")?;
    Ok(())
}
