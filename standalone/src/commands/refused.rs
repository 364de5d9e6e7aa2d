//! `refused`: lists refused commands, and resubmits them with corrections.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use stockline_service::output;
use tokio::time::Instant;

use crate::args::RefusedArgs;
use crate::client::lists::{self, text};
use crate::client::{Client, Problem, Request, outcome};
use crate::exit::{self, Usage};
use crate::table::{Align, Table};

/// How long to wait for the outcome of a resubmission.
const RESUBMIT_PATIENCE: Duration = Duration::from_secs(30);

/// How many commands are resubmitted without a question.
const UNASKED_MAX: usize = 20;

/// Asks at a terminal whether to resubmit so many commands. A script is not asked.
fn confirmed(count: usize) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let mut error = std::io::stderr().lock();
    write!(error, "Resubmit all {count} commands, the oldest first? [y/N] ")?;
    error.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Runs `stockline refused`.
pub(crate) async fn refused(args: &RefusedArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get("/v1/commands")
        .query("status", Some(if args.dead_lettered { "dead_lettered" } else { "rejected" }))
        .query("code", args.code.as_ref())
        .query("location_id", args.location_id.as_ref())
        .query("since", args.since);
    // What is resubmitted is everything that matches, not a page of it.
    let limit = if args.ids.is_empty() && !args.resubmit { args.list.limit as usize } else { usize::MAX };
    let mut commands = lists::read(&client, request, "commands", limit).await?;
    let mut code = exit::OK;
    if !args.ids.is_empty() {
        let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
        commands.retain(|command| ids.contains(&text(command, "command_id")));
        for id in ids.iter().filter(|id| commands.iter().all(|command| text(command, "command_id") != **id)) {
            output::note(format_args!("{id} is not among the refused commands"));
            code = exit::FOUND;
        }
    }
    let listed = if args.resubmit {
        if commands.len() > UNASKED_MAX && !args.yes && !confirmed(commands.len())? {
            return Err(Usage("nothing was resubmitted".into()).into());
        }
        resubmit(&client, args, &commands).await?
    } else {
        lists::print(&commands, &args.list, refused_table)?
    };
    Ok(code.max(listed))
}

/// Makes a table of refused commands.
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

/// Resubmits commands one after the other, the oldest first, and prints the outcome of each.
async fn resubmit(client: &Client, args: &RefusedArgs, commands: &[Value]) -> anyhow::Result<u8> {
    if commands.is_empty() {
        return Err(Usage("no refused command matches, so that there is nothing to resubmit".into()).into());
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
    let (mut applied, mut done) = (0_usize, 0_usize);
    let mut failed = None;
    for command in commands.iter().rev() {
        let (item, id) = (text(command, "item_id"), text(command, "command_id"));
        let request = Request::post(format!("/v1/items/{item}/commands/{id}/resubmit"), body.clone());
        let sent = async {
            let accepted = client.send_until(&request, RESUBMIT_PATIENCE).await?;
            outcome::settled(client, accepted, Instant::now() + RESUBMIT_PATIENCE).await
        };
        match sent.await {
            Ok(outcome) => {
                if outcome["status"] == "applied" {
                    applied += 1;
                } else {
                    code = exit::FOUND;
                }
                if args.list.json {
                    outcomes.push(outcome);
                } else {
                    output::print(outcome::readable(&outcome))?;
                }
            }
            // A command that was settled meanwhile, or can't be corrected in this way, does not stop the others.
            Err(error)
                if error.downcast_ref().is_some_and(|problem: &Problem| [404, 409, 422].contains(&problem.status)) =>
            {
                output::note(format_args!("{item} {id}: {error:#}"));
                code = exit::FOUND;
            }
            Err(error) => {
                failed = Some(error.context(format!("{item} {id} and the commands after it were not resubmitted")));
                break;
            }
        }
        done += 1;
    }
    if args.list.json {
        output::line(serde_json::to_string_pretty(&outcomes)?)?;
    }
    if commands.len() > 1 {
        output::note(format_args!("{done} of {} resubmitted, {applied} of them applied", commands.len()));
    }
    failed.map_or(Ok(code), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_sale_shows_all_that_a_person_needs() {
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
