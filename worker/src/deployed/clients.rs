//! `clients`: registers clients and cuts them off, when the API can't be asked.

use stockline_core::domain::{CLIENT_LOCATIONS_MAX, ClientId, ClientSettings};
use stockline_core::ports::{Clients, PageRequest, StoreError};
use stockline_service::output;

use super::Connected;
use super::cli::{ClientChanges, ClientsCommand};
use super::operate::{FOUND, OK, PAGE, unavailable};

/// The name of an operator in a client's settings.
const OPERATOR: &str = "operator";
/// The longest name of a client, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Runs `worker clients` and returns the exit code.
pub(crate) async fn run_clients(connected: &Connected, command: ClientsCommand) -> anyhow::Result<u8> {
    let done = match command {
        ClientsCommand::List { json } => return list(&*connected.store, json).await,
        ClientsCommand::Put { client_id, changes } => put(connected, client_id, changes).await,
        ClientsCommand::Disable { client_id } => switch(connected, &client_id, true).await,
        ClientsCommand::Enable { client_id } => switch(connected, &client_id, false).await,
    };
    match done {
        Ok(Ok(text)) => {
            output::line(text)?;
            Ok(OK)
        }
        Ok(Err(refusal)) => {
            output::note(format_args!("error: {refusal}"));
            Ok(FOUND)
        }
        Err(error) => Ok(unavailable(&error)),
    }
}

async fn list(clients: &dyn Clients, json: bool) -> anyhow::Result<u8> {
    let (mut cursor, mut listed) = (None::<String>, Vec::new());
    loop {
        let page = match clients.clients(PageRequest::new(cursor.as_deref(), PAGE)).await {
            Ok(page) => page,
            Err(error) => return Ok(unavailable(&error)),
        };
        for client in page.entries {
            if json {
                listed.push(client);
            } else {
                output::line(line(&client))?;
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if json {
        output::json(&listed)?;
    }
    Ok(OK)
}

/// Returns id, rights, locations, state and name.
fn line(client: &ClientSettings) -> String {
    let rights: Vec<_> = client.rights.iter().map(|right| right.as_str()).collect();
    let locations = client
        .locations
        .as_ref()
        .map_or("everywhere".to_owned(), |ids| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(","));
    let state = if client.disabled { "disabled" } else { "enabled" };
    let name: String = client.name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{}  {}  {locations}  {state}  {name}", client.client_id, rights.join(","))
}

type Done = Result<Result<String, String>, StoreError>;

async fn put(connected: &Connected, client_id: ClientId, changes: ClientChanges) -> Done {
    let ClientChanges { name, rights, locations, everywhere } = changes;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Ok(Err(format!("--name must be 1 to {NAME_CHARS_MAX} characters without control characters")));
    }
    if locations.len() > CLIENT_LOCATIONS_MAX {
        return Ok(Err(format!("a client may have at most {CLIENT_LOCATIONS_MAX} locations")));
    }
    let settings = ClientSettings {
        client_id,
        name,
        rights: rights.into_iter().collect(),
        locations: (!everywhere).then(|| locations.into_iter().collect()),
        disabled: false,
        updated_by: OPERATOR.into(),
        updated_at: connected.clock.now(),
    };
    connected.store.put_client(&settings).await?;
    Ok(Ok(format!("registered: {}", line(&settings))))
}

async fn switch(connected: &Connected, client_id: &ClientId, disabled: bool) -> Done {
    let Some(client) = connected.store.client(client_id).await? else {
        return Ok(Err(format!("no client {client_id} is registered")));
    };
    let settings =
        ClientSettings { disabled, updated_by: OPERATOR.into(), updated_at: connected.clock.now(), ..client };
    connected.store.put_client(&settings).await?;
    Ok(Ok(format!("within a minute: {}", line(&settings))))
}
