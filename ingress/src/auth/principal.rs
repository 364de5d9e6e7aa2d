use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stockline_core::domain::Timestamp;

use super::rights::Rights;

/// The sender of a request. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's `sub`, or its `client_id`; at most [`super::SUBMITTED_BY_CHARS`] characters.
    pub submitted_by: Arc<str>,
    /// What the sender may do.
    pub rights: Rights,
    /// The token's `exp`.
    pub expires_at: Timestamp,
    /// Identifies the token, for limits per token.
    pub token_hash: TokenHash,
}

/// The SHA-256 of a token: it identifies the token without revealing it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Returns the hash of a token as it was sent.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Debug for TokenHash {
    /// Writes the first four bytes, which are enough to distinguish tokens in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_hash_is_never_shown_whole() {
        assert_eq!(format!("{:?}", TokenHash::of(b"abc")), "ba7816bf");
    }
}
