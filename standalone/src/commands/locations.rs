//! `locations`: lists, creates and changes locations.

use std::time::Duration;

use serde_json::{Value, json};
use stockline_service::output;

use crate::args::LocationsCommand;
use crate::client::lists::{self, text};
use crate::client::{Client, Request};
use crate::exit;
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
                output::line(serde_json::to_string_pretty(&locations)?)?;
                return Ok(exit::OK);
            }
            let columns = ["LOCATION", "NAME", "TIME ZONE", "ALERTS TO", "CLOSED"].map(|name| (name, Align::Left));
            let mut table = Table::new(&columns);
            for location in &locations {
                let emails: Vec<_> =
                    location["alert_emails"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let [id, name, zone] = ["location_id", "name", "time_zone"].map(|name| text(location, name));
                let closed = if location["closed"] == true { "closed" } else { "" };
                table.row([id, name, zone, emails.join(","), closed.to_owned()]);
            }
            table.print()?;
        }
        LocationsCommand::Put { location_ids, name, time_zone, alert_emails, closed, client } => {
            let client = Client::new(client)?;
            for location_id in location_ids {
                let settings = json!({
                    "name": name.as_deref().unwrap_or(location_id.as_str()),
                    "time_zone": time_zone,
                    "alert_emails": alert_emails,
                    "closed": closed,
                });
                let request = Request::put(format!("/v1/locations/{location_id}"), serde_json::to_vec(&settings)?);
                client.send_until(&request, PATIENCE).await?;
            }
            output::line(format_args!("{} location(s) put", location_ids.len()))?;
        }
    }
    Ok(exit::OK)
}
