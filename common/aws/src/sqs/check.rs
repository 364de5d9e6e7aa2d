//! Checks that the queues have the settings that the promises need.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;

use super::{Source, SqsQueue};
use crate::StartError;
use stockline_core::domain::MAX_PACK_BYTES;
use stockline_core::ports::QUEUE_RETENTION_S;

/// The permission that the check needs.
const NEEDS: &str = "sqs:GetQueueAttributes";

/// The `maxReceiveCount` of the queue: the most that SQS offers (design.md §6).
pub const QUEUE_MAX_RECEIVES: u64 = 1_000;

type Attributes = HashMap<QueueAttributeName, String>;

/// The main queue's `RedrivePolicy`. SQS writes the count as a number or as a text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

pub(super) async fn check(queue: &SqsQueue) -> Result<(), StartError> {
    let main = check_queue(queue, Source::Main).await?;
    if let Some(dlq_url) = &queue.dlq_url {
        let dlq = check_queue(queue, Source::DeadLetters).await?;
        check_redrive(&queue.main_url, &main, dlq_url, &dlq)?;
    }
    Ok(())
}

async fn check_queue(queue: &SqsQueue, source: Source) -> Result<Attributes, StartError> {
    let url = queue.url(source).unwrap_or_default();
    let what = match source {
        Source::Main => format!("the queue {url}"),
        Source::DeadLetters => format!("the dead letter queue {url}"),
    };
    let call = queue.client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let answer = call.send().await.map_err(|error| StartError::of_call(&what, NEEDS, &error))?;
    let attributes = answer.attributes.unwrap_or_default();
    check_kind(&what, url, &attributes)?;
    if source == Source::Main {
        check_main(&what, &attributes)?;
    }
    match number(&attributes, &QueueAttributeName::MessageRetentionPeriod) {
        Some(seconds) if seconds < QUEUE_RETENTION_S => tracing::warn!(
            "{what} keeps messages for {seconds} s only, and a longer outage loses accepted commands; set \
             MessageRetentionPeriod to {QUEUE_RETENTION_S}"
        ),
        _ => {}
    }
    Ok(attributes)
}

fn check_kind(what: &str, url: &str, attributes: &Attributes) -> Result<(), StartError> {
    if url.ends_with(".fifo") && is(attributes, &QueueAttributeName::FifoQueue, "true") {
        return Ok(());
    }
    Err(StartError::WrongKind(format!(
        "{what} is a standard queue, which keeps no order: create a FIFO queue (its name ends in .fifo) and name it"
    )))
}

fn check_main(what: &str, attributes: &Attributes) -> Result<(), StartError> {
    let per_group = is(attributes, &QueueAttributeName::DeduplicationScope, "messageGroup")
        && is(attributes, &QueueAttributeName::FifoThroughputLimit, "perMessageGroupId");
    if !per_group {
        return Err(StartError::WrongKind(format!(
            "{what} is not a high throughput FIFO queue: all items together would share 300 calls a second; set \
             DeduplicationScope to messageGroup and FifoThroughputLimit to perMessageGroupId"
        )));
    }
    match number(attributes, &QueueAttributeName::MaximumMessageSize) {
        Some(bytes) if bytes < MAX_PACK_BYTES as u64 => Err(StartError::WrongKind(format!(
            "{what} accepts messages of up to {bytes} bytes, but a pack of commands may have {MAX_PACK_BYTES}; set \
             MaximumMessageSize to {MAX_PACK_BYTES} or more"
        ))),
        _ => Ok(()),
    }
}

fn check_redrive(main_url: &str, main: &Attributes, dlq_url: &str, dlq: &Attributes) -> Result<(), StartError> {
    let Some(policy) = main.get(&QueueAttributeName::RedrivePolicy) else {
        return Err(StartError::WrongKind(format!(
            "the queue {main_url} has no RedrivePolicy, so a message that can't be processed would block its item until \
             SQS drops it; set one to {dlq_url} with maxReceiveCount {QUEUE_MAX_RECEIVES}"
        )));
    };
    let policy: RedrivePolicy = serde_json::from_str(policy).map_err(|error| {
        StartError::WrongKind(format!("the queue {main_url} has a RedrivePolicy that can't be read: {error}"))
    })?;
    if dlq.get(&QueueAttributeName::QueueArn) != Some(&policy.dead_letter_target_arn) {
        return Err(StartError::WrongKind(format!(
            "the queue {main_url} sets messages aside to {}, not to {dlq_url}, and no program would read them; correct \
             its RedrivePolicy, or name that queue",
            policy.dead_letter_target_arn
        )));
    }
    let count = &policy.max_receive_count;
    match count.as_u64().or_else(|| count.as_str()?.parse().ok()) {
        Some(receives) if receives < QUEUE_MAX_RECEIVES => tracing::warn!(
            "the queue {main_url} sets messages aside after {receives} receives: a long outage may set healthy commands aside, \
             out of their order; set maxReceiveCount to {QUEUE_MAX_RECEIVES}"
        ),
        _ => {}
    }
    Ok(())
}

fn is(attributes: &Attributes, name: &QueueAttributeName, value: &str) -> bool {
    attributes.get(name).is_some_and(|found| found == value)
}

fn number(attributes: &Attributes, name: &QueueAttributeName) -> Option<u64> {
    attributes.get(name)?.parse().ok()
}
