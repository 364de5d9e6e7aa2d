/// How far two right clocks may differ, in milliseconds. A time that lies further ahead than this was written by a wrong
/// clock.
pub const CLOCK_SKEW_MAX_MS: i64 = 5 * 60_000;

/// The limits of times: ages, which an installation sets, and how far clocks may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The oldest movement that is accepted, in milliseconds between its occurrence and its first acceptance; 30 days.
    pub max_age_ms: i64,
    /// The oldest count that is accepted, in milliseconds between counting and first acceptance; 72 hours.
    pub late_count_max_age_ms: i64,
    /// How far two right clocks may differ, with the time between acceptance and queueing, in milliseconds; 5 minutes.
    /// AWS refuses the calls of a machine whose clock is further off.
    pub clock_skew_max_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self {
            max_age_ms: 30 * 24 * HOUR_MS,
            late_count_max_age_ms: 72 * HOUR_MS,
            clock_skew_max_ms: CLOCK_SKEW_MAX_MS,
        }
    }
}

/// The largest commit that one fold may make. Commands that do not fit go into the next fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldLimits {
    /// Rows written or checked. DynamoDB allows 100 in a transaction.
    pub max_actions: usize,
    /// Bytes of all rows, as an upper estimate: 24,000 for each action plus the texts of dead letters. Without dead
    /// letters the number of actions is the tighter limit. DynamoDB allows 4 MB in a transaction.
    pub max_bytes: usize,
    /// Bytes of one level's entries in binary, as an upper estimate. DynamoDB allows 400 KB in a row.
    pub max_level_bytes: usize,
    /// Bytes of a tail. A longer tail is moved into a chunk, so that a level stays under 1 KB.
    pub max_tail_bytes: usize,
}

impl Default for FoldLimits {
    fn default() -> Self {
        Self { max_actions: 100, max_bytes: 2_400_000, max_level_bytes: 200_000, max_tail_bytes: 640 }
    }
}
