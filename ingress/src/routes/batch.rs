use std::borrow::Cow;
use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use stockline_core::domain::{
    Command, CommandId, Fault, ItemId, Json, ParseContext, Queued, Record, Timestamp, encode_command, parse_command,
};

use super::submit::{not_queued, preference_applied};
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::body::{self, Members};
use crate::packer::{Line, Submitted};
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::receipt::{Accepted, Standing, judge};
use crate::view::{BatchAnswer, BatchLine, OutcomeView, Viewer};
use crate::{answer, metrics, wait};

/// What is known of a line so far.
enum Judged {
    /// To be queued.
    Valid(Box<Command>),
    /// Durable in the queue.
    Queued(Box<Accepted>),
    /// It has an outcome.
    Settled(Box<Accepted>, Box<Record>),
    /// The line's own fault.
    Invalid(Option<CommandId>, Problem),
    /// It did not reach the queue.
    Failed(CommandId, Problem),
}

/// Submits up to 500 commands, each with its own id.
///
/// Every line is answered in input order and stands alone: what is invalid or failed harms no other line, except that
/// when a line fails, the later ones of its item fail too, so that their order is kept. Sending the whole batch
/// again is safe. An `Idempotency-Key` has no meaning here.
#[utoipa::path(
    post,
    path = "/v1/commands/batch",
    tag = "Commands",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 20) for the outcomes", example = "wait=5"),
    ),
    request_body(content = inline(crate::openapi::BatchSchema), content_type = "application/json"),
    responses(
        (status = 200, description = "With `Prefer: wait`: every queued line has its outcome", body = BatchAnswer<'static>),
        (status = 202, description = "At least one line is queued, or none could be. A line that is `invalid` has its problem: `invalid_command`, `forbidden_command`, `forbidden_location`, `duplicate_in_request`, with `Prefer: wait` also `command_id_reused`; one that is `failed` has `queue_unavailable`", body = BatchAnswer<'static>),
        (status = 422, description = "`invalid_body`, `too_many_commands`: nothing was queued"),
        (status = 503, description = "`queue_unavailable`: no line reached the queue; `overloaded`: nothing was taken"),
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
    let bytes = body::read(&headers, request, &app.limits, &app.room).await?;
    let mut lines = parse_lines(&app, &caller, &bytes)?;
    drop(bytes);
    refuse_duplicates(&mut lines);
    let lines = queue(&app, &caller, lines).await?;
    let failed = lines.iter().filter(|line| matches!(line, Judged::Failed(..))).count();
    if failed == lines.len() {
        return Err(Problem::new(
            codes::QUEUE_UNAVAILABLE,
            "no line reached the queue in time; send the same batch again, which is safe",
        ));
    }
    match wait::preference(&headers, app.limits.wait_s) {
        None => respond(&lines, &caller.viewer(), None),
        Some(seconds) => {
            let viewer = caller.viewer();
            let (lines, applied) = wait_for(&app, &viewer, lines, seconds).await;
            let mut response = respond(&lines, &viewer, Some(()))?;
            if applied {
                preference_applied(&mut response, seconds);
            }
            Ok(response)
        }
    }
}

fn parse_lines(app: &App, caller: &Caller, bytes: &[u8]) -> Result<Vec<Judged>, Problem> {
    let json = body::parse(bytes)?;
    let known = ["sent_at", "commands"];
    let mut members = Members::of(&json, String::new(), &known).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let sent_at = members.parsed::<Timestamp>("sent_at");
    let commands = members.required("commands").and_then(|value| members.array("commands", value)).unwrap_or_default();
    let most = app.limits.batch_commands;
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
    Ok(commands.iter().enumerate().map(|(index, json)| parse_line(app, caller, &mut context, index, json)).collect())
}

fn parse_line(app: &App, caller: &Caller, context: &mut ParseContext, index: usize, json: &Json<'_>) -> Judged {
    use std::fmt::Write as _;
    context.pointer.clear();
    // Writing to a String does not fail.
    let _ = write!(context.pointer, "/commands/{index}");
    match parse_command(json, context) {
        Err(faults) => Judged::Invalid(readable_id(json), Problem::invalid_command(faults)),
        Ok(command) => match caller.may_submit(&command, &app.staff_may) {
            Ok(()) => Judged::Valid(Box::new(command)),
            Err(problem) => Judged::Invalid(Some(command.command_id), problem),
        },
    }
}

/// The id of a line that is not a command.
fn readable_id(json: &Json<'_>) -> Option<CommandId> {
    let Json::Object(members) = json else { return None };
    members.iter().find_map(|(key, value)| match (key, value) {
        (Cow::Borrowed("command_id"), Json::Str(text)) => text.parse().ok(),
        _ => None,
    })
}

/// Both of two lines with the same item and id are the caller's fault: which one was meant can't be told.
fn refuse_duplicates(lines: &mut [Judged]) {
    let mut first: HashMap<(&ItemId, CommandId), usize> = HashMap::with_capacity(lines.len());
    let mut twins: Vec<(usize, usize)> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Judged::Valid(command) = line
            && let Some(earlier) = first.insert((&command.item_id, command.command_id), index)
        {
            twins.push((earlier, index));
        }
    }
    for (earlier, later) in twins {
        for (line, other) in [(earlier, later), (later, earlier)] {
            let id = match &lines[line] {
                Judged::Valid(command) => command.command_id,
                _ => continue,
            };
            let fault = Fault {
                pointer: format!("/commands/{line}/command_id"),
                code: "duplicate_in_request",
                detail: format!("is also the id of line {other}, for the same item"),
            };
            let problem =
                Problem::new(codes::DUPLICATE_IN_REQUEST, "the line was not queued; give each command its own id")
                    .with_faults(vec![fault]);
            lines[line] = Judged::Invalid(Some(id), problem);
        }
    }
}

/// Queues the valid lines.
async fn queue(app: &App, caller: &Caller, lines: Vec<Judged>) -> Result<Vec<Judged>, Problem> {
    let accepted_at = app.clock.now();
    let submitted_by = caller.submitted_by();
    let mut packing = Vec::with_capacity(lines.len());
    let mut judged: Vec<Judged> = lines
        .into_iter()
        .map(|line| match line {
            Judged::Valid(command) => {
                let receipted = Accepted::of(app, &command, accepted_at);
                let by = submitted_by.clone();
                let queued = Queued {
                    command: *command,
                    accepted_at,
                    submitted_by: by,
                    retry: 0,
                    resubmits: None,
                    first_accepted_at: None,
                    trace: None,
                };
                let envelope = encode_command(&queued);
                packing.push(Line { item_id: queued.command.item_id, envelope });
                Judged::Queued(Box::new(receipted))
            }
            other => other,
        })
        .collect();
    if packing.is_empty() {
        return Ok(judged);
    }
    let Submitted::Lines(queued) = app.packer.submit(packing).await else {
        return Err(Problem::overloaded());
    };
    let mut failed = 0;
    let sent = judged.iter_mut().filter(|line| matches!(line, Judged::Queued(_)));
    for (line, _) in sent.zip(&queued).filter(|(_, queued)| !**queued) {
        if let Judged::Queued(receipted) = line {
            failed += 1;
            *line = Judged::Failed(receipted.state.command_id, not_queued());
        }
    }
    metrics::accepted(queued.len() - failed);
    metrics::failed(failed);
    Ok(judged)
}

/// Waits for the queued lines; `false` where too many requests wait already.
async fn wait_for(app: &App, viewer: &Viewer, lines: Vec<Judged>, seconds: u64) -> (Vec<Judged>, bool) {
    let states: Vec<_> = lines
        .iter()
        .filter_map(|line| match line {
            Judged::Queued(receipted) => Some(receipted.state.clone()),
            _ => None,
        })
        .collect();
    let Some(found) = app.waiting.outcomes(states, seconds).await else { return (lines, false) };
    let mut found = found.into_iter();
    let lines = lines
        .into_iter()
        .map(|line| match line {
            Judged::Queued(receipted) => match found.next().flatten() {
                None => Judged::Queued(receipted),
                some => match judge(app, viewer, Some(receipted.receipt), some) {
                    Standing::Settled(record) => Judged::Settled(receipted, record),
                    Standing::Queued(_) => Judged::Queued(receipted),
                    Standing::Unknown(problem) => Judged::Invalid(Some(receipted.state.command_id), problem),
                },
            },
            other => other,
        })
        .collect();
    (lines, true)
}

fn respond(lines: &[Judged], viewer: &Viewer, waited: Option<()>) -> Result<Response, Problem> {
    let mut answer =
        BatchAnswer { results: Vec::with_capacity(lines.len()), queued: 0, invalid: 0, failed: 0, settled: None };
    let mut settled = 0;
    for (index, line) in lines.iter().enumerate() {
        let bare = BatchLine { index, command_id: None, status: "", status_url: None, problem: None, outcome: None };
        answer.results.push(match line {
            Judged::Queued(receipted) => {
                answer.queued += 1;
                let (id, url) = (receipted.state.command_id, receipted.status_url.as_str());
                BatchLine { command_id: Some(id), status: "queued", status_url: Some(url), ..bare }
            }
            Judged::Settled(receipted, record) => {
                settled += 1;
                let outcome = OutcomeView::of(record, viewer);
                let (id, url) = (receipted.state.command_id, receipted.status_url.as_str());
                let status = record.outcome.status.as_str();
                BatchLine { command_id: Some(id), status, status_url: Some(url), outcome: Some(outcome), ..bare }
            }
            Judged::Invalid(id, problem) => {
                answer.invalid += 1;
                BatchLine { command_id: *id, status: "invalid", problem: Some(problem), ..bare }
            }
            Judged::Failed(id, problem) => {
                answer.failed += 1;
                BatchLine { command_id: Some(*id), status: "failed", problem: Some(problem), ..bare }
            }
            // Every valid line was queued or failed.
            Judged::Valid(command) => BatchLine { command_id: Some(command.command_id), status: "failed", ..bare },
        });
    }
    answer.settled = waited.map(|()| settled);
    let done = waited.is_some() && answer.queued == 0 && settled > 0;
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    answer::json(status, &answer)
}
