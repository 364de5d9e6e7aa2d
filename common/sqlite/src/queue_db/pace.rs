use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How many messages may wait before sends are delayed, unless a second's work is more. It is a few receives of the
/// worker, so that the worker never runs dry; with more waiting messages, one commit settles more of an item.
pub(super) const FREE_MESSAGES: usize = 2_048;

/// The most send credits that are kept, in messages; at least the largest send.
const MAX_CREDITS: usize = 2_048;

/// If nothing was acknowledged for this long, no worker is running, and no send is delayed (P9).
pub(super) const IDLE_WORKER_AFTER: Duration = Duration::from_secs(1);

/// The shortest period over which acknowledgements are counted.
const SECOND: Duration = Duration::from_secs(1);

/// The longest delay of a send. Senders wait longer than this.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Backpressure: limits sends to the rate at which the worker acknowledges messages.
///
/// Ingress and worker share one machine, so accepting ahead of settling slows settling down. If more messages wait than
/// [`FREE_MESSAGES`] or a second's work, each acknowledged message earns the credit to send one. So goodput holds under
/// any load. While a worker catches up after an outage, slower senders are not delayed.
#[derive(Debug, Default)]
pub(super) struct SendPace {
    state: Mutex<State>,
    acked: Notify,
    /// The delayed sends, in order.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Messages on their way into the queue.
    sending: usize,
    credits: usize,
    acked_at: Option<Instant>,
    /// The beginning of this second, and how many messages were acknowledged in it and in the one before.
    second: Option<Instant>,
    acked_now: usize,
    acked_before: usize,
}

/// Messages on their way into the queue, until dropped.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    pace: &'a SendPace,
    messages: usize,
}

impl SendPace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts acknowledged messages.
    pub(super) fn acked(&self, messages: usize) {
        if messages > 0 {
            let now = Instant::now();
            let mut state = self.state();
            state.acked_at = Some(now);
            state.credits = (state.credits + messages).min(MAX_CREDITS);
            if state.second.is_none_or(|begun| now - begun >= SECOND) {
                (state.second, state.acked_before, state.acked_now) = (Some(now), state.acked_now, 0);
            }
            state.acked_now += messages;
            drop(state);
            self.acked.notify_one();
        }
    }

    /// Waits until `messages` may be sent. `waiting` returns how many are in the queue.
    pub(super) async fn keep(&self, messages: usize, waiting: impl Fn() -> usize) -> Sending<'_> {
        let deadline = Instant::now() + MAX_DELAY;
        if let Ok(_turn) = timeout_at(deadline, self.queue.lock()).await {
            while !self.may_go(messages, waiting()) && Instant::now() < deadline {
                // An acknowledgement since the check has left a permit, so none is missed.
                let _ = timeout_at(deadline.min(Instant::now() + IDLE_WORKER_AFTER), self.acked.notified()).await;
            }
        }
        self.state().sending += messages;
        Sending { pace: self, messages }
    }

    fn may_go(&self, messages: usize, waiting: usize) -> bool {
        let mut state = self.state();
        let worker_runs = state.acked_at.is_some_and(|acked_at| acked_at.elapsed() < IDLE_WORKER_AFTER);
        let free = FREE_MESSAGES.max(state.acked_before);
        if !worker_runs || waiting + state.sending <= free {
            return true;
        }
        let earned = state.credits >= messages.min(MAX_CREDITS);
        if earned {
            state.credits = state.credits.saturating_sub(messages);
        }
        earned
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.pace.state().sending -= self.messages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 100_000;

    /// Returns how long a send is delayed.
    async fn delay(pace: &SendPace, messages: usize, waiting: usize) -> Duration {
        let begun = Instant::now();
        drop(pace.keep(messages, || waiting).await);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_is_not_delayed_while_few_messages_wait_or_no_worker_runs() {
        let pace = SendPace::default();
        assert_eq!(delay(&pace, 500, LONG).await, Duration::ZERO, "nothing was acknowledged yet");
        pace.acked(1);
        assert_eq!(delay(&pace, 48, FREE_MESSAGES - 48).await, Duration::ZERO, "little waits");
        tokio::time::sleep(IDLE_WORKER_AFTER).await;
        assert_eq!(delay(&pace, 500, LONG).await, Duration::ZERO, "an outage");
    }

    #[tokio::test(start_paused = true)]
    async fn once_many_messages_wait_acknowledgements_earn_sends_in_order() {
        let pace = SendPace::default();
        let begun = Instant::now();
        let first = async {
            drop(pace.keep(30, || LONG).await);
            begun.elapsed().as_millis()
        };
        let second = async {
            drop(pace.keep(1, || LONG).await);
            begun.elapsed().as_millis()
        };
        let worker = async {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                pace.acked(10);
            }
        };
        pace.acked(1);
        assert_eq!(tokio::join!(first, second, worker), (300, 300, ()), "31 were acknowledged");
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_messages_may_wait_as_are_acknowledged_in_a_second() {
        let pace = SendPace::default();
        for _ in 0..20 {
            pace.acked(1_000);
            tokio::time::sleep(SECOND / 10).await;
        }
        pace.acked(1);
        assert!(pace.may_go(MAX_CREDITS, 10_000));
        assert!(pace.may_go(MAX_CREDITS, 10_001), "earned");
        assert!(!pace.may_go(MAX_CREDITS, 10_001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_being_sent_counts_as_waiting() {
        let pace = SendPace::default();
        pace.acked(1);
        let sending = pace.keep(FREE_MESSAGES + 1, || 0).await;
        assert!(!pace.may_go(2, 0));
        drop(sending);
        assert!(pace.may_go(2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_of_a_send_and_the_credits_kept_are_bounded() {
        let pace = SendPace::default();
        pace.acked(10 * MAX_CREDITS);
        assert_eq!(delay(&pace, 2 * MAX_CREDITS, LONG).await, Duration::ZERO, "larger than can be earned");
        let worker = async {
            for _ in 0..40 {
                pace.acked(1);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let sends = async { (delay(&pace, 500, LONG).await, delay(&pace, 500, LONG).await) };
        let (delays, ()) = tokio::join!(sends, worker);
        assert_eq!(delays, (MAX_DELAY, MAX_DELAY));
    }
}
