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

/// What goes wrong at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is done, and an error answered.
    Fail,
    /// It is done, and an error answered.
    LoseAnswer,
    /// The process ends before it is done.
    DieBefore,
    /// The process ends after it is done.
    DieAfter,
    /// It is done once [`Plan::resume`] is notified: the process was paused.
    PauseBefore,
}

/// What goes wrong for one worker, and when. Calls are counted from 1.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Mutex<Vec<(Point, usize, Kind)>>,
    down: Mutex<Vec<Point>>,
    calls: Mutex<BTreeMap<Point, usize>>,
    /// A death or a pause came about.
    pub(crate) stopped: Notify,
    pub(crate) resume: Notify,
}

impl Plan {
    pub(crate) fn with(faults: &[(Point, usize, Kind)]) -> Self {
        Self { faults: Mutex::new(faults.to_vec()), ..Self::default() }
    }

    /// From now on every such call fails, until it is put up again.
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

    /// Does `work` as planned; `None` where an error is to be answered.
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
