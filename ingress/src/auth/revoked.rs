//! Tokens that are revoked before they expire.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use super::watched::WatchedFile;
use crate::error::IngressError;

/// Bytes of the list: more than 200,000 UUIDs.
const REVOKED_BYTES: u64 = 8 * 1024 * 1024;

/// The list of revoked `jti`s: the first word of each line. The rest of a line, empty lines and lines that begin with `#`
/// are comments.
#[derive(Debug)]
pub(super) struct Revoked {
    file: WatchedFile,
    ids: RwLock<HashSet<Box<str>>>,
    failing: AtomicBool,
}

impl Revoked {
    /// Reads the list. If the file does not exist yet, no token is revoked.
    ///
    /// # Errors
    /// The file exists and can't be read.
    pub(super) fn open(path: PathBuf) -> Result<Self, IngressError> {
        let revoked = Self {
            file: WatchedFile::new(path, REVOKED_BYTES),
            ids: RwLock::default(),
            failing: AtomicBool::new(false),
        };
        match revoked.reload() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                revoked.failing.store(true, Ordering::Relaxed);
                tracing::info!(path = %revoked.file.path().display(), "no token is revoked: the list does not exist yet");
                Ok(revoked)
            }
            Err(error) => Err(IngressError::Config(format!(
                "the list of revoked tokens {} can't be read: {error}; repair the file, or start without it",
                revoked.file.path().display()
            ))),
            Ok(()) => Ok(revoked),
        }
    }

    /// Reads the list again if it changed; blocks. While the file is missing or can't be read, the last list stays in use.
    pub(super) fn check(&self) {
        match self.reload() {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        path = %self.file.path().display(), %error,
                        "the list of revoked tokens can't be read; revoked tokens stay revoked, and new entries are not seen"
                    );
                }
            }
        }
    }

    fn reload(&self) -> std::io::Result<()> {
        let Some(content) = self.file.read_if_changed()? else { return Ok(()) };
        let content = String::from_utf8(content).map_err(|_| std::io::Error::other("it is not UTF-8 text"))?;
        let ids = content.lines().filter_map(|line| line.split_whitespace().next());
        let ids: HashSet<Box<str>> = ids.filter(|id| !id.starts_with('#')).map(Box::from).collect();
        tracing::info!(tokens = ids.len(), "read the list of revoked tokens");
        *self.ids.write().unwrap_or_else(PoisonError::into_inner) = ids;
        Ok(())
    }

    pub(super) fn contains(&self, jti: &str) -> bool {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).contains(jti)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_takes_comments_and_survives_its_own_loss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        let revoked = Revoked::open(path.clone()).unwrap();
        assert!(!revoked.contains("a"));

        std::fs::write(&path, "# till 3 was stolen\na  # on Monday\r\n\n  b\n#c\n").unwrap();
        revoked.check();
        assert!(revoked.contains("a") && revoked.contains("b"));
        assert!(!revoked.contains("c") && !revoked.contains("#") && !revoked.contains(""));

        std::fs::remove_file(&path).unwrap();
        revoked.check();
        assert!(revoked.contains("a"), "after the list is lost, its tokens stay revoked");
    }

    #[test]
    fn a_list_that_cannot_be_read_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let error = Revoked::open(folder.path().into()).unwrap_err().to_string();
        assert!(error.contains("can't be read") && error.contains("repair the file"), "{error}");
        let path = folder.path().join("binary");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(Revoked::open(path).unwrap_err().to_string().contains("UTF-8"));
    }
}
