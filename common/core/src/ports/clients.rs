use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::domain::{ClientId, ClientSettings};

/// The registered clients of an issuer that does not say itself where its clients may act. A client without a row is
/// not accepted.
#[async_trait]
pub trait Clients: Send + Sync + std::fmt::Debug {
    /// Returns one client, read consistently: what was put before is seen.
    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientSettings>, StoreError>;

    /// Lists the clients by id. The list may lag; pages are as those of [`Queries`](super::Queries).
    async fn clients(&self, asked: PageRequest<'_>) -> Result<Page<ClientSettings>, StoreError>;

    /// Registers a client, or replaces its settings.
    async fn put_client(&self, settings: &ClientSettings) -> Result<(), StoreError>;
}
