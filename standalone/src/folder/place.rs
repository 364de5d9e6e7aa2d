//! Where a folder was served: a copy that is started elsewhere is told from the original.

use std::os::unix::fs::MetadataExt as _;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;
use uuid::Uuid;

use super::Folder;
use crate::files;

/// The name of this machine that survives a restart and a new host name (systemd's machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

/// The machine and the directory of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// A digest of the machine's id, which is confidential; absent in a container without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    /// The inode of the folder. A copy has another one; a renamed folder keeps it.
    inode: u64,
    /// The path, for people.
    pub(crate) path: String,
    /// Since when the folder has been served there.
    pub(crate) since: Timestamp,
}

impl Place {
    /// Returns the place where the folder is now.
    pub(crate) fn of(folder: &Folder, id: Uuid, now: Timestamp) -> anyhow::Result<Self> {
        let path = std::path::absolute(folder.path()).unwrap_or_else(|_| folder.path().to_owned());
        let metadata =
            std::fs::metadata(folder.path()).with_context(|| format!("can't read {}", folder.path().display()))?;
        let machine = std::fs::read_to_string(MACHINE_ID).ok().filter(|name| !name.trim().is_empty());
        let machine = machine.map(|name| files::sha256_hex(format!("{id}{}", name.trim()).as_bytes()));
        Ok(Self { machine, inode: metadata.ino(), path: path.display().to_string(), since: now })
    }

    /// Reports whether both are the same directory of the same machine.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.machine == other.machine && self.inode == other.inode
    }
}
