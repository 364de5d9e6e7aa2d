//! What one fold writes. A store commits all of it, under all of its conditions, or nothing (design.md §7).

use serde::{Deserialize, Serialize};

use super::{Alert, Claim, CommandId, CommandKey, Entry, Item, ItemId, Level, LocationId, Record};

/// Writes the item's record if its version is still as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPut {
    /// The version that must be stored; `None` means that the row must not exist.
    pub loaded_version: Option<u64>,
    /// The new record.
    pub item: Item,
}

/// Writes a level if its version is still as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelPut {
    /// The version that must be stored; `None` means that the row must not exist.
    pub loaded_version: Option<u64>,
    /// The new level, tail included.
    pub level: Level,
}

/// Ledger entries that moved out of the tail. The row must not exist yet, and never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The location of the level.
    pub location_id: LocationId,
    /// The entries, oldest first and never empty. The key of the row is the first entry's `seq`.
    pub entries: Vec<Entry>,
}

/// A claim to take, if no other item holds it, or to give up, if this item holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimChange {
    /// The claim.
    pub claim: Claim,
    /// `true` to take the claim, `false` to give it up.
    pub held: bool,
}

/// Marks an applied movement as taken back, and its ledger entries too, so that histories show the pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// The command that is taken back.
    pub command_id: CommandId,
    /// The command that takes it back.
    pub reversed_by: CommandId,
    /// The entries that are taken back.
    pub entries: Vec<(LocationId, u64)>,
}

/// Everything that one fold writes. A store writes all of it, under all of its conditions, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The item of all rows.
    pub item_id: ItemId,
    /// The item's record, if a catalogue command changed it.
    pub item: Option<ItemPut>,
    /// The item's `threshold_version` that must be stored. Re-judging and new levels need it.
    pub threshold_check: Option<u64>,
    /// The changed levels, each once.
    pub levels: Vec<LevelPut>,
    /// The chunks of these levels.
    pub chunks: Vec<Chunk>,
    /// The claims to take or give up.
    pub claims: Vec<ClaimChange>,
    /// The records in order. Each is written if no stored record [decides](Record::decides) its retry.
    pub records: Vec<Record>,
    /// The old records to mark as resubmitted, with the command of this item that replaces each. An old record must be
    /// neither applied nor discarded, and not resubmitted as another command.
    pub resubmitted: Vec<(CommandKey, CommandId)>,
    /// The movements of this item that commands of the commit take back. Each must be stored, and taken back by no other
    /// command.
    pub reversed: Vec<Reversal>,
    /// The mark that a level was re-judged for a command. The row must not exist yet.
    pub mark: Option<RejudgeMark>,
}

impl Commit {
    /// Makes a commit that writes nothing.
    pub const fn new(item_id: ItemId) -> Self {
        Self {
            item_id,
            item: None,
            threshold_check: None,
            levels: Vec::new(),
            chunks: Vec::new(),
            claims: Vec::new(),
            records: Vec::new(),
            resubmitted: Vec::new(),
            reversed: Vec::new(),
            mark: None,
        }
    }

    /// Returns whether there is nothing to write, because every command was decided before.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.mark.is_none()
    }
}

/// Proof that one level was re-judged for one command, with the alert it raised. A repeated run finds the mark and
/// publishes that alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejudgeMark {
    /// The command that changed the default threshold.
    pub command_id: CommandId,
    /// The level that was judged.
    pub location_id: LocationId,
    /// The alert, if the balance crossed the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
}
