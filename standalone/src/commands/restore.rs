//! `restore`: creates a data folder from a backup and checks it before it gets its name.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rusqlite::Connection;
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::archive::{self, Checked, Owner};
use crate::args::RestoreArgs;
use crate::exit;
use crate::files;
use crate::folder::Folder;
use crate::folder::entry;
use crate::folder::manifest::What;
use crate::issuer::lists;

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
    if args.check {
        return check_only(&args.file);
    }
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
    let now = SystemClock.now();
    let revoked = args.revoked_of.as_ref().map(|old| lists::revoked_in(&Folder::at(old))).transpose()?;
    let checked =
        fill(&args.file, &unfinished.0, now).with_context(|| format!("can't restore {}", args.file.display()))?;
    if let Some(revoked) = revoked {
        lists::revoke_also(&Folder::at(&unfinished.0), revoked)?;
    }
    let owner = owner(args, &unfinished.0, checked.owner)?;
    if let Some(owner) = owner {
        give(&unfinished.0, owner)?;
    }
    for folder in [unfinished.0.join("keys"), unfinished.0.clone()] {
        File::open(&folder)?.sync_all()?;
    }
    if data.exists() {
        std::fs::remove_dir(data).with_context(|| format!("{} is no longer empty", data.display()))?;
    }
    std::fs::rename(&unfinished.0, data).with_context(|| format!("can't create {}", data.display()))?;
    files::sync_folder_of(data)?;
    output::line(format_args!("{} restored as of {}", data.display(), checked.created_at))?;
    output::line(format_args!(
        "commands accepted after that are not in it; tills can send them again under the same ids, and each takes effect once"
    ))?;
    if let Some(Owner { uid, gid }) = owner {
        output::line(format_args!(
            "the files belong to the user {uid} and the group {gid}, as before; if another user runs the server, give them to it (chown -R)"
        ))?;
    }
    if args.revoked_of.is_none() {
        output::line(format_args!(
            "tokens revoked after that are valid again: revoke them again, or end every token (stockline keys rotate --drop-old)"
        ))?;
    }
    Ok(exit::OK)
}

/// Returns to whom root must give the restored files, so that the server can read them: the owner of the folder that is
/// there, of the one that it replaces, or of the one that was backed up. `None` if they belong to them already.
fn owner(args: &RestoreArgs, restored: &Path, backed_up: Owner) -> anyhow::Result<Option<Owner>> {
    let present = [Some(&args.data.data), args.revoked_of.as_ref()].into_iter().flatten().find(|path| path.exists());
    let (own, owner) = (Owner::of(restored)?, present.map(|path| Owner::of(path)).transpose()?.unwrap_or(backed_up));
    // Another user than root restores for themselves.
    Ok((own.uid == Owner::ROOT.uid && owner.uid != own.uid).then_some(owner))
}

/// Gives a folder and everything in it to a user.
fn give(path: &Path, owner: Owner) -> anyhow::Result<()> {
    let given = lchown(path, Some(owner.uid), Some(owner.gid));
    given.with_context(|| format!("can't give {} to the user {}", path.display(), owner.uid))?;
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

/// Runs `stockline restore --check`.
fn check_only(file: &Path) -> anyhow::Result<u8> {
    let Checked { created_at, has_digests, .. } =
        archive::read(file, None).with_context(|| format!("can't restore {}", file.display()))?;
    if has_digests {
        output::line(format_args!("{} is whole, as of {created_at}", file.display()))?;
    } else {
        output::line(format_args!(
            "{} is complete, as of {created_at}; it has no digests, so changed bits are not noticed",
            file.display()
        ))?;
    }
    Ok(exit::OK)
}

/// Writes the files of a backup into a folder, checks them, and notes the moment of the restore.
fn fill(backup: &Path, path: &Path, now: Timestamp) -> anyhow::Result<Checked> {
    let checked = archive::read(backup, Some(path))?;
    if !checked.has_digests {
        output::note(format_args!(
            "warning: an earlier stockline wrote this backup without digests, so changed bits may go unnoticed"
        ));
    }
    for name in ["queue.db", "stock.db"] {
        check(&path.join(name))?;
    }
    let folder = Folder::at(path);
    let mut manifest = entry::enter(&folder, now)?.manifest;
    entry::break_off(&folder, &mut manifest, What::Restored { backup_of: checked.created_at }, now)?;
    // It has not been served yet, wherever the original was.
    manifest.place = None;
    manifest.write(&folder)?;
    Ok(checked)
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
    use crate::issuer::keys::Keys;

    /// Creates a folder as a first start does, with a small table in each database.
    fn folder_at(path: &Path) -> Folder {
        let folder = Folder::at(path);
        std::fs::create_dir(path).unwrap();
        entry::enter(&folder, Timestamp::from_millis(1)).unwrap();
        for database in [folder.queue_db(), folder.stock_db()] {
            let connection = Connection::open(database).unwrap();
            connection
                .execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1),(2);")
                .unwrap();
        }
        folder
    }

    fn restored(file: &Path, data: &Path) -> anyhow::Result<u8> {
        let data = DataArg { data: data.into() };
        restore(&RestoreArgs { file: file.into(), check: false, revoked_of: None, data })
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

    /// Flips one bit at the beginning, the middle and the end of every file of a backup, and at many places by seed.
    #[test]
    fn a_flipped_bit_anywhere_is_refused_and_nothing_is_restored() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_at(&temp.path().join("data"));
        let file = temp.path().join("backup.tar");
        let data = DataArg { data: folder.path().to_owned() };
        backup(&BackupArgs { file: file.clone(), data }).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let mut places = Vec::new();
        for entry in tar::Archive::new(whole.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let (begin, size) = (entry.raw_file_position(), entry.size());
            places.extend([
                begin - 512,
                begin - 300,
                begin,
                begin + size / 2,
                begin + size.saturating_sub(1),
                begin + size,
            ]);
        }
        assert!(places.len() > 6 * 10, "two databases, the manifest, six files of keys, the list and the seal");
        let mut seed = 0x5EED_u64;
        places.extend((0..150).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % whole.len() as u64
        }));
        let target = temp.path().join("restored");
        for (number, place) in places.into_iter().enumerate() {
            let mut damaged = whole.clone();
            damaged[usize::try_from(place).unwrap()] ^= 1 << (number % 8);
            std::fs::write(&file, damaged).unwrap();
            let text = format!("{:#}", restored(&file, &target).expect_err(&format!("{number}: {place}")));
            assert!(text.contains("backup.tar") && !target.exists(), "{number}: {place}: {text}");
        }
    }

    #[test]
    fn a_backup_of_an_earlier_version_restores_without_digests() {
        let temp = tempfile::tempdir().unwrap();
        let folder = folder_at(&temp.path().join("data"));
        let keys = std::fs::read_dir(folder.keys()).unwrap().map(|entry| entry.unwrap().path());
        let keys = keys.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
        let named = keys.map(|path| (format!("keys/{}", path.file_name().unwrap().to_string_lossy()), path));
        let databases = [("queue.db".to_owned(), folder.queue_db()), ("stock.db".to_owned(), folder.stock_db())];
        let files: Vec<(String, Vec<u8>)> =
            databases.into_iter().chain(named).map(|(name, path)| (name, std::fs::read(path).unwrap())).collect();
        let listed: Vec<_> = files.iter().map(|(name, bytes)| (name, bytes.len())).collect();
        let contents = serde_json::json!({"version": 1, "created_at": "2026-01-31T02:15:00.000Z", "files": listed});
        let contents = ("stockline-backup.json".to_owned(), contents.to_string().into_bytes());
        let file = temp.path().join("old.tar");
        let mut tar = tar::Builder::new(File::create(&file).unwrap());
        for (name, bytes) in [&contents].into_iter().chain(&files) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap();
        check_only(&file).unwrap();
        let target = temp.path().join("restored");
        restored(&file, &target).unwrap();
        entry::check(&Folder::at(&target)).unwrap();
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
}
