//! A round works through the messages of one receive. Its items advance in lock-step waves of load → fold → commit →
//! publish → ack, so that every port is called for many items at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stockline_core::domain::{Alert, Commit, LoadRequest};
use stockline_core::ports::{CommitOutcome, Delivery, StoreError};
use tokio::time::Instant;

use crate::answers::Answers;
use crate::item_work::ItemWork;
use crate::leases::{Leases, return_pause, set_aside_pause};
use crate::rejudge;
use crate::step::{Course, Folded, Step};
use crate::unpack::unpack;
use crate::worker::{Worker, YIELD_COMMANDS};

/// The most commands of one wave, so that one commit call stays small. Other items wait for the next wave.
const WAVE_COMMANDS_MAX: usize = 4_000;

/// After this many failed attempts a probation returns its message. With their pauses that takes a few minutes.
const PROBATION_ATTEMPTS_MAX: u32 = 10;

/// What a round is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To work through its messages.
    Work,
    /// To see with one message whether an outage is over. Failed attempts are retried with that message in hand,
    /// because an outage must burn no receives.
    Probation,
}

/// Whether store and topic answered the round's calls.
///
/// ```text
///            a call fails          kept for another attempt
/// Answered ──────────────► Failed ──────────────────────────► Retrying
///    ▲                                                            │
///    └──────────────────── the next wave begins ──────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// Store and topic are healthy.
    Answered,
    /// A call failed.
    Failed,
    /// A call failed, and the next wave tries its item again. The result of that wave counts.
    Retrying,
}

/// Works through deliveries until each is acknowledged, returned, or lost to another worker.
pub(crate) async fn work(worker: &Worker, deliveries: Vec<Delivery>, leases: &Leases, purpose: Purpose) {
    let (waiting, returned) = unpack(worker, deliveries).await;
    worker.meters.given_back.increment(returned.len() as u64);
    leases.return_after(&returned).await;
    let retries_left = if purpose == Purpose::Probation { PROBATION_ATTEMPTS_MAX } else { 0 };
    let mut round = Round { worker, leases, waiting, calls: Calls::Answered, retries_left };
    loop {
        let mut steps = round.next_wave().await;
        if steps.is_empty() {
            break;
        }
        round.load(&mut steps).await;
        let commits = round.fold(&mut steps).await;
        round.commit(&mut steps, commits).await;
        round.rejudge(&mut steps).await;
        round.publish(&mut steps).await;
        round.settle(steps).await;
    }
    match (round.calls, purpose) {
        (Calls::Answered, _) => worker.breaker.round_succeeded(),
        (Calls::Failed | Calls::Retrying, Purpose::Probation) => worker.breaker.probation_failed(),
        (Calls::Failed | Calls::Retrying, Purpose::Work) => {}
    }
}

struct Round<'a> {
    worker: &'a Worker,
    leases: &'a Leases,
    waiting: VecDeque<ItemWork>,
    calls: Calls,
    /// How many failed items may still be kept and tried again.
    retries_left: u32,
}

impl Round<'_> {
    /// Returns the items of the next wave, and waits while all of them pause. It is empty at the end of the round.
    async fn next_wave(&mut self) -> Vec<Step> {
        loop {
            if self.leases.have_expired() && !self.waiting.is_empty() {
                let items = self.waiting.len();
                tracing::warn!(items, "the leases of a round have expired: it ends, its messages are delivered again");
                return Vec::new();
            }
            let steps = self.due();
            if !steps.is_empty() && self.calls == Calls::Retrying {
                self.calls = Calls::Answered;
            }
            if !steps.is_empty() || self.waiting.is_empty() {
                return steps;
            }
            if let Some(ready_at) = self.waiting.iter().filter_map(|work| work.ready_at).min() {
                tokio::time::sleep_until(ready_at).await;
            }
        }
    }

    /// Takes the items that are due, up to the bound of a wave.
    fn due(&mut self) -> Vec<Step> {
        let now = Instant::now();
        let max = self.worker.config.fold_limits.max_actions.max(1);
        let mut steps = Vec::new();
        let mut commands = 0;
        for _ in 0..self.waiting.len() {
            let Some(work) = self.waiting.pop_front() else {
                break;
            };
            if commands >= WAVE_COMMANDS_MAX || work.ready_at.is_some_and(|ready_at| ready_at > now) {
                self.waiting.push_back(work);
            } else if !work.first_handle().is_some_and(|handle| self.leases.is_lost(handle)) {
                let step = Step::new(work, max);
                commands += step.offered();
                steps.push(step);
            }
        }
        steps
    }

    async fn load(&mut self, steps: &mut [Step]) {
        let rules = &self.worker.config.rules;
        let request = |step: &Step| {
            let slots = &step.work.slots[step.work.settled..step.end];
            LoadRequest::for_slots(step.work.item_id.clone(), slots, rules)
        };
        let requests: Vec<_> = steps.iter().filter(|step| step.offered() > 0).map(request).collect();
        if requests.is_empty() {
            return;
        }
        let mut answers = Answers::new(self.worker.adapters.store.load(&requests).await);
        let now = self.worker.adapters.clock.now();
        let parks =
            |step: &Step| self.worker.config.parking.is_some_and(|parking| step.work.is_to_be_parked(parking, now));
        for step in steps.iter_mut().filter(|step| step.offered() > 0) {
            match answers.next() {
                Ok(loaded) => step.loaded = Some(loaded),
                Err(StoreError::Unreadable(why)) if parks(step) => {
                    step.park(&why, now);
                    answers.unreadable(step, StoreError::Unreadable(why));
                }
                Err(error) => answers.failed(step, error),
            }
        }
        self.note(answers.report(self.worker, "load"));
    }

    /// Judges the loaded items. Returns a commit for each step that now has a fold, in the order of the steps.
    async fn fold(&self, steps: &mut [Step]) -> Vec<Commit> {
        let Worker { config, adapters, judge, .. } = self.worker;
        let now = adapters.clock.now();
        let mut commits = Vec::with_capacity(steps.len());
        let mut since_yield = 0;
        for step in steps {
            let Some(loaded) = step.loaded.take() else {
                continue;
            };
            let ItemWork { item_id, slots, settled, decided, .. } = &step.work;
            let slots = &slots[*settled..step.end];
            let judged =
                AssertUnwindSafe(|| judge(&loaded, item_id, slots, decided, now, &config.rules, &config.fold_limits));
            match catch_unwind(judged) {
                Err(_) => step.refused(step.end, "judging it panicked: this is a defect, please report it", now),
                Ok(fold) if fold.taken == 0 => step.lost(),
                Ok(fold) if fold.commit.is_empty() => {
                    self.worker.meters.duplicates.increment(fold.taken as u64);
                    step.taken = fold.taken;
                }
                Ok(fold) => {
                    since_yield += fold.taken;
                    step.folded = Some(Folded::of(&fold, step.work.spans.any()));
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
        if self.leases.have_expired() {
            steps.iter_mut().filter(|step| step.folded.is_some()).for_each(Step::failed);
            self.calls = Calls::Failed;
            return;
        }
        let mut answers = Answers::new(self.worker.adapters.store.commit(commits).await);
        let now = self.worker.adapters.clock.now();
        let retained_since = now.plus_millis(self.worker.config.retention_ms.saturating_neg());
        for step in steps {
            let Some(folded) = step.folded.take() else {
                continue;
            };
            let answer = answers.next();
            if answer.is_ok() && !step.is_parked {
                self.worker.set_aside.remove(&step.work.item_id);
            }
            match answer {
                Ok(CommitOutcome::Committed) => step.committed(folded, now, &self.worker.meters),
                Ok(CommitOutcome::Decided(records)) => step.found_decided(records, retained_since),
                Ok(CommitOutcome::Conflict | CommitOutcome::Judged(_)) => {
                    self.worker.meters.conflicts.increment(1);
                    step.lost();
                }
                Ok(CommitOutcome::Refused(reason)) => {
                    let end = step.work.settled + folded.taken;
                    step.refused(end, &format!("the store refuses it: {reason}"), now);
                }
                Err(error) => answers.failed(step, error),
            }
        }
        self.note(answers.report(self.worker, "commit"));
    }

    async fn rejudge(&mut self, steps: &mut [Step]) {
        let store_healthy = rejudge::rejudge_levels(self.worker, self.leases, steps).await;
        self.note(store_healthy);
    }

    /// Publishes all alerts of the wave in one call. If one alert of an item is not published, the item stops.
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
        self.calls = Calls::Failed;
        for (index, owner) in owners.iter().enumerate() {
            if !matches!(answers.get(index), Some(Ok(()))) {
                steps[*owner].unanswered();
            }
        }
        match answers.iter().find_map(|answer| answer.as_ref().err()) {
            Some(error) if published == 0 => self.worker.breaker.topic_failed(&alerts[0], error),
            Some(error) => tracing::warn!(%error, count = alerts.len() - published, "alerts could not be published"),
            None => tracing::error!("the adapter of the alert topic returned too few answers"),
        }
    }

    /// Acknowledges settled messages, returns failed ones, and keeps the rest for the next wave.
    async fn settle(&mut self, steps: Vec<Step>) {
        let mut settled = Vec::new();
        let mut returned = Vec::new();
        for mut step in steps {
            if step.course == Course::Unanswered && self.retries_left > 0 {
                self.retries_left -= 1;
                self.calls = Calls::Retrying;
                step.work.try_again_after(self.worker.breaker.next_pause());
                self.waiting.push_back(step.work);
                continue;
            }
            if !step.is_running() {
                let pause = if step.is_set_aside { set_aside_pause } else { return_pause };
                returned.extend(step.work.into_returned(pause));
                continue;
            }
            settled.extend(step.work.settle(step.taken));
            if !step.work.is_done() {
                self.waiting.push_back(step.work);
            }
        }
        self.worker.meters.given_back.increment(returned.len() as u64);
        self.leases.ack(&settled).await;
        self.leases.return_after(&returned).await;
    }

    /// Notes whether the store is healthy after a call.
    fn note(&mut self, store_healthy: bool) {
        if !store_healthy {
            self.calls = Calls::Failed;
        }
    }
}
