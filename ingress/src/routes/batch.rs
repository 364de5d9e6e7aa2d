use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stockline_core::domain::{
    Command, CommandId, CommandKey, Fault, Fingerprint, ItemId, Json, ParseContext, Timestamp, parse_command,
};

use super::resubmit::may_replace;
use super::sent::Sent;
use crate::accept::{self, Line, Replaced, preference_applied};
use crate::access::Caller;
use crate::answer_budget::Room;
use crate::app::{App, Shared};
use crate::members::{self, Members};
use crate::problem::{Problem, codes};
use crate::receipt::Standing;
use crate::view::{BatchAnswer, BatchLine, StatusView, Viewer};
use crate::{answer, wait};

/// A line that is not a valid command, or that the caller may not submit.
struct InvalidLine {
    /// The line's id, if it can be read.
    command_id: Option<CommandId>,
    problem: Problem,
}

type ParsedLine = Result<Command, InvalidLine>;

/// A line that is sent, by the place of its command among those that are queued.
type SentLine = Result<usize, InvalidLine>;

/// Submits up to 500 commands, each with its own id.
///
/// Every line is answered on its own, in input order. An invalid or failed line does not affect the others, with one
/// exception: when a line fails, the later lines of its item fail too, so that their order is kept. It is safe to send the
/// whole batch again, and the same command twice in one batch: it is queued once, and both lines are answered alike. An
/// `Idempotency-Key` is ignored here.
#[utoipa::path(
    post,
    operation_id = "submit_commands",
    path = "/v1/commands/batch",
    tag = "Commands",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: waits up to N seconds (at most 20) for the outcomes", example = "wait=5"),
    ),
    request_body(content = crate::view::BatchSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "With `Prefer: wait`: every queued line has its outcome", body = BatchAnswer<'static>),
        (status = 202, description = "At least one line is queued, or no line is valid. An `invalid` line has its problem: `invalid_command`, `forbidden_command`, `forbidden_location`, `duplicate_in_request`, with `Prefer: wait` also `command_id_reused`. A `failed` line has `queue_unavailable`", body = BatchAnswer<'static>),
        (status = 422, description = "`invalid_body`, `too_many_commands`: nothing was queued"),
        (status = 503, description = "`queue_unavailable`: no line reached the queue; `overloaded`: nothing of the request was done"),
    ),
)]
pub(crate) async fn submit_batch(State(app): Shared, caller: Caller, mut sent: Sent) -> Result<Response, Problem> {
    let bytes = sent.body(&app).await?;
    let (mut lines, resubmitted) = parse_lines(&app, &caller, &bytes)?;
    drop(bytes);
    let (replaced, room) = find_replaced(&app, &caller, &mut lines, resubmitted).await?;
    let (commands, lines) = sent_once(lines);
    let mut queued = accept::queue(&app, &caller, commands, &replaced).await?;
    drop((replaced, room));
    if lines.iter().all(Result::is_ok) && queued.iter().all(|line| matches!(line, Line::Failed(_))) {
        return Err(Problem::new(
            codes::QUEUE_UNAVAILABLE,
            "no line reached the queue in time; it is safe to send the same batch again",
        ));
    }
    let viewer = caller.viewer();
    let Some(seconds) = wait::preference(&sent.headers, app.limits.wait_s) else {
        return respond(&lines, &queued, &viewer, false);
    };
    let waited = accept::wait_for(&app, &viewer, &mut queued, seconds).await;
    let mut response = respond(&lines, &queued, &viewer, true)?;
    if waited {
        preference_applied(&mut response, seconds);
    }
    Ok(response)
}

/// Reads the records of the refused commands that lines of the batch replace, and refuses the lines that may not. A line
/// replaces a command by the id of its resubmission. A command that is not known here is replaced by nothing: it had no
/// effect, and the line is a new command. The room is for the records.
async fn find_replaced(
    app: &App,
    caller: &Caller,
    lines: &mut [ParsedLine],
    resubmitted: Vec<CommandKey>,
) -> Result<(Replaced, Option<Room>), Problem> {
    let old: HashMap<CommandId, CommandKey> =
        resubmitted.into_iter().map(|old| (old.command_id.of_resubmission(&old.item_id), old)).collect();
    let of_line = |line: &ParsedLine| line.as_ref().ok().and_then(|command| old.get(&command.command_id));
    let keys: HashSet<&CommandKey> = lines.iter().filter_map(of_line).collect();
    let mut replaced = Replaced::new();
    if keys.is_empty() {
        return Ok((replaced, None));
    }
    let room = app.answer_budget.outcomes(keys.len()).await.ok_or_else(answer::no_room)?;
    let keys: Vec<CommandKey> = keys.into_iter().cloned().collect();
    let (found, viewer) = (app.queries.records(&keys).await?, caller.viewer());
    let found: HashMap<_, _> = keys.iter().zip(found).filter_map(|(key, record)| Some((key, record?))).collect();
    // Each line is judged, also a repeated one: a line that may not replace a command must not be queued as a new one.
    for line in lines {
        let Some(record) = of_line(line).and_then(|key| found.get(key)).filter(|record| viewer.sees_record(record))
        else {
            continue;
        };
        let Ok(command) = line else { continue };
        let id = command.command_id;
        let may = match caller.may_decide_refused() {
            Ok(()) => may_replace(app, record, command).await,
            Err(problem) => Err(problem),
        };
        match may {
            Ok(()) => drop(replaced.insert(id, record.clone())),
            Err(problem) => *line = Err(InvalidLine { command_id: Some(id), problem }),
        }
    }
    Ok((replaced, Some(room)))
}

/// Reads the refused commands that a batch says it resubmits.
fn resubmitted(members: &mut Members<'_>, most: usize) -> Vec<CommandKey> {
    let values = members.get("resubmits").and_then(|value| members.array("resubmits", value)).unwrap_or_default();
    if values.len() > most {
        members.fault("resubmits", "invalid_value", format!("may have at most {most} commands"));
        return Vec::new();
    }
    let mut keys = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let pointer = format!("/resubmits/{index}");
        match Members::of(value, pointer, &["item_id", "command_id"]) {
            Ok(mut key) => {
                if let (Some(item_id), Some(command_id)) =
                    (key.required_parsed("item_id"), key.required_parsed("command_id"))
                {
                    keys.push(CommandKey { item_id, command_id });
                }
                members.faults.append(&mut key.faults);
            }
            Err(fault) => members.faults.push(fault),
        }
    }
    keys
}

fn parse_lines(app: &App, caller: &Caller, bytes: &[u8]) -> Result<(Vec<ParsedLine>, Vec<CommandKey>), Problem> {
    let json = members::parse(bytes)?;
    let known = ["sent_at", "commands", "resubmits"];
    let mut members = Members::of(&json, String::new(), &known).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let sent_at = members.parsed::<Timestamp>("sent_at");
    let commands = members.required("commands").and_then(|value| members.array("commands", value)).unwrap_or_default();
    let most = app.limits.batch_commands;
    let resubmitted = resubmitted(&mut members, most);
    if members.faults.is_empty() && commands.is_empty() {
        members.fault("commands", "invalid_value", format!("must have 1 to {most} commands"));
    }
    if !members.faults.is_empty() {
        return Err(Problem::invalid_body(members.faults));
    }
    if commands.len() > most {
        let detail = format!("the batch has {} commands and may have {most}; nothing was queued", commands.len());
        return Err(Problem::new(codes::TOO_MANY_COMMANDS, detail));
    }
    let mut context = ParseContext {
        pointer: String::new(),
        default_location: app.default_location.clone(),
        sent_at,
        command_id: None,
        accepted: false,
    };
    let lines = commands.iter().enumerate().map(|(index, json)| parse_line(app, caller, &mut context, index, json));
    Ok((lines.collect(), resubmitted))
}

fn parse_line(app: &App, caller: &Caller, context: &mut ParseContext, index: usize, json: &Json<'_>) -> ParsedLine {
    use std::fmt::Write as _;
    context.pointer.clear();
    // Writing to a String can't fail.
    let _ = write!(context.pointer, "/commands/{index}");
    let command = parse_command(json, context)
        .map_err(|faults| InvalidLine { command_id: readable_id(json), problem: Problem::invalid_command(faults) })?;
    match caller.may_submit(&command, &app.staff_may) {
        Ok(()) => Ok(command),
        Err(problem) => Err(InvalidLine { command_id: Some(command.command_id), problem }),
    }
}

/// Returns the id of a line that is not a command.
fn readable_id(json: &Json<'_>) -> Option<CommandId> {
    let Json::Object(members) = json else { return None };
    members.iter().find_map(|(key, value)| match (key, value) {
        (Cow::Borrowed("command_id"), Json::Str(text)) => text.parse().ok(),
        _ => None,
    })
}

/// Lines with the same item and id.
struct SameId {
    first: usize,
    /// The first line with other contents than the first one.
    other: Option<usize>,
}

/// Returns the commands to queue, and which of them each line is. A command that stands in several lines is queued once.
/// Lines with the same item and id and different contents are refused, because it is not known which one was meant.
fn sent_once(lines: Vec<ParsedLine>) -> (Vec<Command>, Vec<SentLine>) {
    let mut by_id: HashMap<(&ItemId, CommandId), SameId> = HashMap::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let Ok(command) = line else { continue };
        match by_id.entry((&command.item_id, command.command_id)) {
            Entry::Vacant(entry) => _ = entry.insert(SameId { first: index, other: None }),
            Entry::Occupied(mut entry) => {
                let same = entry.get_mut();
                let is_first = |first: &Command| Fingerprint::of(first) == Fingerprint::of(command);
                if same.other.is_none() && !lines[same.first].as_ref().is_ok_and(is_first) {
                    same.other = Some(index);
                }
            }
        }
    }
    let same_id = |line: &ParsedLine| {
        let command = line.as_ref().ok()?;
        by_id.get(&(&command.item_id, command.command_id)).map(|same| (same.first, same.other))
    };
    let same_ids: Vec<_> = lines.iter().map(same_id).collect();
    let mut commands = Vec::with_capacity(lines.len());
    let mut places: Vec<usize> = Vec::with_capacity(lines.len());
    let mut sent = Vec::with_capacity(lines.len());
    for (index, (line, same_id)) in lines.into_iter().zip(same_ids).enumerate() {
        places.push(commands.len());
        sent.push(match (line, same_id) {
            (Ok(command), Some((first, Some(other)))) => {
                Err(ambiguous(&command, index, if index == other { first } else { other }))
            }
            (Ok(_), Some((first, None))) if first < index => Ok(places[first]),
            (Ok(command), _) => {
                commands.push(command);
                Ok(places[index])
            }
            (Err(line), _) => Err(line),
        });
    }
    (commands, sent)
}

fn ambiguous(command: &Command, line: usize, other: usize) -> InvalidLine {
    let fault = Fault {
        pointer: format!("/commands/{line}/command_id"),
        code: "duplicate_in_request",
        detail: format!("is also the id of line {other}, for the same item and with other contents"),
    };
    let detail = "the line was not queued; give each command an id of its own";
    let problem = Problem::new(codes::DUPLICATE_IN_REQUEST, detail).with_faults(vec![fault]);
    InvalidLine { command_id: Some(command.command_id), problem }
}

/// Answers line by line.
fn respond(lines: &[SentLine], queued: &[Line], viewer: &Viewer, waits: bool) -> Result<Response, Problem> {
    let mut answer =
        BatchAnswer { results: Vec::with_capacity(lines.len()), queued: 0, invalid: 0, failed: 0, settled: None };
    let mut settled = 0;
    let not_queued = accept::not_queued();
    for (index, line) in lines.iter().enumerate() {
        let bare = BatchLine {
            index,
            command_id: None,
            status: "",
            receipt: None,
            status_url: None,
            problem: None,
            outcome: None,
        };
        let place = match line {
            Ok(place) => *place,
            Err(InvalidLine { command_id, problem }) => {
                answer.invalid += 1;
                answer.results.push(BatchLine {
                    command_id: *command_id,
                    status: "invalid",
                    problem: Some(problem),
                    ..bare
                });
                continue;
            }
        };
        let Some(line) = queued.get(place) else { continue };
        answer.results.push(match line {
            Line::Failed(id) => {
                answer.failed += 1;
                BatchLine { command_id: Some(*id), status: "failed", problem: Some(&not_queued), ..bare }
            }
            Line::Accepted(accepted, standing) => {
                let (id, url) = (Some(accepted.key.command_id), Some(accepted.status_url.as_str()));
                match standing {
                    Standing::Queued(_) => {
                        answer.queued += 1;
                        let receipt = Some(accepted.token.as_str());
                        BatchLine { command_id: id, status: "queued", receipt, status_url: url, ..bare }
                    }
                    Standing::Settled(record) => {
                        settled += 1;
                        let outcome = Some(StatusView::of(record, viewer));
                        let status = record.outcome.status.as_str();
                        BatchLine { command_id: id, status, status_url: url, outcome, ..bare }
                    }
                    Standing::Problem(problem) => {
                        answer.invalid += 1;
                        BatchLine { command_id: id, status: "invalid", problem: Some(problem), ..bare }
                    }
                }
            }
        });
    }
    answer.settled = waits.then_some(settled);
    let done = waits && answer.queued == 0 && settled > 0;
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    answer::json(status, &answer)
}
