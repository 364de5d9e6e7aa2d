//! `refused`: nobody's refused sales vanish; they are listed, and sent again corrected.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use stockline_core::domain::{CommandId, ItemId, LocationId, Timestamp};
use tokio::time::Instant;

use crate::cli::time;
use crate::client::{Client, Problem, Request};
use crate::exit::{self, Usage};
use crate::show::{ListArgs, list, print, text};
use crate::submit;
use crate::table::{Align, Table};

/// How long a resubmission's outcome is waited for.
const RESUBMIT_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline refused
  stockline refused --code insufficient_stock --since 2026-01-31T00:00:00Z
  stockline refused --code insufficient_stock --resubmit --on-shortage allow
  stockline refused --id 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b --resubmit --to-item cola-0.5")]
pub(crate) struct RefusedArgs {
    /// Those that were set aside (dead_lettered) instead of those that were rejected
    #[arg(long)]
    dead_lettered: bool,
    /// Only with this code
    #[arg(long)]
    code: Option<String>,
    /// Only there
    #[arg(long = "location", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    /// Settled at or after
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only these commands, wherever in the list they are; may be given several times
    #[arg(long = "id", value_name = "UUID")]
    ids: Vec<CommandId>,
    /// Send all that are listed again, under new ids that name the old ones
    #[arg(long)]
    resubmit: bool,
    /// Resubmit for this item
    #[arg(long, value_name = "ITEM", requires = "resubmit")]
    to_item: Option<ItemId>,
    /// Resubmit for this location
    #[arg(long, value_name = "LOCATION", requires = "resubmit")]
    to_location: Option<LocationId>,
    /// Resubmit with this: allow or reject
    #[arg(long, value_name = "POLICY", requires = "resubmit")]
    on_shortage: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// `stockline refused`
pub(crate) async fn refused(args: &RefusedArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get("/v1/commands")
        .query("status", Some(if args.dead_lettered { "dead_lettered" } else { "rejected" }))
        .query("code", args.code.as_ref())
        .query("location_id", args.location_id.as_ref())
        .query("since", args.since);
    let limit = if args.ids.is_empty() { args.list.limit as usize } else { usize::MAX };
    let mut commands = list(&client, request, "commands", limit).await?;
    let mut code = exit::OK;
    if !args.ids.is_empty() {
        let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
        commands.retain(|command| ids.contains(&text(command, "command_id")));
        for id in ids.iter().filter(|id| commands.iter().all(|command| text(command, "command_id") != **id)) {
            eprintln!("{id} is not among them");
            code = exit::FOUND;
        }
    }
    let done = if args.resubmit {
        resubmit(&client, args, &commands).await?
    } else {
        print(&commands, &args.list, refused_table)?
    };
    Ok(code.max(done))
}

/// Refused commands as a table.
pub(crate) fn refused_table(commands: &[Value]) -> Table {
    let names = ["SETTLED", "ITEM", "LOCATION", "TYPE", "QUANTITY", "CODE", "DETAIL", "BY", "ID"];
    let mut table = Table::new(&names.map(|name| (name, if name == "QUANTITY" { Align::Right } else { Align::Left })));
    for outcome in commands {
        let command = &outcome["command"];
        let first = |names: [&str; 2]| {
            let value = text(command, names[0]);
            if value.is_empty() { text(command, names[1]) } else { value }
        };
        let kind = if outcome["type"].is_string() { text(outcome, "type") } else { text(command, "type") };
        let (code, detail) = match outcome["rejection"]["code"].as_str() {
            Some(code) => (code.to_owned(), text(&outcome["rejection"], "detail")),
            None => ("dead_lettered".to_owned(), text(&outcome["dead_letter"], "reason")),
        };
        table.row([
            text(outcome, "settled_at"),
            text(outcome, "item_id"),
            first(["location_id", "from_location_id"]),
            kind,
            first(["quantity", "counted"]),
            code,
            detail,
            text(outcome, "submitted_by"),
            text(outcome, "command_id"),
        ]);
    }
    table
}

/// Sends refused commands again, the oldest first, one after the other, and tells what became of each.
async fn resubmit(client: &Client, args: &RefusedArgs, commands: &[Value]) -> anyhow::Result<u8> {
    if commands.is_empty() {
        return Err(Usage("nothing is listed that could be resubmitted".into()).into());
    }
    let mut corrections = json!({});
    for (name, value) in [
        ("item_id", args.to_item.as_ref().map(ToString::to_string)),
        ("location_id", args.to_location.as_ref().map(ToString::to_string)),
        ("on_shortage", args.on_shortage.clone()),
    ] {
        if let Some(value) = value {
            corrections[name] = value.into();
        }
    }
    let body = serde_json::to_vec(&corrections)?;
    let mut code = exit::OK;
    let mut outcomes = Vec::new();
    let mut failed = None;
    for command in commands.iter().rev() {
        let (item, id) = (text(command, "item_id"), text(command, "command_id"));
        let request = Request::post(format!("/v1/items/{item}/commands/{id}/resubmit"), body.clone());
        let sent = async {
            let accepted = client.send_until(&request, RESUBMIT_PATIENCE).await?;
            submit::settled(client, accepted, Instant::now() + RESUBMIT_PATIENCE).await
        };
        match sent.await {
            Ok(outcome) => {
                if outcome["status"] != "applied" {
                    code = exit::FOUND;
                }
                if args.list.json {
                    outcomes.push(outcome);
                } else {
                    print!("{}", submit::readable(&outcome));
                }
            }
            // What was settled otherwise meanwhile, or can't be corrected so, is no reason to leave the others.
            Err(error)
                if error.downcast_ref().is_some_and(|problem: &Problem| [404, 409, 422].contains(&problem.status)) =>
            {
                eprintln!("{item} {id}: {error:#}");
                code = exit::FOUND;
            }
            Err(error) => {
                failed = Some(error.context(format!("{item} {id}, and those after it")));
                break;
            }
        }
    }
    if args.list.json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
    }
    failed.map_or(Ok(code), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_sale_shows_what_a_person_needs() {
        let outcome = json!({"command_id": "c-1", "item_id": "cola", "status": "rejected", "submitted_by": "till-3",
            "settled_at": "2026-01-31T08:15:00.000Z", "type": "sell",
            "command": {"type": "sell", "location_id": "main", "quantity": "2"},
            "rejection": {"code": "insufficient_stock", "detail": "1 is available"}});
        let table = refused_table(&[outcome]).render(false);
        let row = table.lines().nth(1).unwrap();
        for part in ["cola", "main", "sell", "2", "insufficient_stock", "1 is available", "till-3", "c-1"] {
            assert!(row.contains(part), "{part}: {row}");
        }
    }
}
