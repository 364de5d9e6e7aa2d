//! Seals texts into cookies: AES-256-GCM under keys of this installation. Nobody else can read or make one.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stockline_core::domain::ReceiptKeys;

/// What the keys are derived for.
const PURPOSE: &str = "stockline console session 1";

/// The keys that seal cookies: the first seals, all open, so that a rotation signs nobody out.
#[derive(Clone)]
pub struct SessionKeys(Vec<[u8; 32]>);

impl SessionKeys {
    /// Derives the keys from those of receipts.
    pub fn of(keys: &ReceiptKeys) -> Self {
        Self(keys.derived(PURPOSE))
    }

    /// Names the installation, so that two of them on one host (cookies know no ports) keep their sessions apart.
    pub(crate) fn name(&self) -> String {
        let first = self.0.last().map(|key| key.as_slice()).unwrap_or_default();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, first);
        digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals a text for this use. Returns `None` if the system provides no random numbers.
    pub(crate) fn seal(&self, purpose: &str, text: &str) -> Option<String> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.0.first()?).ok()?;
        let mut bytes = text.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(purpose), &mut bytes).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend(bytes);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed for this use by one of the keys.
    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        self.0.iter().find_map(|key| {
            let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut rest = rest.to_vec();
            let text = key.open_in_place(nonce, Aad::from(purpose), &mut rest).ok()?;
            String::from_utf8(text.to_vec()).ok()
        })
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[[u8; 32]]) -> SessionKeys {
        SessionKeys::of(&ReceiptKeys::new(keys).unwrap())
    }

    #[test]
    fn only_this_installation_opens_a_seal_and_only_for_its_use() {
        let (ours, theirs) = (keys(&[[1; 32]]), keys(&[[2; 32]]));
        let sealed = ours.seal("session", "a token").unwrap();
        assert_eq!(ours.open("session", &sealed).as_deref(), Some("a token"));
        assert_eq!(ours.open("sign-in", &sealed), None);
        assert_eq!(theirs.open("session", &sealed), None);
        assert_ne!(ours.seal("session", "a token").unwrap(), sealed, "a nonce is used once");
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ours.open("session", std::str::from_utf8(&forged).unwrap()), None, "{at}");
        }
        for bad in ["", "A", "é", &sealed[..20]] {
            assert_eq!(ours.open("session", bad), None, "{bad}");
        }
    }

    #[test]
    fn a_rotation_of_the_keys_keeps_sessions_and_their_name() {
        let (old, rotated) = (keys(&[[1; 32]]), keys(&[[2; 32], [1; 32]]));
        let sealed = old.seal("session", "a token").unwrap();
        assert_eq!(rotated.open("session", &sealed).as_deref(), Some("a token"));
        assert_eq!(old.open("session", &rotated.seal("session", "x").unwrap()), None);
        assert_eq!(old.name(), rotated.name());
    }
}
