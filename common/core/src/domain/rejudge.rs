//! Re-judging every level after a default threshold changed (design.md §7).

use serde::{Deserialize, Serialize};

use super::{Alert, CommandId, Commit, Item, Level, LevelPut, LocationId, Timestamp};

/// That one level was re-judged for one command, and what it raised: a run that finds it takes its alerts from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejudgeMark {
    /// The command that changed the default threshold.
    pub command_id: CommandId,
    /// The level that was judged.
    pub location_id: LocationId,
    /// The crossing, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
}

/// Judges one level by the item's threshold as it is now. The level must have been read before the item.
pub fn rejudge(item: &Item, level: &Level, command_id: CommandId, now: Timestamp) -> Commit {
    let mut judged = level.clone();
    judged.enter_epoch(item);
    judged.updated_at = judged.updated_at.max(now);
    judged.version += 1;
    let raised_at = judged.updated_at;
    let alert = judged.judge(item, raised_at, command_id);
    let mut commit = Commit::new(item.item_id.clone());
    commit.threshold_check = Some(item.threshold_version);
    commit.mark = Some(RejudgeMark { command_id, location_id: level.location_id.clone(), alert });
    commit.levels = vec![LevelPut { loaded_version: Some(level.version), level: judged }];
    commit
}
