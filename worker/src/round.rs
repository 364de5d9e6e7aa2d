//! What becomes of one receive: its groups advance in lock-step waves of load → fold → commit → publish → ack, so
//! that every port is called for many items at once.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use stockline_core::domain::{
    Alert, CommandId, Commit, Fold, FoldLimits, ItemId, LoadRequest, Loaded, MessageError, Record, Rules, Slot,
    Timestamp, decode_message, fold,
};
use stockline_core::ports::{CommitOutcome, Delivery, StoreError};

use crate::gate::{Gate, Newer};
use crate::group::{self, Group};
use crate::held::Held;
use crate::metrics::Meters;
use crate::rejudge;
use crate::step::{Folded, Step};
use crate::{Adapters, Config, Health};

/// The most commands of one wave, so that one commit call stays small; the other groups take the next wave.
const WAVE_COMMANDS_MAX: usize = 4_000;

/// Failed attempts of a trial after which its message is given back; with their pauses, a few minutes.
const TRIAL_ATTEMPTS_MAX: u32 = 10;

/// After so many commands of pure work other tasks get their turn.
pub(crate) const YIELD_COMMANDS: usize = 256;

pub(crate) type Judge =
    fn(&Loaded, &ItemId, &[Slot], &BTreeMap<CommandId, Record>, Timestamp, &Rules, &FoldLimits) -> Fold;

type Decode = fn(&ItemId, &str, &str, Timestamp) -> Result<Vec<Slot>, MessageError>;

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    pub(crate) adapters: Adapters,
    pub(crate) gate: Gate,
    pub(crate) meters: Meters,
    /// [`fold`]; tests put one that panics.
    pub(crate) judge: Judge,
    /// [`decode_message`]; tests put one that panics.
    pub(crate) decode: Decode,
}

impl Worker {
    pub(crate) fn new(config: Config, adapters: Adapters, health: Arc<Health>) -> Self {
        let meters = Meters::new();
        let gate = Gate::new(health, meters.clone());
        Self { config, adapters, gate, meters, judge: fold, decode: decode_message }
    }
}

/// Works through deliveries until each is acknowledged, given back, or lost to another. A `trial`, whether an outage
/// is over, keeps its one message over some failed attempts: an outage must burn no receives.
pub(crate) async fn work(worker: &Worker, deliveries: Vec<Delivery>, held: &Held, trial: bool) {
    let (waiting, returned) = group::sort(worker, deliveries).await;
    worker.meters.given_back.increment(returned.len() as u64);
    held.give_back(&returned).await;
    let attempts_left = if trial { TRIAL_ATTEMPTS_MAX } else { 0 };
    let mut round = Round { worker, held, waiting, sound: true, tries_again: false, attempts_left };
    loop {
        let mut steps = round.next_wave().await;
        if steps.is_empty() {
            break;
        }
        round.sound |= std::mem::take(&mut round.tries_again);
        round.load(&mut steps).await;
        let commits = round.fold(&mut steps).await;
        round.commit(&mut steps, commits).await;
        round.sound &= rejudge::rejudge_levels(worker, held, &mut steps).await;
        round.publish(&mut steps).await;
        round.settle(steps).await;
    }
    if round.sound {
        worker.gate.proved();
    } else if trial {
        worker.gate.trial_failed();
    }
}

struct Round<'a> {
    worker: &'a Worker,
    held: &'a Held,
    waiting: VecDeque<Group>,
    /// Neither store nor topic failed.
    sound: bool,
    /// What failed was kept and is tried again: only an attempt that ends well makes the round sound.
    tries_again: bool,
    /// How often what failed may be tried again in place.
    attempts_left: u32,
}

impl Round<'_> {
    /// The groups that are due, up to the bound; waits where all of them pause. Empty at the end.
    async fn next_wave(&mut self) -> Vec<Step> {
        loop {
            if self.held.has_run_out() && !self.waiting.is_empty() {
                let groups = self.waiting.len();
                tracing::warn!(groups, "the visibility of a round has run out: it ends, its messages come again");
                return Vec::new();
            }
            let steps = self.due();
            if !steps.is_empty() || self.waiting.is_empty() {
                return steps;
            }
            if let Some(ready_at) = self.waiting.iter().filter_map(|group| group.ready_at).min() {
                tokio::time::sleep_until(ready_at).await;
            }
        }
    }

    fn due(&mut self) -> Vec<Step> {
        let now = tokio::time::Instant::now();
        let max = self.worker.config.fold_limits.max_actions.max(1);
        let mut steps = Vec::new();
        let mut commands = 0;
        for _ in 0..self.waiting.len() {
            let Some(group) = self.waiting.pop_front() else {
                break;
            };
            if commands >= WAVE_COMMANDS_MAX || group.ready_at.is_some_and(|ready_at| ready_at > now) {
                self.waiting.push_back(group);
            } else if !group.first_handle().is_some_and(|handle| self.held.is_lost(handle)) {
                let step = Step::new(group, max);
                commands += step.offered();
                steps.push(step);
            }
        }
        steps
    }

    async fn load(&mut self, steps: &mut [Step]) {
        let rules = &self.worker.config.rules;
        let request = |step: &Step| {
            let slots = &step.group.slots[step.group.pos..step.end];
            LoadRequest::for_slots(step.group.item_id.clone(), slots, rules)
        };
        let requests: Vec<_> = steps.iter().filter(|step| step.offered() > 0).map(request).collect();
        if requests.is_empty() {
            return;
        }
        let mut answers = Answers::new(self.worker.adapters.store.load(&requests).await);
        for step in steps.iter_mut().filter(|step| step.offered() > 0) {
            match answers.next() {
                Ok(loaded) => step.loaded = Some(loaded),
                Err(error) => answers.failed(step, error),
            }
        }
        self.sound &= answers.report(self.worker, "load");
    }

    /// Judges what was loaded; what each fold wants written, in the order of the steps that have one.
    async fn fold(&self, steps: &mut [Step]) -> Vec<Commit> {
        let Worker { config, adapters, judge, .. } = self.worker;
        let now = adapters.clock.now();
        let mut commits = Vec::with_capacity(steps.len());
        let mut since_yield = 0;
        for step in steps {
            let Some(loaded) = step.loaded.take() else {
                continue;
            };
            let Group { item_id, slots, pos, decided, .. } = &step.group;
            let slots = &slots[*pos..step.end];
            let judged =
                AssertUnwindSafe(|| judge(&loaded, item_id, slots, decided, now, &config.rules, &config.fold_limits));
            match catch_unwind(judged) {
                Err(_) => step.refused(step.end, "judging it panicked: a defect, please report it", now),
                Ok(fold) if fold.taken == 0 => step.lost(),
                Ok(fold) if fold.commit.is_empty() => {
                    self.worker.meters.duplicates.increment(fold.taken as u64);
                    step.taken = fold.taken;
                }
                Ok(fold) => {
                    since_yield += fold.taken;
                    step.folded = Some(Folded::of(&fold));
                    commits.push(fold.commit);
                }
            }
            if since_yield >= YIELD_COMMANDS {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
        commits
    }

    async fn commit(&mut self, steps: &mut [Step], commits: Vec<Commit>) {
        if commits.is_empty() {
            return;
        }
        if self.held.has_run_out() {
            steps.iter_mut().filter(|step| step.folded.is_some()).for_each(|step| step.failed = true);
            self.sound = false;
            return;
        }
        let mut answers = Answers::new(self.worker.adapters.store.commit(commits).await);
        let now = self.worker.adapters.clock.now();
        let retained_since = now.plus_millis(self.worker.config.retention_ms.saturating_neg());
        for step in steps {
            let Some(folded) = step.folded.take() else {
                continue;
            };
            match answers.next() {
                Ok(CommitOutcome::Committed) => step.committed(folded, now, &self.worker.meters),
                Ok(CommitOutcome::Decided(records)) => step.met(records, retained_since),
                Ok(CommitOutcome::Conflict | CommitOutcome::Judged(_)) => {
                    self.worker.meters.conflicts.increment(1);
                    step.lost();
                }
                Ok(CommitOutcome::Refused(reason)) => {
                    let end = step.group.pos + folded.taken;
                    step.refused(end, &format!("the store refuses it: {reason}"), now);
                }
                Err(error) => answers.failed(step, error),
            }
        }
        self.sound &= answers.report(self.worker, "commit");
    }

    /// All alerts of the wave in one call; a group of which one is not taken stops.
    async fn publish(&mut self, steps: &mut [Step]) {
        let mut alerts: Vec<Alert> = Vec::new();
        let mut owners = Vec::new();
        for (index, step) in steps.iter_mut().enumerate().filter(|(_, step)| !step.alerts.is_empty()) {
            owners.extend(std::iter::repeat_n(index, step.alerts.len()));
            alerts.append(&mut step.alerts);
        }
        if alerts.is_empty() {
            return;
        }
        let answers = self.worker.adapters.alerts.publish(&alerts).await;
        let published = answers.iter().filter(|answer| answer.is_ok()).count();
        self.worker.meters.alerts_published.increment(published as u64);
        if published == alerts.len() {
            return;
        }
        self.sound = false;
        for (index, owner) in owners.iter().enumerate() {
            if !matches!(answers.get(index), Some(Ok(()))) {
                steps[*owner].failed = true;
                steps[*owner].unanswered = true;
            }
        }
        match answers.iter().find_map(|answer| answer.as_ref().err()) {
            Some(error) if published == 0 => self.worker.gate.alerts_failed(&alerts[0], error),
            Some(error) => tracing::warn!(%error, count = alerts.len() - published, "alerts could not be published"),
            None => tracing::error!("the alert topic left alerts without an answer"),
        }
    }

    /// Acknowledges what is settled, gives back what failed, and keeps the rest for the next wave.
    async fn settle(&mut self, steps: Vec<Step>) {
        let mut settled = Vec::new();
        let mut returned = Vec::new();
        for mut step in steps {
            if step.unanswered && self.attempts_left > 0 {
                self.attempts_left -= 1;
                self.tries_again = true;
                // What this attempt met must be met again: its alerts and re-judgings are not out.
                step.group.decided.clear();
                step.group.ready_at = Some(tokio::time::Instant::now() + self.worker.gate.next_pause());
                self.waiting.push_back(step.group);
                continue;
            }
            if step.failed {
                returned.extend(step.group.into_returned());
                continue;
            }
            settled.extend(step.group.settle(step.taken));
            if !step.group.is_done() {
                self.waiting.push_back(step.group);
            }
        }
        self.worker.meters.given_back.increment(returned.len() as u64);
        self.held.ack(&settled).await;
        self.held.give_back(&returned).await;
    }
}

/// The store's answers to one call, and what they say about the store.
pub(crate) struct Answers<T> {
    answers: std::vec::IntoIter<Result<T, StoreError>>,
    answered: bool,
    failures: u32,
    worst: Option<(ItemId, StoreError)>,
}

/// Which of several errors says what is to be done.
const fn gravity(error: &StoreError) -> u8 {
    match error {
        StoreError::Unreadable(_) => 0,
        StoreError::Busy(_) => 1,
        StoreError::Unavailable(_) => 2,
        StoreError::Newer(_) => 3,
    }
}

impl<T> Answers<T> {
    pub(crate) fn new(answers: Vec<Result<T, StoreError>>) -> Self {
        Self { answers: answers.into_iter(), answered: false, failures: 0, worst: None }
    }

    pub(crate) fn next(&mut self) -> Result<T, StoreError> {
        let missing = || Err(StoreError::Unavailable("the adapter gave too few answers".into()));
        let answer = self.answers.next().unwrap_or_else(missing);
        self.answered |= !matches!(answer, Err(StoreError::Unavailable(_)));
        answer
    }

    /// The group stops; what that says about the store is told by [`Answers::report`].
    pub(crate) fn failed(&mut self, step: &mut Step, error: StoreError) {
        step.failed = true;
        step.unanswered |= matches!(error, StoreError::Unavailable(_));
        self.failures += 1;
        if self.worst.as_ref().is_none_or(|(_, worst)| gravity(worst) < gravity(&error)) {
            self.worst = Some((step.group.item_id.clone(), error));
        }
    }

    /// Where the store answered for nobody, that is an outage; where only for some, the others' groups wait; what a
    /// later version stored ends this worker's receiving. `true` where the store is well.
    pub(crate) fn report(self, worker: &Worker, what: &str) -> bool {
        let Some((item_id, error)) = self.worst else {
            return true;
        };
        if matches!(error, StoreError::Newer(_)) {
            worker.gate.close(&Newer::Stored(error));
            return false;
        }
        if !self.answered {
            worker.gate.store_failed(&item_id, &error);
            return false;
        }
        if matches!(error, StoreError::Unreadable(_)) {
            worker.meters.unreadable.increment(u64::from(self.failures));
            tracing::error!(%item_id, %error, what, "an item can't be read; its messages wait for a person");
            return true;
        }
        tracing::warn!(%item_id, %error, what, failures = self.failures, "the store failed for some items");
        // A store that is busy with an item is well: a trial that meets one ends the outage.
        matches!(error, StoreError::Busy(_))
    }
}
