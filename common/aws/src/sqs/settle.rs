//! Acknowledging, extending, giving back: batches per queue, side by side.

use std::time::Duration;

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};
use futures_util::future::join_all;

use super::{MAX_VISIBILITY_S, Source, SqsQueue, entries, whole_seconds};
use crate::batch::MAX_ENTRIES;
use stockline_core::ports::{Handle, QueueError};

/// A held message: its place in the caller's list, its receipt handle, and for how long to hold it.
struct Held<'a> {
    place: usize,
    receipt: &'a str,
    for_s: i32,
}

pub(super) async fn ack(queue: &SqsQueue, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
    let held = |source: Source| {
        let handles = handles.iter().enumerate();
        handles.filter_map(move |(place, handle)| Some(Held { place, receipt: source.receipt(handle)?, for_s: 0 }))
    };
    let batches = Source::ALL.map(|source| batches(queue, source, held(source))).into_iter().flatten();
    let calls = batches.map(|(url, batch)| async move { (places(&batch), delete(queue, url, &batch).await) });
    in_order(handles.len(), join_all(calls).await)
}

pub(super) async fn change_visibility(queue: &SqsQueue, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
    let held = |source: Source| {
        handles.iter().enumerate().filter_map(move |(place, (handle, held_for))| {
            let for_s = whole_seconds(*held_for, MAX_VISIBILITY_S);
            Some(Held { place, receipt: source.receipt(handle)?, for_s })
        })
    };
    let batches = Source::ALL.map(|source| batches(queue, source, held(source))).into_iter().flatten();
    let calls = batches.map(|(url, batch)| async move { (places(&batch), hide(queue, url, &batch).await) });
    in_order(handles.len(), join_all(calls).await)
}

fn batches<'a>(
    queue: &'a SqsQueue,
    source: Source,
    held: impl Iterator<Item = Held<'a>>,
) -> Vec<(&'a str, Vec<Held<'a>>)> {
    let Some(url) = queue.url(source) else { return Vec::new() };
    let mut batches: Vec<(&str, Vec<Held<'_>>)> = Vec::new();
    for held in held {
        match batches.last_mut() {
            Some((_, batch)) if batch.len() < MAX_ENTRIES => batch.push(held),
            _ => batches.push((url, vec![held])),
        }
    }
    batches
}

fn places(batch: &[Held<'_>]) -> Vec<usize> {
    batch.iter().map(|held| held.place).collect()
}

/// The places of a call's messages in the caller's list, and their results.
type Settled = (Vec<usize>, Vec<Result<(), QueueError>>);

/// Puts the results of all calls at their places. A handle of neither queue is nobody's.
fn in_order(count: usize, calls: Vec<Settled>) -> Vec<Result<(), QueueError>> {
    let mut results = vec![Err(QueueError::HandleExpired); count];
    for (place, result) in calls.into_iter().flat_map(|(places, results)| places.into_iter().zip(results)) {
        results[place] = result;
    }
    results
}

async fn delete(queue: &SqsQueue, url: &str, batch: &[Held<'_>]) -> Vec<Result<(), QueueError>> {
    let entries = batch.iter().enumerate().map(|(place, held)| {
        DeleteMessageBatchRequestEntry::builder().id(entries::entry_id(place)).receipt_handle(held.receipt).build()
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

async fn hide(queue: &SqsQueue, url: &str, batch: &[Held<'_>]) -> Vec<Result<(), QueueError>> {
    let entries = batch.iter().enumerate().map(|(place, held)| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(entries::entry_id(place))
            .receipt_handle(held.receipt)
            .visibility_timeout(held.for_s)
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

fn cant_be_built(batch: &[Held<'_>], error: &impl std::fmt::Display) -> Vec<Result<(), QueueError>> {
    vec![Err(QueueError::Unavailable(error.to_string())); batch.len()]
}
