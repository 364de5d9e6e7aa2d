//! Room for requests in work: who waits for it, and who is refused.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::Limits;

/// How long a request waits before it may be refused.
const WAIT: Duration = Duration::from_secs(1);
/// And before it is, however many others are.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Requests that are worked off for each one refused.
const WORKED_OFF_PER_REFUSAL: u64 = 4;
/// Refusals that are kept for later.
const REFUSALS_KEPT: usize = 100;

/// Requests in work, in line for that, and with slow bodies: a bounded number of each.
///
/// A refusal costs a quarter of what a sale does, so that where all were refused that come beyond the capacity, there
/// would soon be capacity for nothing else. What waits costs nothing, nor does a client that goes away meanwhile: so
/// only every so many requests earn a refusal.
#[derive(Debug)]
pub(crate) struct Room {
    in_work: Semaphore,
    in_line: Semaphore,
    slow_bodies: Semaphore,
    worked_off: AtomicU64,
    refusals: Semaphore,
}

/// A place among the requests in work.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    room: &'a Room,
    _permit: SemaphorePermit<'a>,
}

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            in_work: Semaphore::new(limits.concurrent_requests),
            in_line: Semaphore::new(limits.connections),
            slow_bodies: Semaphore::new(limits.concurrent_requests.div_ceil(8)),
            worked_off: AtomicU64::new(0),
            refusals: Semaphore::new(REFUSALS_KEPT),
        }
    }

    /// Waits for room; `None` where the request is to be refused.
    pub(crate) async fn enter(&self) -> Option<Place<'_>> {
        let permit = match self.in_work.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        Some(Place { room: self, _permit: permit })
    }

    async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        let _place = self.in_line.try_acquire().ok()?;
        let mut permit = pin!(self.in_work.acquire());
        if let Ok(permit) = timeout(WAIT, &mut permit).await {
            return permit.ok();
        }
        tokio::select! {
            biased;
            permit = permit => permit.ok(),
            refusal = timeout(WAIT_MAX.saturating_sub(WAIT), self.refusals.acquire()) => {
                if let Ok(Ok(refusal)) = refusal {
                    refusal.forget();
                }
                None
            }
        }
    }

    /// A place among the slow bodies, an eighth of those in work; `None` where there is none.
    pub(crate) fn slow_body(&self) -> Option<SemaphorePermit<'_>> {
        self.slow_bodies.try_acquire().ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let worked_off = self.room.worked_off.fetch_add(1, Ordering::Relaxed) + 1;
        let refusals = &self.room.refusals;
        if worked_off.is_multiple_of(WORKED_OFF_PER_REFUSAL) && refusals.available_permits() < REFUSALS_KEPT {
            refusals.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn room(in_work: usize, in_line: usize) -> Room {
        Room::new(&Limits { concurrent_requests: in_work, connections: in_line, ..Limits::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_room_and_takes_it() {
        let room = room(1, 1);
        let place = room.enter().await.unwrap();
        let leave = async {
            tokio::time::sleep(WAIT / 2).await;
            drop(place);
        };
        assert!(tokio::join!(room.enter(), leave).0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_line_a_request_is_refused_at_once() {
        let room = room(1, 0);
        let _place = room.enter().await.unwrap();
        let begun = Instant::now();
        assert!(room.enter().await.is_none());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_earned_by_what_is_worked_off_and_the_others_wait_longer() {
        let room = room(1, REFUSALS_KEPT + 2);
        let place = room.enter().await.unwrap();
        let begun = Instant::now();
        let waiting = futures_util::future::join_all((0..REFUSALS_KEPT + 2).map(async |_| {
            assert!(room.enter().await.is_none());
            begun.elapsed()
        }));
        let waited = waiting.await;
        let after = |wait: Duration| waited.iter().filter(|waited| **waited == wait).count();
        assert_eq!((after(WAIT), after(WAIT_MAX)), (REFUSALS_KEPT, 2));
        drop(place);
        for _ in 1..WORKED_OFF_PER_REFUSAL {
            drop(room.enter().await);
        }
        let _place = room.enter().await.unwrap();
        let begun = Instant::now();
        assert!(room.enter().await.is_none());
        assert_eq!(begun.elapsed(), WAIT);
    }
}
