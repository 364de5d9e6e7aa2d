use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::Timestamp;

/// The source of the time of day. Code that needs the time gets it as an argument.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Returns why the time may be wrong, for people, and what they can do; `None` if nothing speaks against it.
    fn doubt(&self) -> Option<String> {
        None
    }
}

/// A clock for tests, which moves only when told to.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Makes a clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
