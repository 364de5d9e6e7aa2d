//! `backup`: copies queue, stock and keys of a data folder into one file. It works while the server runs.
//!
//! The queue is copied before the stock, so that every accepted command is in at least one of the copies. A command in
//! both takes effect once: when the restored queue delivers it, its id is already in the stock.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::args::BackupArgs;
use crate::exit;
use crate::files::{self, SECRET};
use crate::folder::Folder;
use crate::issuer::keys;
use crate::snapshot::Snapshot;
use crate::stores;

/// The name of the first entry of every backup.
pub(crate) const MANIFEST: &str = "stockline-backup.json";
/// The version of the layout.
pub(crate) const VERSION: u32 = 1;

/// The contents of a backup. They reveal a truncated file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the layout.
    pub(crate) version: u32,
    /// When the backup began.
    pub(crate) created_at: Timestamp,
    /// The name and the size in bytes of every file, in order.
    pub(crate) files: Vec<(String, u64)>,
}

/// Runs `stockline backup`.
pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    stores::require_stock(&folder)?;
    let created_at = SystemClock.now();
    let bar = ProgressBar::new(0);
    let queue = Snapshot::of(&folder.queue_db(), &args.file, "queue", &bar)?;
    let stock = Snapshot::of(&folder.stock_db(), &args.file, "stock", &bar)?;
    let databases = [("queue.db", queue.path()), ("stock.db", stock.path())];
    let keys = key_files(&folder)?;
    bar.set_message("writing");
    let bytes = write(&args.file, &databases, &keys, created_at)?;
    bar.finish_and_clear();
    output::line(format_args!("{} written: {} bytes, as of {created_at}", args.file.display(), bytes))?;
    Ok(exit::OK)
}

/// Reads the files of the keys, under the lock, so that they are all from one moment.
fn key_files(folder: &Folder) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let _lock = keys::lock(folder)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.keys())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with('.') {
            let bytes = std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
            found.push((format!("keys/{name}"), bytes));
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("{} holds no keys", folder.keys().display());
    }
    Ok(found)
}

/// Writes the tar file in one step and returns its size in bytes.
fn write(
    target: &Path,
    databases: &[(&str, &Path)],
    keys: &[(String, Vec<u8>)],
    created_at: Timestamp,
) -> anyhow::Result<u64> {
    let mut listed = Vec::new();
    for (name, path) in databases {
        listed.push(((*name).to_owned(), std::fs::metadata(path).with_context(|| (*name).to_owned())?.len()));
    }
    listed.extend(keys.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)));
    let manifest = serde_json::to_vec_pretty(&Manifest { version: VERSION, created_at, files: listed })?;
    files::replace_atomic(target, SECRET, |file| {
        let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
        let header = |size: u64| {
            let mut header = tar::Header::new_gnu();
            header.set_size(size);
            header.set_mode(SECRET);
            header.set_mtime(u64::try_from(created_at.as_millis() / 1_000).unwrap_or_default());
            header
        };
        tar.append_data(&mut header(manifest.len() as u64), MANIFEST, manifest.as_slice())?;
        for (name, path) in databases {
            let file = File::open(path)?;
            tar.append_data(&mut header(file.metadata()?.len()), name, file)?;
        }
        for (name, bytes) in keys {
            tar.append_data(&mut header(bytes.len() as u64), name, bytes.as_slice())?;
        }
        tar.into_inner()?.flush()?;
        Ok(())
    })?;
    Ok(std::fs::metadata(target)?.len())
}
