use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stockline_core::domain::{CommandKey, Commit, LoadRequest, Loaded, Timestamp};
use stockline_core::ports::{CommitOutcome, Store, StoreError};

/// Adds a delay before each call of a store, as a distant store would, and measures the calls themselves.
#[derive(Debug)]
pub(crate) struct SlowStore {
    inner: Arc<dyn Store>,
    load_delay: Duration,
    commit_delay: Duration,
    /// The loads, without the delays.
    pub(crate) loads: Spent,
    /// The commits, without the delays.
    pub(crate) commits: Spent,
}

/// A number of calls and the time spent in them.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    calls: AtomicU64,
    micros: AtomicU64,
}

impl Spent {
    fn add(&self, since: Instant) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the number of calls.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns the total time in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 microseconds")]
    pub(crate) fn millis(&self) -> f64 {
        self.micros.load(Ordering::Relaxed) as f64 / 1_000.0
    }
}

impl SlowStore {
    /// Wraps a store; each call first waits for its delay.
    pub(crate) fn new(inner: Arc<dyn Store>, load_delay: Duration, commit_delay: Duration) -> Self {
        Self { inner, load_delay, commit_delay, loads: Spent::default(), commits: Spent::default() }
    }
}

/// Waits without a timer if the delay is zero, because a timer adds its own granularity.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        // This models the latency to the store.
        tokio::time::sleep(delay).await;
    }
}

#[async_trait]
impl Store for SlowStore {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        pause(self.load_delay).await;
        let started = Instant::now();
        let loaded = self.inner.load(requests).await;
        self.loads.add(started);
        loaded
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        pause(self.commit_delay).await;
        let started = Instant::now();
        let outcomes = self.inner.commit(commits).await;
        self.commits.add(started);
        outcomes
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        self.inner.discard(command, at).await
    }
}
