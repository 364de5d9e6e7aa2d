//! How many bytes large bodies may occupy together, and how many bodies may be slow.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::config::Limits;

/// How long a large body waits for its bytes.
const WAIT: Duration = Duration::from_secs(1);
/// Bodies up to this size are not counted: of all requests in progress together they are 64 MB.
pub(crate) const SMALL_BODY_BYTES: usize = 16 * 1024;
/// The unit in which bytes are counted, so that every budget fits into a semaphore.
const UNIT_BYTES: usize = 1024;

/// Bounds the bytes of large bodies, and the number of slow ones.
///
/// Slow bodies may be an eighth of the requests in progress and use half of the bytes, so that fast ones always have
/// the rest.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    large: Semaphore,
    waiting: Semaphore,
    slow: Semaphore,
    slow_large: Semaphore,
}

/// The bytes that a large body occupies, until this is dropped.
#[derive(Debug)]
pub(crate) struct LargeBody<'a> {
    units: u32,
    _permit: SemaphorePermit<'a>,
}

/// The share that a large body has of the bytes for slow ones, until this is dropped.
#[derive(Debug)]
pub(crate) struct SlowShare<'a> {
    _permit: SemaphorePermit<'a>,
}

/// A place among the slow bodies, until this is dropped.
#[derive(Debug)]
pub(crate) struct SlowBody<'a> {
    _permit: SemaphorePermit<'a>,
}

impl BodyBudget {
    pub(crate) fn new(limits: &Limits) -> Self {
        // At least two of the largest size: a slow one and another.
        let large = units(limits.large_bodies_bytes).max(2 * units(limits.body_bytes)) as usize;
        let eighth = limits.concurrent_requests.div_ceil(8);
        Self {
            large: Semaphore::new(large),
            waiting: Semaphore::new(eighth),
            slow: Semaphore::new(eighth),
            slow_large: Semaphore::new(large / 2),
        }
    }

    /// Waits until `bytes` fit into the budget. Returns `None` after a second, or at once if an eighth of the requests
    /// in progress wait for it already.
    pub(crate) async fn large_body(&self, bytes: usize) -> Option<LargeBody<'_>> {
        let _place = self.waiting.try_acquire().ok()?;
        let units = units(bytes);
        let permit = timeout(WAIT, self.large.acquire_many(units)).await.ok()?.ok()?;
        Some(LargeBody { units, _permit: permit })
    }

    /// Returns a place among the slow bodies, or `None` if all are taken.
    pub(crate) fn slow_body(&self) -> Option<SlowBody<'_>> {
        self.slow.try_acquire().ok().map(|permit| SlowBody { _permit: permit })
    }

    /// Returns the share of a large body that is slow, or `None` if slow ones use their half already.
    pub(crate) fn slow_share(&self, large: &LargeBody<'_>) -> Option<SlowShare<'_>> {
        self.slow_large.try_acquire_many(large.units).ok().map(|permit| SlowShare { _permit: permit })
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_fit_into_the_budget_or_wait() {
        let budget = BodyBudget::new(&Limits { body_bytes: 50_000, large_bodies_bytes: 150_000, ..Limits::default() });
        let large = budget.large_body(100_000).await.unwrap();
        let small = budget.large_body(20_000).await.unwrap();
        let begun = Instant::now();
        assert!(budget.large_body(50_000).await.is_none());
        assert_eq!(begun.elapsed(), WAIT);
        let finish = async {
            tokio::time::sleep(WAIT / 2).await;
            drop(large);
        };
        assert!(tokio::join!(budget.large_body(50_000), finish).0.is_some());
        drop(small);
    }

    #[tokio::test(start_paused = true)]
    async fn more_large_bodies_than_may_wait_are_refused_at_once() {
        let budget = BodyBudget::new(&Limits { concurrent_requests: 8, large_bodies_bytes: 0, ..Limits::default() });
        let largest = Limits::default().body_bytes;
        let (_one, _other) = (budget.large_body(largest).await.unwrap(), budget.large_body(largest).await.unwrap());
        let begun = Instant::now();
        let next = async { (budget.large_body(largest).await.is_none(), begun.elapsed()) };
        let after = async { (budget.large_body(largest).await.is_none(), begun.elapsed()) };
        assert_eq!(tokio::join!(next, after), ((true, WAIT), (true, Duration::ZERO)));
    }

    #[tokio::test]
    async fn slow_large_bodies_leave_half_of_the_budget() {
        let budget = BodyBudget::new(&Limits { large_bodies_bytes: 0, ..Limits::default() });
        let largest = Limits::default().body_bytes;
        let (one, other) = (budget.large_body(largest).await.unwrap(), budget.large_body(largest).await.unwrap());
        let _slow = budget.slow_share(&one).unwrap();
        assert!(budget.slow_share(&other).is_none());
    }
}
