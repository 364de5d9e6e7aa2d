use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest wait of one receive, as on SQS.
const MAX_RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// Wakes waiting receivers.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Notify);

impl Arrivals {
    /// Wakes receivers after a change. `some_wait` says whether a message can be received now; the deadlines are the
    /// next expiry before and after the change.
    pub(super) fn changed(&self, some_wait: bool, deadline_before: Option<Instant>, deadline: Option<Instant>) {
        if some_wait {
            // One is enough: if it leaves messages behind, it wakes the next.
            self.0.notify_one();
        }
        if deadline.is_some_and(|deadline| deadline_before.is_none_or(|before| deadline < before)) {
            // Each sleeps until the deadline that it knew.
            self.0.notify_waiters();
        }
    }

    /// Calls `take` until it returns something or `wait` is over. It is called at once, after each arrival and when a
    /// delivery expires. `take` also returns the next deadline.
    pub(super) async fn take_in_time<T>(
        &self,
        wait: Duration,
        mut take: impl FnMut(Instant) -> (Vec<T>, Option<Instant>),
    ) -> Vec<T> {
        let give_up = Instant::now() + wait.min(MAX_RECEIVE_WAIT);
        loop {
            // Registered before `take`, so no later change is missed.
            let arrived = self.0.notified();
            let now = Instant::now();
            let (taken, next_deadline) = take(now);
            if !taken.is_empty() || now >= give_up {
                return taken;
            }
            let wake_at = next_deadline.map_or(give_up, |deadline| deadline.min(give_up));
            // Neither side holds a message, so either may be dropped.
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
    }
}
