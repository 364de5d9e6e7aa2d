//! Consistent copies of a database that another process may be writing.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::files::{self, SECRET};

/// Pages copied between two updates of the progress bar (4 MiB).
const STEP_PAGES: i32 = 1_024;
/// The pause while another process blocks the copy.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// A copy of a database; it is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Snapshot(PathBuf);

impl Snapshot {
    /// Copies a database to a hidden file beside `beside`.
    pub(crate) fn of(database: &Path, beside: &Path, what: &'static str, bar: &ProgressBar) -> anyhow::Result<Self> {
        let snapshot = Self(files::beside(beside, what));
        copy(database, &snapshot.0, what, bar).with_context(|| format!("can't copy {}", database.display()))?;
        Ok(snapshot)
    }

    /// Returns where the copy is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn copy(database: &Path, target: &Path, what: &'static str, bar: &ProgressBar) -> anyhow::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(database, flags)?;
    // One read transaction spans all steps: without it, every commit of the server would restart the copy.
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    // Only the owner may read the copy. A file that a killed process left has its own mode, so it is removed first.
    remove(target);
    OpenOptions::new().write(true).create_new(true).mode(SECRET).open(target)?;
    let mut copy = Connection::open(target)?;
    // Whoever uses the copy syncs the result; after a crash the copy itself is worthless.
    copy.pragma_update(None, "synchronous", "OFF")?;
    bar.set_message(what);
    let backup = Backup::new(&source, &mut copy)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let progress = backup.progress();
        bar.set_length(u64::try_from(progress.pagecount).unwrap_or_default());
        bar.set_position(u64::try_from(progress.pagecount - progress.remaining).unwrap_or_default());
        match step {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(BUSY_PAUSE),
            _ => {}
        }
    }
}

/// Removes a database and the files that SQLite keeps beside it. Most of them never exist.
fn remove(database: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = database.to_owned().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}
