use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// When a receive reads the dead letter queue next.
///
/// ```text
///  First ──receive──► At(now + interval) ──due: receive──► At(now + interval)
///                        ▲       │ the dead letter queue filled a whole receive
///                        │       ▼
///       At(now), so the  └── AfterMain ──receive of the main queue──► At(now)
///       next receive is due
/// ```
#[derive(Debug, Clone, Copy)]
enum Next {
    First,
    At(Instant),
    /// After one receive of the main queue, because the dead letter queue has more messages.
    AfterMain,
}

/// What a receive reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The main queue.
    Main,
    /// The main queue without waiting, because more dead letters can be read.
    MainAtOnce,
    /// The dead letter queue under this attempt id.
    DeadLetters(Uuid),
}

/// Shares the receives between the two queues. The dead letter queue gets one in each interval, and every second one
/// while it has more messages. The main queue never waits for more than one receive.
#[derive(Debug)]
pub(super) struct DlqTurns {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: Next,
    /// The attempt at the dead letter queue whose answer was lost. The same attempt id receives its messages again.
    lost: Option<Uuid>,
    /// The attempts at the main queue whose answers were lost. They must go there again.
    main_lost: HashSet<Uuid>,
}

impl DlqTurns {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::new(State { next: Next::First, lost: None, main_lost: HashSet::new() }) }
    }

    /// Decides which queue a receive reads. `attempt` is the receive's own id.
    pub(super) fn take(&self, now: Instant, attempt: Uuid) -> Turn {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.main_lost.remove(&attempt) {
            return Turn::Main;
        }
        match state.next {
            Next::AfterMain => {
                state.next = Next::At(now);
                Turn::MainAtOnce
            }
            Next::At(due) if now < due => Turn::Main,
            Next::At(_) | Next::First => {
                state.next = Next::At(now + self.interval);
                // Another id than the main queue's, so that logs tell the two apart.
                Turn::DeadLetters(state.lost.take().unwrap_or_else(|| Uuid::new_v5(&attempt, b"dead letters")))
            }
        }
    }

    /// Notes that the dead letter queue filled a whole receive.
    pub(super) fn had_more(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next = Next::AfterMain;
    }

    /// Notes that the main queue's answer to this attempt was lost. Only the main queue returns its messages to a
    /// repetition.
    pub(super) fn main_failed(&self, attempt: Uuid) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).main_lost.insert(attempt);
    }

    /// Notes that the dead letter queue's answer to this attempt was lost.
    pub(super) fn failed(&self, attempt: Uuid) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lost = Some(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn attempt(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    #[test]
    fn the_dead_letter_queue_has_one_receive_in_each_interval() {
        let (turns, start) = (DlqTurns::new(INTERVAL), Instant::now());
        let Turn::DeadLetters(first) = turns.take(start, attempt(1)) else { panic!("at the start") };
        assert_ne!(first, attempt(1));
        assert_eq!(turns.take(start, attempt(2)), Turn::Main);
        assert_eq!(turns.take(start + INTERVAL / 2, attempt(3)), Turn::Main);
        assert!(matches!(turns.take(start + INTERVAL, attempt(4)), Turn::DeadLetters(_)));
        assert_eq!(turns.take(start + INTERVAL, attempt(5)), Turn::Main);
    }

    #[test]
    fn a_lost_answer_of_the_main_queue_is_requested_there_again() {
        let (turns, start) = (DlqTurns::new(INTERVAL), Instant::now());
        assert!(matches!(turns.take(start, attempt(1)), Turn::DeadLetters(_)));
        turns.main_failed(attempt(1));
        assert_eq!(turns.take(start + INTERVAL, attempt(1)), Turn::Main);
        assert!(matches!(turns.take(start + INTERVAL, attempt(1)), Turn::DeadLetters(_)), "once");
    }

    #[test]
    fn while_it_has_more_the_two_take_turns() {
        let (turns, now) = (DlqTurns::new(INTERVAL), Instant::now());
        for n in 0..5 {
            assert!(matches!(turns.take(now, attempt(n)), Turn::DeadLetters(_)));
            turns.had_more();
            assert_eq!(turns.take(now, attempt(n)), Turn::MainAtOnce);
        }
    }

    #[test]
    fn a_lost_answer_is_requested_once_more_under_the_same_attempt() {
        let (turns, now) = (DlqTurns::new(INTERVAL), Instant::now());
        let Turn::DeadLetters(first) = turns.take(now, attempt(1)) else { panic!("at the start") };
        turns.failed(first);
        assert_eq!(turns.take(now, attempt(1)), Turn::Main, "a queue that fails does not stop the other");
        assert_eq!(turns.take(now + INTERVAL, attempt(2)), Turn::DeadLetters(first));
        assert_ne!(turns.take(now + INTERVAL * 2, attempt(3)), Turn::DeadLetters(first));
    }
}
