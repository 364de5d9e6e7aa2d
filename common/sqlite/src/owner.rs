//! Who owns the files of a data folder: the owner of the folder, also where root makes them with the command line. The
//! service could not read root's files.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown, fchown};
use std::path::Path;

/// Gives a file or folder to the owner of the folder that it is in.
///
/// # Errors
/// The owner is another one, and this user may not give files away.
pub fn keep_owner(path: &Path) -> io::Result<()> {
    give(path, &std::fs::symlink_metadata(path)?, |uid, gid| chown(path, uid, gid))
}

/// As [`keep_owner`], for an open file that is or will be at `path`.
///
/// # Errors
/// As [`keep_owner`].
pub fn keep_owner_of(file: &File, path: &Path) -> io::Result<()> {
    give(path, &file.metadata()?, |uid, gid| fchown(file, uid, gid))
}

fn give(
    path: &Path,
    now: &Metadata,
    change: impl FnOnce(Option<u32>, Option<u32>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::metadata(folder)?;
    // Root reads everything.
    if folder.uid() == now.uid() || folder.uid() == 0 {
        return Ok(());
    }
    change(Some(folder.uid()), Some(folder.gid())).map_err(|error| {
        let text = format!(
            "its folder belongs to another user (uid {}), who could not read it: run this command as that user or as root",
            folder.uid()
        );
        io::Error::new(error.kind(), text)
    })
}
