use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// Growing pauses with jitter between attempts. Only this type names the `backoff` crate.
///
/// The jitter comes from `fastrand`, as the SDK's does. It can be seeded, so that a simulation replays.
#[derive(Debug)]
pub struct Retry(ExponentialBackoff);

impl Retry {
    /// Makes pauses that begin at `first`, double, and stay at or below `most` (each ± 50 %). They never end: the caller
    /// decides when to stop.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self(ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            multiplier: 2.0,
            randomization_factor: 0.0,
            max_interval: most,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// Returns the pause before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval).mul_f64(0.5 + fastrand::f64())
    }

    /// Begins with the first pause again, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}
