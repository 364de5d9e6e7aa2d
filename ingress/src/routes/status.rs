use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use stockline_core::domain::{CommandId, CommandKey, Fault, ItemId, Json, Record};

use super::path::{InPath, command_key};
use super::read::Read;
use super::sent::Sent;
use crate::accept::preference_applied;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::members::{self, Members};
use crate::openapi::parameters;
use crate::problem::{Problem, codes};
use crate::receipt::{Standing, status_url};
use crate::view::{StatusAnswer, StatusLine, StatusView};
use crate::{answer, wait};

/// Returns the status of a command.
///
/// The answer is the outcome. If there is none yet and the receipt proves that the command was accepted, it is `queued`.
/// A receipt of another installation or another command is ignored. Without a receipt an unknown id is `404`, and it is safe
/// to send the same command with the same id again. The same holds, with a receipt, for a command that was accepted after
/// the backup from which the stock was restored.
#[utoipa::path(
    get,
    operation_id = "get_command_status",
    path = "/v1/items/{item_id}/commands/{command_id}",
    tag = "Commands",
    params(
        parameters::CommandInPath,
        ("receipt" = Option<String>, Query, description = "The receipt from `status_url`"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: waits up to N seconds (at most 20) for the outcome of a queued command", example = "wait=5"),
    ),
    responses(
        (status = 200, description = "The outcome; or `queued`, with `Retry-After`", body = StatusView<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`receipt_invalid`, `invalid_id`, `invalid_parameter`"),
        (status = 404, description = "`command_not_found`"),
        (status = 409, description = "`command_id_reused`, with the command that holds the id"),
        (status = 410, description = "`outcome_missing`"),
        (status = 503, description = "`store_unavailable`: the status can't be read now"),
    ),
)]
pub(crate) async fn status(
    caller: Caller,
    InPath(ids): InPath<(String, String)>,
    read: Read,
) -> Result<Response, Problem> {
    caller.may_read_status()?;
    let key = command_key(&ids)?;
    let mut params = read.params(&["receipt"]);
    let token = params.text("receipt");
    params.finish()?;
    let proof = read.app.receipts.read(&key, token.as_deref())?;
    let viewer = caller.viewer();
    let found = record(&read.app, &key).await?;
    let mut standing = read.app.receipts.judge(&viewer, proof.clone(), found);
    let mut applied = None;
    if let (Standing::Queued(_), Some(seconds)) = (&standing, wait::preference(&read.headers, read.app.limits.wait_s))
        && let Some(mut found) = read.app.waiting.outcomes(vec![key.clone()], seconds).await
    {
        applied = Some(seconds);
        // `queued` needs a consistent read that succeeded, and the last one of the wait may have failed.
        let found = match found.pop().flatten() {
            None => record(&read.app, &key).await?,
            some => some,
        };
        standing = read.app.receipts.judge(&viewer, proof, found);
    }
    let mut response = match standing {
        Standing::Settled(record) => read.answer(&StatusView::of(&record, &viewer))?,
        Standing::Queued(receipt) => {
            let status_url = status_url(&key.item_id, key.command_id, token.as_deref().unwrap_or_default());
            let view = StatusView::queued(&key, receipt.accepted_at, token.as_deref(), &status_url);
            let mut response = read.answer(&view)?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        Standing::Problem(problem) => return Err(problem),
    };
    if let Some(seconds) = applied {
        preference_applied(&mut response, seconds);
    }
    Ok(response)
}

async fn record(app: &App, key: &CommandKey) -> Result<Option<Record>, Problem> {
    Ok(app.queries.records(std::slice::from_ref(key)).await?.pop().flatten())
}

/// Returns the record of a command that has its outcome and that the caller may see.
pub(super) async fn decided(app: &App, caller: &Caller, key: &CommandKey) -> Result<Record, Problem> {
    let found = record(app, key).await?.filter(|record| caller.viewer().sees_record(record));
    found.ok_or_else(|| Problem::new(codes::COMMAND_NOT_FOUND, "no command with an outcome has this id"))
}

/// A command whose status is asked for.
struct Wanted {
    key: CommandKey,
    receipt: Option<String>,
}

/// Returns the status of up to 500 commands.
///
/// Each line follows the rules of the single status. The lines are in input order.
#[utoipa::path(
    post,
    operation_id = "get_command_statuses",
    path = "/v1/commands/status",
    tag = "Commands",
    request_body(content = crate::view::StatusesSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "One line for each command", body = StatusAnswer<'static>),
        (status = 422, description = "`invalid_body`, `too_many_commands`"),
        (status = 503, description = "`store_unavailable`: the status can't be read now"),
    ),
)]
pub(crate) async fn statuses(State(app): Shared, caller: Caller, mut sent: Sent) -> Result<Response, Problem> {
    caller.may_read_status()?;
    let bytes = sent.body(&app).await?;
    let wanted = parse_wanted(&members::parse(&bytes)?, app.limits.batch_commands)?;
    drop(bytes);
    let keys: Vec<_> = wanted.iter().map(|wanted| wanted.key.clone()).collect();
    let room = app.answer_budget.outcomes(keys.len()).await.ok_or_else(answer::no_room)?;
    let records = app.queries.records(&keys).await?;
    let viewer = caller.viewer();
    let standings: Vec<_> = wanted
        .iter()
        .zip(records)
        .map(|(wanted, record)| match app.receipts.read(&wanted.key, wanted.receipt.as_deref()) {
            Ok(proof) => app.receipts.judge(&viewer, proof, record),
            Err(problem) => Standing::Problem(problem),
        })
        .collect();
    let mut answer = StatusAnswer { results: Vec::with_capacity(wanted.len()), settled: 0, queued: 0, unknown: 0 };
    for (index, (wanted, standing)) in wanted.iter().zip(&standings).enumerate() {
        let (item_id, command_id) = (&wanted.key.item_id, wanted.key.command_id);
        let bare = StatusLine { index, item_id, command_id, status: "unknown", outcome: None, problem: None };
        answer.results.push(match standing {
            Standing::Settled(record) => {
                answer.settled += 1;
                let outcome = Some(StatusView::of(record, &viewer));
                StatusLine { status: record.outcome.status.as_str(), outcome, ..bare }
            }
            Standing::Queued(_) => {
                answer.queued += 1;
                StatusLine { status: "queued", ..bare }
            }
            Standing::Problem(problem) => {
                answer.unknown += 1;
                StatusLine { problem: Some(problem), ..bare }
            }
        });
    }
    answer::json_in(room, StatusCode::OK, &answer)
}

fn parse_wanted(json: &Json<'_>, most: usize) -> Result<Vec<Wanted>, Problem> {
    let mut members =
        Members::of(json, String::new(), &["commands"]).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let lines = members.required("commands").and_then(|value| members.array("commands", value)).unwrap_or_default();
    if lines.len() > most {
        let detail = format!("the request has {} commands and may have {most}", lines.len());
        return Err(Problem::new(codes::TOO_MANY_COMMANDS, detail));
    }
    let mut faults = members.faults;
    let mut wanted = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        match parse_line(line, index) {
            Ok(line) => wanted.push(line),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(wanted) } else { Err(Problem::invalid_body(faults)) }
}

fn parse_line(json: &Json<'_>, index: usize) -> Result<Wanted, Vec<Fault>> {
    let known = ["item_id", "command_id", "receipt"];
    let mut members = Members::of(json, format!("/commands/{index}"), &known).map_err(|fault| vec![fault])?;
    let item_id = members.required_parsed::<ItemId>("item_id");
    let command_id = members.required_parsed::<CommandId>("command_id");
    let receipt = members.get("receipt").and_then(|value| members.text("receipt", value)).map(str::to_owned);
    match (item_id, command_id) {
        (Some(item_id), Some(command_id)) if members.faults.is_empty() => {
            Ok(Wanted { key: CommandKey { item_id, command_id }, receipt })
        }
        _ => Err(members.faults),
    }
}
