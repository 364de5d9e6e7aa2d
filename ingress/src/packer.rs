//! Linger packing (design.md §6): commands that wait at the same time are packed per item and sent together.
//!
//! One task owns everything. It keeps these rules:
//! - A command of an idle item is sent at once. While a pack of an item is in flight, the item's later commands wait,
//!   and so packs fill. At most one pack of an item is in flight.
//! - If a send failed or timed out, the pack may be in the queue all the same. The same pack is sent again, with the
//!   same `dedup_id`, and no later command of its item overtakes it. After its deadline its callers get a failure.
//! - When a line fails, the later lines of its item in the same request fail too, unsent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stockline_core::ports::CommandSender;
use stockline_service::Faults;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

mod actor;
mod item_backlog;
mod submission;
#[cfg(test)]
mod tests;

pub use submission::Line;

use self::actor::Actor;
use self::submission::Submission;
use crate::metrics::PackMetrics;

/// The packing task as a part of the process: without it no command is accepted.
pub(crate) const PACKER: &str = "packer";
/// The queue as a part of the process, as the packing task finds it.
pub(crate) const QUEUE: &str = "queue";

/// How long a command may wait for its turn; after that it fails unsent.
const TURN_DEADLINE: Duration = Duration::from_secs(8);
/// The answer to the lines of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// For each line, in order, whether it is durable in the queue. If not, it may be sent again with the same id.
    Lines(Vec<bool>),
    /// More than `limits.buffered_commands` would wait; no line was accepted.
    Overloaded,
}

/// Hands commands to the packing task. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Packer {
    sender: mpsc::UnboundedSender<Submission>,
    buffered: Arc<AtomicUsize>,
    most: usize,
    metrics: PackMetrics,
}

/// The packing task.
#[derive(Debug)]
pub struct PackerTask {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

/// Ends a packing task when it is dropped, with the commands that wait: as a crash does.
#[derive(Debug)]
pub(crate) struct CutOff(AbortHandle);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Packer {
    /// Does the task still accept commands?
    pub fn is_running(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Starts the task; at most `most` commands wait at once.
    pub fn start(queue: Arc<dyn CommandSender>, most: usize) -> (Self, PackerTask) {
        Self::start_watched(queue, most, Duration::ZERO, Arc::default())
    }

    /// As [`Packer::start`]. Packs of different items wait up to `linger` for each other, so that fewer calls are paid for;
    /// `faults` learns whether the queue takes packs.
    pub(crate) fn start_watched(
        queue: Arc<dyn CommandSender>,
        most: usize,
        linger: Duration,
        faults: Arc<Faults>,
    ) -> (Self, PackerTask) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let buffered = Arc::new(AtomicUsize::new(0));
        let metrics = PackMetrics::register();
        let actor = Actor::new(queue, Arc::clone(&buffered), metrics.clone(), faults, linger);
        let handle = tokio::spawn(actor.run(receiver, stopped));
        (Self { sender, buffered, most, metrics }, PackerTask { stop, handle })
    }

    /// Queues the lines of one request and answers when each is durable or has failed.
    ///
    /// If the future is dropped, the task keeps the lines: they may still be queued.
    pub async fn submit(&self, lines: Vec<Line>) -> Submitted {
        let count = lines.len();
        let reserved = self.buffered.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            now.checked_add(count).filter(|sum| *sum <= self.most)
        });
        let Ok(before) = reserved else {
            return Submitted::Overloaded;
        };
        self.metrics.buffered(before + count);
        let (reply, answer) = oneshot::channel();
        let submission = Submission { lines, deadline: Instant::now() + TURN_DEADLINE, reply };
        if self.sender.send(submission).is_err() {
            self.buffered.fetch_sub(count, Ordering::AcqRel);
            return Submitted::Lines(vec![false; count]);
        }
        Submitted::Lines(answer.await.unwrap_or_else(|_| vec![false; count]))
    }
}

impl PackerTask {
    /// Returns a value that ends the task with it, whatever the task still waits for.
    pub(crate) fn cut_off(&self) -> CutOff {
        CutOff(self.handle.abort_handle())
    }

    /// Waits until the task ends without a request, which only a panic makes it do.
    pub(crate) async fn ended(&mut self) {
        // The panic was reported where it happened.
        let _ = (&mut self.handle).await;
    }

    /// Ends the task as a panic would.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        self.handle.abort();
    }

    /// Accepts no more commands, sends the waiting ones, and ends; after `within` it ends in any case.
    pub async fn drain(mut self, within: Duration) {
        drop(self.stop);
        if !self.handle.is_finished() && tokio::time::timeout(within, &mut self.handle).await.is_err() {
            tracing::warn!("commands still waited for the queue when the drain ended; their callers did not get a 202");
        }
    }
}
