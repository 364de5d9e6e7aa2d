//! Does something with everything on the slip: sell, receive, count, return or move.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::line::Line;
use super::lookup::Wanted;
use super::station::{Done, Slip, shown};
use crate::api::{BatchAnswer, BatchLine, CommandStatus, Item, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::texts::{Texts, fill};
use crate::visit::{Places, Visit};

/// The most lines of a slip.
const LINES_MAX: usize = 200;

/// What is done with a slip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Sell,
    Receive,
    Count,
    Return,
    Transfer,
}

impl Act {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sell" => Self::Sell,
            "receive" => Self::Receive,
            "count" => Self::Count,
            "return" => Self::Return,
            "transfer" => Self::Transfer,
            _ => return None,
        })
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Sell => "sell",
            Self::Receive => "receive",
            Self::Count => "count",
            Self::Return => "return",
            Self::Transfer => "transfer",
        }
    }

    const fn done(self, t: &Texts) -> &'static str {
        match self {
            Self::Sell => t.done_sell,
            Self::Receive => t.done_receive,
            Self::Count => t.done_count,
            Self::Return => t.done_return,
            Self::Transfer => t.done_transfer,
        }
    }
}

/// Takes a posted slip: adds what was scanned to it (without the script), or does something with it.
pub(crate) async fn slip(visit: Visit, form: Form) -> Result<Response, Fault> {
    let mut places = visit.places().await?;
    places.be_at(form.text("at"))?;
    let mut slip = read(&visit, &places, &form).await?;
    match Act::named(form.text("act")) {
        None => slip.add(&visit, &places, &Wanted::of_form(&form)).await?,
        Some(_) if slip.lines.is_empty() => slip.wrong = visit.t.nothing_to_do,
        Some(Act::Transfer) if places.named(&slip.target).is_none() => slip.wrong = visit.t.choose_target,
        Some(act) => carry_out(&visit, &places, act, &mut slip).await?,
    }
    shown(&visit, &places, slip)
}

/// Reads the lines of a posted slip: item, command id and quantity of each, in the same order.
async fn read(visit: &Visit, places: &Places, form: &Form) -> Result<Slip, Fault> {
    let mut slip = Slip::empty(visit, places);
    slip.target = form.text("target").to_owned();
    let without = form.text("without");
    let fields = form.all("item").zip(form.all("id")).zip(form.all("quantity")).take(LINES_MAX);
    for ((item_id, command_id), quantity) in fields {
        if item_id == without {
            continue;
        }
        let item: Item = visit.api.get(&format!("/v1/items/{}", segment(item_id))).await?;
        let mut line = Line::of(visit, places, &item, "1");
        command_id.clone_into(&mut line.command_id);
        quantity.clone_into(&mut line.quantity);
        slip.lines.push(line);
    }
    Ok(slip)
}

/// Submits a command for each line. Lines that are done leave the slip; the others stay, with what is wrong.
async fn carry_out(visit: &Visit, places: &Places, act: Act, slip: &mut Slip) -> Result<(), Fault> {
    let commands: Vec<Value> = slip.lines.iter().map(|line| command(visit, act, slip, line)).collect();
    let answer: BatchAnswer = visit.api.post("/v1/commands/batch", &json!({ "commands": commands })).await?;
    let lines = std::mem::take(&mut slip.lines);
    for (mut line, result) in lines.into_iter().zip(answer.results) {
        match judged(visit, places, act, &line, &result) {
            Ok(done) => slip.done.push(done),
            Err(Undone { wrong, is_final }) => {
                line.wrong = wrong;
                if is_final {
                    line.command_id = visit.new_id();
                }
                slip.lines.push(line);
            }
        }
    }
    Ok(())
}

fn command(visit: &Visit, act: Act, slip: &Slip, line: &Line) -> Value {
    let mut command = Map::new();
    command.insert("type".into(), act.kind().into());
    command.insert("command_id".into(), line.command_id.as_str().into());
    command.insert("item_id".into(), line.item_id.as_str().into());
    let quantity = visit.locale.typed(&line.quantity);
    command.insert(if act == Act::Count { "counted" } else { "quantity" }.into(), quantity.into());
    if act == Act::Transfer {
        command.insert("from_location_id".into(), slip.at.as_str().into());
        command.insert("to_location_id".into(), slip.target.as_str().into());
    } else {
        command.insert("location_id".into(), slip.at.as_str().into());
    }
    command.into()
}

/// Why a line is not done.
struct Undone {
    wrong: String,
    /// Whether its id is used up, so that a further try needs a new one.
    is_final: bool,
}

/// Says what became of a line.
fn judged(visit: &Visit, places: &Places, act: Act, line: &Line, result: &BatchLine) -> Result<Done, Undone> {
    let t = visit.t;
    let undone = |wrong: String, is_final| Err(Undone { wrong, is_final });
    let quantity = visit.locale.number(&visit.locale.typed(&line.quantity));
    if let Some(problem) = &result.problem {
        if problem.code == "command_id_reused" {
            return undone(t.slip_spent.to_owned(), true);
        }
        let detail = problem.errors.first().map_or(&problem.detail, |error| &error.detail);
        let is_sent_again = result.status == "failed";
        return undone(if is_sent_again { t.not_done.to_owned() } else { detail.clone() }, false);
    }
    let Some(outcome) = &result.outcome else {
        return Ok(Done { text: fill(t.still_queued, &[&quantity, &line.name]), detail: String::new(), is_good: true });
    };
    if let Some(rejection) = &outcome.rejection {
        return undone(format!("{}: {}", t.refused, rejection.detail), true);
    }
    if let Some(letter) = &outcome.dead_letter {
        return undone(format!("{}: {}", t.refused, letter.reason), true);
    }
    Ok(Done { text: fill(act.done(t), &[&quantity, &line.name]), detail: now(visit, places, outcome), is_good: true })
}

/// Says what is here after a command.
fn now(visit: &Visit, places: &Places, outcome: &CommandStatus) -> String {
    let effects = outcome.effects.as_deref().unwrap_or_default();
    let Some(here) = effects.iter().find(|effect| effect.location_id == places.here_id()).or(effects.first()) else {
        return String::new();
    };
    let now = fill(visit.t.done_now, &[&visit.locale.number(&here.after)]);
    if here.late { format!("{} {now}", visit.t.done_late) } else { now }
}
