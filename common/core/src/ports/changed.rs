//! What has changed since a reader last looked, for tills that keep a list of their own.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::cursor::{self, CursorError};
use super::{Page, PageRequest, StoreError};
use crate::domain::Timestamp;

/// How far a store without change numbers reads back, in milliseconds: 15 minutes. It is longer than two clocks may differ
/// ([`CLOCK_SKEW_MAX_MS`](crate::domain::CLOCK_SKEW_MAX_MS)), than a commit may take, and than an index may lag, together.
pub const READ_BACK_MS: i64 = 15 * 60_000;

/// Where a reader of changes begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// At a time. What changed at or after it is read.
    Time(Timestamp),
    /// Where the reading before ended, as [`Changed::next_updated_since`] said.
    Mark(String),
}

/// The text is neither a time nor a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a time (RFC 3339), such as 1970-01-01T00:00:00Z for everything, or the next_updated_since of an answer"
)]
pub struct SinceError;

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        if let Ok(at) = text.parse() {
            return Ok(Self::Time(at));
        }
        let is_mark = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if is_mark { Ok(Self::Mark(text.to_owned())) } else { Err(SinceError) }
    }
}

/// A page of changes, and where to go on when its list is at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<T> {
    /// The page. An entry may come again on a later page, as it is then.
    pub page: Page<T>,
    /// Where the next reading begins: nothing that changes later is missed by it, and little comes twice.
    pub next_updated_since: String,
}

const MARK: &str = "updated_since";
const WALK: &str = "changed_since";

/// A reading of changes by time, over all pages of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WalkByTime {
    since_ms: i64,
    /// When the first page was asked for.
    began_ms: i64,
    cursor: Option<String>,
}

impl WalkByTime {
    /// Begins at `since`, or goes on behind the cursor of the page before.
    pub(super) fn of(since: &Since, now: Timestamp, cursor: Option<&str>) -> Result<Self, CursorError> {
        if let Some(walk) = cursor::decode(WALK, cursor)? {
            return Ok(walk);
        }
        let since_ms = match since {
            Since::Time(at) => at.as_millis(),
            Since::Mark(mark) => cursor::decode(MARK, Some(mark))?.ok_or(CursorError)?,
        };
        Ok(Self { since_ms, began_ms: now.as_millis(), cursor: None })
    }

    /// Returns the time at or after which an entry has changed.
    pub(super) fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since_ms)
    }

    /// Returns which page of the list is next.
    pub(super) fn asked(&self, limit: usize) -> PageRequest<'_> {
        PageRequest::new(self.cursor.as_deref(), limit)
    }

    /// Adds to a page where the reading goes on.
    pub(super) fn changed<T>(&self, page: Page<T>) -> Result<Changed<T>, StoreError> {
        let mark = cursor::encode(MARK, &self.began_ms.saturating_sub(READ_BACK_MS)).ok_or(StoreError::Cursor)?;
        let next = page.next_cursor.map(|cursor| Self { cursor: Some(cursor), ..self.clone() });
        let next_cursor = next.and_then(|walk| cursor::encode(WALK, &walk));
        Ok(Changed { page: Page { entries: page.entries, next_cursor }, next_updated_since: mark })
    }
}
