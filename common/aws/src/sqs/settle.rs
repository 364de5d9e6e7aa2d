//! Acknowledging, extending and returning messages, in batches for each queue that run side by side.

use std::time::Duration;

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};
use futures_util::future::join_all;

use super::{MAX_VISIBILITY_S, Source, SqsQueue, entries, whole_seconds};
use crate::batch::MAX_ENTRIES;
use stockline_core::ports::{Handle, QueueError};

/// One handle of a call: its place in the caller's list, its receipt handle, and the new visibility timeout.
struct HandleEntry<'a> {
    place: usize,
    receipt: &'a str,
    visibility_s: i32,
}

pub(super) async fn ack(queue: &SqsQueue, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
    let entries = |source: Source| {
        let handles = handles.iter().enumerate();
        handles.filter_map(move |(place, handle)| {
            Some(HandleEntry { place, receipt: source.receipt(handle)?, visibility_s: 0 })
        })
    };
    let batches = Source::ALL.map(|source| batches(queue, source, entries(source))).into_iter().flatten();
    let calls = batches.map(|(url, batch)| async move { (places(&batch), delete(queue, url, &batch).await) });
    in_order(handles.len(), join_all(calls).await)
}

pub(super) async fn change_visibility(queue: &SqsQueue, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
    let entries = |source: Source| {
        handles.iter().enumerate().filter_map(move |(place, (handle, held_for))| {
            let visibility_s = whole_seconds(*held_for, MAX_VISIBILITY_S);
            Some(HandleEntry { place, receipt: source.receipt(handle)?, visibility_s })
        })
    };
    let batches = Source::ALL.map(|source| batches(queue, source, entries(source))).into_iter().flatten();
    let calls = batches.map(|(url, batch)| async move { (places(&batch), hide(queue, url, &batch).await) });
    in_order(handles.len(), join_all(calls).await)
}

fn batches<'a>(
    queue: &'a SqsQueue,
    source: Source,
    entries: impl Iterator<Item = HandleEntry<'a>>,
) -> Vec<(&'a str, Vec<HandleEntry<'a>>)> {
    let Some(url) = queue.url(source) else { return Vec::new() };
    let mut batches: Vec<(&str, Vec<HandleEntry<'_>>)> = Vec::new();
    for entry in entries {
        match batches.last_mut() {
            Some((_, batch)) if batch.len() < MAX_ENTRIES => batch.push(entry),
            _ => batches.push((url, vec![entry])),
        }
    }
    batches
}

fn places(batch: &[HandleEntry<'_>]) -> Vec<usize> {
    batch.iter().map(|entry| entry.place).collect()
}

/// The places of a call's messages in the caller's list, and their results.
type Settled = (Vec<usize>, Vec<Result<(), QueueError>>);

/// Puts the results of all calls in the caller's order. A handle of neither queue has expired.
fn in_order(count: usize, calls: Vec<Settled>) -> Vec<Result<(), QueueError>> {
    let mut results = vec![Err(QueueError::HandleExpired); count];
    for (place, result) in calls.into_iter().flat_map(|(places, results)| places.into_iter().zip(results)) {
        results[place] = result;
    }
    results
}

async fn delete(queue: &SqsQueue, url: &str, batch: &[HandleEntry<'_>]) -> Vec<Result<(), QueueError>> {
    let entries = batch.iter().enumerate().map(|(place, entry)| {
        DeleteMessageBatchRequestEntry::builder().id(entries::entry_id(place)).receipt_handle(entry.receipt).build()
    });
    let entries = match entries.collect() {
        Ok(entries) => entries,
        Err(error) => return cant_be_built(batch, &error),
    };
    match queue.client.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
        Ok(answer) => {
            entries::results(batch.len(), answer.successful().iter().map(|entry| entry.id()), answer.failed())
        }
        Err(error) => entries::all_failed(batch.len(), &error),
    }
}

async fn hide(queue: &SqsQueue, url: &str, batch: &[HandleEntry<'_>]) -> Vec<Result<(), QueueError>> {
    let entries = batch.iter().enumerate().map(|(place, entry)| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(entries::entry_id(place))
            .receipt_handle(entry.receipt)
            .visibility_timeout(entry.visibility_s)
            .build()
    });
    let entries = match entries.collect() {
        Ok(entries) => entries,
        Err(error) => return cant_be_built(batch, &error),
    };
    match queue.client.change_message_visibility_batch().queue_url(url).set_entries(Some(entries)).send().await {
        Ok(answer) => {
            entries::results(batch.len(), answer.successful().iter().map(|entry| entry.id()), answer.failed())
        }
        Err(error) => entries::all_failed(batch.len(), &error),
    }
}

fn cant_be_built(batch: &[HandleEntry<'_>], error: &impl std::fmt::Display) -> Vec<Result<(), QueueError>> {
    vec![Err(QueueError::Unavailable(error.to_string())); batch.len()]
}
