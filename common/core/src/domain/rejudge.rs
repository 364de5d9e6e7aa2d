//! Judges every level of an item again after its default threshold changed (design.md §7).

use super::{CommandId, Commit, Item, Level, LevelPut, RejudgeMark, Timestamp};

/// Judges one level by the item's present threshold. The caller must have read the level before the item.
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
