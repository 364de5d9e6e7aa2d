//! The issuer's keys in one row, which a starting ingress reads through the table's gateway endpoint.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;

use super::fault::unavailable;
use super::key::Key;
use super::{DynamoStore, row};
use stockline_core::ports::{IssuerKeys, StoreError};

#[async_trait]
impl IssuerKeys for DynamoStore {
    async fn kept_keys(&self, address: &str) -> Result<Option<String>, StoreError> {
        self.get(&Key::issuer_keys(address), true).await?.as_ref().map(row::issuer_keys).transpose()
    }

    async fn keep_keys(&self, address: &str, text: &str) -> Result<(), StoreError> {
        let row = row::of_issuer_keys(address, text);
        let put = PutItemInputBuilder::default().table_name(&self.table).set_item(Some(row));
        self.wire.put_item(put).await.map(drop).map_err(|error| unavailable("PutItem", &error))
    }
}
