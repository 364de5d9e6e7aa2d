//! What only the machine of an installation can tell or do.

use std::fmt;

use async_trait::async_trait;

/// What is done with a command that was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterAct {
    /// It is tried again.
    Retry,
    /// It is given up for good.
    Discard,
}

/// How a request ended, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it was done.
    pub is_done: bool,
    /// What became of it.
    pub text: String,
}

/// The room on the disk, and the newest backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// Bytes that the data take.
    pub used_bytes: u64,
    /// Bytes that are free on their disk.
    pub free_bytes: u64,
    /// When the newest backup was made (RFC 3339); `None` if none is known.
    pub backup_at: Option<String>,
}

/// The machine of this installation.
#[async_trait]
pub trait Upkeep: Send + Sync + fmt::Debug {
    /// Does something with a command that was set aside.
    async fn letter(&self, act: LetterAct, item_id: &str, command_id: &str) -> Ended;

    /// Returns the room on the disk; `None` if it can't be told.
    async fn storage(&self) -> Option<Storage>;
}
