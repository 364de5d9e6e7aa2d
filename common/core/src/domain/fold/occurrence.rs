use super::super::{Queued, Timestamp};

/// When a movement happened, after correction and clamping (design.md §4, honest time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// Corrected by the client's clock at sending, never after `accepted_at`.
    pub(super) occurred_at: Timestamp,
    /// Did the command say so itself? What did not is never late: queue order decides.
    pub(super) explicit: bool,
    /// It claimed to come from the future.
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

    /// How long before it was first accepted, in milliseconds: however late a refused command is corrected, it came in
    /// time or it did not.
    pub(super) fn age_ms(&self, queued: &Queued) -> i64 {
        queued.first_accepted_at.unwrap_or(queued.accepted_at).millis_since(self.occurred_at)
    }
}
