use std::sync::Arc;

use stockline_core::testing::MemoryStore;
use stockline_tests::contract::clients::{a_client_is_read_as_it_was_put, clients_are_listed_by_id};
use stockline_tests::contract::store::homes::Table;

#[tokio::test]
async fn in_memory() {
    a_client_is_read_as_it_was_put(&MemoryStore::default()).await;
    clients_are_listed_by_id(&MemoryStore::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_dynamodb() {
    for reads in [true, false] {
        let table = Table::served().await;
        let store = table.over(Arc::new(table.client().clone()));
        match reads {
            true => a_client_is_read_as_it_was_put(&store).await,
            false => clients_are_listed_by_id(&store).await,
        }
    }
}
