//! Dead letters are outcomes (design.md §6): they are listed, retried and discarded by their records.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stockline_core::domain::{CommandId, CommandKey, ItemId, Queued, Record, Status, Timestamp, encode_message};
use stockline_core::ports::{
    CommandFilter, CommandSender, Pack, Page, PageRequest, Queries, QueueError, Store, StoreError,
};
use uuid::Uuid;

/// The records of one read.
const PAGE: usize = 1_000;

/// The most dead letters that one [`retry_all`] queues. Run it again for the rest.
pub const RETRY_ALL_MAX: usize = 100_000;

/// Why a dead letter is not queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such record.
    #[error("no command with this item and id is known")]
    Unknown,
    /// It was applied or rejected.
    #[error("the command is not dead-lettered: it was applied or rejected, and that is final")]
    Decided,
    /// Its body is not a command.
    #[error(
        "the body can't be decoded, so there is no command to retry; submit a corrected command, then discard this one"
    )]
    Undecodable,
    /// See [`discard`].
    #[error("it was discarded, and that is final; submit a new command")]
    Discarded,
    /// It was resubmitted as another command.
    #[error("it was resubmitted as another command; a retry could apply it twice")]
    Resubmitted,
}

/// The result of one retry.
#[derive(Debug, Clone)]
pub enum Retried {
    /// It is durable in the queue, with this retry number. Its outcome will replace the dead letter.
    Queued(u32),
    /// It stays as it is.
    Refused(Refusal),
    /// It may or may not be queued. Retrying again is safe, because it takes effect at most once.
    Failed(QueueError),
}

/// One line of [`retry_all`].
#[derive(Debug, Clone)]
pub struct RetriedLine {
    /// The dead letter's item.
    pub item_id: ItemId,
    /// The dead letter's command id.
    pub command_id: CommandId,
    /// The result of its retry.
    pub retried: Retried,
}

/// Returns dead letters, newest first; with `settled`, also discarded and resubmitted ones. `limit` is 1 to 1,000.
///
/// # Errors
/// Fails if the store can't be read.
pub async fn list(
    queries: &dyn Queries,
    settled: bool,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Record>, StoreError> {
    let filter = CommandFilter {
        status: Status::DeadLettered,
        code: None,
        location_id: None,
        since: None,
        settled_otherwise: settled,
    };
    queries.commands(&filter, PageRequest::new(cursor, limit)).await
}

/// Returns the command of a dead letter as its next retry. It keeps its time of acceptance, so that its age is judged as
/// before.
///
/// # Errors
/// Fails with a [`Refusal`]; no infrastructure is involved.
pub fn next_retry(record: &Record) -> Result<Queued, Refusal> {
    let outcome = &record.outcome;
    if outcome.status != Status::DeadLettered {
        return Err(Refusal::Decided);
    }
    if record.resubmitted_as.is_some() {
        return Err(Refusal::Resubmitted);
    }
    if outcome.dead_letter.as_ref().is_some_and(|letter| letter.discarded_at.is_some()) {
        return Err(Refusal::Discarded);
    }
    let command = outcome.command.clone().ok_or(Refusal::Undecodable)?;
    Ok(Queued {
        command,
        accepted_at: outcome.accepted_at,
        submitted_by: outcome.submitted_by.clone(),
        retry: record.retry + 1,
        resubmits: record.resubmits.clone(),
        first_accepted_at: record.first_accepted_at,
        reach: record.reach.clone(),
        trace: None,
    })
}

/// Queues one dead letter again. Its place in the item's order is where the retry is decided.
///
/// # Errors
/// Fails if the store can't be read. If the queue fails, the result is [`Retried::Failed`].
pub async fn retry(queries: &dyn Queries, sender: &dyn CommandSender, key: &CommandKey) -> Result<Retried, StoreError> {
    let record = queries.records(std::slice::from_ref(key)).await?.into_iter().next().flatten();
    let queued = match record.as_ref().ok_or(Refusal::Unknown).and_then(next_retry) {
        Ok(queued) => queued,
        Err(refusal) => return Ok(Retried::Refused(refusal)),
    };
    let sent = sender.send(vec![pack(&queued)]).await;
    Ok(retried(queued.retry, sent.into_iter().next()))
}

/// Queues all dead letters again that are neither discarded nor resubmitted, the oldest of each item first, at most
/// [`RETRY_ALL_MAX`]. It is safe to run it again.
///
/// # Errors
/// Fails if the store can't be read; then nothing is queued. A failure of the queue is reported line by line. If one
/// command of an item fails, its later ones are not sent.
pub async fn retry_all(queries: &dyn Queries, sender: &dyn CommandSender) -> Result<Vec<RetriedLine>, StoreError> {
    let mut lines = Vec::new();
    let mut by_item: BTreeMap<ItemId, Vec<Queued>> = BTreeMap::new();
    for record in all_open(queries).await? {
        match next_retry(&record) {
            Ok(queued) => by_item.entry(queued.command.item_id.clone()).or_default().push(queued),
            Err(refusal) => {
                let (item_id, command_id) = (record.outcome.item_id, record.outcome.command_id);
                lines.push(RetriedLine { item_id, command_id, retried: Retried::Refused(refusal) });
            }
        }
    }
    let mut waiting: VecDeque<VecDeque<Queued>> = by_item
        .into_values()
        .map(|mut of_item| {
            // They are listed newest first, and the commands of one request share their time of acceptance.
            of_item.reverse();
            of_item.sort_by_key(|queued| queued.accepted_at);
            of_item.into()
        })
        .collect();
    while !waiting.is_empty() {
        // The packs of one call must be of different items.
        let turn: Vec<_> = waiting.drain(..waiting.len().min(sender.max_batch().max(1))).collect();
        let packs = turn.iter().filter_map(|of_item| of_item.front()).map(pack).collect();
        let mut answers = sender.send(packs).await.into_iter();
        for mut of_item in turn {
            let Some(queued) = of_item.pop_front() else {
                continue;
            };
            let retried = retried(queued.retry, answers.next());
            if matches!(retried, Retried::Failed(_)) {
                let behind = QueueError::Unavailable("an earlier command of the item could not be queued".into());
                lines.extend(of_item.drain(..).map(|queued| line(&queued, Retried::Failed(behind.clone()))));
            }
            lines.push(line(&queued, retried));
            if !of_item.is_empty() {
                waiting.push_back(of_item);
            }
        }
    }
    Ok(lines)
}

/// Marks a dead letter as discarded, which is final; its record is kept whole. Returns `false` if no open dead letter has
/// this key.
///
/// # Errors
/// Fails if the store does not confirm the write. It may have written; discarding again is safe.
pub async fn discard(store: &dyn Store, key: &CommandKey, now: Timestamp) -> Result<bool, StoreError> {
    store.discard(key, now).await
}

async fn all_open(queries: &dyn Queries) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = list(queries, false, cursor.as_deref(), PAGE).await?;
        records.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() || records.len() >= RETRY_ALL_MAX {
            records.truncate(RETRY_ALL_MAX);
            return Ok(records);
        }
    }
}

fn pack(queued: &Queued) -> Pack {
    let item_id = queued.command.item_id.clone();
    let body = Arc::from(encode_message(&item_id, [queued]));
    Pack { item_id, dedup_id: fresh_dedup_id(), body }
}

#[expect(clippy::disallowed_methods, reason = "it names one send; it is no id of the domain")]
fn fresh_dedup_id() -> Uuid {
    Uuid::new_v4()
}

fn retried(retry: u32, answer: Option<Result<(), QueueError>>) -> Retried {
    match answer {
        Some(Ok(())) => Retried::Queued(retry),
        Some(Err(error)) => Retried::Failed(error),
        None => Retried::Failed(QueueError::Unavailable("the adapter returned no answer".into())),
    }
}

fn line(queued: &Queued, retried: Retried) -> RetriedLine {
    RetriedLine { item_id: queued.command.item_id.clone(), command_id: queued.command.command_id, retried }
}
