//! `backup`: queue, stock and keys of a data folder in one file, also while the server runs.
//!
//! The queue is copied before the stock. So a command that the copied queue still holds was applied in the copied
//! stock or was not, and either way its id decides once it is delivered again; none is in neither.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;

use crate::cli::BackupArgs;
use crate::exit::{self, Unavailable};
use crate::files::{self, SECRET};
use crate::folder::Folder;

/// The first entry of every backup.
pub(crate) const MANIFEST: &str = "stockline-backup.json";
/// The layout version that is written.
pub(crate) const VERSION: u32 = 1;
/// Pages copied between two looks at the progress (4 MiB).
const STEP_PAGES: i32 = 1_024;

/// What a backup holds, so that a truncated one is known for what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The layout's version.
    pub(crate) version: u32,
    /// When it was begun.
    pub(crate) created_at: Timestamp,
    /// Every file, in order: its name and its bytes.
    pub(crate) files: Vec<(String, u64)>,
}

/// A file made for the time of this run.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(suffix);
            // Most of them never were.
            let _ = std::fs::remove_file(name);
        }
    }
}

/// `stockline backup`
pub(crate) fn run(args: &BackupArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    if !folder.stock_db().exists() || !folder.queue_db().exists() {
        let folder = folder.path().display();
        return Err(Unavailable(format!("{folder} holds no stock: name the data folder with --data")).into());
    }
    let created_at = SystemClock.now();
    let bar = ProgressBar::new(0);
    let queue = copy(&folder.queue_db(), &args.file, "queue", &bar)?;
    let stock = copy(&folder.stock_db(), &args.file, "stock", &bar)?;
    let databases = [("queue.db", queue.path()), ("stock.db", stock.path())];
    let keys = key_files(&folder)?;
    bar.set_message("writing");
    let bytes = write(&args.file, &databases, &keys, created_at)?;
    bar.finish_and_clear();
    println!("{} written: {} bytes, as of {created_at}", args.file.display(), bytes);
    Ok(exit::OK)
}

/// A consistent copy of a database beside the backup, whoever writes it meanwhile.
pub(crate) fn copy(database: &Path, beside: &Path, what: &'static str, bar: &ProgressBar) -> anyhow::Result<Temporary> {
    let target = Temporary(files::beside(beside, what));
    let done = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(database, flags)?;
        // One read transaction around all steps: without it every commit of the server would begin the copy anew.
        source.execute_batch("BEGIN")?;
        source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        // It holds what the folder holds: nobody else's to read. One left by a killed process keeps its mode, so it goes.
        drop(Temporary(target.0.clone()));
        OpenOptions::new().write(true).create_new(true).mode(SECRET).open(&target.0)?;
        let mut copy = Connection::open(&target.0)?;
        // It is synced when it is part of the backup; until then it is worth nothing.
        copy.pragma_update(None, "synchronous", "OFF")?;
        bar.set_message(what);
        let backup = Backup::new(&source, &mut copy)?;
        loop {
            let step = backup.step(STEP_PAGES)?;
            let progress = backup.progress();
            bar.set_length(u64::try_from(progress.pagecount).unwrap_or_default());
            bar.set_position(u64::try_from(progress.pagecount - progress.remaining).unwrap_or_default());
            match step {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked => std::thread::sleep(std::time::Duration::from_millis(50)),
                _ => {}
            }
        }
        anyhow::Ok(())
    })();
    done.with_context(|| format!("can't copy {}", database.display()))?;
    Ok(target)
}

/// The files of the keys with their bytes, as they are at one moment: nobody rotates or revokes meanwhile.
fn key_files(folder: &Folder) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let _lock = crate::keys::lock(folder)?;
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
        bail!("{} is empty", folder.keys().display());
    }
    Ok(found)
}

/// Writes the tar file in one step; answers its size in bytes.
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
