//! `Prefer: wait=N` (RFC 7240): one task looks for the outcomes of all waiting requests.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use futures_util::FutureExt as _;
use stockline_core::domain::{CommandKey, Record};
use stockline_core::ports::Queries;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::metrics::WaitMetrics;

/// The earliest and the latest first look after a command was queued. In between, it comes when an outcome is likely.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const FIRST_PAUSE_MOST: Duration = Duration::from_millis(500);
/// After a first look that found nothing, the next one follows after this part of the time until the first; each later
/// pause is half as long again.
const SECOND_PAUSE_PART: u32 = 3;
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

/// When an outcome is likely, learned from those before. On AWS a command takes some hundred milliseconds to its outcome
/// and each look is a read that is paid for; a standalone server takes some milliseconds.
#[derive(Debug)]
struct Likely(Duration);

impl Likely {
    /// Learns from a request whose last outcome was found this long after it began to wait, at the n-th look.
    fn learn(&mut self, took: Duration, looks: u32) {
        // An outcome at the first look may have come any time before. So the first look creeps forward until some looks
        // come too early.
        self.0 = if looks <= 1 { self.0.mul_f64(0.98) } else { self.0.mul_f64(0.8) + took.mul_f64(0.2) };
        self.0 = self.0.clamp(FIRST_PAUSE, FIRST_PAUSE_MOST);
    }
}

/// A request that waits.
struct Waiter {
    commands: Vec<CommandKey>,
    found: Vec<Option<Record>>,
    deadline: Instant,
    began: Instant,
    due: Instant,
    pause: Duration,
    looks: u32,
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
    likely: Arc<Mutex<Likely>>,
}

impl Waiting {
    /// Starts the task; it ends when the last clone is dropped. At most `most` requests wait at once, for at most
    /// `most_commands` commands together.
    pub(crate) fn start(queries: Arc<dyn Queries>, most: usize, most_commands: usize) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(most));
        let likely = Arc::new(Mutex::new(Likely(FIRST_PAUSE)));
        tokio::spawn(look_for_ever(queries, receiver, Arc::clone(&likely)));
        let commands = Arc::new(Semaphore::new(most_commands));
        Self { sender, slots, commands, most, metrics: WaitMetrics::register(), likely }
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
        let first = lock(&self.likely).0;
        let waiter = Waiter {
            found: vec![None; commands.len()],
            commands,
            deadline,
            began: now,
            due: deadline.min(now + first),
            pause: (first / SECOND_PAUSE_PART).max(FIRST_PAUSE),
            looks: 0,
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

fn lock(likely: &Mutex<Likely>) -> MutexGuard<'_, Likely> {
    // It is one number, which a panic elsewhere leaves whole.
    likely.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks until the last [`Waiting`] is dropped. A panic answers the requests that wait now without an outcome, and ends
/// nothing else.
async fn look_for_ever(
    queries: Arc<dyn Queries>,
    mut receiver: mpsc::UnboundedReceiver<Waiter>,
    likely: Arc<Mutex<Likely>>,
) {
    while AssertUnwindSafe(look(&*queries, &mut receiver, &likely)).catch_unwind().await.is_err() {
        tracing::error!("the look for outcomes panicked; the requests that waited are answered without them");
    }
}

async fn look(queries: &dyn Queries, receiver: &mut mpsc::UnboundedReceiver<Waiter>, likely: &Mutex<Likely>) {
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
                settle(&mut waiters, likely);
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
        waiter.looks += 1;
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
fn settle(waiters: &mut Vec<Waiter>, likely: &Mutex<Likely>) {
    let now = Instant::now();
    let mut index = 0;
    while let Some(waiter) = waiters.get_mut(index) {
        let settled = waiter.found.iter().all(Option::is_some);
        if settled || waiter.deadline <= now || waiter.reply.is_closed() {
            let Waiter { reply, found, slots, began, looks, .. } = waiters.swap_remove(index);
            drop(slots);
            if settled {
                lock(likely).learn(now - began, looks);
            }
            // A cancelled request needs no reply.
            let _ = reply.send(found);
        } else {
            waiter.due = waiter.due.min(waiter.deadline);
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the looks of a request whose outcome comes after `took`, and how long it waited for it in vain.
    fn waits(likely: &mut Likely, took: Duration) -> (u32, Duration) {
        let (mut at, mut pause, mut looks) = (likely.0, (likely.0 / SECOND_PAUSE_PART).max(FIRST_PAUSE), 1);
        while at < took {
            at += pause;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            looks += 1;
        }
        likely.learn(at, looks);
        (looks, at - took)
    }

    #[test]
    fn the_first_look_comes_when_an_outcome_is_likely() {
        let mut rng = 7_u64;
        let mut next = move || {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (rng >> 33) as f64 / f64::from(1_u32 << 31)
        };
        for (typical_ms, late_part) in [(4.0, 1.0), (60.0, 0.5), (250.0, 0.5)] {
            let mut likely = Likely(FIRST_PAUSE);
            let (mut looks, mut late) = (0, Duration::ZERO);
            for n in 0..1_200 {
                let took = Duration::from_secs_f64(typical_ms * (0.7 + 0.6 * next()) / 1_000.0);
                let (more, waited) = waits(&mut likely, took);
                if n >= 200 {
                    (looks, late) = (looks + more, late + waited);
                }
            }
            assert!(looks < 2_000, "{typical_ms} ms: {looks} looks for 1,000 requests");
            let late_ms = late.as_secs_f64();
            assert!(late_ms < typical_ms * late_part, "{typical_ms} ms: {late_ms} ms late on average");
        }
    }

    #[test]
    fn what_was_learned_is_unlearned() {
        let mut likely = Likely(FIRST_PAUSE);
        for _ in 0..100 {
            waits(&mut likely, Duration::from_millis(400));
        }
        assert!(likely.0 > Duration::from_millis(200), "{likely:?}");
        for _ in 0..400 {
            waits(&mut likely, Duration::from_millis(3));
        }
        assert!(likely.0 < Duration::from_millis(10), "{likely:?}");
        likely.learn(Duration::from_secs(20), 90);
        assert!(likely.0 <= FIRST_PAUSE_MOST);
    }
}
