use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::{
    Alert, CommandId, CommandKey, Commit, LoadRequest, Loaded, LocationId, Record, Status, Timestamp,
};
use stockline_core::ports::{
    AlertPublisher, CommandReceiver, CommitOutcome, Delivery, Handle, QueueDepth, QueueError, Store, StoreError,
};
use uuid::Uuid;

use super::wire::Purpose;
use super::{Edge, Plan, Point, in_real_time};

/// The purpose of the commit of [`Oddities::slow`].
pub const SLOW_COMMIT: Edge = "commit for long";

/// The purpose of returning all held messages at shutdown.
pub const GIVE_BACK_AT_SHUTDOWN: Edge = "give back at shutdown";

/// The answer if another transaction uses the same rows.
const CONFLICT: &str = "TransactionConflict";

/// The answer if the store refuses a write for ever.
const INVALID: &str = "ValidationError";

/// The commands for which the store returns answers that no engine produces by itself, to every caller.
#[derive(Debug, Clone, Default)]
pub struct Oddities {
    /// The first commit of this command fails with [`StoreError::Busy`].
    pub busy: Option<CommandId>,
    /// The first commit of this command takes this time.
    pub slow: Option<(CommandId, Duration)>,
    /// This command is refused as invalid, unless it is retried.
    pub refused: Option<CommandId>,
}

/// The alerts and acknowledgements of all workers of one queue.
#[derive(Debug, Default)]
pub struct Traces {
    /// The published alerts, in order.
    pub published: Mutex<Vec<Alert>>,
    /// The number of acknowledged messages.
    pub acknowledged: tokio::sync::watch::Sender<usize>,
    /// Notified when the slow commit begins.
    pub slow_begun: tokio::sync::Notify,
    decided: Mutex<BTreeSet<(CommandId, u32)>>,
    judged: Mutex<BTreeSet<(CommandId, LocationId)>>,
    odd: Mutex<BTreeSet<CommandId>>,
}

impl Traces {
    /// Returns the published alerts, in order.
    pub fn published(&self) -> MutexGuard<'_, Vec<Alert>> {
        self.published.lock().unwrap()
    }

    /// Reports whether this command has its odd answer for the first time.
    fn is_first(&self, command_id: CommandId) -> bool {
        self.odd.lock().unwrap().insert(command_id)
    }

    /// Notes a commit that took effect.
    pub(super) fn committed(&self, commit: &Commit) {
        let ids = commit.records.iter().map(|record| (record.outcome.command_id, record.retry));
        self.decided.lock().unwrap().extend(ids);
        let mark = commit.mark.iter().map(|mark| (mark.command_id, mark.location_id.clone()));
        self.judged.lock().unwrap().extend(mark);
    }

    fn edges_of_commit(&self, commit: &Commit) -> Vec<Edge> {
        if let Some(mark) = &commit.mark {
            let again = self.judged.lock().unwrap().contains(&(mark.command_id, mark.location_id.clone()));
            return vec![if again { "re-judge what is judged" } else { "re-judge a level" }];
        }
        let decided = self.decided.lock().unwrap();
        let is_decided = |record: &Record| decided.contains(&(record.outcome.command_id, record.retry));
        let all = [
            ("commit what is decided", commit.records.iter().any(is_decided)),
            ("commit a chunk", !commit.chunks.is_empty()),
            ("commit the item", commit.item.is_some()),
            ("commit a rejection", commit.records.iter().any(|r| r.outcome.status == Status::Rejected)),
            ("commit a dead letter", commit.records.iter().any(|r| r.outcome.dead_letter.is_some())),
            ("commit a retry", commit.records.iter().any(|record| record.retry > 0)),
            ("commit a reversal", !commit.reversed.is_empty()),
            ("commit a resubmission", !commit.resubmitted.is_empty()),
            ("commit", true),
        ];
        all.into_iter().filter(|(_, is)| *is).map(|(edge, _)| edge).collect()
    }
}

fn edges_of_load(request: &LoadRequest) -> Vec<Edge> {
    let all = [
        ("load to re-judge", request.all_levels),
        ("load the history", !request.since.is_empty()),
        ("load a refused command", !request.records.is_empty()),
        ("load", true),
    ];
    all.into_iter().filter(|(_, is)| *is).map(|(edge, _)| edge).collect()
}

/// The queue, the store and the topic of one worker, with the faults of a plan.
#[derive(Debug)]
pub struct Faulty {
    /// The faults.
    pub plan: Arc<Plan>,
    /// The command queue.
    pub queue: Arc<dyn CommandReceiver>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whether the store is the DynamoDB adapter over a [`FaultyWire`](super::FaultyWire). The wire then gives the odd
    /// answers.
    pub through_wire: bool,
    /// The alerts and acknowledgements.
    pub traces: Arc<Traces>,
    /// The odd answers of the store.
    pub oddities: Oddities,
}

impl Faulty {
    /// Returns the ports of a worker without odd answers.
    pub fn new(plan: &Arc<Plan>, queue: Arc<dyn CommandReceiver>, store: &Arc<dyn Store>) -> Arc<Self> {
        let (plan, store) = (plan.clone(), store.clone());
        let (traces, oddities) = (Arc::default(), Oddities::default());
        Arc::new(Self { plan, queue, store, through_wire: false, traces, oddities })
    }

    /// Reports whether this is the slow commit.
    fn is_slow(&self, commits: &[Commit]) -> bool {
        let mut ids = commits.iter().flat_map(|commit| &commit.records).map(|record| record.outcome.command_id);
        self.oddities
            .slow
            .is_some_and(|(slow, _)| !self.traces.odd.lock().unwrap().contains(&slow) && ids.any(|id| id == slow))
    }

    /// Reports whether the store refuses this commit as invalid.
    fn refuses(&self, commit: &Commit) -> bool {
        commit.records.iter().any(|record| {
            Some(record.outcome.command_id) == self.oddities.refused
                && record.retry == 0
                && record.outcome.dead_letter.is_none()
        })
    }

    /// Returns the odd answer of the store, as DynamoDB names it.
    fn odd_answer(&self, commit: &Commit) -> Option<&'static str> {
        let has = |id: CommandId| commit.records.iter().any(|record| record.outcome.command_id == id);
        if self.oddities.busy.is_some_and(|id| has(id) && self.traces.is_first(id)) {
            return Some(CONFLICT);
        }
        self.refuses(commit).then_some(INVALID)
    }

    /// Makes one call of the store. Behind a wire no call takes real time, and faults take time of the paused clock.
    async fn ask<T>(&self, purpose: Purpose, work: impl Future<Output = T>) -> T {
        if self.through_wire { purpose.of(work).await } else { in_real_time(work).await }
    }

    async fn commit_all(&self, commits: Vec<Commit>, edges: Vec<Edge>) -> Vec<Result<CommitOutcome, StoreError>> {
        if let Some((id, takes)) = self.oddities.slow
            && self.is_slow(&commits)
            && self.traces.is_first(id)
        {
            self.traces.slow_begun.notify_one();
            tokio::time::sleep(takes).await;
        }
        let only = match &commits[..] {
            [commit] => Some(commit.clone()),
            _ => None,
        };
        let answer = only.as_ref().and_then(|commit| self.odd_answer(commit));
        match answer {
            Some(CONFLICT) if !self.through_wire => return vec![Err(StoreError::Busy("as planned".into()))],
            Some(_) if !self.through_wire => return vec![Ok(CommitOutcome::Refused("as planned".into()))],
            _ => {}
        }
        let traces = self.traces.clone();
        let done = only.map(|commit| -> Arc<dyn Fn() + Send + Sync> { Arc::new(move || traces.committed(&commit)) });
        let purpose = Purpose { edges, answer, done };
        let answers = self.ask(purpose, self.store.commit(commits.clone())).await;
        for (commit, answer) in commits.iter().zip(&answers) {
            if matches!(answer, Ok(CommitOutcome::Committed)) {
                self.traces.committed(commit);
            }
        }
        answers
    }
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
        let edges = requests.first().map(edges_of_load).unwrap_or_default();
        let work = self.ask(Purpose { edges: edges.clone(), ..Purpose::default() }, self.store.load(requests));
        let answers = self.plan.around(Point::Load, edges, work).await;
        answers.unwrap_or_else(|_| requests.iter().map(|_| Err(down())).collect())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        let count = commits.len();
        let mut edges = commits.first().map(|commit| self.traces.edges_of_commit(commit)).unwrap_or_default();
        edges.extend(commits.iter().any(|commit| self.refuses(commit)).then_some("commit what is refused"));
        edges.extend(self.is_slow(&commits).then_some(SLOW_COMMIT));
        let answers = self.plan.around(Point::Commit, edges.clone(), self.commit_all(commits, edges)).await;
        answers.unwrap_or_else(|_| vec![Err(down()); count])
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        self.store.discard(command, at).await
    }
}

#[async_trait]
impl AlertPublisher for Faulty {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let again = {
            let published = self.traces.published();
            alerts.iter().all(|alert| published.contains(alert))
        };
        let edges = vec![if again { "publish again" } else { "publish" }];
        let work = async { self.traces.published().extend_from_slice(alerts) };
        let done = self.plan.around(Point::Publish, edges, work).await;
        alerts.iter().map(|_| done.map_err(|_| queue_down())).collect()
    }
}

#[async_trait]
impl CommandReceiver for Faulty {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let work = self.queue.receive(max, wait, attempt);
        let received =
            self.plan.around(Point::Receive, vec!["receive"], work).await.unwrap_or_else(|_| Err(queue_down()));
        if received.iter().flatten().any(|delivery| delivery.set_aside) {
            self.plan.tell(Point::Receive, "receive what was set aside");
        }
        received
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let work = async {
            let answers = in_real_time(self.queue.ack(handles)).await;
            let acknowledged = answers.iter().filter(|answer| answer.is_ok()).count();
            self.traces.acknowledged.send_modify(|all| *all += acknowledged);
            answers
        };
        let answers = self.plan.around(Point::Ack, vec!["ack"], work).await;
        answers.unwrap_or_else(|_| handles.iter().map(|_| Err(queue_down())).collect())
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let extends = changes.iter().all(|(_, held_for)| *held_for == self.queue.visibility_timeout());
        let at_once = changes.iter().all(|(_, held_for)| held_for.is_zero());
        let edge = match (extends, at_once) {
            (true, _) => "hold longer",
            (_, true) => GIVE_BACK_AT_SHUTDOWN,
            _ => "give back",
        };
        let work = in_real_time(self.queue.change_visibility(changes));
        let answers = self.plan.around(Point::Visibility, vec![edge], work).await;
        answers.unwrap_or_else(|_| changes.iter().map(|_| Err(queue_down())).collect())
    }

    fn visibility_timeout(&self) -> Duration {
        self.queue.visibility_timeout()
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        self.queue.depth().await
    }
}
