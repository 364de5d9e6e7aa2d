use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ClientId, LocationId, Timestamp};

/// The most locations that one client is bound to.
pub const CLIENT_LOCATIONS_MAX: usize = 1_000;

/// What a registered client may do. Its token's scopes must allow it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientRight {
    /// Submit commands as Staff, and read their status.
    Commands,
    /// Read as Staff.
    Read,
    /// Submit commands as Manager, and read their status.
    Manage,
}

impl ClientRight {
    /// Every right.
    pub const ALL: [Self; 3] = [Self::Commands, Self::Read, Self::Manage];

    /// Returns the name in the API, which is also the name of the scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Read => "read",
            Self::Manage => "manage",
        }
    }
}

impl std::str::FromStr for ClientRight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|right| right.as_str() == text);
        found.ok_or_else(|| "must be commands, read or manage".to_owned())
    }
}

/// A client whose tokens are accepted, and what it is bound to. A client is one shop's tills, or one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSettings {
    /// The client.
    pub client_id: ClientId,
    /// The name for people, 1 to 200 characters.
    pub name: String,
    /// What it may do, at most.
    pub rights: BTreeSet<ClientRight>,
    /// Where it may act, at most [`CLIENT_LOCATIONS_MAX`] locations; `None` means everywhere.
    pub locations: Option<BTreeSet<LocationId>>,
    /// Whether all its tokens are refused.
    pub disabled: bool,
    /// Who changed it last.
    pub updated_by: String,
    /// When it last changed.
    pub updated_at: Timestamp,
}
