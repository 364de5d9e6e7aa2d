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

/// How long a list gives way for each part of its work.
const GIVE_WAY_PER_WORK: u32 = 4;

/// The most that lists owe to the write path. So a page behind much work soon begins.
const OWED_MAX: Duration = Duration::from_millis(10);

/// How long the lists of a connection work before they give way. A person who opens a page now and then does not wait, and
/// who reads page after page gives way to the write path all the time.
const WORK_AHEAD: Duration = Duration::from_millis(20);

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

/// How much the lists of one connection have worked lately, and so whether they give way.
#[derive(Debug)]
pub(super) struct ListPace {
    activity: Arc<WriteActivity>,
    /// When the time that they owe to the write path is over.
    owes_until: Mutex<Instant>,
}

impl ListPace {
    pub(super) fn new(activity: Arc<WriteActivity>) -> Self {
        Self { activity, owes_until: Mutex::new(Instant::now()) }
    }

    /// Counts work.
    fn work(&self, worked: Duration) {
        let now = Instant::now();
        let mut owes_until = self.owes_until.lock().unwrap_or_else(PoisonError::into_inner);
        let most = now + WORK_AHEAD * GIVE_WAY_PER_WORK + OWED_MAX;
        *owes_until = ((*owes_until).max(now) + worked * GIVE_WAY_PER_WORK).min(most);
    }

    /// Gives way to the write path as long as the lists owe it, at most this long. Returns how long.
    fn give_way(&self, most: Duration) -> Duration {
        let owes_until = *self.owes_until.lock().unwrap_or_else(PoisonError::into_inner);
        let owes = owes_until.saturating_duration_since(Instant::now() + WORK_AHEAD * GIVE_WAY_PER_WORK);
        self.activity.give_way(owes.min(most))
    }
}

/// The rows and the time that a page has left.
#[derive(Debug)]
pub(super) struct PageBudget {
    pace: Arc<ListPace>,
    rows: usize,
    rows_max: usize,
    next_look: usize,
    worked: Duration,
    works_since: Instant,
    gave_way: Duration,
    spent: bool,
}

impl PageBudget {
    /// Begins a page.
    pub(super) fn begin(pace: Arc<ListPace>, rows_max: usize) -> Self {
        let gave_way = pace.give_way(GIVE_WAY_MAX);
        Self {
            pace,
            rows: 0,
            rows_max,
            next_look: ROWS_PER_LOOK,
            worked: Duration::ZERO,
            works_since: Instant::now(),
            gave_way,
            spent: false,
        }
    }

    /// Counts the work since the last look.
    fn work(&mut self) {
        let worked = self.works_since.elapsed();
        self.pace.work(worked);
        self.worked += worked;
    }

    /// Counts rows that were examined, whether they match or not. Returns whether the page may go on behind them.
    pub(super) fn spend(&mut self, rows: usize) -> bool {
        self.rows += rows;
        if self.rows >= self.next_look {
            self.next_look = self.rows + ROWS_PER_LOOK;
            self.work();
            self.gave_way += self.pace.give_way(GIVE_WAY_MAX.saturating_sub(self.gave_way));
            self.works_since = Instant::now();
            let worked = self.worked;
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

impl Drop for PageBudget {
    fn drop(&mut self) {
        self.work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(activity: &Arc<WriteActivity>) -> Arc<ListPace> {
        Arc::new(ListPace::new(Arc::clone(activity)))
    }

    #[test]
    fn a_page_ends_behind_its_rows_and_none_before_it_got_on() {
        let pace = pace(&Arc::default());
        let mut budget = PageBudget::begin(Arc::clone(&pace), 100);
        assert!((0..99).all(|_| budget.spend(1)));
        assert!(!budget.spend(1));
        // A page whose time is over goes on until it has examined some rows.
        let mut budget = PageBudget::begin(pace, usize::MAX);
        budget.works_since = budget.works_since.checked_sub(PAGE_TIME).unwrap();
        let rows = (1..).find(|_| !budget.spend(1)).unwrap();
        assert!((ROWS_BEFORE_TIME..ROWS_BEFORE_TIME + ROWS_PER_LOOK).contains(&rows), "{rows}");
    }

    #[test]
    fn a_page_waits_for_the_write_path_but_not_for_ever() {
        let activity = Arc::new(WriteActivity::default());
        let writing = activity.begin();
        // Nobody ends the write, so a page behind much work waits as long as lists owe.
        let pace = pace(&activity);
        pace.work(Duration::from_secs(60));
        let mut budget = PageBudget::begin(pace, usize::MAX);
        assert!(budget.gave_way >= OWED_MAX);
        // It goes on waiting while it works, up to its whole share, and then no longer.
        while budget.gave_way < GIVE_WAY_MAX {
            budget.works_since = budget.works_since.checked_sub(OWED_MAX).unwrap();
            budget.spend(ROWS_PER_LOOK);
        }
        let before = budget.gave_way;
        budget.works_since = budget.works_since.checked_sub(OWED_MAX).unwrap();
        budget.spend(ROWS_PER_LOOK);
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

    #[test]
    fn who_reads_a_page_now_and_then_gives_no_way_and_who_reads_on_and_on_does() {
        let activity = Arc::new(WriteActivity::default());
        let (_writing, pace) = (activity.begin(), pace(&activity));
        pace.work(WORK_AHEAD / 2);
        assert_eq!(pace.give_way(GIVE_WAY_MAX), Duration::ZERO);
        pace.work(WORK_AHEAD);
        // The page before worked for longer than is ahead, by half of it.
        assert!(pace.give_way(GIVE_WAY_MAX) > Duration::ZERO);
        // Work without a look is owed as well.
        let mut budget = PageBudget::begin(Arc::clone(&pace), usize::MAX);
        budget.works_since = budget.works_since.checked_sub(WORK_AHEAD).unwrap();
        drop(budget);
        assert!(pace.give_way(GIVE_WAY_MAX) > Duration::ZERO);
    }
}
