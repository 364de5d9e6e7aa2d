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

/// Bodies up to here are not counted: of all requests in work they are 64 MB.
pub(crate) const SMALL_BODY_BYTES: usize = 16 * 1024;
/// What room for bodies is counted in, so that it fits into a semaphore everywhere.
const BODY_UNIT_BYTES: usize = 1024;

/// Requests in work, in line for that, and with slow bodies: a bounded number of each; and the bytes of large bodies.
///
/// A refusal costs a quarter of what a sale does, so that where all were refused that come beyond the capacity, there
/// would soon be capacity for nothing else. What waits costs nothing, nor does a client that goes away meanwhile: so
/// only every so many requests earn a refusal.
#[derive(Debug)]
pub(crate) struct Room {
    in_work: Semaphore,
    in_line: Semaphore,
    slow_bodies: Semaphore,
    large_bodies: Semaphore,
    large_in_line: Semaphore,
    large_slow: Semaphore,
    worked_off: AtomicU64,
    refusals: Semaphore,
}

/// A place among the requests in work.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    room: &'a Room,
    _permit: SemaphorePermit<'a>,
}

/// Room that a large body takes.
#[derive(Debug)]
pub(crate) struct LargeBody<'a> {
    units: u32,
    _permit: SemaphorePermit<'a>,
}

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        // At least two of the largest: one that is slow, and another.
        let large = units(limits.large_bodies_bytes).max(2 * units(limits.body_bytes)) as usize;
        Self {
            in_work: Semaphore::new(limits.concurrent_requests),
            in_line: Semaphore::new(limits.connections),
            slow_bodies: Semaphore::new(limits.concurrent_requests.div_ceil(8)),
            large_bodies: Semaphore::new(large),
            large_in_line: Semaphore::new(limits.concurrent_requests.div_ceil(8)),
            large_slow: Semaphore::new(large / 2),
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

    /// Waits for room for a body of so many bytes, at most the largest; `None` where the request is to be refused: after
    /// a second, or at once where an eighth of those in work wait for this.
    pub(crate) async fn large_body(&self, bytes: usize) -> Option<LargeBody<'_>> {
        let _place = self.large_in_line.try_acquire().ok()?;
        let units = units(bytes);
        let permit = timeout(WAIT, self.large_bodies.acquire_many(units)).await.ok()?.ok()?;
        Some(LargeBody { units, _permit: permit })
    }

    /// A place among the slow bodies, an eighth of those in work; `None` where there is none.
    pub(crate) fn slow_body(&self) -> Option<SemaphorePermit<'_>> {
        self.slow_bodies.try_acquire().ok()
    }

    /// Of the room for large bodies slow ones may have half; `None` where they have it.
    pub(crate) fn slow_large_body(&self, large: &LargeBody<'_>) -> Option<SemaphorePermit<'_>> {
        self.large_slow.try_acquire_many(large.units).ok()
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BODY_UNIT_BYTES)).unwrap_or(u32::MAX)
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
    async fn large_bodies_have_so_much_room_and_no_more() {
        let limits = Limits { body_bytes: 50_000, large_bodies_bytes: 150_000, ..Limits::default() };
        let room = Room::new(&limits);
        let large = room.large_body(100_000).await.unwrap();
        let small = room.large_body(20_000).await.unwrap();
        let begun = Instant::now();
        assert!(room.large_body(50_000).await.is_none());
        assert_eq!(begun.elapsed(), WAIT);
        let leave = async {
            tokio::time::sleep(WAIT / 2).await;
            drop(large);
        };
        assert!(tokio::join!(room.large_body(50_000), leave).0.is_some());
        drop(small);
    }

    #[tokio::test(start_paused = true)]
    async fn more_large_bodies_than_may_wait_are_refused_at_once() {
        let room = Room::new(&Limits { concurrent_requests: 8, large_bodies_bytes: 0, ..Limits::default() });
        let largest = Limits::default().body_bytes;
        let (_one, _other) = (room.large_body(largest).await.unwrap(), room.large_body(largest).await.unwrap());
        let begun = Instant::now();
        let next = async { (room.large_body(largest).await.is_none(), begun.elapsed()) };
        let after = async { (room.large_body(largest).await.is_none(), begun.elapsed()) };
        assert_eq!(tokio::join!(next, after), ((true, WAIT), (true, Duration::ZERO)));
    }

    #[tokio::test]
    async fn slow_large_bodies_leave_half_of_the_room() {
        let room = Room::new(&Limits { large_bodies_bytes: 0, ..Limits::default() });
        let largest = Limits::default().body_bytes;
        let (one, other) = (room.large_body(largest).await.unwrap(), room.large_body(largest).await.unwrap());
        let _slow = room.slow_large_body(&one).unwrap();
        assert!(room.slow_large_body(&other).is_none());
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
