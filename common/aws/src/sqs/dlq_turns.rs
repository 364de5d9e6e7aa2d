use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// When the dead letter queue is next.
#[derive(Debug, Clone, Copy)]
enum Next {
    At(Instant),
    /// It had more than one receive takes: again, after one receive of the main queue.
    AfterMain,
}

/// What the next receive is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The main queue.
    Main,
    /// The main queue without waiting: more dead letters are to be read.
    MainAtOnce,
    /// The dead letter queue under this attempt.
    DeadLetters(Uuid),
}

/// Shares the receives between the two queues: the dead letter queue gets one in each interval, and every other one
/// while it has more. The main queue never waits for more than one receive.
#[derive(Debug)]
pub(super) struct DlqTurns {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` before the first receive.
    next: Option<Next>,
    /// The attempt whose answer was lost: it may hold messages, which the same attempt gets again.
    lost: Option<Uuid>,
    /// Attempts at the main queue whose answers were lost: they go there again.
    main_lost: HashSet<Uuid>,
}

impl DlqTurns {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::new(State { next: None, lost: None, main_lost: HashSet::new() }) }
    }

    /// Decides for one receive. `attempt` is the receive's own.
    pub(super) fn take(&self, now: Instant, attempt: Uuid) -> Turn {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.main_lost.remove(&attempt) {
            return Turn::Main;
        }
        match state.next {
            Some(Next::AfterMain) => {
                state.next = Some(Next::At(now));
                Turn::MainAtOnce
            }
            Some(Next::At(due)) if now < due => Turn::Main,
            Some(Next::At(_)) | None => {
                state.next = Some(Next::At(now + self.interval));
                // Another spelling than the main queue's, so that logs tell the two apart.
                Turn::DeadLetters(state.lost.take().unwrap_or_else(|| Uuid::new_v5(&attempt, b"dead letters")))
            }
        }
    }

    /// The dead letter queue gave as much as was asked for.
    pub(super) fn had_more(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next = Some(Next::AfterMain);
    }

    /// The main queue did not answer this attempt, or its answer was lost: it may hold messages, which only the main
    /// queue gives to a repetition.
    pub(super) fn main_failed(&self, attempt: Uuid) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).main_lost.insert(attempt);
    }

    /// It did not answer, or its answer was lost.
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
    fn a_lost_answer_of_the_main_queue_is_asked_for_there_again() {
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
    fn a_lost_answer_is_asked_for_again_by_the_same_attempt_once() {
        let (turns, now) = (DlqTurns::new(INTERVAL), Instant::now());
        let Turn::DeadLetters(first) = turns.take(now, attempt(1)) else { panic!("at the start") };
        turns.failed(first);
        assert_eq!(turns.take(now, attempt(1)), Turn::Main, "a queue that fails does not stop the other");
        assert_eq!(turns.take(now + INTERVAL, attempt(2)), Turn::DeadLetters(first));
        assert_ne!(turns.take(now + INTERVAL * 2, attempt(3)), Turn::DeadLetters(first));
    }
}
