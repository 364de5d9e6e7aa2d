//! The registered clients: one row each, read by its key, and listed along a partition of the index of refused commands.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;

use super::fault::unavailable;
use super::key::Key;
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, Walk};
use super::table::REFUSED;
use super::{DynamoStore, row};
use stockline_core::domain::{ClientId, ClientSettings};
use stockline_core::ports::{Clients, Page, PageRequest, StoreError};

const LIST: &str = "clients";

/// The list of clients.
struct Listed<'a>(&'a DynamoStore);

impl Listing for Listed<'_> {
    const LIST: &'static str = LIST;
    type Entry = ClientSettings;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<ClientSettings>, StoreError> {
        let found = self.0.get_many(spots.iter().filter_map(|spot| Key::of(&spot.row)), false).await;
        let (rows, mut listed) = (spots.len(), Vec::new());
        for Spot { place, row } in spots {
            let Some(key) = Key::of(&row) else { continue };
            listed.extend(found.read(&key, row::client)?.map(|client| (place, client)));
        }
        Ok(Looked { found: listed, rows })
    }
}

#[async_trait]
impl Clients for DynamoStore {
    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientSettings>, StoreError> {
        self.get(&Key::client(client_id), true).await?.as_ref().map(row::client).transpose()
    }

    async fn clients(&self, asked: PageRequest<'_>) -> Result<Page<ClientSettings>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let after = Place::of_cursor(LIST, cursor)?;
        let scope = Scope::new(self, REFUSED, Range::default(), Order::Ascending, after.as_ref(), limit);
        let mut spots = Walk::merged(self, &scope, [row::CLIENTS_PARTITION.to_owned()]);
        lists::page(&Listed(self), &mut spots, &scope, after.as_ref()).await
    }

    async fn put_client(&self, settings: &ClientSettings) -> Result<(), StoreError> {
        let row = row::of_client(settings)?;
        let put = PutItemInputBuilder::default().table_name(&self.table).set_item(Some(row));
        self.wire.put_item(put).await.map(drop).map_err(|error| unavailable("PutItem", &error))
    }
}
