//! Which file was loaded when. The data folder keeps it, so that what took effect earlier is told with its file. It decides
//! nothing: a run that it does not know (of another machine, or one that was killed) is told by its time alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;

use crate::files::{self, PUBLIC};
use crate::folder::Folder;

/// The runs that are kept when there are too many.
const RUNS_KEPT: usize = 500;
/// The most bytes of the journal before it is shortened.
const BYTES_MAX: usize = 256 * 1024;
/// The most files that are named.
const FILES_NAMED: usize = 3;

/// A run in which lines took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) file: String,
}

/// The journal of a data folder.
#[derive(Debug, Clone)]
pub(super) struct Journal(PathBuf);

impl Journal {
    pub(super) fn of(folder: &Folder) -> Self {
        Self(folder.loads())
    }

    /// Notes a run. If that fails, the next one is told by its time alone.
    pub(super) fn note(&self, run: &Run) {
        if let Err(error) = self.append(run) {
            tracing::debug!("the load is not noted: {error:#}");
        }
    }

    fn append(&self, run: &Run) -> anyhow::Result<()> {
        let text = files::read_if_exists(&self.0)?.unwrap_or_default();
        if text.len() > BYTES_MAX {
            let skipped = text.lines().count().saturating_sub(RUNS_KEPT);
            let kept: String = text.lines().skip(skipped).flat_map(|line| [line, "\n"]).collect();
            files::write_atomic(&self.0, kept.as_bytes(), PUBLIC)?;
        }
        files::append_line(&self.0, &serde_json::to_string(run)?, PUBLIC)
    }

    /// Names the files that were loaded between two moments, the latest first.
    pub(super) fn files(&self, (first, last): (Timestamp, Timestamp)) -> Vec<String> {
        let text = files::read_if_exists(&self.0).ok().flatten().unwrap_or_default();
        let runs = text.lines().rev().filter_map(|line| serde_json::from_str::<Run>(line).ok());
        let mut files: Vec<String> = Vec::new();
        for run in runs.filter(|run| run.from <= last && run.until >= first) {
            if files.len() < FILES_NAMED && !files.contains(&run.file) {
                files.push(run.file);
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from_ms: i64, until_ms: i64, file: &str) -> Run {
        Run { from: Timestamp::from_millis(from_ms), until: Timestamp::from_millis(until_ms), file: file.to_owned() }
    }

    #[test]
    fn the_files_of_a_time_are_named_and_the_journal_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(&Folder::at(folder.path()));
        let between =
            |first: i64, last: i64| journal.files((Timestamp::from_millis(first), Timestamp::from_millis(last)));
        assert!(between(0, 10).is_empty());
        for (from, file) in [(10, "mon.csv"), (20, "tue.csv"), (30, "tue.csv")] {
            journal.note(&run(from, from + 5, file));
        }
        assert_eq!(between(12, 12), ["mon.csv"]);
        assert_eq!(between(12, 31), ["tue.csv", "mon.csv"]);
        assert!(between(16, 19).is_empty());
        // Each note is synced, so the journal of years is written at once.
        let long = serde_json::to_string(&run(100, 100, &"x".repeat(300))).unwrap();
        std::fs::write(&journal.0, format!("{long}\n").repeat(2 * RUNS_KEPT)).unwrap();
        journal.note(&run(200, 200, "wed.csv"));
        let text = std::fs::read_to_string(&journal.0).unwrap();
        assert_eq!((text.lines().count(), between(200, 200)), (RUNS_KEPT + 1, vec!["wed.csv".to_owned()]));
    }
}
