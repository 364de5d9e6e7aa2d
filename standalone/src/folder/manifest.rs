//! `stockline.json`: the identity of a data folder, its parts, and what happened to them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use stockline_core::domain::{NotKept, Timestamp};
use uuid::Uuid;

use super::Folder;
use super::place::Place;
use crate::files::{self, SECRET};

/// The version of the layout.
const VERSION: u32 = 1;
/// How much earlier than a backup's moment a command may have been accepted and still not be in the backup: the time
/// between its acceptance and its append to the queue, and differences between clocks.
const MARGIN_MS: i64 = 10 * 60_000;

/// A part of a data folder. Without any one of them the others are worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Part {
    #[serde(rename = "queue.db")]
    Queue,
    #[serde(rename = "stock.db")]
    Stock,
    #[serde(rename = "keys")]
    Keys,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Queue, Self::Stock, Self::Keys];

    /// Returns the name in the folder.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue.db",
            Self::Stock => "stock.db",
            Self::Keys => "keys",
        }
    }
}

/// The contents of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    version: u32,
    /// The identity of the installation. Each part of the folder has it too.
    pub(crate) id: Uuid,
    /// When the folder was created, or got its manifest.
    pub(crate) created_at: Timestamp,
    /// The parts, and since when each belongs to the folder. It is empty while the first start creates them: until then
    /// nothing has been accepted.
    pub(crate) parts: BTreeMap<Part, Timestamp>,
    /// What made accepted commands unknown, the latest last.
    pub(crate) breaks: Vec<Break>,
    /// Where the folder was last served. A restored folder has not been served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
}

/// A moment at which commands may have become unknown although they were accepted. Receipts are signed with a new key from
/// then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Break {
    /// When it happened. It is also the time of creation of the new receipt key.
    pub(crate) at: Timestamp,
    /// What happened.
    pub(crate) what: What,
}

/// What made commands unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The folder was restored from a backup of this moment.
    Restored { backup_of: Timestamp },
    /// The folder was started in another place: it was moved, or another copy of it goes on.
    Moved,
    /// This part was lost, and an empty one took its place.
    Replaced { part: Part },
}

/// The manifest with its digest, so that a damaged file is noticed.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    manifest: Manifest,
    sha256: String,
}

impl Manifest {
    /// Creates the manifest of a folder whose parts do not exist yet.
    pub(crate) const fn new(id: Uuid, now: Timestamp) -> Self {
        Self { version: VERSION, id, created_at: now, parts: BTreeMap::new(), breaks: Vec::new(), place: None }
    }

    /// Reports whether all parts were created, so that a missing one was lost.
    pub(crate) fn is_complete(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Says that all parts exist.
    pub(crate) fn complete(&mut self, now: Timestamp) {
        self.parts = Part::ALL.into_iter().map(|part| (part, now)).collect();
    }

    /// Reads the manifest; `None` if there is none.
    pub(crate) fn read(folder: &Folder) -> anyhow::Result<Option<Self>> {
        let path = folder.manifest();
        let Some(text) = files::read_if_exists(&path)? else { return Ok(None) };
        Self::parse(&text).map(Some).with_context(|| format!("can't use {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        const DAMAGED: &str = "it is damaged: restore the folder from a backup (stockline restore); or delete this file, \
                               and the next start makes a new one if the other files belong together";
        let value: serde_json::Value = serde_json::from_str(text).context(DAMAGED)?;
        if let Some(version) = value["manifest"]["version"].as_u64().filter(|version| *version > u64::from(VERSION)) {
            bail!("a newer stockline wrote it (layout {version}, this one knows {VERSION}): upgrade this one");
        }
        let sealed: Sealed = serde_json::from_value(value).context(DAMAGED)?;
        if sealed.sha256 != sealed.manifest.digest()? {
            bail!(DAMAGED);
        }
        Ok(sealed.manifest)
    }

    /// Writes the manifest durably.
    pub(crate) fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        let sealed = Sealed { manifest: self.clone(), sha256: self.digest()? };
        files::write_atomic(&folder.manifest(), &serde_json::to_vec_pretty(&sealed)?, SECRET)
    }

    fn digest(&self) -> anyhow::Result<String> {
        Ok(files::sha256_hex(&serde_json::to_vec(self)?))
    }
}

impl Break {
    /// Says of which commands the status is not known, and why.
    pub(crate) fn not_kept(&self) -> NotKept {
        let at = self.at;
        let (after, why) = match &self.what {
            What::Restored { backup_of } => {
                (backup_of.plus_millis(-MARGIN_MS), format!("stock was restored from a backup of {backup_of} at {at}"))
            }
            What::Moved => (
                at.plus_millis(-MARGIN_MS),
                format!("stock was moved or copied to this place before {at}, and another copy may have gone on"),
            ),
            What::Replaced { part } => (
                Timestamp::from_millis(i64::MIN),
                format!("{} was lost and replaced by an empty one at {at}", part.name()),
            ),
        };
        NotKept { after, why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn sample() -> Manifest {
        let mut manifest = Manifest::new(Uuid::from_u128(7), at(0));
        manifest.complete(at(1));
        manifest.breaks = vec![
            Break { at: at(9), what: What::Restored { backup_of: at(2) } },
            Break { at: at(11), what: What::Moved },
            Break { at: at(12), what: What::Replaced { part: Part::Queue } },
        ];
        manifest
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_a_newer_one_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        assert_eq!(Manifest::read(&folder).unwrap(), None);
        sample().write(&folder).unwrap();
        assert_eq!(Manifest::read(&folder).unwrap(), Some(sample()));
        Manifest { version: 2, ..sample() }.write(&folder).unwrap();
        let text = format!("{:#}", Manifest::read(&folder).unwrap_err());
        assert!(text.contains("newer") && text.contains("layout 2"), "{text}");
    }

    #[test]
    fn a_flipped_bit_is_noticed_or_changes_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        sample().write(&folder).unwrap();
        let whole = std::fs::read(folder.manifest()).unwrap();
        let mut noticed = 0;
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match String::from_utf8(damaged).map(|text| Manifest::parse(&text)) {
                Ok(Ok(read)) => assert_eq!(read, sample(), "bit {bit}"),
                _ => noticed += 1,
            }
        }
        assert!(noticed > whole.len() * 6, "only spaces may be exchanged: {noticed} of {}", whole.len() * 8);
    }
}
