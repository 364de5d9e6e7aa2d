use std::sync::Arc;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::future::join_all;

use super::{SqsQueue, entries};
use crate::batch::{calls, sendable};
use stockline_core::ports::{Pack, QueueError};

/// The most bytes of all bodies of one call (SQS quotas: 1 MiB).
const MAX_CALL_BYTES: usize = 1024 * 1024;

/// Sends packs in as few calls as possible, side by side. They are of different items, so they have no order to keep.
pub(super) async fn send(queue: &SqsQueue, packs: &[Pack]) -> Vec<Result<(), QueueError>> {
    let bodies: Vec<Arc<str>> = packs.iter().map(|pack| sendable(&pack.body)).collect();
    let lengths: Vec<usize> = bodies.iter().map(|body| body.len()).collect();
    let calls = calls(&lengths, MAX_CALL_BYTES).into_iter();
    let calls = calls.map(|range| send_batch(queue, &packs[range.clone()], &bodies[range]));
    join_all(calls).await.into_iter().flatten().collect()
}

async fn send_batch(queue: &SqsQueue, packs: &[Pack], bodies: &[Arc<str>]) -> Vec<Result<(), QueueError>> {
    let mut batch = Vec::with_capacity(packs.len());
    for (place, (pack, body)) in packs.iter().zip(bodies).enumerate() {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(entries::entry_id(place))
            .message_body(&**body)
            .message_group_id(pack.item_id.carried())
            .message_deduplication_id(pack.dedup_id.to_string())
            .build();
        match entry {
            Ok(entry) => batch.push(entry),
            Err(error) => return vec![Err(QueueError::Unavailable(error.to_string())); packs.len()],
        }
    }
    let call = queue.client.send_message_batch().queue_url(&queue.main_url).set_entries(Some(batch));
    match call.send().await {
        Ok(answer) => {
            let successful = answer.successful().iter().map(|entry| entry.id());
            entries::results(packs.len(), successful, answer.failed())
        }
        Err(error) => entries::all_failed(packs.len(), &error),
    }
}
