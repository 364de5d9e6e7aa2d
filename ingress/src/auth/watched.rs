//! Files that are read again when they change.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use stockline_core::domain::Timestamp;

/// Lets one caller through in each period.
#[derive(Debug)]
pub(super) struct Every {
    period_ms: i64,
    last_ms: AtomicI64,
}

impl Every {
    pub(super) const fn millis(period_ms: i64, from: Timestamp) -> Self {
        Self { period_ms, last_ms: AtomicI64::new(from.as_millis()) }
    }

    /// Returns true for one caller when the period is over, or when the clock was set back.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let (now_ms, last_ms) = (now.as_millis(), self.last_ms.load(Ordering::Relaxed));
        let over = now_ms < last_ms || now_ms - last_ms >= self.period_ms;
        over && self.last_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Distinguishes one content of a file from the next without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

#[derive(Debug)]
pub(super) struct WatchedFile {
    path: PathBuf,
    most_bytes: u64,
    read: Mutex<Option<Stamp>>,
}

impl WatchedFile {
    pub(super) fn new(path: PathBuf, most_bytes: u64) -> Self {
        Self { path, most_bytes, read: Mutex::new(None) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the next call of [`WatchedFile::read_if_changed`] return the content in any case.
    pub(super) fn forget(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the content if it changed since the last call; blocks.
    ///
    /// # Errors
    /// The file can't be read or is too large; the next call tries again.
    pub(super) fn read_if_changed(&self) -> std::io::Result<Option<Vec<u8>>> {
        // A panic elsewhere leaves the stamp as it was.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = File::open(&self.path)?;
        // The stamp is read before the content, so that a change in between is noticed by the next call.
        let metadata = file.metadata()?;
        let stamp = Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() };
        if *read == Some(stamp) {
            return Ok(None);
        }
        let mut content = Vec::new();
        file.by_ref().take(self.most_bytes + 1).read_to_end(&mut content)?;
        if content.len() as u64 > self.most_bytes {
            return Err(std::io::Error::other(format!("it is larger than {} bytes", self.most_bytes)));
        }
        *read = Some(stamp);
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let file = WatchedFile::new(path.clone(), 10);
        assert_eq!(file.read_if_changed().unwrap_err().kind(), std::io::ErrorKind::NotFound);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(file.read_if_changed().unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(file.read_if_changed().unwrap(), None);
        std::fs::write(&path, "three").unwrap();
        assert_eq!(file.read_if_changed().unwrap().as_deref(), Some(&b"three"[..]));

        let other = folder.path().join("g");
        std::fs::write(&other, "seven").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(file.read_if_changed().unwrap().as_deref(), Some(&b"seven"[..]), "replaced by one of equal length");

        std::fs::write(&path, "eleven bytes").unwrap();
        assert!(file.read_if_changed().unwrap_err().to_string().contains("larger than 10 bytes"));
    }

    #[test]
    fn one_caller_per_period_is_let_through() {
        let at = Timestamp::from_millis;
        let every = Every::millis(1_000, at(5_000));
        assert!(!every.is_due(at(5_999)));
        assert!(every.is_due(at(6_000)) && !every.is_due(at(6_000)));
        assert!(every.is_due(at(100)), "the clock was put back");
        assert!(!every.is_due(at(1_099)));
    }
}
