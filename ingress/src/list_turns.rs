//! Which list is read next: few at once, in turn over the callers, and the rest wait or are refused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::config::Limits;

/// Lists that wait in all, as a multiple of what one caller may have waiting.
const WAITING_CALLERS: usize = 8;
/// How long a list waits before it is refused. A client in a loop costs a refusal a second then, not thousands.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// Bounds the lists that are read at once, and shares them out among the callers.
///
/// ```text
///          a place is free                    done
/// asked ─────────────────────▶ being read ──────────▶ the next caller's first list
///   │                              ▲
///   │ none is free                 │ the caller's turn comes
///   ├────────────▶ waiting ────────┘
///   │ the caller's line, or all lines together, are full
///   └────────────▶ refused after 1 s
/// ```
///
/// Each caller (the token's subject) has a line, and the lines take turns: who asks for a hundred lists at once delays
/// another caller by one list, not by a hundred.
#[derive(Debug)]
pub(crate) struct ListTurns {
    state: Mutex<State>,
    line_max: usize,
    refusals: Semaphore,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Every caller with a line, in order of their turns.
    round: VecDeque<Arc<str>>,
    lines: HashMap<Arc<str>, VecDeque<oneshot::Sender<ListTurn>>>,
}

/// The right to read one list, until this is dropped.
#[derive(Debug)]
pub(crate) struct ListTurn(Option<Arc<ListTurns>>);

impl ListTurns {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let state = State { free: limits.lists.max(1), round: VecDeque::new(), lines: HashMap::new() };
        Arc::new(Self {
            state: Mutex::new(state),
            line_max: limits.lists_waiting,
            // Lists that wait for their refusal must not take the places of sales.
            refusals: Semaphore::new(limits.concurrent_requests / 2),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the caller's turn. Returns `None` if too many lists wait.
    pub(crate) async fn turn(self: &Arc<Self>, caller: &Arc<str>) -> Option<ListTurn> {
        match self.ask(caller) {
            Asked::Now => Some(ListTurn(Some(Arc::clone(self)))),
            Asked::Wait(turn) => turn.await.ok(),
            Asked::Refused => {
                if let Ok(_waiting) = self.refusals.try_acquire() {
                    tokio::time::sleep(REFUSAL_WAIT).await;
                }
                None
            }
        }
    }

    fn ask(&self, caller: &Arc<str>) -> Asked {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return Asked::Now;
        }
        state.forget_the_gone();
        let waiting: usize = state.lines.values().map(VecDeque::len).sum();
        let own = state.lines.get(caller).map_or(0, VecDeque::len);
        if own >= self.line_max || waiting >= self.line_max * WAITING_CALLERS {
            return Asked::Refused;
        }
        let (sender, turn) = oneshot::channel();
        if own == 0 {
            state.round.push_back(Arc::clone(caller));
        }
        state.lines.entry(Arc::clone(caller)).or_default().push_back(sender);
        Asked::Wait(turn)
    }

    /// Gives a place to the caller whose turn it is.
    fn pass_on(self: Arc<Self>) {
        let mut turn = ListTurn(Some(Arc::clone(&self)));
        loop {
            let next = self.state().next();
            let Some(next) = next else {
                // The place is free; nothing is left to pass on.
                turn.0 = None;
                return;
            };
            match next.send(turn) {
                Ok(()) => return,
                // The client has gone.
                Err(unused) => turn = unused,
            }
        }
    }
}

enum Asked {
    Now,
    Wait(oneshot::Receiver<ListTurn>),
    Refused,
}

impl State {
    /// Takes the next list that waits; without one, the place is free.
    fn next(&mut self) -> Option<oneshot::Sender<ListTurn>> {
        while let Some(caller) = self.round.pop_front() {
            let Some(line) = self.lines.get_mut(&caller) else {
                continue;
            };
            let next = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&caller);
            } else {
                self.round.push_back(caller);
            }
            if next.is_some() {
                return next;
            }
        }
        self.free += 1;
        None
    }

    /// Removes lists whose clients have gone.
    fn forget_the_gone(&mut self) {
        self.lines.retain(|_, line| {
            line.retain(|turn| !turn.is_closed());
            !line.is_empty()
        });
        let lines = &self.lines;
        self.round.retain(|caller| lines.contains_key(caller));
    }
}

impl Drop for ListTurn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    fn turns(lists: usize, lists_waiting: usize) -> Arc<ListTurns> {
        ListTurns::new(&Limits { lists, lists_waiting, concurrent_requests: 4, ..Limits::default() })
    }

    #[tokio::test]
    async fn callers_take_turns_however_many_lists_one_of_them_wants() {
        let turns = turns(1, 100);
        let (greedy, other): (Arc<str>, Arc<str>) = ("greedy".into(), "other".into());
        let first = turns.turn(&greedy).await.unwrap();
        let mut waiting: Vec<_> = (0..50).map(|_| Box::pin(turns.turn(&greedy))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        let mut others: Vec<_> = (0..2).map(|_| Box::pin(turns.turn(&other))).collect();
        assert!(others.iter_mut().all(|turn| turn.now_or_never().is_none()));
        drop(first);
        for n in 0..2 {
            let turn = waiting.remove(0).now_or_never().flatten().unwrap();
            assert!(others[0].as_mut().now_or_never().is_none());
            drop(turn);
            let turn = others.remove(0).now_or_never().flatten();
            assert!(turn.is_some(), "{n}: the other caller is next");
            assert!(waiting[0].as_mut().now_or_never().is_none());
        }
    }

    #[tokio::test]
    async fn a_client_that_has_gone_takes_no_turn_and_no_place() {
        let turns = turns(1, 2);
        let caller: Arc<str> = "a".into();
        let first = turns.turn(&caller).await.unwrap();
        let mut gone: Vec<_> = (0..2).map(|_| Box::pin(turns.turn(&caller))).collect();
        assert!(gone.iter_mut().all(|turn| turn.now_or_never().is_none()));
        drop(gone);
        let mut next = Box::pin(turns.turn(&caller));
        assert!(next.as_mut().now_or_never().is_none());
        // One that goes after its turn was passed on passes it on, too.
        let mut last = Box::pin(turns.turn(&caller));
        assert!(last.as_mut().now_or_never().is_none());
        drop(first);
        drop(next);
        let last = last.now_or_never().flatten().unwrap();
        drop(last);
        let state = turns.state();
        assert_eq!((state.free, state.lines.len(), state.round.len()), (1, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn lists_beyond_the_line_are_refused_after_a_second_and_at_once_if_many_are() {
        let turns = turns(1, 1);
        let callers: Vec<Arc<str>> = (0..9).map(|n| format!("{n}").into()).collect();
        let _first = turns.turn(&callers[0]).await.unwrap();
        let mut waiting: Vec<_> = callers[..8].iter().map(|caller| Box::pin(turns.turn(caller))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        let begun = Instant::now();
        let refused = |caller: usize| {
            let (turns, caller) = (&turns, &callers[caller]);
            async move {
                assert!(turns.turn(caller).await.is_none());
                begun.elapsed()
            }
        };
        // The line of the first caller is full; all lines together are full for the last one.
        let waited = tokio::join!(refused(0), refused(8), refused(0));
        assert_eq!(waited, (REFUSAL_WAIT, REFUSAL_WAIT, Duration::ZERO));
    }
}
