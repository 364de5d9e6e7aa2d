//! The trusted keys and their source.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use stockline_core::domain::Timestamp;

use super::error::{AuthError, codes};
use super::keyset::{KEY_SET_BYTES, KeySet, VerifyingKey};
use super::remote::{Asked, Remote};
use super::watched::WatchedFile;
use crate::error::IngressError;

#[derive(Debug)]
pub(super) enum Source {
    File(KeyFile),
    Url(Arc<Remote>),
}

/// A JWK set in a file, read again when it changes. While it can't be read, nobody knows which keys were withdrawn since: no
/// token is accepted.
#[derive(Debug)]
pub(super) struct KeyFile {
    file: WatchedFile,
    failing: AtomicBool,
    /// Allows one check at a time, however many tokens name unknown keys.
    pub(super) looking: tokio::sync::Mutex<()>,
}

/// The key set in use; it is replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Trusted(RwLock<Arc<KeySet>>);

impl Trusted {
    pub(super) fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn get(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set().is_empty()
    }

    pub(super) fn replace(&self, set: KeySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}

impl KeyFile {
    /// # Errors
    /// The file is missing or holds no usable key.
    pub(super) fn open(path: std::path::PathBuf, trusted: &Trusted) -> Result<Self, IngressError> {
        let file = WatchedFile::new(path, KEY_SET_BYTES as u64);
        let failed = |why: String| {
            IngressError::Config(format!(
                "the key file {} {why}; it must be a JWK set with the RSA keys that sign tokens",
                file.path().display()
            ))
        };
        match file.read_if_changed() {
            Ok(content) => trusted.replace(KeySet::parse(&content.unwrap_or_default()).map_err(failed)?),
            Err(error) => return Err(failed(format!("can't be read: {error}"))),
        }
        Ok(Self { file, failing: AtomicBool::new(false), looking: tokio::sync::Mutex::new(()) })
    }

    /// Returns whether the file can't be read or used now.
    pub(super) fn is_unknown(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Reads the file again if it changed, and returns whether the keys changed; blocks.
    pub(super) fn look(&self, trusted: &Trusted) -> bool {
        let read = match self.file.read_if_changed() {
            Ok(None) => return false,
            Ok(Some(content)) => KeySet::parse(&content),
            Err(error) => Err(format!("can't be read: {error}")),
        };
        match read {
            Ok(set) => {
                trusted.replace(set);
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(path = %self.file.path().display(), "read the key file, which had changed");
                true
            }
            Err(why) => {
                // It may become readable again without a change of its content.
                self.file.forget();
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        path = %self.file.path().display(),
                        "the key file {why}, so no token is accepted; make it readable for this user, or restore it from a backup"
                    );
                }
                false
            }
        }
    }
}

pub(super) fn unknown_key() -> AuthError {
    AuthError::new(
        codes::TOKEN_UNKNOWN_KEY,
        "the token is signed with a key that the issuer of this installation does not publish; get a new token",
    )
}

/// Returns 401 only if the keys were fetched after the token arrived or was issued, because the issuer publishes a key
/// before it signs with it. In any other case the issuer may have rotated its keys, and the client should try again.
pub(super) fn not_found(asked: Asked, issued_at: Option<Timestamp>, now: Timestamp) -> AuthError {
    let issued_at = issued_at.unwrap_or(Timestamp::EPOCH);
    let latest_skewed = issued_at.plus_millis(super::token::LEEWAY_S * 1_000);
    match asked.fetched_at {
        Some(at) if at >= now || at > latest_skewed => unknown_key(),
        Some(_) => AuthError::unavailable(
            "the key of this token is not known yet, and the issuer's keys were fetched a moment ago; send the request again",
            asked.retry_after_s,
        ),
        None => AuthError::unavailable(
            "the keys that verify tokens could not be fetched from the issuer yet; send the request again",
            asked.retry_after_s,
        ),
    }
}
