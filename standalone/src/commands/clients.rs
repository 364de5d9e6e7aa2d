//! `clients`: lists, registers and changes the clients of a server on AWS.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use stockline_core::domain::ClientId;
use stockline_service::output;

use crate::args::{ClientSettingsArgs, ClientsCommand};
use crate::client::lists::{self, text};
use crate::client::{Client, Request};
use crate::exit;
use crate::problem::Problem;
use crate::table::{Align, Table};

/// How long to retry while the server is unreachable or asks to retry later.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `stockline clients`.
pub(crate) async fn clients(command: &ClientsCommand) -> anyhow::Result<u8> {
    match command {
        ClientsCommand::List { json, client } => {
            let client = Client::new(client)?;
            let clients = lists::read(&client, Request::get("/v1/clients"), "clients", usize::MAX).await?;
            if *json {
                output::json(&clients)?;
            } else {
                table(&clients).print()?;
            }
        }
        ClientsCommand::Put { client_ids, changes, client } => {
            let client = Client::new(client)?;
            for client_id in client_ids {
                put(&client, client_id, changes).await?;
            }
            output::line(format_args!("{} client(s) put; every server follows within a minute", client_ids.len()))?;
        }
    }
    Ok(exit::OK)
}

fn table(clients: &[Value]) -> Table {
    let columns = [
        ("CLIENT", Align::Id),
        ("NAME", Align::Flexible(8)),
        ("RIGHTS", Align::Left),
        ("LOCATIONS", Align::Flexible(12)),
        ("STATE", Align::Left),
    ];
    let mut table = Table::new(&columns).sparse(&["STATE"]);
    for client in clients {
        let words = |name: &str| client[name].as_array().map(|words| joined(words));
        let state = if client["disabled"] == true { "disabled" } else { "" };
        let locations = words("locations").unwrap_or_else(|| "everywhere".into());
        let rights = words("rights").unwrap_or_default();
        table.row([text(client, "client_id"), text(client, "name"), rights, locations, state.to_owned()]);
    }
    table
}

fn joined(words: &[Value]) -> String {
    words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// Registers a client or changes what is named of it. If somebody else changes it at the same moment, the later change
/// stands.
async fn put(client: &Client, client_id: &ClientId, changes: &ClientSettingsArgs) -> anyhow::Result<()> {
    let path = format!("/v1/clients/{client_id}");
    let present = match client.send_until(&Request::get(path.clone()), PATIENCE).await {
        Ok(answer) => Some(answer.body),
        Err(error) if error.downcast_ref().is_some_and(|problem: &Problem| problem.code == "client_not_found") => None,
        Err(error) => return Err(error),
    };
    let Some(settings) = changed(client_id, present.as_ref(), changes) else {
        bail!("{client_id} is not registered: say where it may act, with --location or --everywhere");
    };
    client.send_until(&Request::put(path, serde_json::to_vec(&settings)?), PATIENCE).await?;
    Ok(())
}

/// Returns the settings of a client after the changes; `None` if nobody has said where it may act.
fn changed(client_id: &ClientId, present: Option<&Value>, changes: &ClientSettingsArgs) -> Option<Value> {
    let kept = |name: &str| present.map(|present| present[name].clone());
    let locations = match () {
        () if changes.everywhere => Some(Value::Null),
        () if !changes.locations.is_empty() => Some(json!(changes.locations)),
        () => None,
    };
    let rights = (!changes.rights.is_empty()).then(|| json!(changes.rights));
    let disabled = (changes.disable || changes.enable).then(|| changes.disable.into());
    Some(json!({
        "name": changes.name.clone().map(Value::from).or_else(|| kept("name")).unwrap_or_else(|| client_id.as_str().into()),
        "rights": rights.or_else(|| kept("rights")).unwrap_or_else(|| json!(["commands", "read"])),
        "locations": locations.or_else(|| kept("locations"))?,
        "disabled": disabled.or_else(|| kept("disabled")).unwrap_or_else(|| false.into()),
    }))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn only_what_is_named_changes_and_nobody_acts_everywhere_by_default() {
        let present = json!({"client_id": "c", "name": "Tills", "rights": ["commands"], "locations": ["a"],
            "disabled": false, "updated_by": "ann", "updated_at": "2026-01-31T08:15:00.000Z"});
        let after = |words: &str, present: Option<&Value>| {
            let words = ["stockline", "clients", "put", "c"].into_iter().chain(words.split_whitespace());
            let Command::Clients(ClientsCommand::Put { client_ids, changes, .. }) =
                Cli::try_parse_from(words).unwrap().command
            else {
                panic!("not clients put")
            };
            changed(&client_ids[0], present, &changes)
        };
        for (words, name, value) in [
            ("", "disabled", false.into()),
            ("--disable", "disabled", true.into()),
            ("--name Other", "name", "Other".into()),
            ("--right read --right manage", "rights", json!(["read", "manage"])),
            ("--location b --location c", "locations", json!(["b", "c"])),
            ("--everywhere", "locations", Value::Null),
        ] {
            let mut expected = json!({"name": "Tills", "rights": ["commands"], "locations": ["a"], "disabled": false});
            expected[name] = value;
            assert_eq!(after(words, Some(&present)), Some(expected), "{words}");
        }
        assert_eq!(after("--name New", None), None);
        let new = json!({"name": "c", "rights": ["commands", "read"], "locations": ["a"], "disabled": false});
        assert_eq!(after("--location a", None), Some(new));
    }
}
