use async_trait::async_trait;

use super::MemoryStore;
use crate::domain::{ClientId, ClientSettings};
use crate::ports::{Clients, Page, PageRequest, StoreError, cursor};

const CLIENTS: &str = "clients";

#[async_trait]
impl Clients for MemoryStore {
    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientSettings>, StoreError> {
        Ok(self.stock().clients.get(client_id).cloned())
    }

    async fn clients(&self, asked: PageRequest<'_>) -> Result<Page<ClientSettings>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (limit, after) = (cursor::clamp(limit), cursor::decode::<ClientId>(CLIENTS, cursor)?);
        let stock = self.stock();
        let wanted =
            stock.clients.values().filter(|client| after.as_ref().is_none_or(|after| client.client_id > *after));
        let found = wanted.take(limit + 1).cloned().collect();
        Ok(cursor::page(CLIENTS, found, limit, |client: &ClientSettings| client.client_id.clone()))
    }

    async fn put_client(&self, settings: &ClientSettings) -> Result<(), StoreError> {
        self.stock().clients.insert(settings.client_id.clone(), settings.clone());
        Ok(())
    }
}
