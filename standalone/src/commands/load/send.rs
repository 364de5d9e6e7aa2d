//! Sends lines in batches over several lanes and waits for their outcomes.
//!
//! All lines of an item use the same lane, and a lane sends its next batch only when the batch before is durable in the
//! queue. So an item's commands are queued in the order of the file.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use stockline_core::domain::{ItemId, Timestamp};
use stockline_service::Retry;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answers::{
    BatchAnswer, Effect, Outcome, StatusAnswer, StatusQuestion, problem_of, read, reason_of, receipt_of,
};
use super::line::{Line, successor, under_next_id};
use super::report::{MAX_REFUSED, Refused, Tally};
use super::settings;
use crate::client::{Client, Request};
use crate::exit::Unavailable;
use crate::problem::Problem;

/// The most bytes of one request, below the server's limit of 1 MiB.
const BATCH_BYTES: usize = 900 * 1024;
/// The most bytes of a replaced command in a request.
const REPLACED_BYTES: usize = 400;
/// The most accepted batches of a lane that wait for their outcomes; more batches wait to be sent.
const UNSETTLED_BATCHES: usize = 4;
/// The first and the longest pause between polls for outcomes.
const POLL_FIRST: Duration = Duration::from_millis(5);
const POLL_MOST: Duration = Duration::from_millis(500);
/// The first and the longest pause before lines that did not reach the queue are sent again.
const RESEND_FIRST: Duration = Duration::from_millis(50);
const RESEND_MOST: Duration = Duration::from_secs(2);

/// A line that is durable in the queue.
#[derive(Debug)]
struct Accepted {
    line: Line,
    receipt: Option<String>,
}

/// The state that all lanes share.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) client: Client,
    /// The most lines of one batch.
    pub(super) batch_lines: usize,
    /// How long to retry without progress.
    pub(super) patience: Duration,
    /// A command accepted before this moment is from an earlier run.
    pub(super) started_at: Timestamp,
    pub(super) bar: ProgressBar,
    pub(super) tally: Mutex<Tally>,
}

/// Returns the lane of an item.
pub(super) fn lane_of(item: &str, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    item.hash(&mut hasher);
    // The remainder is below `lanes`.
    usize::try_from(hasher.finish() % lanes.max(1) as u64).unwrap_or_default()
}

impl Sender {
    /// Runs one lane: sends its lines in order until the file ends, then waits for the last outcomes.
    pub(super) async fn lane(self: Arc<Self>, mut lines: mpsc::Receiver<Line>) -> anyhow::Result<()> {
        let (accepted, mut to_settle) = mpsc::channel::<Vec<Accepted>>(UNSETTLED_BATCHES);
        let sending = async {
            let (mut carried_over, mut set) = (None, HashSet::new());
            loop {
                let mut batch = self.next_batch(&mut lines, &mut carried_over).await;
                if batch.is_empty() {
                    break;
                }
                self.set_again(&mut batch, &mut set).await?;
                let batch = self.accept(batch).await?;
                if accepted.send(batch).await.is_err() {
                    break;
                }
            }
            drop(accepted);
            anyhow::Ok(())
        };
        let settling = async {
            while let Some(batch) = to_settle.recv().await {
                self.settle(batch).await?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(sending, settling).map(|_| ())
    }

    /// Collects the lines of the next request; `carried_over` is the line that did not fit into the one before.
    async fn next_batch(&self, lines: &mut mpsc::Receiver<Line>, carried_over: &mut Option<Line>) -> Vec<Line> {
        let mut batch = Vec::with_capacity(self.batch_lines);
        let mut bytes = 0;
        while batch.len() < self.batch_lines {
            let next = match carried_over.take() {
                Some(line) => Some(line),
                None => lines.recv().await,
            };
            let Some(line) = next else { break };
            bytes += line.json.len() + 1 + line.replaces.as_ref().map_or(0, |_| REPLACED_BYTES);
            if bytes > BATCH_BYTES && !batch.is_empty() {
                *carried_over = Some(line);
                break;
            }
            batch.push(line);
        }
        batch
    }

    /// Gives a line that sets something a new id, where it took effect in an earlier run and something else has been set
    /// since. So the item ends at what the file says, also if last week's file said the same and yesterday's another.
    /// `set` has the items that lines before it have set.
    async fn set_again(&self, batch: &mut [Line], set: &mut HashSet<String>) -> anyhow::Result<()> {
        let mut setting: Vec<&mut Line> = batch.iter_mut().filter(|line| settings::sets(line.kind)).collect();
        if setting.is_empty() {
            return Ok(());
        }
        let answers = self.statuses(setting.iter().map(|line| (&**line, None))).await?;
        for (line, answer) in setting.iter_mut().zip(answers) {
            if answer.status == "applied" {
                let differs = match set.contains(&line.item) {
                    true => true,
                    false => settings::differs(&line.json, &self.item(&line.item).await?),
                };
                if !differs {
                    continue;
                }
                line.set_again = true;
                settings::renew(&mut line.json, &mut line.command_id);
            }
            set.insert(line.item.clone());
        }
        Ok(())
    }

    /// Reads an item.
    async fn item(&self, item: &str) -> anyhow::Result<Value> {
        let path = item.parse::<ItemId>().map(|item_id| format!("/v1/items/{}", item_id.in_path()))?;
        Ok(self.client.send_until(&Request::get(path), self.patience).await?.body)
    }

    /// Asks what became of lines, with the receipts of those that have one.
    async fn statuses<'a>(
        &self,
        lines: impl Iterator<Item = (&'a Line, Option<&'a str>)>,
    ) -> anyhow::Result<Vec<StatusAnswer>> {
        let questions: Vec<_> = lines
            .map(|(line, receipt)| StatusQuestion { item_id: &line.item, command_id: line.command_id, receipt })
            .collect();
        let body = serde_json::to_vec(&json!({ "commands": questions }))?;
        let answer = self.client.send_raw(&Request::post("/v1/commands/status", body), self.patience).await?;
        read(&answer.bytes, questions.len())
    }

    /// Sends a batch until every line of it is durable in the queue or refused.
    async fn accept(&self, mut batch: Vec<Line>) -> anyhow::Result<Vec<Accepted>> {
        let mut accepted = Vec::with_capacity(batch.len());
        let mut pauses = Retry::new(RESEND_FIRST, RESEND_MOST);
        let mut deadline = Instant::now() + self.patience;
        while !batch.is_empty() {
            let request = Request::post("/v1/commands/batch", batch_body(&batch));
            let answer = self.client.send_raw(&request, self.patience).await?;
            let answers: Vec<BatchAnswer> = read(&answer.bytes, batch.len())?;
            let before = batch.len();
            let mut failed = Vec::new();
            for (line, answer) in batch.drain(..).zip(answers) {
                match answer.status.as_str() {
                    "failed" => failed.push(line),
                    "invalid" => self.refuse(line, None, answer.problem.unwrap_or_default())?,
                    _ => accepted.push(Accepted { line, receipt: receipt_of(answer.status_url.as_deref()) }),
                }
            }
            if failed.len() < before {
                deadline = Instant::now() + self.patience;
                pauses.reset();
            }
            batch = failed;
            if !batch.is_empty() {
                let pause = pauses.next_pause();
                if Instant::now() + pause > deadline {
                    bail!(Unavailable("the server's queue does not accept commands".into()));
                }
                tokio::time::sleep(pause).await;
            }
        }
        Ok(accepted)
    }

    /// Polls until every line of a batch has an outcome.
    async fn settle(&self, mut batch: Vec<Accepted>) -> anyhow::Result<()> {
        let mut pauses = Retry::new(POLL_FIRST, POLL_MOST);
        let mut deadline = Instant::now() + self.patience;
        while !batch.is_empty() {
            let answers =
                self.statuses(batch.iter().map(|accepted| (&accepted.line, accepted.receipt.as_deref()))).await?;
            let before = batch.len();
            let mut queued = Vec::new();
            for (accepted, answer) in batch.drain(..).zip(answers) {
                let earlier = |outcome: &Outcome| outcome.accepted_at < self.started_at;
                if answer.status == "rejected" && answer.outcome.as_ref().is_some_and(earlier) {
                    queued.push(Accepted { line: successor(accepted.line, answer), receipt: None });
                } else if answer.status == "queued" {
                    queued.push(accepted);
                } else {
                    self.count(accepted.line, answer)?;
                }
            }
            batch = queued;
            if batch.len() < before {
                deadline = Instant::now() + self.patience;
                pauses.reset();
            }
            if !batch.is_empty() {
                if Instant::now() > deadline {
                    bail!(Unavailable("commands are accepted but not applied: is the server's disk full?".into()));
                }
                tokio::time::sleep(pauses.next_pause()).await;
            }
        }
        Ok(())
    }

    /// Counts a line by its outcome.
    fn count(&self, mut line: Line, answer: StatusAnswer) -> anyhow::Result<()> {
        let before = line.refused_before.take();
        let (outcome, earlier) = match (answer.outcome, before) {
            (Some(outcome), before) => {
                let earlier =
                    (before.is_some() || outcome.accepted_at < self.started_at).then_some(outcome.accepted_at);
                (outcome, earlier)
            }
            // Nothing took its place yet.
            (None, Some(before)) => return self.refuse(line, Some(before.accepted_at), before.problem),
            (None, None) => return self.refuse(line, None, answer.problem.unwrap_or_default()),
        };
        if answer.status == "applied" {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match earlier {
                Some(at) => tally.count_earlier(at),
                None => {
                    tally.applied += 1;
                    tally.set_again += u64::from(line.set_again);
                    let any = |is_so: fn(&Effect) -> bool| u64::from(outcome.effects.iter().any(is_so));
                    tally.late += any(|effect| effect.late);
                    tally.clock_ahead += any(|effect| effect.clock_ahead);
                    tally.kept_later += any(Effect::kept_later);
                }
            }
            self.bar.inc(1);
            return Ok(());
        }
        let problem = problem_of(outcome);
        let line = if answer.status == "rejected" { under_next_id(line) } else { line };
        self.refuse(line, earlier, problem)
    }

    /// Counts a line as refused.
    fn refuse(&self, line: Line, earlier: Option<Timestamp>, problem: Problem) -> anyhow::Result<()> {
        let (code, detail) = reason_of(&problem);
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if tally.refused.len() >= MAX_REFUSED {
            bail!(
                "more than {MAX_REFUSED} lines are refused, the latest with {code}: {detail}. Correct the mapping or the file and run the same command again"
            );
        }
        tally.refused.push(Refused {
            line: line.number,
            earlier,
            code,
            detail,
            command_id: line.command_id,
            replaces: line.replaces,
            record: line.record,
        });
        self.bar.inc(1);
        Ok(())
    }
}

fn batch_body(batch: &[Line]) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.iter().map(|line| line.json.len() + 1).sum::<usize>() + 16);
    body.extend_from_slice(b"{\"commands\":[");
    for (index, line) in batch.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&line.json);
    }
    body.push(b']');
    let replaced: Vec<_> = batch
        .iter()
        .filter_map(|line| line.replaces.as_ref())
        .map(|old| StatusQuestion { item_id: old.item_id.as_str(), command_id: old.command_id, receipt: None })
        .collect();
    if !replaced.is_empty() {
        body.extend_from_slice(b",\"resubmits\":");
        // This can't fail: texts always serialize, and a Vec accepts every write.
        let _ = serde_json::to_writer(&mut body, &replaced);
    }
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_an_item_share_a_lane() {
        let lanes: std::collections::BTreeSet<_> = (0..200).map(|n| lane_of(&format!("item-{n}"), 8)).collect();
        assert_eq!(lanes.len(), 8, "all lanes are used");
        assert_eq!(lane_of("cola", 8), lane_of("cola", 8));
        assert_eq!(lane_of("cola", 1), 0);
    }
}
