use std::borrow::Cow;
use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use stockline_core::domain::{
    Command, CommandId, CommandKey, Fault, ItemId, Json, ParseContext, Timestamp, parse_command,
};

use super::resubmit::may_replace;
use crate::accept::{self, Line, Replaced, preference_applied};
use crate::access::Caller;
use crate::answer_budget::Room;
use crate::app::{App, Shared};
use crate::members::{self, Members};
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::receipt::Standing;
use crate::view::{BatchAnswer, BatchLine, OutcomeView, Viewer};
use crate::{answer, body, wait};

/// A line that is not a valid command, or that the caller may not submit.
struct InvalidLine {
    /// The line's id, if it can be read.
    command_id: Option<CommandId>,
    problem: Problem,
}

type ParsedLine = Result<Command, InvalidLine>;

/// Submits up to 500 commands, each with its own id.
///
/// Every line is answered on its own, in input order. An invalid or failed line does not affect the others, with one
/// exception: when a line fails, the later lines of its item fail too, so that their order is kept. It is safe to send the
/// whole batch again. An `Idempotency-Key` is ignored here.
#[utoipa::path(
    post,
    path = "/v1/commands/batch",
    tag = "Commands",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: waits up to N seconds (at most 20) for the outcomes", example = "wait=5"),
    ),
    request_body(content = inline(crate::view::BatchSchema), content_type = "application/json"),
    responses(
        (status = 200, description = "With `Prefer: wait`: every queued line has its outcome", body = BatchAnswer<'static>),
        (status = 202, description = "At least one line is queued, or no line is valid. An `invalid` line has its problem: `invalid_command`, `forbidden_command`, `forbidden_location`, `duplicate_in_request`, with `Prefer: wait` also `command_id_reused`. A `failed` line has `queue_unavailable`", body = BatchAnswer<'static>),
        (status = 422, description = "`invalid_body`, `too_many_commands`: nothing was queued"),
        (status = 503, description = "`queue_unavailable`: no line reached the queue; `overloaded`: nothing of the request was done"),
    ),
)]
pub(crate) async fn submit_batch(
    State(app): Shared,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, Problem> {
    Params::of(&uri, &[]).finish()?;
    let bytes = body::read(&headers, request, &app.limits, &app.body_budget).await?;
    let (mut lines, resubmitted) = parse_lines(&app, &caller, &bytes)?;
    drop(bytes);
    refuse_duplicates(&mut lines);
    let (replaced, room) = find_replaced(&app, &caller, &mut lines, resubmitted).await?;
    let mut commands = Vec::with_capacity(lines.len());
    let invalid: Vec<_> = lines.into_iter().map(|line| line.map(|command| commands.push(command)).err()).collect();
    let mut queued = accept::queue(&app, &caller, commands, &replaced).await?;
    drop((replaced, room));
    if !queued.is_empty() && queued.len() == invalid.len() && queued.iter().all(|line| matches!(line, Line::Failed(_)))
    {
        return Err(Problem::new(
            codes::QUEUE_UNAVAILABLE,
            "no line reached the queue in time; it is safe to send the same batch again",
        ));
    }
    let viewer = caller.viewer();
    let Some(seconds) = wait::preference(&headers, app.limits.wait_s) else {
        return respond(&invalid, &queued, &viewer, false);
    };
    let waited = accept::wait_for(&app, &viewer, &mut queued, seconds).await;
    let mut response = respond(&invalid, &queued, &viewer, true)?;
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
    let mut old: HashMap<CommandId, CommandKey> =
        resubmitted.into_iter().map(|old| (old.command_id.of_resubmission(&old.item_id), old)).collect();
    let mut wanted = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        wanted.extend(line.as_ref().ok().and_then(|command| Some((index, old.remove(&command.command_id)?))));
    }
    let mut replaced = Replaced::new();
    if wanted.is_empty() {
        return Ok((replaced, None));
    }
    let room = app.answer_budget.outcomes(wanted.len()).await.ok_or_else(answer::no_room)?;
    let keys: Vec<CommandKey> = wanted.iter().map(|(_, key)| key.clone()).collect();
    let (found, viewer) = (app.queries.records(&keys).await?, caller.viewer());
    for ((index, _), record) in wanted.into_iter().zip(found) {
        let (Ok(command), Some(record)) = (&lines[index], record.filter(|record| viewer.sees_record(record))) else {
            continue;
        };
        let id = command.command_id;
        let may = match caller.may_resubmit() {
            Ok(()) => may_replace(app, &record, command).await,
            Err(problem) => Err(problem),
        };
        match may {
            Ok(()) => drop(replaced.insert(id, record)),
            Err(problem) => lines[index] = Err(InvalidLine { command_id: Some(id), problem }),
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

/// Refuses every line whose item and id another line has too, because it is not known which one was meant.
fn refuse_duplicates(lines: &mut [ParsedLine]) {
    let mut first: HashMap<(&ItemId, CommandId), usize> = HashMap::with_capacity(lines.len());
    let mut duplicates: Vec<(usize, usize)> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Ok(command) = line
            && let Some(earlier) = first.insert((&command.item_id, command.command_id), index)
        {
            duplicates.push((earlier, index));
        }
    }
    for (earlier, later) in duplicates {
        for (line, other) in [(earlier, later), (later, earlier)] {
            let id = match &lines[line] {
                Ok(command) => command.command_id,
                Err(_) => continue,
            };
            let fault = Fault {
                pointer: format!("/commands/{line}/command_id"),
                code: "duplicate_in_request",
                detail: format!("is also the id of line {other}, for the same item"),
            };
            let problem = Problem::new(
                codes::DUPLICATE_IN_REQUEST,
                "the line was not queued; give each command an id of its own",
            )
            .with_faults(vec![fault]);
            lines[line] = Err(InvalidLine { command_id: Some(id), problem });
        }
    }
}

/// Answers line by line: the invalid ones, and between them the queued ones in order.
fn respond(
    invalid: &[Option<InvalidLine>],
    queued: &[Line],
    viewer: &Viewer,
    waits: bool,
) -> Result<Response, Problem> {
    let mut answer =
        BatchAnswer { results: Vec::with_capacity(invalid.len()), queued: 0, invalid: 0, failed: 0, settled: None };
    let mut settled = 0;
    let not_queued = accept::not_queued();
    let mut queued = queued.iter();
    for (index, invalid) in invalid.iter().enumerate() {
        let bare = BatchLine { index, command_id: None, status: "", status_url: None, problem: None, outcome: None };
        if let Some(InvalidLine { command_id, problem }) = invalid {
            answer.invalid += 1;
            answer.results.push(BatchLine {
                command_id: *command_id,
                status: "invalid",
                problem: Some(problem),
                ..bare
            });
            continue;
        }
        let Some(line) = queued.next() else { continue };
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
                        BatchLine { command_id: id, status: "queued", status_url: url, ..bare }
                    }
                    Standing::Settled(record) => {
                        settled += 1;
                        let outcome = Some(OutcomeView::of(record, viewer));
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
