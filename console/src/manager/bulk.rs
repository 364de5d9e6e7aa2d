//! Changes several items alike.

use serde_json::{Value, json};

use crate::api::{BatchAnswer, BatchLine};
use crate::fault::Fault;
use crate::form::Form;
use crate::texts::fill;
use crate::visit::Visit;

/// The most items of one change: a page of the list.
const ITEMS_MAX: usize = 100;

/// What became of a change.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_good: bool,
}

/// Submits one command for each chosen item. The ids of the commands are in the form, so a second press changes nothing.
pub(crate) async fn change(visit: &Visit, form: &Form) -> Result<Vec<Told>, Fault> {
    let picked: Vec<(&str, &str)> = form.all("pick").filter_map(|pick| pick.split_once(' ')).collect();
    if picked.is_empty() || picked.len() > ITEMS_MAX {
        return Ok(vec![Told { text: visit.t.bulk_none.to_owned(), is_good: false }]);
    }
    let change = command(visit, form)?;
    let commands = picked.iter().map(|(command_id, item_id)| {
        let mut command = change.clone();
        command["command_id"] = (*command_id).into();
        command["item_id"] = (*item_id).into();
        command
    });
    let batch = json!({ "commands": commands.collect::<Vec<_>>() });
    let answer: BatchAnswer = match visit.api.post("/v1/commands/batch", &batch).await {
        Ok(answer) => answer,
        Err(Fault::Problem(problem)) if [400, 422].contains(&problem.status) => {
            return Ok(vec![Told { text: problem.in_words(), is_good: false }]);
        }
        Err(fault) => return Err(fault),
    };
    let mut told = Vec::new();
    let mut done = 0_usize;
    for ((_, item_id), line) in picked.iter().zip(answer.results) {
        match refusal(line) {
            None => done += 1,
            Some(why) => told.push(Told { text: format!("{item_id}: {why}"), is_good: false }),
        }
    }
    let text = fill(visit.t.bulk_done, &[&visit.locale.number(&done.to_string())]);
    told.insert(0, Told { text, is_good: told.is_empty() });
    Ok(told)
}

/// Returns the command for every item, without its item and its id.
fn command(visit: &Visit, form: &Form) -> Result<Value, Fault> {
    let value = form.text("value");
    let text = if value.is_empty() { Value::Null } else { value.into() };
    Ok(match form.text("act") {
        "archive" => json!({ "type": "archive_item" }),
        "restore" => json!({ "type": "restore_item" }),
        "category" => json!({ "type": "update_item", "category": text }),
        "supplier" => json!({ "type": "update_item", "supplier": text }),
        "threshold" => {
            let level = if value.is_empty() { Value::Null } else { visit.locale.typed(value).into() };
            json!({ "type": "update_item", "low_stock_threshold": level })
        }
        "reject" | "allow" => json!({ "type": "update_item", "shortage_policy": form.text("act") }),
        _ => return Err(Fault::BadForm),
    })
}

/// Returns why a line was not done; `None` if it was, or will be.
fn refusal(line: BatchLine) -> Option<String> {
    if let Some(problem) = line.problem {
        return Some(problem.in_words());
    }
    let outcome = line.outcome?;
    outcome.rejection.map(|rejection| rejection.detail).or(outcome.dead_letter.map(|letter| letter.reason))
}
