//! Durable file writes: a file is written beside its target, synced and renamed, so that it is complete or absent.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stockline_sqlite::keep_owner_of;

/// The mode of files that only their owner reads.
pub(crate) const SECRET: u32 = 0o600;
/// The mode of files that anyone may read.
pub(crate) const PUBLIC: u32 = 0o644;

/// Replaces the file at `path` durably and in one step: after a crash it is the old file or the new one. It belongs to the
/// owner of its folder.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    replace_atomic(path, mode, |file| {
        keep_owner_of(file, path)?;
        Ok(file.write_all(bytes)?)
    })
}

/// As [`write_atomic`], for content that is written piece by piece, and belongs to whoever runs the command.
pub(crate) fn replace_atomic(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let temporary = beside(path, "tmp");
    let done = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        write(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_folder_of(path)
    })();
    if done.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    }
    done.with_context(|| format!("can't write {}", path.display()))
}

/// Writes a file that people work on. One that is there already may be somebody's work: unless it was named, it is left
/// alone, and the next free number is taken. Returns the path.
pub(crate) fn write_beside(named: &Path, is_named: bool, content: &[u8]) -> anyhow::Result<PathBuf> {
    let mut path = named.to_owned();
    for number in 2.. {
        match std::fs::read(&path) {
            Ok(there) if there == content => return Ok(path),
            Ok(_) if !is_named => {
                let stem = named.with_extension("");
                path = PathBuf::from(format!("{}-{number}.csv", stem.display()));
            }
            _ => break,
        }
    }
    replace_atomic(&path, PUBLIC, |file| Ok(file.write_all(content)?))?;
    Ok(path)
}

/// Appends a line durably. First removes an incomplete last line, which a power cut or a full disk may have left, so
/// that the new line does not become part of it. The caller holds the lock of the folder's keys.
pub(crate) fn append_line(path: &Path, line: &str, mode: u32) -> anyhow::Result<()> {
    let done = (|| {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(mode).open(path)?;
        keep_owner_of(&file, path)?;
        let mut present = Vec::new();
        file.read_to_end(&mut present)?;
        let whole = present.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < present.len() {
            file.set_len(whole as u64)?;
        }
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        sync_folder_of(path)
    })();
    done.with_context(|| format!("can't write {}", path.display()))
}

/// Reads a file as text; returns `None` if it does not exist.
pub(crate) fn read_if_exists(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// Writes bytes as PEM (RFC 7468).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// Returns the SHA-256 of these bytes in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Writes bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a name in the same folder that no other process uses.
pub(crate) fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{what}", std::process::id()))
}

/// Syncs the folder of `path`, which makes a rename durable.
pub(crate) fn sync_folder_of(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_incomplete_line_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        append_line(&path, "one", PUBLIC).unwrap();
        std::fs::write(&path, "one\ntw").unwrap();
        append_line(&path, "three", PUBLIC).unwrap();
        assert_eq!(read_if_exists(&path).unwrap().unwrap(), "one\nthree\n");
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_atomic(&path, b"one", SECRET).unwrap();
        write_atomic(&path, b"two", SECRET).unwrap();
        assert_eq!(read_if_exists(&path).unwrap().unwrap(), "two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, SECRET);
        let failed = replace_atomic(&path, SECRET, |_| anyhow::bail!("disk full")).unwrap_err();
        assert!(format!("{failed:#}").contains("disk full"));
        assert_eq!(read_if_exists(&path).unwrap().unwrap(), "two", "a failed write leaves the old file");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing beside it");
    }
}
