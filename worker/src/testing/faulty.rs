use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::{
    Alert, CommandKey, Commit, ItemId, LoadRequest, Loaded, LocationId, Record, Status, Timestamp,
};
use stockline_core::ports::{
    AlertPublisher, CommandReceiver, CommitOutcome, Delivery, Handle, QueueDepth, QueueError, Store, StoreError,
};
use uuid::Uuid;

use super::{Plan, Point, World};

/// Lasting faults of the store, for all workers.
#[derive(Debug, Default)]
pub(crate) struct StoreFaults {
    /// A commit is refused as invalid if one of its commands has this note.
    pub(crate) refused_note: Option<String>,
    /// A mark for this location is refused as invalid.
    pub(crate) refused_mark: Option<LocationId>,
    /// A load of this item returns this error.
    pub(crate) load: Option<(ItemId, StoreError)>,
}

impl StoreFaults {
    fn refuse(&self, commit: &Commit) -> bool {
        let note = |record: &Record| record.outcome.command.as_ref().and_then(|command| command.details.note.clone());
        let bad_record = self.refused_note.is_some()
            && commit
                .records
                .iter()
                .any(|record| record.outcome.status != Status::DeadLettered && note(record) == self.refused_note);
        let bad_mark = self.refused_mark.is_some()
            && commit.mark.as_ref().map(|mark| &mark.location_id) == self.refused_mark.as_ref();
        bad_record || bad_mark
    }

    fn of_load(&self, item_id: &ItemId) -> Option<StoreError> {
        self.load.as_ref().filter(|(of, _)| of == item_id).map(|(_, error)| error.clone())
    }
}

/// The ports of one worker: those of the world, with the faults of a plan.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) world: Arc<World>,
    pub(crate) plan: Arc<Plan>,
}

impl Faulty {
    async fn loaded(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let loaded = self.world.store.load(requests).await;
        let faults = self.world.faults();
        let answers = requests.iter().zip(loaded);
        answers.map(|(request, loaded)| faults.of_load(&request.item_id).map_or(loaded, Err)).collect()
    }

    /// Commits, unless the only hindrance is a planned refusal: a real store finds conflicts and duplicates first.
    fn committed(&self, commit: &Commit) -> CommitOutcome {
        let mut stock = self.world.store.stock();
        let before = self.world.faults().refuse(commit).then(|| stock.clone());
        let outcome = stock.commit(commit);
        match before {
            Some(before) if outcome == CommitOutcome::Committed => {
                *stock = before;
                CommitOutcome::Refused("the row is invalid".into())
            }
            _ => outcome,
        }
    }
}

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("as planned".into()))
}

fn queue_down<T>() -> Result<T, QueueError> {
    Err(QueueError::Unavailable("as planned".into()))
}

#[async_trait]
impl Store for Faulty {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let answer = self.plan.around(Point::Load, self.loaded(requests)).await;
        answer.unwrap_or_else(|| requests.iter().map(|_| down()).collect())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        let items: BTreeSet<_> = commits.iter().map(|commit| &commit.item_id).collect();
        assert_eq!(items.len(), commits.len(), "commits of one call are of different items");
        let work = async { commits.iter().map(|commit| Ok(self.committed(commit))).collect() };
        let answer = self.plan.around(Point::Commit, work).await;
        answer.unwrap_or_else(|| commits.iter().map(|_| down()).collect())
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        self.world.store.discard(command, at).await
    }
}

#[async_trait]
impl AlertPublisher for Faulty {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let answer = self.plan.around(Point::Publish, self.world.alerts.publish(alerts)).await;
        answer.unwrap_or_else(|| alerts.iter().map(|_| queue_down()).collect())
    }
}

#[async_trait]
impl CommandReceiver for Faulty {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let work = async {
            self.world.attempts.lock().unwrap().push(attempt);
            self.world.queue.receive(max, wait, attempt).await
        };
        self.plan.around(Point::Receive, work).await.unwrap_or_else(queue_down)
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let answer = self.plan.around(Point::Ack, self.world.queue.ack(handles)).await;
        answer.unwrap_or_else(|| handles.iter().map(|_| queue_down()).collect())
    }

    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let answer = self.plan.around(Point::Visibility, self.world.queue.change_visibility(handles)).await;
        answer.unwrap_or_else(|| handles.iter().map(|_| queue_down()).collect())
    }

    fn visibility_timeout(&self) -> Duration {
        self.world.queue.visibility_timeout()
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        self.world.queue.depth().await
    }
}
