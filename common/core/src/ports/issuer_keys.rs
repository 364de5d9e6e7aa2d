use async_trait::async_trait;

use super::StoreError;

/// Keeps the issuer's keys where a starting program finds them while it can't reach the issuer. The text is sealed by the one
/// who keeps it, and who reads it believes nothing else.
#[async_trait]
pub trait IssuerKeys: Send + Sync + std::fmt::Debug {
    /// Returns the text that was kept last for the keys at this address, read consistently.
    async fn kept_keys(&self, address: &str) -> Result<Option<String>, StoreError>;

    /// Keeps a text of at most 300 KB for the keys at this address.
    async fn keep_keys(&self, address: &str, text: &str) -> Result<(), StoreError>;
}
