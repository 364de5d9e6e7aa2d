//! Re-judging: after a default threshold changed, every level of the item is judged again, each in one transaction,
//! before the next fold (design.md §7). A run that finds a level's mark takes the alert from it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use stockline_core::domain::{Commit, Item, Level, LoadRequest, LocationId, Timestamp, rejudge};
use stockline_core::ports::CommitOutcome;
use stockline_service::Retry;

use crate::answers::Answers;
use crate::leases::Leases;
use crate::step::Step;
use crate::worker::Worker;

/// After this many conflicts in a row the messages are returned. The next worker continues from the marks.
const CONFLICTS_MAX: u32 = 8;

/// The first pause after a conflict; doubles with every further one.
const PAUSE_FIRST: Duration = Duration::from_millis(5);

/// The longest pause after a conflict, before jitter.
const PAUSE_MOST: Duration = Duration::from_millis(200);

/// Re-judges the levels for a step's first threshold change.
struct Rejudging<'a> {
    step: &'a mut Step,
    /// The item and its remaining levels. `None` means that they must be loaded.
    loaded: Option<(Item, VecDeque<Level>)>,
    done: BTreeSet<LocationId>,
    conflicts: u32,
}

/// What one commit for each item showed.
struct Judged {
    conflicted: bool,
    store_healthy: bool,
}

/// Re-judges for every step that needs it, concurrently, and adds the alerts to the steps. Returns whether the store is
/// healthy.
pub(crate) async fn rejudge_levels(worker: &Worker, leases: &Leases, steps: &mut [Step]) -> bool {
    let mut rejudgings: Vec<_> = steps
        .iter_mut()
        .filter(|step| step.is_running() && !step.rejudges.is_empty())
        .map(|step| Rejudging { step, loaded: None, done: BTreeSet::new(), conflicts: 0 })
        .collect();
    let mut store_healthy = true;
    let mut pauses = Retry::new(PAUSE_FIRST, PAUSE_MOST);
    while !rejudgings.is_empty() {
        if leases.have_expired() {
            rejudgings.iter_mut().for_each(|rejudging| rejudging.step.failed());
            break;
        }
        store_healthy &= load(worker, &mut rejudgings).await;
        let judged = judge_one_each(worker, &mut rejudgings).await;
        store_healthy &= judged.store_healthy;
        rejudgings.retain_mut(Rejudging::is_left);
        if judged.conflicted {
            tokio::time::sleep(pauses.next_pause()).await;
        }
    }
    store_healthy
}

async fn load(worker: &Worker, rejudgings: &mut [Rejudging<'_>]) -> bool {
    let request = |rejudging: &Rejudging<'_>| LoadRequest::of(rejudging.step.work.item_id.clone());
    let requests: Vec<_> = rejudgings.iter().filter(|rejudging| rejudging.loaded.is_none()).map(request).collect();
    if requests.is_empty() {
        return true;
    }
    let mut answers = Answers::new(worker.adapters.store.load(&requests).await);
    for rejudging in rejudgings.iter_mut().filter(|rejudging| rejudging.loaded.is_none()) {
        match answers.next() {
            Ok(found) => {
                let left = found.levels.into_values().map(|loaded| loaded.level);
                let left = left.filter(|level| !rejudging.done.contains(&level.location_id)).collect();
                rejudging.loaded = found.item.map(|item| (item, left));
                if rejudging.loaded.is_none() {
                    rejudging.step.rejudges.clear();
                }
            }
            Err(error) => answers.failed(rejudging.step, error),
        }
    }
    answers.report(worker, "load for re-judging")
}

/// Judges one level of each item in one call, because the commits of one call must be of different items.
async fn judge_one_each(worker: &Worker, rejudgings: &mut [Rejudging<'_>]) -> Judged {
    let now = worker.adapters.clock.now();
    let mut judging = Vec::new();
    let mut commits = Vec::new();
    for rejudging in rejudgings.iter_mut().filter(|rejudging| rejudging.step.is_running()) {
        if let Some(commit) = rejudging.next_commit(now) {
            commits.push(commit);
            judging.push(rejudging);
        }
    }
    if commits.is_empty() {
        return Judged { conflicted: false, store_healthy: true };
    }
    let alerts: Vec<_> =
        commits.iter().map(|commit| commit.mark.as_ref().and_then(|mark| mark.alert.clone())).collect();
    let mut answers = Answers::new(worker.adapters.store.commit(commits).await);
    let mut conflicted = false;
    for (rejudging, alert) in judging.into_iter().zip(alerts) {
        match answers.next() {
            Ok(CommitOutcome::Committed) => {
                rejudging.step.alerts.extend(alert);
                rejudging.level_done();
            }
            Ok(CommitOutcome::Judged(mark)) => {
                rejudging.step.alerts.extend(mark.alert);
                rejudging.level_done();
            }
            Ok(CommitOutcome::Conflict) => {
                worker.meters.conflicts.increment(1);
                conflicted = true;
                rejudging.conflict();
            }
            Ok(CommitOutcome::Refused(reason)) => rejudging.skip_level(worker, &reason),
            Ok(CommitOutcome::Decided(_)) => {
                rejudging.skip_level(worker, "the store mistook the re-judging for a command")
            }
            Err(error) => answers.failed(rejudging.step, error),
        }
    }
    Judged { conflicted, store_healthy: answers.report(worker, "re-judging") }
}

impl Rejudging<'_> {
    fn next_commit(&self, now: Timestamp) -> Option<Commit> {
        let (item, left) = self.loaded.as_ref()?;
        Some(rejudge(item, left.front()?, *self.step.rejudges.front()?, now))
    }

    fn level_done(&mut self) {
        self.conflicts = 0;
        if let Some((_, left)) = &mut self.loaded
            && let Some(level) = left.pop_front()
        {
            self.done.insert(level.location_id);
        }
    }

    fn conflict(&mut self) {
        self.loaded = None;
        self.conflicts += 1;
        if self.conflicts >= CONFLICTS_MAX {
            self.step.failed();
        }
    }

    /// Skips a level that can't be re-judged: it must not stop its item.
    fn skip_level(&mut self, worker: &Worker, reason: &str) {
        let location_id = self.loaded.as_ref().and_then(|(_, left)| left.front()).map(|level| &level.location_id);
        worker.meters.rejudge_skipped.increment(1);
        tracing::error!(item_id = %self.step.work.item_id, ?location_id, reason, "a level is not re-judged");
        self.level_done();
    }

    /// Moves on to the step's next threshold change once this one is done. Returns `false` if there is none.
    fn is_left(&mut self) -> bool {
        if !self.step.is_running() {
            return false;
        }
        if self.loaded.as_ref().is_some_and(|(_, left)| left.is_empty()) {
            self.step.rejudges.pop_front();
            self.loaded = None;
            self.done.clear();
        }
        !self.step.rejudges.is_empty()
    }
}
