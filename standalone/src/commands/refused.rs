//! `refused`: lists refused commands, and resubmits them with corrections.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use stockline_core::domain::path_segment;
use stockline_service::output;
use tokio::time::Instant;

use crate::args::RefusedArgs;
use crate::client::lists::{self, text};
use crate::client::{Client, Request, outcome};
use crate::exit::{self, Usage};
use crate::problem::{Problem, told};
use crate::table::{Align, Table};
use crate::when::Times;

/// How long to wait for the outcome of a resubmission.
const RESUBMIT_PATIENCE: Duration = Duration::from_secs(30);

/// How many commands are resubmitted or dismissed without a question.
const UNASKED_MAX: usize = 20;

/// Asks at a terminal whether to resubmit or dismiss so many commands. A script is not asked.
fn confirmed(what: &str, count: usize) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let mut error = std::io::stderr().lock();
    write!(error, "{what} all {count} commands, the oldest first? [y/N] ")?;
    error.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Runs `stockline refused`.
pub(crate) async fn refused(args: &RefusedArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let times = Times::of(args.list.utc);
    let request = Request::get("/v1/commands")
        .query("status", Some(if args.dead_lettered { "dead_lettered" } else { "rejected" }))
        .query("code", args.code.as_ref())
        .query("location_id", args.location_id.as_ref())
        .query("since", args.since.map(|when| times.begin(when)))
        .query("all", args.all.then_some(true));
    // What is resubmitted or dismissed is everything that matches, not a page of it.
    let limit = if args.ids.is_empty() && !args.resubmit && args.dismiss.is_none() {
        args.list.limit as usize
    } else {
        usize::MAX
    };
    let mut commands = lists::read(&client, request, "commands", limit).await?;
    let mut code = exit::OK;
    if !args.ids.is_empty() {
        let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
        commands.retain(|command| ids.contains(&text(command, "command_id")));
        for id in ids.iter().filter(|id| commands.iter().all(|command| text(command, "command_id") != **id)) {
            told_of(args, id, "not among the refused commands");
            code = exit::FOUND;
        }
    }
    let asks = commands.len() > UNASKED_MAX && !args.yes;
    let listed = if args.resubmit {
        if asks && !confirmed("Resubmit", commands.len())? {
            return Err(Usage("nothing was resubmitted".into()).into());
        }
        resubmit(&client, args, &commands).await?
    } else if let Some(reason) = &args.dismiss {
        if asks && !confirmed("Dismiss", commands.len())? {
            return Err(Usage("nothing was dismissed".into()).into());
        }
        dismiss(&client, args, &commands, reason).await?
    } else {
        let names = if args.list.json { BTreeMap::new() } else { lists::names(&client, &commands).await };
        lists::print(&commands, &args.list, "no refused commands", |commands| refused_table(commands, &names, &times))?
    };
    Ok(code.max(listed))
}

/// Dismisses commands one after the other, the oldest first.
async fn dismiss(client: &Client, args: &RefusedArgs, commands: &[Value], reason: &str) -> anyhow::Result<u8> {
    if commands.is_empty() {
        return Err(Usage("no refused command matches, so that there is nothing to dismiss".into()).into());
    }
    let body = serde_json::to_vec(&json!({"reason": reason}))?;
    let (mut code, mut dismissed, mut failed) = (exit::OK, Vec::new(), None);
    for command in commands.iter().rev() {
        let (item, id) = (text(command, "item_id"), text(command, "command_id"));
        let request = Request::post(format!("/v1/items/{}/commands/{id}/dismiss", path_segment(&item)), body.clone());
        match client.send(&request).await {
            Ok(_) => dismissed.push(json!({"item_id": item, "command_id": id})),
            // A command that was settled meanwhile does not stop the others.
            Err(error) if is_about_one(&error) => {
                told_of(args, &format!("{item} {id}"), &format!("{error:#}"));
                code = exit::FOUND;
            }
            Err(error) => {
                failed = Some(error.context(format!("{item} {id} and the commands after it were not dismissed")));
                break;
            }
        }
    }
    if args.list.json {
        output::json(&dismissed)?;
    } else {
        output::line(format_args!("{} of {} dismissed", dismissed.len(), commands.len()))?;
    }
    failed.map_or(Ok(code), Err)
}

/// Returns whether the server refused this one command: it was settled meanwhile, or can't be decided about in this way.
fn is_about_one(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|problem: &Problem| [404, 409, 422].contains(&problem.status))
}

/// Tells that a command is left as it is.
fn told_of(args: &RefusedArgs, command: &str, why: &str) {
    if args.list.json {
        output::note(output::escaped(&json!({"error": {"command": command, "detail": why}}).to_string()));
    } else {
        output::note(format_args!("{command}: {why}"));
    }
}

/// Makes a table of refused commands, with the names of their items where they are known.
pub(crate) fn refused_table(commands: &[Value], names: &BTreeMap<String, String>, times: &Times) -> Table {
    let mut table = Table::new(&[
        ("SETTLED", Align::Left),
        ("TYPE", Align::Left),
        ("ITEM", Align::Id),
        ("LOCATION", Align::Flexible(8)),
        ("QUANTITY", Align::Right),
        ("BY", Align::Flexible(6)),
    ]);
    for outcome in commands {
        let command = &outcome["command"];
        let first = |names: [&str; 2]| {
            let value = text(command, names[0]);
            if value.is_empty() { text(command, names[1]) } else { value }
        };
        let kind = if outcome["type"].is_string() { text(outcome, "type") } else { text(command, "type") };
        let item = text(outcome, "item_id");
        let name = names.get(&item).map(|name| format!("{name}: ")).unwrap_or_default();
        table.row([
            times.minute(&text(outcome, "settled_at")),
            kind,
            item,
            first(["location_id", "from_location_id"]),
            first(["quantity", "counted"]),
            text(outcome, "submitted_by"),
        ]);
        table.remark(&format!("{name}{}", reason(outcome)));
        table.remark(&became(outcome, times));
        table.remark(&text(outcome, "command_id"));
    }
    table
}

/// Says why a command was refused.
fn reason(outcome: &Value) -> String {
    match outcome["rejection"]["code"].as_str() {
        Some(code) => format!("{code}: {}", told(&text(&outcome["rejection"], "detail"))),
        None => format!("set aside: {}", text(&outcome["dead_letter"], "reason")),
    }
}

/// Says what became of a refused command, if it is no longer open.
fn became(outcome: &Value, times: &Times) -> String {
    let by = &outcome["resubmitted_as"];
    let discarded = text(&outcome["dead_letter"], "discarded_at");
    let [dismissed, because, who] =
        ["dismissed_at", "dismissed_because", "dismissed_by"].map(|name| text(&outcome["rejection"], name));
    if by.is_object() {
        format!("resubmitted as {} {}", text(by, "item_id"), text(by, "command_id"))
    } else if !discarded.is_empty() {
        format!("discarded {}", times.minute(&discarded))
    } else if !dismissed.is_empty() {
        let by = if who.is_empty() { String::new() } else { format!(" by {who}") };
        format!("dismissed {}{by}: {because}", times.minute(&dismissed))
    } else {
        String::new()
    }
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
        let request = Request::post(format!("/v1/items/{}/commands/{id}/resubmit", path_segment(&item)), body.clone());
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
            // It does not stop the others.
            Err(error) if is_about_one(&error) => {
                told_of(args, &format!("{item} {id}"), &format!("{error:#}"));
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
        output::json(&outcomes)?;
    }
    if commands.len() > 1 && !args.list.json {
        output::note(format_args!("{done} of {} resubmitted, {applied} of them applied", commands.len()));
    }
    failed.map_or(Ok(code), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::when::UtcArg;

    #[test]
    fn a_refused_sale_shows_all_that_a_person_needs() {
        let outcome = json!({"command_id": "c-1", "item_id": "cola", "status": "rejected", "submitted_by": "till-3",
            "settled_at": "2026-01-31T08:15:00.000Z", "type": "sell",
            "command": {"type": "sell", "location_id": "main", "quantity": "2"},
            "rejection": {"code": "insufficient_stock", "detail": "1 is available"}});
        let names = BTreeMap::from([("cola".to_owned(), "Cola 0.33 l".to_owned())]);
        let row = refused_table(&[outcome], &names, &Times::of(UtcArg { utc: true })).render(false);
        assert!(row.lines().all(|line| line.chars().count() <= 80), "{row}");
        for part in
            ["cola", "Cola 0.33 l", "main", "sell", "2", "insufficient_stock", "1 is available", "till-3", "c-1"]
        {
            assert!(row.contains(part), "{part}: {row}");
        }
    }
}
