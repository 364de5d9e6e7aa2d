//! `Prefer: wait=N` (RFC 7240): one task looks for the outcomes of all waiting requests.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use futures_util::FutureExt as _;
use stockline_core::domain::{CommandKey, Record};
use stockline_core::ports::Queries;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::metrics::WaitMetrics;

/// The first look after a command was queued; each later pause is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// Waiters that are due this soon join the current look.
const JOIN: Duration = Duration::from_millis(1);
/// Records of one query.
const RECORDS_PER_QUERY: usize = 500;

/// Returns how many seconds the request prefers to wait, at most `most_s`; `None` if it names no time. A preference that
/// can't be read is ignored (RFC 7240).
pub(crate) fn preference(headers: &HeaderMap, most_s: u64) -> Option<u64> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|preference| {
            let (name, seconds) = preference.split(';').next()?.split_once('=')?;
            let seconds = seconds.trim().trim_matches('"').parse::<u64>().ok()?;
            name.trim().eq_ignore_ascii_case("wait").then_some(seconds.min(most_s))
        })
        .filter(|seconds| *seconds > 0)
}

/// A request that waits.
struct Waiter {
    commands: Vec<CommandKey>,
    found: Vec<Option<Record>>,
    deadline: Instant,
    due: Instant,
    pause: Duration,
    reply: oneshot::Sender<Vec<Option<Record>>>,
    /// One for the request, and one for each of its commands; released when the request is answered.
    slots: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// Lets requests wait for outcomes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    sender: mpsc::UnboundedSender<Waiter>,
    slots: Arc<Semaphore>,
    commands: Arc<Semaphore>,
    most: usize,
    metrics: WaitMetrics,
}

impl Waiting {
    /// Starts the task; it ends when the last clone is dropped. At most `most` requests wait at once, for at most
    /// `most_commands` commands together.
    pub(crate) fn start(queries: Arc<dyn Queries>, most: usize, most_commands: usize) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(most));
        tokio::spawn(look_for_ever(queries, receiver));
        let commands = Arc::new(Semaphore::new(most_commands));
        Self { sender, slots, commands, most, metrics: WaitMetrics::register() }
    }

    /// Waits until all commands have outcomes or the time is over, and returns the records in order. Returns `None` at
    /// once if too many requests wait already.
    pub(crate) async fn outcomes(&self, commands: Vec<CommandKey>, seconds: u64) -> Option<Vec<Option<Record>>> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let weight = u32::try_from(commands.len()).ok()?;
        let share = Arc::clone(&self.commands).try_acquire_many_owned(weight).ok()?;
        self.metrics.waiting(self.most - self.slots.available_permits());
        let now = Instant::now();
        let deadline = now + Duration::from_secs(seconds);
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter {
            found: vec![None; commands.len()],
            commands,
            deadline,
            due: now + FIRST_PAUSE,
            pause: FIRST_PAUSE,
            reply,
            slots: (slot, share),
        };
        self.sender.send(waiter).ok()?;
        // The task replies by the deadline, unless a read of the store hangs.
        let found = tokio::time::timeout_at(deadline + LONGEST_PAUSE, answer).await.ok().and_then(Result::ok);
        self.metrics.waiting(self.most - self.slots.available_permits());
        found
    }
}

/// Looks until the last [`Waiting`] is dropped. A panic answers the requests that wait now without an outcome, and ends
/// nothing else.
async fn look_for_ever(queries: Arc<dyn Queries>, mut receiver: mpsc::UnboundedReceiver<Waiter>) {
    while AssertUnwindSafe(look(&*queries, &mut receiver)).catch_unwind().await.is_err() {
        tracing::error!("the look for outcomes panicked; the requests that waited are answered without them");
    }
}

async fn look(queries: &dyn Queries, receiver: &mut mpsc::UnboundedReceiver<Waiter>) {
    let mut waiters: Vec<Waiter> = Vec::new();
    let mut failing = false;
    loop {
        let next = waiters.iter().map(|waiter| waiter.due).min();
        tokio::select! {
            arrived = receiver.recv() => match arrived {
                Some(waiter) => waiters.push(waiter),
                None => return,
            },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                let healthy = look_once(queries, &mut waiters, failing).await;
                failing = !healthy;
                settle(&mut waiters);
            }
        }
    }
}

/// Reads the missing outcomes of the waiters that are due. Returns `false` if the store failed; they look again later.
async fn look_once(queries: &dyn Queries, waiters: &mut [Waiter], failing: bool) -> bool {
    let due_by = Instant::now() + JOIN;
    let mut places = Vec::new();
    let mut wanted = Vec::new();
    for (w, waiter) in waiters.iter_mut().enumerate().filter(|(_, waiter)| waiter.due <= due_by) {
        waiter.due = due_by + waiter.pause;
        waiter.pause = (waiter.pause * 3 / 2).min(LONGEST_PAUSE);
        for (c, command) in waiter.commands.iter().enumerate().filter(|(c, _)| waiter.found[*c].is_none()) {
            places.push((w, c));
            wanted.push(command.clone());
        }
    }
    let mut healthy = true;
    for (places, wanted) in places.chunks(RECORDS_PER_QUERY).zip(wanted.chunks(RECORDS_PER_QUERY)) {
        match queries.records(wanted).await {
            Ok(records) => {
                for ((w, c), record) in places.iter().zip(records) {
                    waiters[*w].found[*c] = record;
                }
            }
            Err(error) => {
                if healthy && !failing {
                    tracing::warn!(%error, "the outcomes of waiting requests can't be read; trying again");
                }
                // The next records may be readable.
                healthy = false;
            }
        }
    }
    healthy
}

/// Replies to the waiters that have all outcomes, have waited long enough, or were cancelled.
fn settle(waiters: &mut Vec<Waiter>) {
    let now = Instant::now();
    let mut index = 0;
    while let Some(waiter) = waiters.get_mut(index) {
        let settled = waiter.found.iter().all(Option::is_some);
        if settled || waiter.deadline <= now || waiter.reply.is_closed() {
            let Waiter { reply, found, slots, .. } = waiters.swap_remove(index);
            drop(slots);
            // A cancelled request needs no reply.
            let _ = reply.send(found);
        } else {
            waiter.due = waiter.due.min(waiter.deadline);
            index += 1;
        }
    }
}
