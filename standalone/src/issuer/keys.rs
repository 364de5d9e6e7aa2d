//! The keys that sign tokens and receipts. The first start creates them.
//!
//! `<data>/keys/` (mode 0700) holds `issuer` (the stable name of this installation), `signing-<milliseconds>.pem` (the
//! private key with its time of creation, mode 0600), `jwks.json` (the public keys that verify tokens), `receipt.keys`
//! (the newest first), `tokens.jsonl` (a record of each issued token, never the token) and `revoked`. The last part of
//! the issuer's name is the folder's identity.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey};
use stockline_core::domain::Timestamp;
use stockline_sqlite::keep_owner_of;
use uuid::Uuid;

use crate::exit::Unavailable;
use crate::files::{self, PUBLIC, SECRET};
use crate::folder::Folder;

/// How long an old signing key verifies at least: longer than the command line's own tokens live.
const SIGNING_KEY_KEPT_MS: i64 = 3_600_000;

/// The files without which there are no keys, as people read them.
pub(crate) const FILES: [&str; 4] = ["issuer", "signing-….pem", "receipt.keys", "jwks.json"];

/// The keys of a data folder.
#[derive(Debug)]
pub(crate) struct Keys {
    folder: Folder,
    /// The `iss` claim of every token.
    pub(crate) issuer: String,
    /// The newest private key.
    signing: EncodingKey,
    /// The id of the newest key, in `jwks.json` and in a token's header.
    pub(crate) kid: String,
}

/// The result of a rotation.
#[derive(Debug)]
pub(crate) struct Rotated {
    /// The key that signs from now on.
    pub(crate) kid: String,
    /// The number of older keys that still verify tokens.
    pub(crate) kept: usize,
    /// The number of keys that no valid token needs any more.
    pub(crate) dropped: usize,
}

/// The lock on the keys and tokens of a folder; it is held until it is dropped.
#[derive(Debug)]
pub(crate) struct KeysLock {
    _file: File,
}

impl Keys {
    /// Publishes the newest key: a crash may have left a private key whose public key is not in `jwks.json`. The caller
    /// holds the lock.
    pub(crate) fn republish(&self) -> anyhow::Result<()> {
        self.publish(|_| true).map(drop)
    }

    /// Opens the keys of a folder in which a server has run before.
    pub(crate) fn open(folder: &Folder) -> anyhow::Result<Self> {
        let issuer = files::read_if_exists(&issuer_path(folder))?;
        let (Some(issuer), Some(path)) = (issuer, newest_private(folder)?) else {
            let folder = folder.path().display();
            return Err(Unavailable(format!(
                "{folder} holds no keys: start the server there once (stockline --data {folder}), or name the right folder with --data"
            ))
            .into());
        };
        let pem = std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        let signing = EncodingKey::from_rsa_pem(&pem)
            .with_context(|| format!("{} is not an RSA private key in PEM", path.display()))?;
        let kid = public_key(&signing)?.common.key_id.unwrap_or_default();
        Ok(Self { folder: folder.clone(), issuer: issuer.trim().to_owned(), signing, kid })
    }

    /// Returns the data folder of the keys.
    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Signs claims as an RS256 JWT.
    pub(crate) fn sign(&self, claims: &impl serde::Serialize) -> anyhow::Result<String> {
        let header =
            jsonwebtoken::Header { kid: Some(self.kid.clone()), ..jsonwebtoken::Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.signing).context("can't sign the token")
    }

    /// Creates a new signing key and a new receipt key. The old keys still verify while something needs them: `needed`
    /// says whether a valid token was signed with a key. With `drop_old`, the old signing keys are dropped at once.
    pub(crate) fn rotate(
        self,
        now: Timestamp,
        drop_old: bool,
        needed: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Rotated> {
        let folder = self.folder.clone();
        let before = newest_private(&folder)?.map(|path| created_at(&path)).unwrap_or_default();
        let fresh = now.as_millis() - before < SIGNING_KEY_KEPT_MS;
        create_private(&folder, now)?;
        let latest = Self::open(&folder)?;
        let (old, new) = (self.kid, latest.kid.clone());
        let counts = latest.publish(|kid| kid == new || (!drop_old && (needed(kid) || kid == old || fresh)))?;
        remove_superseded(&folder)?;
        latest.rotate_receipts(now)?;
        Ok(Rotated { kid: new, kept: counts.0 - 1, dropped: counts.1 })
    }

    /// Writes `jwks.json` with the current public key and the published keys for which `keep` is true. Returns how
    /// many keys it holds now and how many were dropped.
    fn publish(&self, keep: impl Fn(&str) -> bool) -> anyhow::Result<(usize, usize)> {
        let path = self.folder.jwks();
        let present: JwkSet = match files::read_if_exists(&path)? {
            Some(text) => serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?,
            None => JwkSet { keys: Vec::new() },
        };
        let before = present.keys.len();
        let mut keys = vec![public_key(&self.signing)?];
        let others = present
            .keys
            .into_iter()
            .filter(|key| key.common.key_id.as_deref().is_some_and(|kid| kid != self.kid && keep(kid)));
        keys.extend(others);
        let held = keys.len();
        let text = serde_json::to_vec_pretty(&JwkSet { keys })?;
        files::write_atomic(&path, &text, PUBLIC)?;
        Ok((held, (before + 1).saturating_sub(held)))
    }
}

pub(super) fn receipt_keys_path(folder: &Folder) -> PathBuf {
    folder.keys().join("receipt.keys")
}

/// Locks the keys and tokens of a folder; waits while another process holds the lock.
pub(crate) fn lock(folder: &Folder) -> anyhow::Result<KeysLock> {
    let path = folder.keys().join(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(SECRET)
        .open(&path)
        .and_then(|file| keep_owner_of(&file, &path).map(|()| file))
        .with_context(|| format!("can't open {}", path.display()))?;
    file.lock().with_context(|| format!("can't lock {}", path.display()))?;
    Ok(KeysLock { _file: file })
}

/// Lists the files that are missing or empty, out of [`FILES`].
pub(crate) fn missing(folder: &Folder) -> anyhow::Result<Vec<&'static str>> {
    let newest = newest_private(folder)?;
    let paths = [Some(issuer_path(folder)), newest, Some(receipt_keys_path(folder)), Some(folder.jwks())];
    let is_empty = |path: &Option<PathBuf>| {
        path.as_ref().and_then(|path| std::fs::metadata(path).ok()).is_none_or(|file| file.len() == 0)
    };
    Ok(FILES.into_iter().zip(&paths).filter(|(_, path)| is_empty(path)).map(|(name, _)| name).collect())
}

/// Returns the identity that the issuer's name ends with.
pub(crate) fn identity(folder: &Folder) -> anyhow::Result<Uuid> {
    let path = issuer_path(folder);
    let issuer = files::read_if_exists(&path)?.unwrap_or_default();
    let id = issuer.trim().rsplit('/').next().and_then(|id| id.parse().ok());
    id.with_context(|| format!("{} is damaged: restore the folder from a backup (stockline restore)", path.display()))
}

pub(super) fn issuer_path(folder: &Folder) -> PathBuf {
    folder.keys().join("issuer")
}

const PRIVATE_PREFIX: &str = "signing-";
const PRIVATE_SUFFIX: &str = ".pem";

/// Lists the private keys, the oldest first.
fn private_keys(folder: &Folder) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder.keys()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => bail!("can't read {}: {error}", folder.keys().display()),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PRIVATE_PREFIX) && name.ends_with(PRIVATE_SUFFIX) {
            paths.push(path);
        }
    }
    paths.sort_by_key(created_at);
    Ok(paths)
}

pub(super) fn newest_private(folder: &Folder) -> anyhow::Result<Option<PathBuf>> {
    Ok(private_keys(folder)?.pop())
}

#[expect(clippy::ptr_arg, reason = "a key function of a list of PathBuf")]
fn created_at(path: &PathBuf) -> i64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.trim_start_matches(PRIVATE_PREFIX).trim_end_matches(PRIVATE_SUFFIX);
    digits.parse().unwrap_or_default()
}

pub(super) fn create_private(folder: &Folder, now: Timestamp) -> anyhow::Result<()> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("can't create an RSA key"))?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| anyhow!("can't encode the RSA key"))?;
    let pem = files::pem("PRIVATE KEY", der.as_ref());
    // The new key is always the newest, even after two rotations within a millisecond or with a clock set back.
    let newest = newest_private(folder)?.map_or(0, |path| created_at(&path));
    let name = format!("{PRIVATE_PREFIX}{}{PRIVATE_SUFFIX}", now.as_millis().max(newest + 1));
    files::write_atomic(&folder.keys().join(name), pem.as_bytes(), SECRET)
}

/// Removes the old private keys: nothing signs with them again, and a removed key can't leak.
fn remove_superseded(folder: &Folder) -> anyhow::Result<()> {
    let mut paths = private_keys(folder)?;
    paths.pop();
    for path in paths {
        std::fs::remove_file(&path).with_context(|| format!("can't remove {}", path.display()))?;
    }
    Ok(())
}

fn public_key(private: &EncodingKey) -> anyhow::Result<Jwk> {
    let mut jwk = Jwk::from_encoding_key(private, Algorithm::RS256).context("the signing key has no public key")?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn kids(folder: &Folder) -> Vec<String> {
        let set: JwkSet = serde_json::from_slice(&std::fs::read(folder.jwks()).unwrap()).unwrap();
        set.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
    }

    #[test]
    fn the_first_start_creates_keys_for_the_owner_only_and_the_next_start_finds_them() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (first, created) = Keys::open_or_create(&folder, Uuid::from_u128(7), at(0)).unwrap();
        assert!(created);
        let (second, created) = Keys::open_or_create(&folder, Uuid::from_u128(8), at(5)).unwrap();
        assert!(!created);
        assert_eq!((&first.kid, &first.issuer), (&second.kid, &second.issuer));
        assert_eq!(identity(&folder).unwrap(), Uuid::from_u128(7));
        assert_eq!(missing(&folder).unwrap(), Vec::<&str>::new());
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&newest_private(&folder).unwrap().unwrap()), 0o600);
        assert_eq!(mode(&receipt_keys_path(&folder)), 0o600);
        assert_eq!(mode(&folder.keys()), 0o700);
        assert_eq!(kids(&folder), [first.kid]);
    }

    #[test]
    fn a_new_key_signs_and_the_old_one_still_verifies_while_tokens_need_it() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (first, _) = Keys::open_or_create(&folder, Uuid::from_u128(7), at(0)).unwrap();
        let old = first.kid.clone();
        let rotated = first.rotate(at(10_000_000), false, |_| false).unwrap();
        assert_eq!((rotated.kept, rotated.dropped), (1, 0), "the last key always stays for an hour");
        assert_eq!(kids(&folder), [rotated.kid.clone(), old.clone()]);
        assert_eq!(private_keys(&folder).unwrap().len(), 1, "the old private key is gone");

        let third = Keys::open(&folder).unwrap().rotate(at(20_000_000), false, |kid| kid == old).unwrap();
        assert_eq!(kids(&folder), [third.kid.clone(), rotated.kid.clone(), old.clone()]);
        let fourth = Keys::open(&folder).unwrap().rotate(at(30_000_000), false, |_| false).unwrap();
        assert_eq!(kids(&folder), [fourth.kid, third.kid], "a key that no token needs is dropped");
        let fifth = Keys::open(&folder).unwrap().rotate(at(40_000_000), true, |_| true).unwrap();
        assert_eq!(kids(&folder), [fifth.kid], "after a leak the old keys are dropped at once");
    }

    #[test]
    fn a_folder_that_was_never_started_says_what_to_do() {
        let temp = tempfile::tempdir().unwrap();
        let error = Keys::open(&Folder::at(temp.path())).unwrap_err();
        assert!(error.to_string().contains("start the server there once"), "{error}");
        assert_eq!(crate::exit::code_of(&error), crate::exit::UNAVAILABLE);
    }
}
