//! The contract of the registered clients: what was put is read, and all are listed once, by id.

use stockline_core::domain::{ClientRight, ClientSettings};
use stockline_core::ports::{Clients, PageRequest, StoreError};
use stockline_core::testing::{at, place};

fn client(id: &str, locations: Option<&[&str]>) -> ClientSettings {
    ClientSettings {
        client_id: id.parse().unwrap(),
        name: format!("Tills \"{id}\""),
        rights: [ClientRight::Commands, ClientRight::Read].into(),
        locations: locations.map(|ids| ids.iter().map(|id| place(id)).collect()),
        disabled: false,
        updated_by: "ann".into(),
        updated_at: at(1),
    }
}

/// What was put is read back as it was, and the last put stands.
pub async fn a_client_is_read_as_it_was_put(clients: &dyn Clients) {
    let everywhere = client("everywhere", None);
    let nowhere = client("nowhere", Some(&[]));
    let bound = client("bound", Some(&["south", "north"]));
    assert_eq!(clients.client(&bound.client_id).await.unwrap(), None);
    for put in [&everywhere, &nowhere, &bound] {
        clients.put_client(put).await.unwrap();
        assert_eq!(clients.client(&put.client_id).await.unwrap().as_ref(), Some(put));
    }
    let disabled = ClientSettings { disabled: true, updated_at: at(2), ..bound };
    clients.put_client(&disabled).await.unwrap();
    assert_eq!(clients.client(&disabled.client_id).await.unwrap(), Some(disabled));
}

/// Every client is listed once, by id, whatever the size of the pages.
pub async fn clients_are_listed_by_id(clients: &dyn Clients) {
    let mut ids: Vec<String> = (0..120).map(|n| format!("listed-{n}")).collect();
    for id in &ids {
        clients.put_client(&client(id, Some(&["north"]))).await.unwrap();
        // A client that is put again is still listed once.
        clients.put_client(&client(id, None)).await.unwrap();
    }
    ids.sort();
    for limit in [1, 7, 1_000] {
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = clients.clients(PageRequest::new(cursor.as_deref(), limit)).await.unwrap();
            assert!(page.entries.len() <= limit);
            assert!(page.entries.iter().all(|client| client.locations.is_none()));
            seen.extend(page.entries.iter().map(|client| client.client_id.to_string()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids, "in pages of {limit}");
    }
    let damaged = clients.clients(PageRequest::new(Some("x"), 1)).await;
    assert!(matches!(damaged, Err(StoreError::Cursor)), "{damaged:?}");
}
