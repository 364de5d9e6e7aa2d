//! The first start in a folder: keys and lists are made.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::Context as _;
use stockline_core::domain::Timestamp;
use stockline_sqlite::keep_owner;
use uuid::Uuid;

use super::keys::{Keys, create_private, issuer_path, lock, newest_private, receipt_keys_path};
use super::lists::create_lists;
use super::receipt_keys::line;
use crate::files::{self, PUBLIC, SECRET};
use crate::folder::Folder;

impl Keys {
    /// Opens the keys of a folder and creates what is missing, for the folder's first start. The flag says whether the
    /// signing key is new.
    pub(crate) fn open_or_create(folder: &Folder, id: Uuid, now: Timestamp) -> anyhow::Result<(Self, bool)> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.keys())
            .and_then(|()| keep_owner(&folder.keys()))
            .with_context(|| format!("can't create {}", folder.keys().display()))?;
        let _lock = lock(folder)?;
        if files::read_if_exists(&issuer_path(folder))?.is_none() {
            let issuer = format!("https://stockline.invalid/standalone/{id}");
            files::write_atomic(&issuer_path(folder), issuer.as_bytes(), PUBLIC)?;
        }
        let created = newest_private(folder)?.is_none();
        if created {
            create_private(folder, now)?;
        }
        if files::read_if_exists(&receipt_keys_path(folder))?.is_none() {
            files::write_atomic(&receipt_keys_path(folder), line(now)?.as_bytes(), SECRET)?;
        }
        let keys = Self::open(folder)?;
        keys.republish()?;
        create_lists(&keys)?;
        Ok((keys, created))
    }
}
