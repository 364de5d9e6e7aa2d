//! The ports of one worker, with faults at chosen calls: errors, lost answers, deaths, pauses.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockline_common::domain::{Alert, Commit, LoadRequest, Loaded, Timestamp};
use stockline_common::ports::{
    AlertPublisher, CommandReceiver, CommandState, CommitOutcome, Delivery, Handle, QueueDepth, QueueError, Store,
    StoreError,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::fifo::Fifo;

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// [`CommandReceiver::receive`]
    Receive,
    /// [`Store::load`]; after it comes the fold.
    Load,
    /// [`Store::commit`]
    Commit,
    /// [`AlertPublisher::publish`]
    Publish,
    /// [`CommandReceiver::ack`]
    Ack,
}

/// What goes wrong at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is done, and an error answered.
    Fail,
    /// It is done, and an error answered.
    LoseAnswer,
    /// The process ends before it is done.
    DieBefore,
    /// The process ends after it is done.
    DieAfter,
    /// The process is paused before it is done.
    PauseBefore,
    /// The process is paused after it is done.
    PauseAfter,
}

/// What goes wrong for one worker, and when.
#[derive(Debug, Default)]
pub struct Plan {
    fault: Option<(Point, usize, Kind)>,
    down: Mutex<Vec<Point>>,
    calls: Mutex<BTreeMap<Point, usize>>,
    /// A death, a pause or an error came about.
    pub stopped: Notify,
    /// Ends a pause.
    pub resume: Notify,
}

impl Plan {
    /// This happens at the nth such call, counted from 1.
    pub fn with(point: Point, nth: usize, kind: Kind) -> Arc<Self> {
        Arc::new(Self { fault: Some((point, nth, kind)), ..Self::default() })
    }

    /// Nothing goes wrong.
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// From now on every such call fails, until it is put up again.
    pub fn set_down(&self, point: Point, down: bool) {
        let mut points = self.down.lock().unwrap();
        points.retain(|other| *other != point);
        points.extend(down.then_some(point));
    }

    /// How many such calls there were.
    pub fn calls(&self, point: Point) -> usize {
        self.calls.lock().unwrap().get(&point).copied().unwrap_or(0)
    }

    fn next(&self, point: Point) -> Option<Kind> {
        let mut calls = self.calls.lock().unwrap();
        let nth = calls.entry(point).or_default();
        *nth += 1;
        let planned = self.fault.filter(|fault| (fault.0, fault.1) == (point, *nth)).map(|fault| fault.2);
        planned.or_else(|| self.down.lock().unwrap().contains(&point).then_some(Kind::Fail))
    }

    /// Does `work` as planned; `None` where an error is to be answered.
    async fn around<T>(&self, point: Point, work: impl Future<Output = T>) -> Option<T> {
        let fault = self.next(point);
        match fault {
            Some(Kind::Fail) => {
                self.stopped.notify_one();
                return None;
            }
            Some(Kind::DieBefore) => return self.die().await,
            Some(Kind::PauseBefore) => self.pause().await,
            _ => {}
        }
        let done = work.await;
        match fault {
            Some(Kind::LoseAnswer) => {
                self.stopped.notify_one();
                None
            }
            Some(Kind::DieAfter) => self.die().await,
            Some(Kind::PauseAfter) => {
                self.pause().await;
                Some(done)
            }
            _ => Some(done),
        }
    }

    async fn pause(&self) {
        self.stopped.notify_one();
        self.resume.notified().await;
    }

    async fn die<T>(&self) -> T {
        self.stopped.notify_one();
        pending().await
    }
}

/// What one worker sees of queue, store and topic.
#[derive(Debug)]
pub struct Faulty {
    /// What goes wrong.
    pub plan: Arc<Plan>,
    /// Where commands come from.
    pub queue: Arc<Fifo>,
    /// Where stock is kept.
    pub store: Arc<dyn Store>,
    /// What was published, in order.
    pub published: Arc<Mutex<Vec<Alert>>>,
}

fn down() -> StoreError {
    StoreError::Unavailable("as planned".into())
}

fn queue_down() -> QueueError {
    QueueError::Unavailable("as planned".into())
}

#[async_trait]
impl Store for Faulty {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let answers = self.plan.around(Point::Load, self.store.load(requests)).await;
        answers.unwrap_or_else(|| requests.iter().map(|_| Err(down())).collect())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        let count = commits.len();
        let answers = self.plan.around(Point::Commit, self.store.commit(commits)).await;
        answers.unwrap_or_else(|| vec![Err(down()); count])
    }

    async fn discard(&self, command: &CommandState, at: Timestamp) -> Result<bool, StoreError> {
        self.store.discard(command, at).await
    }
}

#[async_trait]
impl AlertPublisher for Faulty {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let work = async { self.published.lock().unwrap().extend_from_slice(alerts) };
        let done = self.plan.around(Point::Publish, work).await;
        alerts.iter().map(|_| done.ok_or_else(queue_down)).collect()
    }
}

#[async_trait]
impl CommandReceiver for Faulty {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let work = self.queue.receive(max, wait, attempt);
        self.plan.around(Point::Receive, work).await.unwrap_or_else(|| Err(queue_down()))
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let answers = self.plan.around(Point::Ack, self.queue.ack(handles)).await;
        answers.unwrap_or_else(|| handles.iter().map(|_| Err(queue_down())).collect())
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.queue.change_visibility(changes).await
    }

    fn visibility_timeout(&self) -> Duration {
        self.queue.visibility_timeout()
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        self.queue.depth().await
    }
}
