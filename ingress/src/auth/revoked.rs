//! Tokens that are revoked before they expire.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use super::watched::WatchedFile;
use crate::error::IngressError;

/// Bytes of the list: more than 200,000 UUIDs.
const REVOKED_BYTES: u64 = 8 * 1024 * 1024;
/// The beginning of the first line; the digest follows.
const HEADER: &str = "# stockline revoked tokens 1 sha256=";

/// The text of a list of revoked `jti`s: a first line with a digest, then one `jti` a line. The digest covers the
/// tokens and their issuer, so that an empty, truncated or foreign file is not taken for a list on which a token is missing.
#[derive(Debug, Clone, Copy)]
pub struct RevokedList;

/// Why a text is not a list of the revoked tokens of this issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is empty, damaged or of another installation")]
pub struct RevokedListError;

impl RevokedList {
    /// Writes the list of an issuer.
    #[must_use]
    pub fn write(issuer: &str, ids: &BTreeSet<String>) -> String {
        let body: String = ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
        format!("{HEADER}{}\n{body}", digest(issuer, &body))
    }

    /// Reads the list of an issuer.
    ///
    /// # Errors
    /// The text is not exactly what [`RevokedList::write`] returns for a list of this issuer.
    pub fn read(issuer: &str, text: &str) -> Result<BTreeSet<String>, RevokedListError> {
        let (first, body) = text.split_once('\n').ok_or(RevokedListError)?;
        let sealed = first.strip_prefix(HEADER).is_some_and(|found| found == digest(issuer, body));
        if sealed { Ok(body.lines().map(str::to_owned).collect()) } else { Err(RevokedListError) }
    }
}

fn digest(issuer: &str, body: &str) -> String {
    let digest = Sha256::new().chain_update(issuer).chain_update("\n").chain_update(body).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The revoked `jti`s. One that was read once stays revoked while the process runs, whatever becomes of the file. While the
/// file can't be read, nobody knows which tokens were revoked since: none is accepted.
#[derive(Debug)]
pub(super) struct Revoked {
    file: WatchedFile,
    issuer: String,
    ids: RwLock<HashSet<Box<str>>>,
    failing: AtomicBool,
}

impl Revoked {
    /// Reads the list.
    ///
    /// # Errors
    /// The file does not exist or is not a list of this issuer: without it, revoked tokens would be valid again.
    pub(super) fn open(path: PathBuf, issuer: String) -> Result<Self, IngressError> {
        let revoked = Self {
            file: WatchedFile::new(path, REVOKED_BYTES),
            issuer,
            ids: RwLock::default(),
            failing: AtomicBool::new(false),
        };
        match revoked.reload() {
            Ok(_) => Ok(revoked),
            Err(error) => Err(IngressError::Config(format!(
                "the list of revoked tokens {} can't be read: {error}. Without it, revoked tokens would be valid again. \
                 Restore the file from a backup; or make new keys and a new list, which ends every issued token \
                 (stockline keys rotate --drop-old)",
                revoked.file.path().display()
            ))),
        }
    }

    /// Reads the list again if it changed; blocks.
    pub(super) fn check(&self) {
        match self.reload() {
            Ok(true) => self.failing.store(false, Ordering::Relaxed),
            Ok(false) => {}
            Err(error) => {
                // It may become readable again without a change of its content.
                self.file.forget();
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        path = %self.file.path().display(), %error,
                        "the list of revoked tokens can't be read, so no token is accepted; make it readable for this user, or restore it from a backup"
                    );
                }
            }
        }
    }

    /// Returns whether the file changed and was read.
    fn reload(&self) -> std::io::Result<bool> {
        let Some(content) = self.file.read_if_changed()? else { return Ok(false) };
        let content = String::from_utf8(content).map_err(|_| std::io::Error::other("it is not UTF-8 text"))?;
        let ids = RevokedList::read(&self.issuer, &content).map_err(std::io::Error::other)?;
        tracing::info!(tokens = ids.len(), "read the list of revoked tokens");
        self.ids.write().unwrap_or_else(PoisonError::into_inner).extend(ids.into_iter().map(Box::from));
        Ok(true)
    }

    /// Returns whether the list can't be read now.
    pub(super) fn is_unknown(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn contains(&self, jti: &str) -> bool {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).contains(jti)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer";

    fn list(ids: &[&str]) -> String {
        RevokedList::write(ISSUER, &ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_any_other_text_is_none() {
        for ids in [&[][..], &["a"], &["a", "b", "c"]] {
            let text = list(ids);
            let read = RevokedList::read(ISSUER, &text).unwrap();
            assert_eq!(read.iter().map(String::as_str).collect::<Vec<_>>(), ids);
            assert!(RevokedList::read("https://other", &text).is_err());
            for end in 0..text.len() {
                assert!(RevokedList::read(ISSUER, &text[..end]).is_err(), "cut at {end}");
            }
            for bit in 0..text.len() * 8 {
                let mut flipped = text.clone().into_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let Ok(flipped) = String::from_utf8(flipped) else { continue };
                assert!(RevokedList::read(ISSUER, &flipped).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_token_stays_revoked_when_its_list_is_lost_damaged_or_replaced_by_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        std::fs::write(&path, list(&[])).unwrap();
        let revoked = Revoked::open(path.clone(), ISSUER.into()).unwrap();
        assert!(!revoked.contains("a"));
        std::fs::write(&path, list(&["a"])).unwrap();
        revoked.check();
        assert!(revoked.contains("a"));
        for worse in ["", "b\n", &list(&["a", "b"])[..50], &list(&[])] {
            std::fs::write(&path, worse).unwrap();
            revoked.check();
            assert!(revoked.contains("a") && !revoked.contains("b"), "{worse}");
            assert_eq!(revoked.is_unknown(), worse != list(&[]), "{worse}");
        }
        let aside = folder.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        revoked.check();
        assert!(revoked.contains("a") && revoked.is_unknown());
        std::fs::rename(&aside, &path).unwrap();
        revoked.check();
        assert!(!revoked.is_unknown(), "the same file is readable again");
        std::fs::write(&path, list(&["a", "b"])).unwrap();
        revoked.check();
        assert!(revoked.contains("a") && revoked.contains("b"), "the list is read again once it is whole");
    }

    #[test]
    fn a_list_that_is_missing_or_damaged_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: PathBuf| Revoked::open(path, ISSUER.into()).unwrap_err().to_string();
        let path = folder.path().join("revoked");
        for text in [None, Some(&b""[..]), Some(b"a\n"), Some(&[0xff, 0xfe]), Some(&list(&["a"]).as_bytes()[..60])] {
            let _ = text.map(|text| std::fs::write(&path, text).unwrap());
            let error = refused(path.clone());
            assert!(error.contains("revoked") && error.contains("backup") && error.contains("rotate"), "{error}");
        }
        assert!(refused(folder.path().into()).contains("can't be read"));
    }
}
