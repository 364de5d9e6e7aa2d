//! Limits the requests of each token with a token bucket (design.md §5).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::principal::TokenHash;

/// Tokens that are counted at once. While more tokens are busy, the further ones are not limited.
pub const RATE_TOKENS: usize = 100_000;
/// How often full buckets are dropped while there is no room for another.
const SWEEP: Duration = Duration::from_secs(1);

/// Buckets that hold `burst` requests and fill at `rate_per_s`; shared by all requests.
///
/// A bucket is one number: the time at which it would be full again (the generic cell rate algorithm).
#[derive(Debug)]
pub struct RateLimiter {
    /// The time after which one request is refilled.
    interval: Duration,
    /// The time after which an empty bucket is full.
    depth: Duration,
    most: usize,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    full_at: HashMap<TokenHash, Instant>,
    swept: Option<Instant>,
}

impl RateLimiter {
    /// `burst` requests at once (at least 1), then `rate_per_s`.
    pub fn new(rate_per_s: NonZeroU32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / rate_per_s.get();
        Self {
            interval,
            depth: interval * burst.max(1),
            most: RATE_TOKENS,
            buckets: Mutex::new(Buckets { full_at: HashMap::new(), swept: None }),
        }
    }

    /// Takes one request from the token's bucket.
    ///
    /// # Errors
    /// The bucket is empty; the value is the `Retry-After` of the 429, in whole seconds (at least 1).
    pub fn take(&self, token: TokenHash) -> Result<(), u64> {
        let now = Instant::now();
        // Every change leaves the map usable, even if a thread panics elsewhere.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = buckets.full_at.get_mut(&token) {
            let after = (*full_at).max(now) + self.interval;
            let too_early = after.duration_since(now).saturating_sub(self.depth);
            if !too_early.is_zero() {
                return Err(too_early.as_secs() + u64::from(too_early.subsec_nanos() > 0));
            }
            *full_at = after;
            return Ok(());
        }
        if buckets.has_room(self.most, now) {
            buckets.full_at.insert(token, now + self.interval);
        }
        Ok(())
    }
}

impl Buckets {
    /// Is there room for another bucket? A full bucket needs none.
    fn has_room(&mut self, most: usize, now: Instant) -> bool {
        if self.full_at.len() >= most && self.swept.is_none_or(|at| now.duration_since(at) >= SWEEP) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
        self.full_at.len() < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate_per_s: u32, burst: u32) -> RateLimiter {
        RateLimiter::new(NonZeroU32::new(rate_per_s).unwrap(), burst)
    }

    const A: TokenHash = TokenHash([1; 32]);
    const B: TokenHash = TokenHash([2; 32]);

    #[tokio::test(start_paused = true)]
    async fn an_idle_token_has_its_burst_and_then_the_rate() {
        let limiter = limiter(10, 5);
        for _ in 0..5 {
            assert_eq!(limiter.take(A), Ok(()));
        }
        assert_eq!(limiter.take(A), Err(1));
        assert_eq!(limiter.take(B), Ok(()), "another token has a bucket of its own");
        tokio::time::advance(Duration::from_millis(99)).await;
        assert_eq!(limiter.take(A), Err(1), "a refused request costs nothing and gains nothing");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limiter.take(A), Ok(()));
        assert_eq!(limiter.take(A), Err(1));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        let taken = (0..10).take_while(|_| limiter.take(A).is_ok()).count();
        assert_eq!(taken, 5, "a bucket holds no more than the burst");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_when_the_next_one_fits() {
        let slow = RateLimiter { interval: Duration::from_millis(2_500), ..limiter(1, 1) };
        let slow = RateLimiter { depth: slow.interval, ..slow };
        assert_eq!(slow.take(A), Ok(()));
        assert_eq!(slow.take(A), Err(3));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(slow.take(A), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_tokens_make_room_and_busy_ones_are_kept() {
        let limiter = RateLimiter { most: 2, ..limiter(1, 1) };
        assert_eq!((limiter.take(A), limiter.take(B)), (Ok(()), Ok(())));
        let third = TokenHash([3; 32]);
        assert_eq!((limiter.take(third), limiter.take(third)), (Ok(()), Ok(())), "not counted while there is no room");
        assert_eq!((limiter.take(A), limiter.take(B)), (Err(1), Err(1)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((limiter.take(third), limiter.take(third)), (Ok(()), Err(1)));
    }
}
