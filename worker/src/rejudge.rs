//! After a default threshold changed: every level of the item is judged anew, each in one transaction, before the
//! next fold (design.md §7). A run that finds a level's mark takes the alert from it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use stockline_core::domain::{Commit, Item, Level, LoadRequest, LocationId, Timestamp, rejudge};
use stockline_core::ports::CommitOutcome;
use stockline_service::Retry;

use crate::held::Held;
use crate::round::{Answers, Worker};
use crate::step::Step;

/// Conflicts in a row after which the group is given back; whoever gets it goes on at the marks.
const CONFLICTS_MAX: u32 = 8;

/// The first pause after a conflict; doubles with every further one.
const PAUSE_FIRST: Duration = Duration::from_millis(5);

/// The longest pause after a conflict, before jitter.
const PAUSE_MOST: Duration = Duration::from_millis(200);

/// The work on one step's first threshold change.
struct Task<'a> {
    step: &'a mut Step,
    /// The item and the levels that are left, as loaded; `None`: to be loaded.
    loaded: Option<(Item, VecDeque<Level>)>,
    done: BTreeSet<LocationId>,
    conflicts: u32,
}

/// Re-judges for every step that asks for it, side by side; the alerts join the step's. `false` where the store
/// failed.
pub(crate) async fn rejudge_levels(worker: &Worker, held: &Held, steps: &mut [Step]) -> bool {
    let mut tasks: Vec<_> = steps
        .iter_mut()
        .filter(|step| !step.failed && !step.rejudges.is_empty())
        .map(|step| Task { step, loaded: None, done: BTreeSet::new(), conflicts: 0 })
        .collect();
    let mut sound = true;
    let mut pauses = Retry::new(PAUSE_FIRST, PAUSE_MOST);
    while !tasks.is_empty() {
        if held.has_run_out() {
            tasks.iter_mut().for_each(|task| task.step.failed = true);
            break;
        }
        sound &= load(worker, &mut tasks).await;
        let (conflicted, well) = judge_one_each(worker, &mut tasks).await;
        sound &= well;
        tasks.retain_mut(Task::is_left);
        if conflicted {
            tokio::time::sleep(pauses.next_pause()).await;
        }
    }
    sound
}

async fn load(worker: &Worker, tasks: &mut [Task<'_>]) -> bool {
    let request = |task: &Task<'_>| LoadRequest::of(task.step.group.item_id.clone());
    let requests: Vec<_> = tasks.iter().filter(|task| task.loaded.is_none()).map(request).collect();
    if requests.is_empty() {
        return true;
    }
    let mut answers = Answers::new(worker.adapters.store.load(&requests).await);
    for task in tasks.iter_mut().filter(|task| task.loaded.is_none()) {
        match answers.next() {
            Ok(found) => {
                let left = found.levels.into_values().map(|loaded| loaded.level);
                let left = left.filter(|level| !task.done.contains(&level.location_id)).collect();
                task.loaded = found.item.map(|item| (item, left));
                if task.loaded.is_none() {
                    task.step.rejudges.clear();
                }
            }
            Err(error) => answers.failed(task.step, error),
        }
    }
    answers.report(worker, "load for re-judging")
}

/// One level of each item in one call: commits of one call are of different items. Was there a conflict; is the
/// store well?
async fn judge_one_each(worker: &Worker, tasks: &mut [Task<'_>]) -> (bool, bool) {
    let now = worker.adapters.clock.now();
    let mut judging = Vec::new();
    let mut commits = Vec::new();
    for task in tasks.iter_mut().filter(|task| !task.step.failed) {
        if let Some(commit) = task.next_commit(now) {
            commits.push(commit);
            judging.push(task);
        }
    }
    if commits.is_empty() {
        return (false, true);
    }
    let alerts: Vec<_> =
        commits.iter().map(|commit| commit.mark.as_ref().and_then(|mark| mark.alert.clone())).collect();
    let mut answers = Answers::new(worker.adapters.store.commit(commits).await);
    let mut conflicted = false;
    for (task, alert) in judging.into_iter().zip(alerts) {
        match answers.next() {
            Ok(CommitOutcome::Committed) => {
                task.step.alerts.extend(alert);
                task.level_done();
            }
            Ok(CommitOutcome::Judged(mark)) => {
                task.step.alerts.extend(mark.alert);
                task.level_done();
            }
            Ok(CommitOutcome::Conflict) => {
                worker.meters.conflicts.increment(1);
                conflicted = true;
                task.conflict();
            }
            Ok(CommitOutcome::Refused(reason)) => task.skip(worker, &reason),
            Ok(CommitOutcome::Decided(_)) => task.skip(worker, "the store took the re-judging for a command"),
            Err(error) => answers.failed(task.step, error),
        }
    }
    (conflicted, answers.report(worker, "re-judging"))
}

impl Task<'_> {
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
        self.step.failed |= self.conflicts >= CONFLICTS_MAX;
    }

    /// A level that can't be judged is left behind: it must not stop its item.
    fn skip(&mut self, worker: &Worker, reason: &str) {
        let location_id = self.loaded.as_ref().and_then(|(_, left)| left.front()).map(|level| &level.location_id);
        worker.meters.rejudge_skipped.increment(1);
        tracing::error!(item_id = %self.step.group.item_id, ?location_id, reason, "a level is not re-judged");
        self.level_done();
    }

    /// Goes on to the step's next threshold change where this one is through; `false` where there is none.
    fn is_left(&mut self) -> bool {
        if self.step.failed {
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
