use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Mutex;

use tokio::sync::Notify;

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    Receive,
    Load,
    Commit,
    Publish,
    Ack,
    Visibility,
}

/// The fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing happens, and the answer is an error.
    Fail,
    /// The call takes effect, and the answer is an error.
    LoseAnswer,
    /// The process ends before the call takes effect.
    DieBefore,
    /// The process ends after the call took effect.
    DieAfter,
    /// The process pauses before the call, until [`Plan::resume`] is notified.
    PauseBefore,
    /// The adapter panics.
    Panic,
}

/// The faults of one worker's calls. Calls are counted from 1.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Mutex<Vec<(Point, usize, Kind)>>,
    down: Mutex<Vec<Point>>,
    calls: Mutex<BTreeMap<Point, usize>>,
    /// Notified when the process ends or pauses.
    pub(crate) stopped: Notify,
    pub(crate) resume: Notify,
}

impl Plan {
    pub(crate) fn with(faults: &[(Point, usize, Kind)]) -> Self {
        Self { faults: Mutex::new(faults.to_vec()), ..Self::default() }
    }

    /// Makes every call at this point fail from now on, or work again.
    pub(crate) fn set_down(&self, point: Point, down: bool) {
        let mut points = self.down.lock().unwrap();
        points.retain(|other| *other != point);
        points.extend(down.then_some(point));
    }

    pub(crate) fn calls(&self, point: Point) -> usize {
        self.calls.lock().unwrap().get(&point).copied().unwrap_or(0)
    }

    fn next(&self, point: Point) -> Option<Kind> {
        let mut calls = self.calls.lock().unwrap();
        let nth = calls.entry(point).or_default();
        *nth += 1;
        let planned = self.faults.lock().unwrap().iter().find(|fault| (fault.0, fault.1) == (point, *nth)).map(|f| f.2);
        planned.or_else(|| self.down.lock().unwrap().contains(&point).then_some(Kind::Fail))
    }

    /// Does `work` as planned. Returns `None` if the answer must be an error.
    pub(crate) async fn around<T>(&self, point: Point, work: impl Future<Output = T>) -> Option<T> {
        match self.next(point) {
            None => Some(work.await),
            Some(Kind::Fail) => None,
            Some(Kind::LoseAnswer) => {
                work.await;
                None
            }
            Some(Kind::DieBefore) => self.die().await,
            Some(Kind::DieAfter) => {
                work.await;
                self.die().await
            }
            Some(Kind::Panic) => panic!("as planned"),
            Some(Kind::PauseBefore) => {
                self.stopped.notify_one();
                self.resume.notified().await;
                Some(work.await)
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.stopped.notify_one();
        pending().await
    }
}
