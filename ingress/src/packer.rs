//! Linger packing (design.md §6): commands that wait at the same time are packed per item and sent together.
//!
//! One task owns everything. It keeps these rules:
//! - An idle item's command is sent at once. While a pack of an item is in flight, what comes for it waits, and so
//!   packs fill; at most one pack of an item is in flight.
//! - A pack whose send failed or timed out may be in the queue all the same. The same pack goes again, under the same
//!   `dedup_id`, and nothing later of its item overtakes it. When its deadline has passed its callers are told.
//! - When a line fails, the later lines of its item in the same request fail too, unsent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stockline_core::domain::ItemId;
use stockline_core::ports::CommandSender;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

mod actor;
mod group;
#[cfg(test)]
mod tests;

use crate::metrics;

/// How long a command may wait for its turn before it is failed unsent.
pub(crate) const TURN_DEADLINE: Duration = Duration::from_secs(8);
/// How long one pack is tried.
pub(crate) const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// How long one try may take; then its answer counts as lost.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// Calls of [`CommandSender::send`] at the same time.
pub(crate) const MAX_SENDS_IN_FLIGHT: usize = 32;
/// The longest that a busy item's commands wait for its pack to fill, besides the flight of the one before.
pub(crate) const MAX_LINGER: Duration = Duration::from_millis(20);
/// A busy item that nothing came for in this time has its pack sent.
pub(crate) const QUIET: Duration = Duration::from_millis(1);

/// One command to be queued.
#[derive(Debug)]
pub struct Line {
    /// Its item.
    pub item_id: ItemId,
    /// From [`stockline_core::domain::encode_command`].
    pub envelope: String,
}

/// What came of the lines of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// One answer a line, in order: is it durable in the queue? What is not may be sent again under the same id.
    Lines(Vec<bool>),
    /// More than `limits.buffered_commands` wait: nothing of it was taken.
    Overloaded,
}

/// What a caller hands to the task.
struct Submission {
    lines: Vec<Line>,
    deadline: Instant,
    reply: oneshot::Sender<Vec<bool>>,
}

/// Hands commands to the packing task. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Packer {
    sender: mpsc::UnboundedSender<Submission>,
    buffered: Arc<AtomicUsize>,
    most: usize,
}

/// The packing task.
#[derive(Debug)]
pub struct PackerTask {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

impl Packer {
    /// Does its task still take commands?
    pub fn is_running(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Starts the task; at most `most` commands wait at once.
    pub fn start(queue: Arc<dyn CommandSender>, most: usize) -> (Self, PackerTask) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let buffered = Arc::new(AtomicUsize::new(0));
        let actor = actor::Actor::new(queue, Arc::clone(&buffered));
        let handle = tokio::spawn(actor.run(receiver, stopped));
        (Self { sender, buffered, most }, PackerTask { stop, handle })
    }

    /// Queues the lines of one request and answers when each is durable or has failed.
    ///
    /// Dropping the future leaves the lines with the task: they may still be queued.
    pub async fn submit(&self, lines: Vec<Line>) -> Submitted {
        let count = lines.len();
        let room = self.buffered.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            now.checked_add(count).filter(|sum| *sum <= self.most)
        });
        let Ok(before) = room else {
            return Submitted::Overloaded;
        };
        metrics::buffered_commands(before + count);
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
    /// Takes nothing more, sends what waits, and ends; gives up after `within`.
    pub async fn drain(self, within: Duration) {
        drop(self.stop);
        if tokio::time::timeout(within, self.handle).await.is_err() {
            tracing::warn!("commands still waited for the queue when the drain ended; their callers were not told 202");
        }
    }
}
