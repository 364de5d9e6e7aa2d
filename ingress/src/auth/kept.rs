//! The issuer's keys, kept for a start that can't reach the issuer.
//!
//! Each process that fetched the keys keeps them, with the time of the fetch, under a seal that only ingresses can make: its
//! key is derived from those of receipts. Whoever can write the row but has no such key can't make a token valid (P10): a
//! text that is damaged, of another address, too old, from the future, or sealed by nobody is as good as none.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use stockline_core::domain::{CLOCK_SKEW_MAX_MS, ReceiptKeys, Timestamp};
use stockline_core::ports::IssuerKeys;

use super::keyset::KeySet;

/// How old kept keys may be, in seconds: a day. An issuer publishes a new key before it signs with it, and may withdraw an old
/// one at any time.
pub const KEYS_KEPT_S: i64 = 24 * 3_600;

/// How often unchanged keys are kept again, in milliseconds.
const KEEP_AGAIN_MS: i64 = 3_600_000;

/// The most bytes of keys that are kept. Cognito's have 1 KB.
const KEPT_BYTES_MAX: usize = 64 * 1024;

const VERSION: u8 = 1;

/// Keeps fetched keys, and finds those that others have fetched.
#[derive(Debug, Clone)]
pub struct KeptKeys {
    store: Arc<dyn IssuerKeys>,
    seals: Vec<hmac::Key>,
    /// What this process has kept last.
    last: Arc<Mutex<Option<Known>>>,
}

/// Fetched keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The JWK set, as it was fetched.
    pub(super) keys: String,
    pub(super) fetched_at: Timestamp,
}

/// The kept text.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    v: u8,
    fetched_at: Timestamp,
    keys: String,
    seal: String,
}

impl KeptKeys {
    /// Keeps keys in this store.
    pub fn new(store: Arc<dyn IssuerKeys>, receipt_keys: &ReceiptKeys) -> Self {
        let seals = receipt_keys.derived("issuer keys");
        let seals = seals.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect();
        Self { store, seals, last: Arc::default() }
    }

    /// Keeps keys, unless this process has kept the same a short time ago. A failure is logged: the keys in use are those.
    pub(super) async fn keep(&self, address: &str, known: &Known) {
        let is_kept =
            |last: &Known| last.keys == known.keys && known.fetched_at.millis_since(last.fetched_at) < KEEP_AGAIN_MS;
        if self.last().as_ref().is_some_and(is_kept) || known.keys.len() > KEPT_BYTES_MAX {
            return;
        }
        let Some(text) = self.sealed(address, known) else { return };
        match self.store.keep_keys(address, &text).await {
            Ok(()) => *self.last() = Some(known.clone()),
            Err(error) => tracing::warn!("the issuer's keys are not kept for the next start: {error}"),
        }
    }

    /// Returns the kept keys with the time of their fetch.
    ///
    /// # Errors
    /// Says why there are none that can be trusted.
    pub(super) async fn recall(&self, address: &str, now: Timestamp) -> Result<(KeySet, Timestamp), String> {
        let text = self.store.kept_keys(address).await.map_err(|error| error.to_string())?;
        let text = text.ok_or("there are none yet")?;
        let Sealed { v, fetched_at, keys, seal } =
            serde_json::from_str(&text).map_err(|error| format!("they can't be read ({error})"))?;
        let tag = STANDARD.decode(seal).map_err(|_| "their seal can't be read")?;
        let message = message(address, fetched_at, &keys);
        if v != VERSION || !self.seals.iter().any(|key| hmac::verify(key, &message, &tag).is_ok()) {
            return Err("their seal is wrong: no ingress of this installation has written them".into());
        }
        let age_ms = now.millis_since(fetched_at);
        if !(-CLOCK_SKEW_MAX_MS..=KEYS_KEPT_S * 1_000).contains(&age_ms) {
            return Err(format!("they were fetched at {fetched_at}, which is more than a day from now"));
        }
        KeySet::parse(keys.as_bytes()).map(|set| (set, fetched_at)).map_err(|why| format!("the set {why}"))
    }

    fn sealed(&self, address: &str, known: &Known) -> Option<String> {
        let Known { keys, fetched_at } = known.clone();
        let seal = STANDARD.encode(hmac::sign(self.seals.first()?, &message(address, fetched_at, &keys)));
        serde_json::to_string(&Sealed { v: VERSION, fetched_at, keys, seal }).ok()
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what is sealed. No part but the last has a line break.
fn message(address: &str, fetched_at: Timestamp, keys: &str) -> Vec<u8> {
    format!("{VERSION}\n{address}\n{}\n{keys}", fetched_at.as_millis()).into_bytes()
}
