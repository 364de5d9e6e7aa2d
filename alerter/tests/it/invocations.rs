//! The function as Lambda invokes it: events and answers are JSON. The topic's subscription is raw, so a body is an
//! alert, and an SNS envelope is not.

use std::sync::Arc;

use serde_json::{Value, json};
use stockline_alerter::{Alerter, function};
use stockline_core::ports::Clock;

use crate::world::{World, alert, body, opening, refused};

/// The timeout of an invocation in `deploy/alerter.yaml`, in milliseconds.
const TIMEOUT_MS: i64 = 45_000;

fn record(message_id: &str, body: &str) -> Value {
    json!({
        "messageId": message_id, "receiptHandle": format!("handle of {message_id}"), "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1769847300000", "SenderId": "AIDAEXAMPLE",
            "ApproximateFirstReceiveTimestamp": "1769847300001",
        },
        "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:alerts", "awsRegion": "eu-central-1",
    })
}

async fn invoke_within(world: &World, alerter: &Alerter, event: Value, left_ms: i64) -> Value {
    let clock: Arc<dyn Clock> = world.clock.clone();
    function::handle(alerter, &clock, event, clock.now().plus_millis(left_ms)).await.unwrap()
}

async fn invoke(world: &World, alerter: &Alerter, records: &[Value]) -> Value {
    invoke_within(world, alerter, json!({ "Records": records }), TIMEOUT_MS).await
}

/// Returns the answer that names these messages.
fn failed(message_ids: &[&str]) -> Value {
    let failures: Vec<_> = message_ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": failures })
}

#[tokio::test]
async fn each_message_that_failed_is_named_and_no_other() {
    let world = World::new();
    let low = body(&alert("SKU-1", "main"));
    let envelope = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-central-1:123456789012:alerts",
        "Message": body(&alert("SKU-2", "main")), "Timestamp": "2026-01-31T08:14:59.000Z",
    });
    let mut without_body = record("m5", "");
    without_body.as_object_mut().unwrap().remove("body");
    let batch = [
        record("m1", "{\"item_id\":"),
        record("m2", &low),
        record("m3", &envelope.to_string()),
        record("m4", "not JSON"),
        without_body,
        record("m6", &body(&alert("SKU-3", "main"))),
    ];
    assert_eq!(invoke(&world, &world.alerter(), &batch).await, failed(&["m1", "m3", "m4", "m5"]));
    let mails = world.outbox.accepted();
    assert_eq!(mails.len(), 1);
    for (item, is_in) in [("SKU-1", true), ("SKU-2", false), ("SKU-3", true)] {
        assert_eq!(mails[0].text.contains(item), is_in, "{item}");
    }
}

#[tokio::test]
async fn an_empty_batch_is_answered_with_nothing_failed() {
    let world = World::new();
    assert_eq!(invoke(&world, &world.alerter(), &[]).await, failed(&[]));
    assert_eq!(world.mails(), 0);
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_delivered_again_and_mails_nothing_twice() {
    let world = World::new();
    let batch = [record("m1", &body(&alert("SKU-1", "main"))), record("m2", &body(&alert("SKU-2", "main")))];
    assert_eq!(invoke(&world, &world.alerter(), &batch).await, failed(&[]));
    assert_eq!(invoke(&world, &world.alerter(), &batch).await, failed(&[]));
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn while_mail_is_down_every_message_is_named_until_it_is_mailed() {
    let world = World::new();
    let batch = [record("m1", &body(&alert("SKU-1", "main"))), record("m2", &body(&alert("SKU-2", "main")))];
    let alerter = world.alerter();
    world.outbox.set_down(true);
    assert_eq!(invoke(&world, &alerter, &batch).await, failed(&["m1", "m2"]));
    world.outbox.set_down(false);
    assert_eq!(invoke(&world, &world.alerter(), &batch).await, failed(&[]), "by whoever gets them next");
    assert_eq!(world.mails(), 1);
}

/// The visibility timeout of the queue in `deploy/data.yaml`, in milliseconds.
const VISIBILITY_MS: i64 = 270_000;

#[tokio::test]
async fn openings_are_named_until_the_queue_brings_the_last_of_them_again() {
    let world = World::new();
    let batch =
        |items: &[&str]| items.iter().map(|item| record(item, &body(&opening(item, "main")))).collect::<Vec<_>>();
    let (first, second) = (batch(&["m1", "m2"]), batch(&["m3"]));
    // Each invocation is of another process.
    assert_eq!(invoke(&world, &world.alerter(), &first).await, failed(&["m1", "m2"]));
    world.clock.advance_ms(100_000);
    assert_eq!(invoke(&world, &world.alerter(), &second).await, failed(&["m3"]));
    world.clock.advance_ms(VISIBILITY_MS - 100_000);
    assert_eq!(invoke(&world, &world.alerter(), &first).await, failed(&["m1", "m2"]), "the last may have company");
    world.clock.advance_ms(100_000);
    assert_eq!(invoke(&world, &world.alerter(), &second).await, failed(&[]));
    world.clock.advance_ms(VISIBILITY_MS - 100_000);
    assert_eq!(invoke(&world, &world.alerter(), &first).await, failed(&[]));
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn an_invocation_with_too_little_time_left_begins_no_mail_and_names_its_messages() {
    let world = World::new();
    let batch = json!({ "Records": [record("m1", &body(&alert("SKU-1", "main")))] });
    let answer = invoke_within(&world, &world.alerter(), batch, 0).await;
    assert_eq!(answer, failed(&["m1"]));
    assert_eq!(world.mails(), 0);
}

#[tokio::test]
async fn the_schedule_mails_notices_and_answers_how_many() {
    let world = World::new();
    world.store.refuse([refused(1, Some("main"), "2026-01-31T07:00:00Z")]);
    let event = json!({ "stockline": "daily_notices" });
    let alerter = world.alerter();
    assert_eq!(invoke_within(&world, &alerter, event.clone(), TIMEOUT_MS).await, json!({ "mailed": 1 }));
    assert_eq!(invoke_within(&world, &alerter, event, TIMEOUT_MS).await, json!({ "mailed": 0 }));
    assert_eq!(world.mails(), 1);
}
