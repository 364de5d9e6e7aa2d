use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::owner::keep_owner_of;

/// The folder in which a standalone Stockline keeps everything. No other process can open it while this value or a
/// clone of it lives.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
    /// The lock, held until the last clone is dropped. The system releases it when the process dies.
    _lock: Arc<File>,
}

/// Why a data folder can't be used. Each text names the folder and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process uses the folder.
    #[error(
        "another stockline{} uses the data folder {}: stop it first, or choose another folder for this one (--data)",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        .path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The other process, if its id could be read.
        pid: Option<u32>,
    },
    /// The path is not a folder.
    #[error("{} is not a folder: choose a folder for the data (--data), or move the file away", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// This user has no write access, or the file system is read-only.
    #[error(
        "can't write in the data folder {}: {source}; give this user write access to it, or choose another folder (--data)",
        .path.display()
    )]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for the data folder {}: free some space, or choose a folder on another disk (--data)", .path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
    },
    /// Any other error of the system.
    #[error("can't use the data folder {}: {source}; repair it, or choose another folder (--data)", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl DataFolder {
    /// Opens and locks the folder. If it does not exist, it is created with its parents (mode 0700).
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::of(path, source);
        create(path).map_err(failed)?;
        // Not truncated: before the lock is ours, the file has the other process's id.
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed)?;
        keep_owner_of(&lock, &path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::Locked { path: path.to_owned(), pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut lock).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) })
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the file with the command queue and the alert queue.
    pub fn queue_db(&self) -> PathBuf {
        queue_db(&self.path)
    }

    /// Returns the path of the stock store's file.
    pub fn stock_db(&self) -> PathBuf {
        stock_db(&self.path)
    }
}

/// Returns the path of the queues' file in a folder.
pub(super) fn queue_db(folder: &Path) -> PathBuf {
    folder.join("queue.db")
}

/// Returns the path of the store's file in a folder.
pub(super) fn stock_db(folder: &Path) -> PathBuf {
    folder.join("stock.db")
}

impl FolderError {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Self::NotAFolder { path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, source },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { path, source },
        }
    }
}

fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The folder's entry in its parent must survive power loss too.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())?;
    lock.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_process_is_refused_with_the_pid_of_the_first_and_the_remedy() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataFolder::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);

        let refusal = DataFolder::open(&path).unwrap_err();
        assert!(matches!(refusal, FolderError::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        let text = refusal.to_string();
        assert!(text.contains(&std::process::id().to_string()) && text.contains("--data"), "{text}");

        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_file_at_the_path_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        std::fs::write(&path, "not a folder").unwrap();
        assert!(matches!(DataFolder::open(&path), Err(FolderError::NotAFolder { .. })));
        assert!(matches!(DataFolder::open(&path.join("below")), Err(FolderError::NotAFolder { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a folder");
    }

    /// sysfs accepts no new folders, so even root finds a read-only folder there.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_read_only_folder_is_named_with_the_remedy() {
        for path in ["/sys/stockline-data", "/sys"] {
            let refusal = DataFolder::open(Path::new(path)).unwrap_err();
            assert!(matches!(refusal, FolderError::ReadOnly { .. }), "{refusal:?}");
            assert!(refusal.to_string().contains("write access"), "{refusal}");
        }
    }

    #[test]
    fn the_errors_of_the_system_are_distinguished() {
        let path = Path::new("/somewhere");
        let of = |kind: ErrorKind| FolderError::of(path, kind.into());
        assert!(matches!(of(ErrorKind::PermissionDenied), FolderError::ReadOnly { .. }));
        assert!(matches!(of(ErrorKind::ReadOnlyFilesystem), FolderError::ReadOnly { .. }));
        assert!(matches!(of(ErrorKind::StorageFull), FolderError::NoSpace { .. }));
        assert!(matches!(of(ErrorKind::Other), FolderError::Io { .. }));
        for kind in [ErrorKind::PermissionDenied, ErrorKind::StorageFull, ErrorKind::Other] {
            let text = of(kind).to_string();
            assert!(text.contains("/somewhere") && text.contains("--data"), "{text}");
        }
    }
}
