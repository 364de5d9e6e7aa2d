//! `locations`: lists, registers and changes locations.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use stockline_core::domain::LocationId;
use stockline_service::output;

use crate::args::{LocationChanges, LocationsCommand};
use crate::client::lists::{self, text};
use crate::client::{Client, Request};
use crate::exit;
use crate::problem::Problem;
use crate::table::{Align, Table};

/// How long to retry while the server is unreachable or asks to retry later.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `stockline locations`.
pub(crate) async fn locations(command: &LocationsCommand) -> anyhow::Result<u8> {
    match command {
        LocationsCommand::List { json, client } => {
            let client = Client::new(client)?;
            let locations = lists::read(&client, Request::get("/v1/locations"), "locations", usize::MAX).await?;
            if *json {
                output::json(&locations)?;
            } else {
                table(&locations).print()?;
            }
        }
        LocationsCommand::Put { location_ids, changes, client } => {
            let client = Client::new(client)?;
            for location_id in location_ids {
                put(&client, location_id, changes).await?;
            }
            output::line(format_args!("{} location(s) put", location_ids.len()))?;
        }
    }
    Ok(exit::OK)
}

fn table(locations: &[Value]) -> Table {
    let columns = [
        ("LOCATION", Align::Id),
        ("NAME", Align::Flexible(8)),
        ("TIME ZONE", Align::Flexible(12)),
        ("CLOSED", Align::Left),
    ];
    let mut table = Table::new(&columns).sparse(&["CLOSED"]);
    for location in locations {
        let emails: Vec<_> = addresses(location).into_iter().flatten().filter_map(Value::as_str).collect();
        let closed = if location["closed"] == true { "closed" } else { "" };
        let [id, name, zone] = ["location_id", "name", "time_zone"].map(|name| text(location, name));
        table.row([id, name, zone, closed.to_owned()]);
        if !emails.is_empty() {
            table.remark(&format!("alerts to {}", emails.join(", ")));
        }
    }
    table
}

fn addresses(location: &Value) -> Option<&Vec<Value>> {
    location["alert_emails"].as_array()
}

/// Registers a location or changes what is named of it. If somebody else changes it at the same moment, the later change
/// stands.
async fn put(client: &Client, location_id: &LocationId, changes: &LocationChanges) -> anyhow::Result<()> {
    let path = format!("/v1/locations/{}", location_id.in_path());
    let present = match client.send_until(&Request::get(path.clone()), PATIENCE).await {
        Ok(answer) => Some(answer.body),
        Err(error) if error.downcast_ref().is_some_and(|problem: &Problem| problem.code == "location_not_found") => {
            None
        }
        Err(error) => return Err(error),
    };
    if present.as_ref().is_some_and(|present| addresses(present).is_none()) {
        bail!("the settings of {location_id} are for managers: this token may not change them");
    }
    let settings = changed(location_id, present.as_ref(), changes);
    client.send_until(&Request::put(path, serde_json::to_vec(&settings)?), PATIENCE).await?;
    Ok(())
}

/// Returns the settings of a location after the changes.
fn changed(location_id: &LocationId, present: Option<&Value>, changes: &LocationChanges) -> Value {
    let kept = |name: &str| present.map(|present| present[name].clone());
    let named = |value: &Option<String>| value.clone().map(Value::from);
    let emails = (changes.no_alert_email || !changes.alert_emails.is_empty()).then(|| json!(changes.alert_emails));
    let closed = (changes.closed || changes.open).then(|| changes.closed.into());
    json!({
        "name": named(&changes.name).or_else(|| kept("name")).unwrap_or_else(|| location_id.as_str().into()),
        "time_zone": named(&changes.time_zone).or_else(|| kept("time_zone")).unwrap_or_else(|| "UTC".into()),
        "alert_emails": emails.or_else(|| kept("alert_emails")).unwrap_or_else(|| json!([])),
        "closed": closed.or_else(|| kept("closed")).unwrap_or_else(|| false.into()),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn only_what_is_named_changes() {
        let present = json!({"location_id": "s", "name": "Main Street", "time_zone": "Europe/Berlin",
            "alert_emails": ["boss@example.com"], "closed": true, "updated_at": "2026-01-31T08:15:00.000Z"});
        let after = |words: &str, present: Option<&Value>| {
            let words = ["stockline", "locations", "put", "s"].into_iter().chain(words.split_whitespace());
            let Command::Locations(LocationsCommand::Put { location_ids, changes, .. }) =
                Cli::try_parse_from(words).unwrap().command
            else {
                panic!("not locations put")
            };
            changed(&location_ids[0], present, &changes)
        };
        let with = |name: &str, value: Value| {
            let mut settings = present.clone();
            settings.as_object_mut().unwrap().retain(|name, _| name != "location_id" && name != "updated_at");
            settings[name] = value;
            settings
        };
        for (words, name, value) in [
            ("", "closed", true.into()),
            ("--open", "closed", false.into()),
            ("--name Other", "name", "Other".into()),
            ("--time-zone UTC", "time_zone", "UTC".into()),
            ("--alert-email a@example.com", "alert_emails", json!(["a@example.com"])),
            ("--no-alert-email", "alert_emails", json!([])),
        ] {
            assert_eq!(after(words, Some(&present)), with(name, value), "{words}");
        }
        let new = json!({"name": "s", "time_zone": "UTC", "alert_emails": [], "closed": false});
        assert_eq!(after("", None), new);
    }
}
