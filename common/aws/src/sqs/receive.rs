use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::Instant;
use uuid::Uuid;

use super::dlq_turns::Turn;
use super::{MAX_RECEIVE, MAX_VISIBILITY_S, Source, SqsQueue, entries, whole_seconds};
use stockline_core::domain::{ItemId, item_of_carried};
use stockline_core::ports::{Delivery, QueueError};

/// The longest wait of a receive at SQS, in seconds (SQS quotas).
const MAX_WAIT_S: u64 = 20;

/// The deadlines of one attempt and of all attempts of a receive, beyond its wait.
const ANSWER_TIMEOUTS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(6));

pub(super) async fn receive(
    queue: &SqsQueue,
    max: usize,
    wait: Duration,
    attempt: Uuid,
) -> Result<Vec<Delivery>, QueueError> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let turn = match &queue.dlq_url {
        Some(_) => queue.dlq_turns.take(Instant::now(), attempt),
        None => Turn::Main,
    };
    let wait = match turn {
        Turn::Main => wait,
        Turn::MainAtOnce => Duration::ZERO,
        Turn::DeadLetters(attempt) => {
            let set_aside = receive_dead_letters(queue, max, attempt).await;
            if !set_aside.is_empty() {
                return Ok(set_aside);
            }
            wait
        }
    };
    let received = receive_from(queue, Source::Main, max, wait, attempt).await;
    if received.is_err() {
        queue.dlq_turns.main_failed(attempt);
    }
    received
}

/// Reads the dead letter queue. Its failure must not stop the main queue, so it is only logged.
async fn receive_dead_letters(queue: &SqsQueue, max: usize, attempt: Uuid) -> Vec<Delivery> {
    match receive_from(queue, Source::DeadLetters, max, Duration::ZERO, attempt).await {
        Ok(deliveries) => {
            if deliveries.len() >= max.min(MAX_RECEIVE) {
                queue.dlq_turns.had_more();
            }
            deliveries
        }
        Err(error) => {
            tracing::warn!(%error, "can't receive from the dead letter queue; the main queue goes on");
            queue.dlq_turns.failed(attempt);
            Vec::new()
        }
    }
}

async fn receive_from(
    queue: &SqsQueue,
    source: Source,
    max: usize,
    wait: Duration,
    attempt: Uuid,
) -> Result<Vec<Delivery>, QueueError> {
    let Some(url) = queue.url(source) else { return Ok(Vec::new()) };
    let wait_s = whole_seconds(wait, MAX_WAIT_S);
    let waiting = Duration::from_secs(u64::try_from(wait_s).unwrap_or(0));
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(waiting + ANSWER_TIMEOUTS.0)
        .operation_timeout(waiting + ANSWER_TIMEOUTS.1)
        .build();
    let answer = queue
        .client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(i32::try_from(max.min(MAX_RECEIVE)).unwrap_or(1))
        .wait_time_seconds(wait_s)
        .visibility_timeout(whole_seconds(queue.options.visibility_timeout, MAX_VISIBILITY_S))
        // The same attempt id returns the messages of a lost answer again, so the SDK may repeat the call.
        .receive_request_attempt_id(attempt.to_string())
        .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
        .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
        .customize()
        .config_override(aws_sdk_sqs::Config::builder().timeout_config(timeouts))
        .send()
        .await
        .map_err(|error| entries::call_error(&error))?;
    Ok(answer.messages.unwrap_or_default().into_iter().filter_map(|message| delivery(message, source)).collect())
}

fn delivery(message: Message, source: Source) -> Option<Delivery> {
    let attribute = |name| message.attributes.as_ref().and_then(|attributes| attributes.get(name)).map(String::as_str);
    let Some(receipt) = &message.receipt_handle else {
        tracing::error!(
            id = message.message_id,
            "SQS delivered a message without a receipt handle; it will deliver it again"
        );
        return None;
    };
    let receives = attribute(&MessageSystemAttributeName::ApproximateReceiveCount).and_then(|text| text.parse().ok());
    // Only a standard queue has no groups, and `check` refuses it.
    let group = attribute(&MessageSystemAttributeName::MessageGroupId).unwrap_or_default();
    let item_id = item_of_carried(group, message.body.as_deref().unwrap_or_default());
    Some(Delivery {
        handle: source.handle(receipt),
        group: item_id.as_ref().map_or(group, ItemId::as_str).into(),
        receives: receives.unwrap_or(1),
        message_id: Arc::from(message.message_id.unwrap_or_default()),
        body: Arc::from(message.body.unwrap_or_default()),
        set_aside: source == Source::DeadLetters,
    })
}
