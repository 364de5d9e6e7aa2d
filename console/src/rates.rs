//! How fast counters grow, between two looks at them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use stockline_core::domain::Timestamp;

/// The time between two samples, at least, in milliseconds.
const APART_MS: i64 = 4_000;
/// How far back the first sample lies, at most, in milliseconds.
const SPAN_MS: i64 = 60_000;

/// The samples of the last minute, taken when somebody looks.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<VecDeque<(Timestamp, [f64; 2])>>);

impl Rates {
    /// Takes a sample, and returns how much each counter has grown per second; `None` before there are two samples.
    pub(crate) fn of(&self, now: Timestamp, counters: [f64; 2]) -> Option<[f64; 2]> {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Counters begin anew with the process, and clocks may be set back.
        let is_later = |(at, last): &(Timestamp, [f64; 2])| {
            now.millis_since(*at) >= 0 && last.iter().zip(counters).all(|(last, now)| now >= *last)
        };
        if !samples.back().is_none_or(is_later) {
            samples.clear();
        }
        while samples.len() > 1 && samples.get(1).is_some_and(|(at, _)| now.millis_since(*at) > SPAN_MS) {
            samples.pop_front();
        }
        if samples.back().is_none_or(|(at, _)| now.millis_since(*at) >= APART_MS) {
            samples.push_back((now, counters));
        }
        let (since, first) = *samples.front()?;
        let seconds = now.millis_since(since) as f64 / 1_000.0;
        (seconds > 0.0).then(|| [0, 1].map(|n: usize| (counters[n] - first[n]) / seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let rates = Rates::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(rates.of(at(0), [100.0, 0.0]), None);
        assert_eq!(rates.of(at(10), [120.0, 5.0]), Some([2.0, 0.5]));
        for second in 11..200 {
            rates.of(at(second), [120.0 + f64::from(second as u32), 5.0]);
        }
        let [accepted, settled] = rates.of(at(200), [320.0, 5.0]).unwrap();
        assert!((accepted - 1.0).abs() < 0.1 && settled == 0.0, "{accepted} {settled}");
        assert_eq!(rates.of(at(201), [1.0, 0.0]), None, "the process began anew");
        assert_eq!(rates.of(at(100), [1.0, 0.0]), None, "the clock was set back");
    }
}
