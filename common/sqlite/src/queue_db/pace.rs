use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Messages that may wait before sends are held back, or as many as a second works off where that is more: the more
/// wait, the more of an item are settled in one commit. A few receives of the worker, so that it never runs dry.
pub(super) const FREE_MESSAGES: usize = 2_048;

/// Sends that were earned and are kept for later, in messages: no less than the largest send.
const EARNED_MAX: usize = 2_048;

/// While nothing was acknowledged for so long nobody works on the queue, and nothing is held back (P9).
pub(super) const AT_WORK: Duration = Duration::from_secs(1);

/// What is worked off is counted over at least so long.
const SECOND: Duration = Duration::from_secs(1);

/// The longest that a send is held back; senders wait for longer than this.
const HELD_MAX: Duration = Duration::from_secs(2);

/// Sends that go no faster than what waits is worked off.
///
/// Ingress and worker share one machine here: what is accepted ahead of settling is taken from settling. Once more
/// wait than [`FREE_MESSAGES`] or a second's work, each acknowledged message earns the sending of another, so that
/// goodput holds under any load; a long queue that is being worked off after an outage holds nobody back who sends less
/// than that.
#[derive(Debug, Default)]
pub(super) struct Pace {
    state: Mutex<State>,
    acked: Notify,
    /// Sends that are held back, in order.
    line: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Messages on their way into the queue.
    sending: usize,
    earned: usize,
    acked_at: Option<Instant>,
    /// What was acknowledged since the beginning of this second, and in the one before.
    second: Option<Instant>,
    acked_now: usize,
    acked_before: usize,
}

/// Messages on their way into the queue, until dropped.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    pace: &'a Pace,
    messages: usize,
}

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of acknowledged messages.
    pub(super) fn acked(&self, messages: usize) {
        if messages > 0 {
            let now = Instant::now();
            let mut state = self.state();
            state.acked_at = Some(now);
            state.earned = (state.earned + messages).min(EARNED_MAX);
            if state.second.is_none_or(|begun| now - begun >= SECOND) {
                (state.second, state.acked_before, state.acked_now) = (Some(now), state.acked_now, 0);
            }
            state.acked_now += messages;
            drop(state);
            self.acked.notify_one();
        }
    }

    /// Waits until so many messages may be sent. `waiting` says how many are in the queue.
    pub(super) async fn keep(&self, messages: usize, waiting: impl Fn() -> usize) -> Sending<'_> {
        let give_up = Instant::now() + HELD_MAX;
        if let Ok(_turn) = timeout_at(give_up, self.line.lock()).await {
            while !self.may_go(messages, waiting()) && Instant::now() < give_up {
                // What was acknowledged since the look has left a permit: nothing is missed.
                let _ = timeout_at(give_up.min(Instant::now() + AT_WORK), self.acked.notified()).await;
            }
        }
        self.state().sending += messages;
        Sending { pace: self, messages }
    }

    fn may_go(&self, messages: usize, waiting: usize) -> bool {
        let mut state = self.state();
        let at_work = state.acked_at.is_some_and(|acked_at| acked_at.elapsed() < AT_WORK);
        let free = FREE_MESSAGES.max(state.acked_before);
        if !at_work || waiting + state.sending <= free {
            return true;
        }
        let earned = state.earned >= messages.min(EARNED_MAX);
        if earned {
            state.earned = state.earned.saturating_sub(messages);
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

    /// How long a send is held back.
    async fn held(pace: &Pace, messages: usize, waiting: usize) -> Duration {
        let begun = Instant::now();
        drop(pace.keep(messages, || waiting).await);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_goes_at_once_while_little_waits_or_nobody_works() {
        let pace = Pace::default();
        assert_eq!(held(&pace, 500, LONG).await, Duration::ZERO, "nothing was acknowledged yet");
        pace.acked(1);
        assert_eq!(held(&pace, 48, FREE_MESSAGES - 48).await, Duration::ZERO, "little waits");
        tokio::time::sleep(AT_WORK).await;
        assert_eq!(held(&pace, 500, LONG).await, Duration::ZERO, "an outage");
    }

    #[tokio::test(start_paused = true)]
    async fn once_much_waits_what_is_acknowledged_earns_sends_in_order() {
        let pace = Pace::default();
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
    async fn as_much_may_wait_as_a_second_works_off() {
        let pace = Pace::default();
        for _ in 0..20 {
            pace.acked(1_000);
            tokio::time::sleep(SECOND / 10).await;
        }
        pace.acked(1);
        assert!(pace.may_go(EARNED_MAX, 10_000));
        assert!(pace.may_go(EARNED_MAX, 10_001), "earned");
        assert!(!pace.may_go(EARNED_MAX, 10_001));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_counts_as_waiting() {
        let pace = Pace::default();
        pace.acked(1);
        let sending = pace.keep(FREE_MESSAGES + 1, || 0).await;
        assert!(!pace.may_go(2, 0));
        drop(sending);
        assert!(pace.may_go(2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_is_held_back_for_a_bounded_time_and_what_is_kept_of_the_earned_is_bounded() {
        let pace = Pace::default();
        pace.acked(10 * EARNED_MAX);
        assert_eq!(held(&pace, 2 * EARNED_MAX, LONG).await, Duration::ZERO, "larger than can be earned");
        let worker = async {
            for _ in 0..40 {
                pace.acked(1);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let sends = async { (held(&pace, 500, LONG).await, held(&pace, 500, LONG).await) };
        let (held, ()) = tokio::join!(sends, worker);
        assert_eq!(held, (HELD_MAX, HELD_MAX));
    }
}
