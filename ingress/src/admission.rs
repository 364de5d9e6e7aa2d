//! Which requests may be in progress, which wait, and which are refused.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::config::Limits;

/// How long a request waits before it may be refused.
const WAIT: Duration = Duration::from_secs(1);
/// How long a request waits before it is refused in any case.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Requests that must finish for each one that is refused.
const FINISHED_PER_REFUSAL: u64 = 4;
/// Refusals that may be saved up.
const SAVED_REFUSALS: usize = 100;
/// Heads up to this size are not counted: all requests that are in progress or wait are 56 MB.
const SMALL_HEAD_BYTES: usize = 4 * 1024;
/// Bytes that all longer heads may occupy together.
const LARGE_HEADS_BYTES: usize = 16 * 1024 * 1024;

/// Bounds the requests in progress, and those that wait to be.
///
/// ```text
///            a place is free
/// arrived ─────────────────────▶ in progress ───▶ finished
///    │                                ▲              │ every fourth one
///    │ none is free                   │ a place      │ pays for a refusal
///    ├──────────────▶ waiting ────────┘ is free      ▼
///    │                  │                       saved refusals
///    │ the line         │ after 1 s with a saved refusal,
///    │ is full          │ after 10 s without one
///    └──────────────────┴───▶ refused
/// ```
///
/// A refusal costs a quarter of a sale. If every request beyond the capacity were refused at once, the refusals would
/// soon use up the capacity. Waiting costs nothing, and neither does a client that goes away while it waits; so
/// refusals are rationed.
#[derive(Debug)]
pub(crate) struct Admission {
    in_progress: Semaphore,
    waiting: Semaphore,
    finished: AtomicU64,
    saved_refusals: Semaphore,
    large_heads: Semaphore,
}

/// A request in progress, until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    admission: &'a Admission,
    _permit: SemaphorePermit<'a>,
    _large_head: Option<SemaphorePermit<'a>>,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            in_progress: Semaphore::new(limits.concurrent_requests),
            waiting: Semaphore::new(limits.connections),
            finished: AtomicU64::new(0),
            saved_refusals: Semaphore::new(SAVED_REFUSALS),
            large_heads: Semaphore::new(LARGE_HEADS_BYTES),
        }
    }

    /// Waits until a request with a head of so many bytes may be in progress; returns `None` if it must be refused.
    pub(crate) async fn admit(&self, head_bytes: usize) -> Option<Admitted<'_>> {
        let large_head = match head_bytes {
            ..=SMALL_HEAD_BYTES => None,
            large => Some(self.large_heads.try_acquire_many(u32::try_from(large).ok()?).ok()?),
        };
        let permit = match self.in_progress.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        Some(Admitted { admission: self, _permit: permit, _large_head: large_head })
    }

    async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        let _place = self.waiting.try_acquire().ok()?;
        let mut permit = pin!(self.in_progress.acquire());
        if let Ok(permit) = timeout(WAIT, &mut permit).await {
            return permit.ok();
        }
        tokio::select! {
            biased;
            permit = permit => permit.ok(),
            refusal = timeout(WAIT_MAX.saturating_sub(WAIT), self.saved_refusals.acquire()) => {
                if let Ok(Ok(refusal)) = refusal {
                    refusal.forget();
                }
                None
            }
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let finished = self.admission.finished.fetch_add(1, Ordering::Relaxed) + 1;
        let saved = &self.admission.saved_refusals;
        if finished.is_multiple_of(FINISHED_PER_REFUSAL) && saved.available_permits() < SAVED_REFUSALS {
            saved.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn admission(in_progress: usize, waiting: usize) -> Admission {
        Admission::new(&Limits { concurrent_requests: in_progress, connections: waiting, ..Limits::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_place_and_takes_it() {
        let admission = admission(1, 1);
        let admitted = admission.admit(0).await.unwrap();
        let finish = async {
            tokio::time::sleep(WAIT / 2).await;
            drop(admitted);
        };
        assert!(tokio::join!(admission.admit(0), finish).0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_refused_at_once_if_it_may_not_even_wait() {
        let admission = admission(1, 0);
        let _admitted = admission.admit(0).await.unwrap();
        let begun = Instant::now();
        assert!(admission.admit(0).await.is_none());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn finished_requests_pay_for_refusals_and_without_them_requests_wait_longer() {
        let admission = admission(1, SAVED_REFUSALS + 2);
        let admitted = admission.admit(0).await.unwrap();
        let begun = Instant::now();
        let waiting = futures_util::future::join_all((0..SAVED_REFUSALS + 2).map(async |_| {
            assert!(admission.admit(0).await.is_none());
            begun.elapsed()
        }));
        let waited = waiting.await;
        let after = |wait: Duration| waited.iter().filter(|waited| **waited == wait).count();
        assert_eq!((after(WAIT), after(WAIT_MAX)), (SAVED_REFUSALS, 2));
        drop(admitted);
        for _ in 1..FINISHED_PER_REFUSAL {
            drop(admission.admit(0).await);
        }
        let _admitted = admission.admit(0).await.unwrap();
        let begun = Instant::now();
        assert!(admission.admit(0).await.is_none());
        assert_eq!(begun.elapsed(), WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn large_heads_have_a_budget_and_small_ones_do_not_need_it() {
        let admission = admission(10_000, 10_000);
        let large = SMALL_HEAD_BYTES + 1;
        let mut admitted = Vec::new();
        while let Some(next) = admission.admit(large).await {
            admitted.push(next);
        }
        assert_eq!(admitted.len(), LARGE_HEADS_BYTES / large);
        assert!(admission.admit(SMALL_HEAD_BYTES).await.is_some());
        admitted.pop();
        assert!(admission.admit(large).await.is_some());
    }
}
