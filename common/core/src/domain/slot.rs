use super::{CommandId, Queued, Record};

/// One place in the queue, holding either a command to judge or a dead letter to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A command to judge.
    Command(Box<Queued>),
    /// A dead letter, which is recorded as `dead_lettered`.
    Dead(Box<Record>),
}

impl Slot {
    /// Returns the id that the slot is decided under.
    pub fn command_id(&self) -> CommandId {
        match self {
            Self::Command(queued) => queued.command.command_id,
            Self::Dead(record) => record.outcome.command_id,
        }
    }

    /// Returns the number of the retry; see [`Queued::retry`].
    pub fn retry(&self) -> u32 {
        match self {
            Self::Command(queued) => queued.retry,
            Self::Dead(record) => record.retry,
        }
    }

    /// Returns the command; `None` for a dead letter.
    pub fn queued(&self) -> Option<&Queued> {
        match self {
            Self::Command(queued) => Some(queued),
            Self::Dead(_) => None,
        }
    }
}
