use std::fmt;
use std::str::FromStr;

use stockline_core::domain::ItemId;

/// Where an audit can go on: behind an item, and where the list of items goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last item that is audited.
    pub after: ItemId,
    /// The cursor of the rest of the items.
    pub cursor: String,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a checkpoint; copy the whole text behind --resume of an earlier audit")]
pub struct CheckpointError;

/// A cursor is base64url, so the first `:` ends it.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cursor, self.after)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let (cursor, after) = text.split_once(':').ok_or(CheckpointError)?;
        let after = after.parse().map_err(|_| CheckpointError)?;
        if cursor.is_empty() {
            return Err(CheckpointError);
        }
        Ok(Self { after, cursor: cursor.to_owned() })
    }
}
