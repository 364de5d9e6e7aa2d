use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The longest that a message can be hidden in one go, as on SQS.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3_600);

/// The number of one delivery. It is never used again, in this process or a later one on the same file.
pub(super) type DeliveryNo = u64;

/// The open deliveries with their deadlines, in the order in which they expire.
#[derive(Debug)]
pub(super) struct InFlight<T> {
    deliveries: HashMap<DeliveryNo, (T, Instant)>,
    deadlines: BTreeSet<(Instant, DeliveryNo)>,
    next: DeliveryNo,
}

impl<T> InFlight<T> {
    /// Starts without deliveries. Numbers begin at random, so a handle of an earlier process names no delivery here.
    pub(super) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "only tells two processes apart")]
        let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
        Self { deliveries: HashMap::new(), deadlines: BTreeSet::new(), next: random }
    }

    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Returns when the next delivery expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Opens a delivery for `held_for`.
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

    /// Sets the deadline to `held_for` from now. Returns `false` if the delivery is not open.
    pub(super) fn extend(&mut self, delivery: DeliveryNo, now: Instant, held_for: Duration) -> bool {
        let Some((_, deadline)) = self.deliveries.get_mut(&delivery) else { return false };
        self.deadlines.remove(&(*deadline, delivery));
        *deadline = now + held_for.min(MAX_VISIBILITY);
        self.deadlines.insert((*deadline, delivery));
        true
    }

    /// Removes one expired delivery.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(DeliveryNo, T)> {
        let (_, delivery) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(delivery).map(|value| (delivery, value))
    }
}

/// Writes the number of a delivery as a handle.
pub(super) fn write_handle(delivery: DeliveryNo) -> Arc<str> {
    format!("{delivery:016x}").into()
}

/// Reads a handle. Returns `None` if this queue did not write it.
pub(super) fn read_handle(text: &str) -> Option<DeliveryNo> {
    u64::from_str_radix(text, 16).ok()
}
