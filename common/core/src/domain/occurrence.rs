use super::{Queued, Rules, Timestamp};

/// The time of a movement after correction and clamping (design.md §4, honest time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// The time, corrected by the client's clock at sending and never after `accepted_at`.
    pub(super) occurred_at: Timestamp,
    /// Whether the command named a time that can be compared with others. A movement without one, and one whose time
    /// was clamped, is at its place in the queue: it is never late.
    pub(super) explicit: bool,
    /// Whether the command claimed a time in the future, which was clamped.
    pub(super) clock_ahead: bool,
    /// The latest time that an earlier command of the queue can have by right clocks. A later time was written by a
    /// wrong clock, and queue order decides instead. `None` for a retry, which was accepted long before it is queued
    /// again.
    latest: Option<Timestamp>,
}

impl Occurrence {
    pub(super) fn of(queued: &Queued, rules: &Rules) -> Self {
        let accepted_at = queued.accepted_at;
        let latest = (queued.retry == 0).then(|| accepted_at.plus_millis(rules.clock_skew_max_ms));
        let Some(claimed) = queued.command.details.occurred_at else {
            return Self { occurred_at: accepted_at, explicit: false, clock_ahead: false, latest };
        };
        let correction = queued.command.details.sent_at.map_or(0, |sent_at| accepted_at.millis_since(sent_at));
        let corrected = claimed.plus_millis(correction);
        let clock_ahead = corrected > accepted_at;
        Self { occurred_at: corrected.min(accepted_at), explicit: !clock_ahead, clock_ahead, latest }
    }

    /// Returns the occurrence at another time: a reversal occurred when the movement did that it takes back.
    pub(super) const fn moved_to(self, occurred_at: Timestamp) -> Self {
        Self { occurred_at, explicit: false, clock_ahead: false, ..self }
    }

    /// Returns whether a clock can have shown `earlier` at a command that the queue put before this one. If not, one of
    /// the two clocks was wrong, and only queue order is known.
    pub(super) fn can_follow(&self, earlier: Timestamp) -> bool {
        self.latest.is_none_or(|latest| earlier <= latest)
    }

    /// Returns the age at first acceptance, in milliseconds. A resubmission does not grow older while its correction
    /// waits, nor if the clock of the first acceptance was ahead.
    pub(super) fn age_ms(&self, queued: &Queued) -> i64 {
        queued.first_accepted_at.unwrap_or(queued.accepted_at).min(queued.accepted_at).millis_since(self.occurred_at)
    }
}
