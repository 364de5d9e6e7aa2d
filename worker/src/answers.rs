use stockline_core::domain::ItemId;
use stockline_core::ports::StoreError;

use crate::outage_breaker::LaterVersion;
use crate::step::Step;
use crate::worker::Worker;

/// Reads the store's answers to one call, and learns from all of them whether the store is healthy.
pub(crate) struct Answers<T> {
    answers: std::vec::IntoIter<Result<T, StoreError>>,
    answered: bool,
    failures: u32,
    unreadable: Vec<(ItemId, StoreError)>,
    worst: Option<(ItemId, StoreError)>,
}

/// Orders errors by how much they demand of the worker.
const fn severity(error: &StoreError) -> u8 {
    match error {
        StoreError::Unreadable(_) | StoreError::Cursor => 0,
        StoreError::Busy(_) => 1,
        StoreError::Unavailable(_) => 2,
        StoreError::Newer(_) => 3,
    }
}

impl<T> Answers<T> {
    pub(crate) fn new(answers: Vec<Result<T, StoreError>>) -> Self {
        Self { answers: answers.into_iter(), answered: false, failures: 0, unreadable: Vec::new(), worst: None }
    }

    /// Returns the answer for the next item of the call.
    pub(crate) fn next(&mut self) -> Result<T, StoreError> {
        let missing = || Err(StoreError::Unavailable("the adapter returned too few answers".into()));
        let answer = self.answers.next().unwrap_or_else(missing);
        self.answered |= !matches!(answer, Err(StoreError::Unavailable(_)));
        answer
    }

    /// Stops the step. [`Answers::report`] says what the error means for the store.
    pub(crate) fn failed(&mut self, step: &mut Step, error: StoreError) {
        match error {
            StoreError::Unavailable(_) => step.unanswered(),
            StoreError::Unreadable(_) => step.set_aside(),
            StoreError::Busy(_) | StoreError::Newer(_) | StoreError::Cursor => step.failed(),
        }
        self.failures += 1;
        if matches!(error, StoreError::Unreadable(_)) {
            self.unreadable.push((step.work.item_id.clone(), error));
            return;
        }
        if self.worst.as_ref().is_none_or(|(_, worst)| severity(worst) < severity(&error)) {
            self.worst = Some((step.work.item_id.clone(), error));
        }
    }

    /// Notes that an item can't be read, whose step goes on without it.
    pub(crate) fn unreadable(&mut self, step: &Step, error: StoreError) {
        self.unreadable.push((step.work.item_id.clone(), error));
    }

    /// Reports the failures of the `call` and returns whether the store is healthy.
    ///
    /// If the store answered for no item, there is an outage. If it failed for some items only, those items wait. Items
    /// that can't be read are set aside. If a later version wrote a row, this worker stops receiving.
    pub(crate) fn report(self, worker: &Worker, call: &str) -> bool {
        worker.meters.unreadable.increment(self.unreadable.len() as u64);
        for (item_id, error) in &self.unreadable {
            worker.set_aside.add(item_id, error, call);
        }
        let Some((item_id, error)) = self.worst else {
            return true;
        };
        if matches!(error, StoreError::Newer(_)) {
            worker.breaker.later_version_met(&LaterVersion::Row(error));
            return false;
        }
        if !self.answered {
            worker.breaker.store_failed(&item_id, &error);
            return false;
        }
        tracing::warn!(%item_id, %error, call, failures = self.failures, "the store failed for some items");
        // A store that is busy with one item is healthy: if a probation meets such an item, the outage is over.
        matches!(error, StoreError::Busy(_))
    }
}
