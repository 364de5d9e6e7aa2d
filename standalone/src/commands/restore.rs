//! `restore`: creates a data folder from a backup and checks it before it gets its name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rusqlite::Connection;
use stockline_service::output;

use super::backup::{MANIFEST, Manifest, VERSION};
use crate::args::RestoreArgs;
use crate::exit;
use crate::files::{self, SECRET};

/// The longest manifest, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;

/// A folder under construction; what is left of it is removed when it is dropped.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `stockline restore`.
pub(crate) fn restore(args: &RestoreArgs) -> anyhow::Result<u8> {
    let data = &args.data.data;
    refuse_occupied(data)?;
    if let Some(parent) = data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).with_context(|| format!("can't create {}", parent.display()))?;
    }
    let unfinished = Unfinished(files::beside(data, "restoring"));
    // A killed process with the same number may have left a folder.
    let _ = std::fs::remove_dir_all(&unfinished.0);
    for folder in [unfinished.0.clone(), unfinished.0.join("keys")] {
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    let manifest =
        unpack(&args.file, &unfinished.0).with_context(|| format!("can't restore {}", args.file.display()))?;
    for name in ["queue.db", "stock.db"] {
        check(&unfinished.0.join(name)).with_context(|| format!("can't restore {}", args.file.display()))?;
    }
    for folder in [unfinished.0.join("keys"), unfinished.0.clone()] {
        File::open(&folder)?.sync_all()?;
    }
    if data.exists() {
        std::fs::remove_dir(data).with_context(|| format!("{} is no longer empty", data.display()))?;
    }
    std::fs::rename(&unfinished.0, data).with_context(|| format!("can't create {}", data.display()))?;
    files::sync_folder_of(data)?;
    output::line(format_args!("{} restored as of {}", data.display(), manifest.created_at))?;
    output::line(
        "commands accepted after that are not in it; tills can send them again under the same ids, and each takes effect once",
    )?;
    Ok(exit::OK)
}

/// Refuses a folder that is not empty: a restore replaces nothing.
fn refuse_occupied(data: &Path) -> anyhow::Result<()> {
    let mut entries = match std::fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => bail!("can't read {}: {error}", data.display()),
    };
    if entries.next().is_some() {
        bail!(
            "{} is not empty: stop its server and move it away, or restore into another folder with --data",
            data.display()
        );
    }
    Ok(())
}

/// Writes the files that the backup's manifest names into a folder, complete and synced.
fn unpack(backup: &Path, folder: &Path) -> anyhow::Result<Manifest> {
    let mut tar = tar::Archive::new(std::io::BufReader::new(File::open(backup)?));
    let mut entries = tar.entries()?;
    let incomplete = "it is incomplete: copy it again, or use another backup";
    let first = entries.next().context(incomplete)?.context("it is not a backup of stockline")?;
    if first.path()?.as_os_str() != MANIFEST {
        bail!("it is not a backup of stockline");
    }
    let manifest: Manifest =
        serde_json::from_reader(first.take(MAX_MANIFEST_BYTES)).context("its manifest is damaged")?;
    if manifest.version > VERSION {
        bail!("it was written by a newer stockline (layout {}, this one knows {VERSION})", manifest.version);
    }
    for (name, bytes) in &manifest.files {
        let mut entry = entries.next().context(incomplete)?.context(incomplete)?;
        if entry.path()?.to_string_lossy() != *name || !is_expected(name) {
            bail!("its entry {} does not belong in a backup", entry.path()?.display());
        }
        let path = folder.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(SECRET).open(&path)?;
        let copied = std::io::copy(&mut entry, &mut file).with_context(|| format!("{name}: {incomplete}"))?;
        if copied != *bytes {
            bail!("{name}: {incomplete}");
        }
        file.sync_all()?;
    }
    Ok(manifest)
}

/// Accepts the databases and plain names among the keys: no name leads out of the folder.
fn is_expected(name: &str) -> bool {
    let plain = |name: &str| {
        !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    matches!(name, "queue.db" | "stock.db")
        || name.strip_prefix("keys/").is_some_and(|key| !key.is_empty() && plain(key))
}

/// Runs SQLite's check of every page and index.
fn check(database: &Path) -> anyhow::Result<()> {
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let connection = Connection::open(database)?;
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .with_context(|| format!("{name} is damaged"))?;
    if verdict != "ok" {
        bail!("{name} is damaged: {verdict}");
    }
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{BackupArgs, DataArg};
    use crate::commands::backup::backup;
    use crate::folder::Folder;
    use crate::issuer::keys::Keys;

    /// Creates a folder with keys and two small databases.
    fn folder_at(path: &Path) -> Folder {
        let folder = Folder::at(path);
        Keys::open_or_create(&folder, stockline_core::domain::Timestamp::from_millis(1)).unwrap();
        for database in [folder.queue_db(), folder.stock_db()] {
            let connection = Connection::open(database).unwrap();
            connection
                .execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1),(2);")
                .unwrap();
        }
        folder
    }

    fn restored(file: &Path, data: &Path) -> anyhow::Result<u8> {
        restore(&RestoreArgs { file: file.into(), data: DataArg { data: data.into() } })
    }

    #[test]
    fn a_backup_is_restored_and_replaces_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_at(&temp.path().join("data"));
        // A writer at work: its commits are copied, its open transaction is not.
        let writer = Connection::open(folder.stock_db()).unwrap();
        writer.execute_batch("INSERT INTO t VALUES(3); BEGIN IMMEDIATE; INSERT INTO t VALUES(4);").unwrap();
        let file = temp.path().join("backup.tar");
        let data = DataArg { data: folder.path().to_owned() };
        backup(&BackupArgs { file: file.clone(), data }).unwrap();

        let target = temp.path().join("restored");
        assert_eq!(restored(&file, &target).unwrap(), exit::OK);
        let stock = Connection::open(target.join("stock.db")).unwrap();
        assert_eq!(stock.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
        let kid = |path: &Path| Keys::open(&Folder::at(path)).unwrap().kid;
        assert_eq!(kid(&target), kid(folder.path()));
        assert!(restored(&file, &target).unwrap_err().to_string().contains("not empty"));
        let names = |path: &Path| std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(names(temp.path()).len(), 3, "nothing is left behind: {:?}", names(temp.path()));
    }

    #[test]
    fn a_truncated_or_foreign_file_restores_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_at(&temp.path().join("data"));
        let file = temp.path().join("backup.tar");
        let data = DataArg { data: folder.path().to_owned() };
        backup(&BackupArgs { file: file.clone(), data }).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let target = temp.path().join("restored");
        for cut in [0, 100, 2_000, whole.len() / 2, whole.len() - 3_000] {
            let part = temp.path().join("part.tar");
            std::fs::write(&part, &whole[..cut]).unwrap();
            assert!(restored(&part, &target).is_err(), "{cut}");
            assert!(!target.exists(), "{cut}");
        }
        let garbage = temp.path().join("garbage");
        std::fs::write(&garbage, vec![7; 4_096]).unwrap();
        assert!(restored(&garbage, &target).is_err());
    }

    #[test]
    fn no_entry_leads_out_of_the_folder() {
        for name in ["queue.db", "stock.db", "keys/jwks.json", "keys/signing-1.pem"] {
            assert!(is_expected(name), "{name}");
        }
        for foreign in ["../x", "/etc/passwd", "keys/../x", "keys/", "keys/.lock", "keys/a/b", "other"] {
            assert!(!is_expected(foreign), "{foreign}");
        }
    }
}
