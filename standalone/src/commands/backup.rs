//! `backup`: copies queue, stock and keys of a data folder into one file. It works while the server runs.
//!
//! The queue is copied before the stock, so that every accepted command is in at least one of the copies. A command in
//! both takes effect once: when the restored queue delivers it, its id is already in the stock.

use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::archive::{self, Owner, Source};
use crate::args::BackupArgs;
use crate::exit;
use crate::files::{self, PUBLIC};
use crate::folder::{Folder, MANIFEST, entry};
use crate::issuer::keys;
use crate::snapshot::Snapshot;
use crate::stores;

/// Runs `stockline backup`.
pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    stores::require_stock(&folder)?;
    entry::check(&folder)?;
    require_place(&args.file)?;
    let created_at = SystemClock.now();
    let bar = ProgressBar::new(0);
    let queue = Snapshot::of(&folder.queue_db(), &args.file, "queue", &bar)?;
    let stock = Snapshot::of(&folder.stock_db(), &args.file, "stock", &bar)?;
    let mut files = vec![("queue.db", Source::File(queue.path())), ("stock.db", Source::File(stock.path()))];
    // A folder that only an earlier version has served has no manifest.
    let manifest = std::fs::read(folder.manifest()).ok();
    files.extend(manifest.as_deref().map(|manifest| (MANIFEST, Source::Bytes(manifest))));
    let keys = key_files(&folder)?;
    files.extend(keys.iter().map(|(name, bytes)| (name.as_str(), Source::Bytes(bytes))));
    bar.set_message("writing");
    let bytes = archive::write(&args.file, &files, created_at, Owner::of(folder.path())?)?;
    bar.finish_and_clear();
    // The console shows it. The backup is good without it.
    if let Err(error) = files::write_atomic(&folder.last_backup(), format!("{created_at}\n").as_bytes(), PUBLIC) {
        output::note(format_args!("the time of the backup could not be noted: {error:#}"));
    }
    output::line(format_args!("{} written: {} bytes, as of {created_at}", args.file.display(), bytes))?;
    Ok(exit::OK)
}

/// Fails where the folder for the backup is missing, as when a drive is not plugged in.
fn require_place(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{} is not there, so that no backup was written: is the drive plugged in and mounted?", folder.display());
    }
    if file.is_dir() {
        bail!("{} is a folder: name the file to write, such as {0}/stockline.tar", file.display());
    }
    Ok(())
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
