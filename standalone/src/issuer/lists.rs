//! The list of revoked tokens, and the presence of the records of issued ones. A missing or damaged list is an error:
//! without it, revoked tokens would be valid again.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use stockline_ingress::auth::RevokedList;

use super::keys::{self, Keys};
use crate::files::{self, SECRET};
use crate::folder::Folder;

/// Returns the file of the issued tokens.
pub(super) fn records_path(folder: &Folder) -> std::path::PathBuf {
    folder.keys().join("tokens.jsonl")
}

/// Creates the list of revoked tokens and the records, where they are missing. A list of an earlier version gets its
/// digest. The caller holds the lock.
pub(crate) fn create_lists(keys: &Keys) -> anyhow::Result<()> {
    let folder = keys.folder();
    let revoked = files::read_if_exists(&folder.revoked())?.unwrap_or_default();
    if RevokedList::read(&keys.issuer, &revoked).is_err() {
        write_revoked(folder, &lines(&revoked))?;
    }
    if !records_path(folder).exists() {
        files::write_atomic(&records_path(folder), b"", SECRET)?;
    }
    Ok(())
}

/// Returns the revoked `jti`s of a folder, whose keys may have been replaced since.
pub(crate) fn revoked_in(folder: &Folder) -> anyhow::Result<BTreeSet<String>> {
    if !folder.path().is_dir() {
        bail!("{} is not a data folder: name the one that the restored folder replaces", folder.path().display());
    }
    read_revoked(folder)
}

/// Adds `jti`s to the list of a folder.
pub(crate) fn revoke_also(folder: &Folder, ids: BTreeSet<String>) -> anyhow::Result<()> {
    let _lock = keys::lock(folder)?;
    write_revoked(folder, &read_revoked(folder)?.into_iter().chain(ids).collect())
}

/// Checks that the list of revoked tokens and the records are there.
///
/// # Errors
/// One of them is missing, or the list is damaged: revoked tokens would be valid again.
pub(crate) fn check_lists(keys: &Keys) -> anyhow::Result<()> {
    read_sealed(keys.folder(), &keys.issuer)?;
    let records = records_path(keys.folder());
    if !records.exists() {
        bail!(
            "{} is missing: without it, no issued token can be found and revoked. Restore it from a backup; or make new \
             keys, which ends every issued token (stockline keys rotate --drop-old)",
            records.display()
        );
    }
    Ok(())
}

/// Makes new lists where the old ones are missing or damaged, once the keys of the old tokens are dropped. The caller
/// holds the lock.
pub(crate) fn mend_lists(keys: &Keys) -> anyhow::Result<()> {
    if read_sealed(keys.folder(), &keys.issuer).is_err() {
        write_revoked(keys.folder(), &BTreeSet::new())?;
    }
    if !records_path(keys.folder()).exists() {
        files::write_atomic(&records_path(keys.folder()), b"", SECRET)?;
    }
    Ok(())
}

/// Adds `jti`s to the list, in the form that the folder's server reads. The caller holds the lock.
pub(super) fn add_revoked(folder: &Folder, present: BTreeSet<String>, fresh: Vec<String>) -> anyhow::Result<()> {
    if folder.manifest().exists() {
        return write_revoked(folder, &present.into_iter().chain(fresh).collect());
    }
    // A server of an earlier version may be running, and only this version's first start writes the list anew.
    fresh.iter().try_for_each(|jti| files::append_line(&folder.revoked(), jti, SECRET))
}

/// Reads the revoked `jti`s of a folder.
pub(super) fn read_revoked(folder: &Folder) -> anyhow::Result<BTreeSet<String>> {
    if folder.manifest().exists() {
        return read_sealed(folder, &Keys::open(folder)?.issuer);
    }
    // An earlier version wrote the folder: it made no list while no token was revoked.
    Ok(lines(&files::read_if_exists(&folder.revoked())?.unwrap_or_default()))
}

/// Reads the `jti`s of a list without a digest.
fn lines(text: &str) -> BTreeSet<String> {
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect()
}

fn read_sealed(folder: &Folder, issuer: &str) -> anyhow::Result<BTreeSet<String>> {
    let path = folder.revoked();
    let wrong = |what: String| {
        anyhow!(
            "{} {what}: without the list of revoked tokens, they would be valid again. Restore it from a backup; or make \
             new keys and a new list, which ends every issued token (stockline keys rotate --drop-old)",
            path.display()
        )
    };
    let text = files::read_if_exists(&path)?.ok_or_else(|| wrong("is missing".into()))?;
    RevokedList::read(issuer, &text).map_err(|error| wrong(format!("can't be used: {error}")))
}

fn write_revoked(folder: &Folder, ids: &BTreeSet<String>) -> anyhow::Result<()> {
    let issuer = Keys::open(folder)?.issuer;
    files::write_atomic(&folder.revoked(), RevokedList::write(&issuer, ids).as_bytes(), SECRET)
}

#[cfg(test)]
mod tests {
    use stockline_core::domain::Timestamp;

    use super::*;
    use crate::args::Role;
    use crate::issuer::tokens::{self, TokenRequest};

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    /// Creates a folder as a first start does.
    fn started(path: &std::path::Path) -> (Folder, Keys) {
        let folder = Folder::at(path);
        crate::folder::entry::enter(&folder, now()).unwrap();
        let keys = Keys::open(&folder).unwrap();
        (folder, keys)
    }

    /// Issues a token to the till `till-1`.
    fn issue(keys: &Keys) {
        let request = TokenRequest {
            role: Role::Till,
            write_only: false,
            subject: "till-1".into(),
            locations: Vec::new(),
            ttl_s: 3_600,
        };
        tokens::issue(keys, &request, now()).unwrap();
    }

    #[test]
    fn a_missing_or_damaged_list_is_refused_and_only_new_keys_make_a_new_one() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, keys) = started(temp.path());
        issue(&keys);
        tokens::revoke(&folder, &[], Some("till-1"), now()).unwrap();
        let whole = std::fs::read(folder.revoked()).unwrap();
        for damage in [None, Some(&whole[..0]), Some(&whole[..whole.len() - 1]), Some(b"a-jti\n")] {
            match damage {
                Some(text) => std::fs::write(folder.revoked(), text).unwrap(),
                None => std::fs::remove_file(folder.revoked()).unwrap(),
            }
            for refused in [
                crate::folder::entry::enter(&folder, now()).map(drop),
                tokens::revoke(&folder, &[], Some("till-1"), now()).map(drop),
                tokens::issued(&folder, now()).map(drop),
            ] {
                let text = format!("{:#}", refused.unwrap_err());
                assert!(text.contains("keys/revoked") && text.contains("rotate --drop-old"), "{damage:?}: {text}");
            }
            std::fs::write(folder.revoked(), &whole).unwrap();
        }
        std::fs::remove_file(folder.revoked()).unwrap();
        keys.rotate(now(), true, |_| false).unwrap();
        mend_lists(&Keys::open(&folder).unwrap()).unwrap();
        crate::folder::entry::enter(&folder, now()).unwrap();
        std::fs::remove_file(records_path(&folder)).unwrap();
        let text = crate::folder::entry::enter(&folder, now()).unwrap_err().to_string();
        assert!(text.contains("tokens.jsonl is missing"), "{text}");
    }

    #[test]
    fn the_list_of_an_earlier_version_is_kept_and_gets_its_digest() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, keys) = started(temp.path());
        std::fs::remove_file(folder.manifest()).unwrap();
        std::fs::write(folder.revoked(), "# by hand\na-jti\n").unwrap();
        issue(&keys);
        assert_eq!(tokens::revoke(&folder, &[], Some("till-1"), now()).unwrap(), 1);
        assert!(
            std::fs::read_to_string(folder.revoked()).unwrap().starts_with("# by hand"),
            "as the old server reads it"
        );
        create_lists(&keys).unwrap();
        let ids = read_sealed(&folder, &keys.issuer).unwrap();
        assert!(ids.contains("a-jti") && ids.len() == 2, "{ids:?}");
    }
}
