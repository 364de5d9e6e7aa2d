use super::{Queued, Timestamp};

/// The time of a movement after correction and clamping (design.md §4, honest time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// The time, corrected by the client's clock at sending and never after `accepted_at`.
    pub(super) occurred_at: Timestamp,
    /// Whether the command named a time. A movement without one is never late, because queue order decides.
    pub(super) explicit: bool,
    /// Whether the command claimed a time in the future.
    pub(super) clock_ahead: bool,
}

impl Occurrence {
    pub(super) fn of(queued: &Queued) -> Self {
        let accepted_at = queued.accepted_at;
        let Some(claimed) = queued.command.details.occurred_at else {
            return Self { occurred_at: accepted_at, explicit: false, clock_ahead: false };
        };
        let correction = queued.command.details.sent_at.map_or(0, |sent_at| accepted_at.millis_since(sent_at));
        let corrected = claimed.plus_millis(correction);
        Self { occurred_at: corrected.min(accepted_at), explicit: true, clock_ahead: corrected > accepted_at }
    }

    /// Returns the age at first acceptance, in milliseconds. A resubmission does not grow older while its correction
    /// waits.
    pub(super) fn age_ms(&self, queued: &Queued) -> i64 {
        queued.first_accepted_at.unwrap_or(queued.accepted_at).millis_since(self.occurred_at)
    }
}
