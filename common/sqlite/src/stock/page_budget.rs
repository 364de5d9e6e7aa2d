//! What one page of a list may cost, and how it gives way to the write path.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a page works before it ends with a cursor. Time in which it gave way does not count.
const PAGE_TIME: Duration = Duration::from_millis(20);

/// How many rows a page may examine whatever its time, so that every page gets on.
const ROWS_BEFORE_TIME: usize = 1_000;

/// How many rows a page examines between two looks at the clock and at the write path.
const ROWS_PER_LOOK: usize = 64;

/// How long a page gives way to the write path in all. So lists also get on beside a bulk load: for a fifth of the time.
const GIVE_WAY_MAX: Duration = Duration::from_millis(80);

/// Counts the calls of the write path that are in progress.
#[derive(Debug, Default)]
pub(super) struct WriteActivity {
    calls: Mutex<usize>,
    idle: Condvar,
}

/// A call of the write path, until it is dropped.
#[derive(Debug)]
pub(super) struct Writing<'a>(&'a WriteActivity);

impl WriteActivity {
    /// Begins a call of the write path.
    pub(super) fn begin(&self) -> Writing<'_> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Writing(self)
    }

    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        *self.calls.lock().unwrap() > 0
    }

    /// Waits while the write path is busy, at most this long. Returns how long it waited.
    fn give_way(&self, most: Duration) -> Duration {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if *calls == 0 || most.is_zero() {
            return Duration::ZERO;
        }
        let began = Instant::now();
        let waited = self.idle.wait_timeout_while(calls, most, |calls| *calls > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        began.elapsed()
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls -= 1;
        if *calls == 0 {
            self.0.idle.notify_all();
        }
    }
}

/// The rows and the time that a page has left.
#[derive(Debug)]
pub(super) struct PageBudget {
    activity: Arc<WriteActivity>,
    rows: usize,
    rows_max: usize,
    next_look: usize,
    began: Instant,
    gave_way: Duration,
    spent: bool,
}

impl PageBudget {
    /// Begins a page. It first gives way to the write path.
    pub(super) fn begin(activity: Arc<WriteActivity>, rows_max: usize) -> Self {
        let began = Instant::now();
        let gave_way = activity.give_way(GIVE_WAY_MAX);
        Self { activity, rows: 0, rows_max, next_look: ROWS_PER_LOOK, began, gave_way, spent: false }
    }

    /// Counts rows that were examined, whether they match or not. Returns whether the page may go on behind them.
    pub(super) fn spend(&mut self, rows: usize) -> bool {
        self.rows += rows;
        if self.rows >= self.next_look {
            self.next_look = self.rows + ROWS_PER_LOOK;
            self.gave_way += self.activity.give_way(GIVE_WAY_MAX.saturating_sub(self.gave_way));
            let worked = self.began.elapsed().saturating_sub(self.gave_way);
            self.spent |= self.rows >= ROWS_BEFORE_TIME && worked >= PAGE_TIME;
        }
        self.spent |= self.rows >= self.rows_max;
        !self.spent
    }

    /// Returns whether the page must end.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_behind_its_rows_and_none_before_it_got_on() {
        let activity = Arc::new(WriteActivity::default());
        let mut budget = PageBudget::begin(Arc::clone(&activity), 100);
        assert!((0..99).all(|_| budget.spend(1)));
        assert!(!budget.spend(1));
        // A page whose time is over goes on until it has examined some rows.
        let mut budget = PageBudget::begin(activity, usize::MAX);
        budget.began = budget.began.checked_sub(PAGE_TIME).unwrap();
        let rows = (1..).find(|_| !budget.spend(1)).unwrap();
        assert!((ROWS_BEFORE_TIME..ROWS_BEFORE_TIME + ROWS_PER_LOOK).contains(&rows), "{rows}");
    }

    #[test]
    fn a_page_waits_for_the_write_path_but_not_for_ever() {
        let activity = Arc::new(WriteActivity::default());
        let writing = activity.begin();
        // Nobody ends the write, so the page waits its whole share, and no longer in a later look.
        let mut budget = PageBudget::begin(Arc::clone(&activity), usize::MAX);
        assert!(budget.gave_way >= GIVE_WAY_MAX);
        let before = budget.gave_way;
        assert!(budget.spend(ROWS_PER_LOOK));
        assert_eq!(budget.gave_way, before);
        drop(writing);

        // Two writes end, the second one in another thread; only then the page goes on.
        let (first, done) = (activity.begin(), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            let second = activity.begin();
            drop(first);
            scope.spawn(|| {
                done.store(true, std::sync::atomic::Ordering::SeqCst);
                drop(second);
            });
            assert!(activity.give_way(Duration::from_secs(60)) < Duration::from_secs(60));
            assert!(done.load(std::sync::atomic::Ordering::SeqCst));
        });
        assert_eq!(activity.give_way(Duration::from_secs(60)), Duration::ZERO);
    }
}
