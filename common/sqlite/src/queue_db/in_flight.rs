use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest that a message can be hidden in one go, as on SQS.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3_600);

/// The longest that one receive waits, as on SQS.
const MAX_RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// Names one delivery. Never used again, in this process or a later one on the same file.
pub(super) type DeliveryNo = u64;

/// What is delivered and until when, in the order in which it expires.
#[derive(Debug)]
pub(super) struct InFlight<T> {
    deliveries: HashMap<DeliveryNo, (T, Instant)>,
    deadlines: BTreeSet<(Instant, DeliveryNo)>,
    next: DeliveryNo,
}

impl<T> InFlight<T> {
    /// Empty. It begins to count at random, so that a handle of an earlier process names nothing here.
    pub(super) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "only says that two processes are not the same")]
        let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
        Self { deliveries: HashMap::new(), deadlines: BTreeSet::new(), next: random }
    }

    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// When the next one expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A new delivery, held for so long.
    pub(super) fn add(&mut self, value: T, now: Instant, held_for: Duration) -> DeliveryNo {
        let delivery = self.next;
        self.next = self.next.wrapping_add(1);
        let deadline = now + held_for.min(MAX_VISIBILITY);
        self.deliveries.insert(delivery, (value, deadline));
        self.deadlines.insert((deadline, delivery));
        delivery
    }

    pub(super) fn get(&self, delivery: DeliveryNo) -> Option<&T> {
        self.deliveries.get(&delivery).map(|(value, _)| value)
    }

    pub(super) fn remove(&mut self, delivery: DeliveryNo) -> Option<T> {
        let (value, deadline) = self.deliveries.remove(&delivery)?;
        self.deadlines.remove(&(deadline, delivery));
        Some(value)
    }

    /// Holds it for so long from now; `false` where it isn't held.
    pub(super) fn extend(&mut self, delivery: DeliveryNo, now: Instant, held_for: Duration) -> bool {
        let Some((_, deadline)) = self.deliveries.get_mut(&delivery) else { return false };
        self.deadlines.remove(&(*deadline, delivery));
        *deadline = now + held_for.min(MAX_VISIBILITY);
        self.deadlines.insert((*deadline, delivery));
        true
    }

    /// Removes one whose time has run out.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(DeliveryNo, T)> {
        let (_, delivery) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(delivery).map(|value| (delivery, value))
    }
}

/// A delivery's name as text.
pub(super) fn write_handle(delivery: DeliveryNo) -> Arc<str> {
    format!("{delivery:016x}").into()
}

/// `None`: not one of ours.
pub(super) fn read_handle(text: &str) -> Option<DeliveryNo> {
    u64::from_str_radix(text, 16).ok()
}

/// Wakes receivers that wait.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Notify);

impl Arrivals {
    /// To be told after a change: does something wait to be taken, and when did and does the next delivery expire?
    pub(super) fn changed(&self, some_wait: bool, deadline_before: Option<Instant>, deadline: Option<Instant>) {
        if some_wait {
            // One is enough: should it leave some behind, it wakes the next.
            self.0.notify_one();
        }
        if deadline.is_some_and(|deadline| deadline_before.is_none_or(|before| deadline < before)) {
            // Each sleeps until the deadline that it knew of.
            self.0.notify_waiters();
        }
    }

    /// Takes until there is something, `wait` is over (then nothing), or the future is dropped. `take` is asked at
    /// first, whenever something arrived, and when a delivery expires (it also answers when the next one does).
    pub(super) async fn take_in_time<T>(
        &self,
        wait: Duration,
        mut take: impl FnMut(Instant) -> (Vec<T>, Option<Instant>),
    ) -> Vec<T> {
        let give_up = Instant::now() + wait.min(MAX_RECEIVE_WAIT);
        loop {
            // Before the look: what changes after it is not missed.
            let arrived = self.0.notified();
            let now = Instant::now();
            let (taken, next_deadline) = take(now);
            if !taken.is_empty() || now >= give_up {
                return taken;
            }
            let wake_at = next_deadline.map_or(give_up, |deadline| deadline.min(give_up));
            // Nothing is held here: either side of the wait may be dropped.
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
    }
}
