use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The one folder in which a standalone Stockline keeps everything. It is ours alone, across processes, while this
/// value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
    /// Holds the lock until the last clone is dropped; the system frees it when the process dies.
    _lock: Arc<File>,
}

/// Why a data folder can't be used. Each names the folder and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process holds it.
    #[error(
        "another stockline{} uses the data folder {}: stop that one first, or give this one a folder of its own (--data)",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        .path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The other process, where it could be read.
        pid: Option<u32>,
    },
    /// There is something else at the path.
    #[error("{} is not a folder: name a folder for the data (--data), or move that file away", .path.display())]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// This user may not write there, or the file system is read-only.
    #[error(
        "can't write in the data folder {}: {source}; give this user write access to it, or name another folder (--data)",
        .path.display()
    )]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for the data folder {}: free some, or name a folder on another disk (--data)", .path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
    },
    /// Anything else that the system refuses.
    #[error("can't use the data folder {}: {source}; mend that, or name another folder (--data)", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataFolder {
    /// Takes the folder, and creates it (mode 0700, with its parents) where it is absent.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::of(path, source);
        create(path).map_err(failed)?;
        // Not truncated: until the lock is ours, the pid inside is the other's.
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed)?;
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the command queue and the alert queue.
    pub fn queue_db(&self) -> PathBuf {
        queue_db(&self.path)
    }

    /// The file of the stock store.
    pub fn stock_db(&self) -> PathBuf {
        stock_db(&self.path)
    }
}

/// The queue's file in a folder.
pub(super) fn queue_db(folder: &Path) -> PathBuf {
    folder.join("queue.db")
}

/// The store's file in a folder.
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
    // Its entry in the parent must survive power loss as well as what will be in it.
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
    fn a_second_holder_is_refused_with_the_pid_of_the_first_and_what_to_do() {
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
    fn a_file_in_the_folders_place_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        std::fs::write(&path, "not a folder").unwrap();
        assert!(matches!(DataFolder::open(&path), Err(FolderError::NotAFolder { .. })));
        assert!(matches!(DataFolder::open(&path.join("below")), Err(FolderError::NotAFolder { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a folder");
    }

    /// sysfs takes no new folders, whoever asks: the one place where root meets a read-only folder too.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_read_only_folder_is_named_with_what_to_do() {
        for path in ["/sys/stockline-data", "/sys"] {
            let refusal = DataFolder::open(Path::new(path)).unwrap_err();
            assert!(matches!(refusal, FolderError::ReadOnly { .. }), "{refusal:?}");
            assert!(refusal.to_string().contains("write access"), "{refusal}");
        }
    }

    #[test]
    fn what_the_system_refuses_is_told_apart() {
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
