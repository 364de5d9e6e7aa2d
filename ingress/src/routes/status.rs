use axum::body::Body;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use stockline_core::domain::{CommandId, CommandKey, Fault, ItemId, Json};

use super::InPath;
use super::submit::preference_applied;
use crate::access::Caller;
use crate::app::Shared;
use crate::body::{self, Members};
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::receipt::{self, Standing, judge};
use crate::view::{OutcomeView, QueuedView, StatusAnswer, StatusLine};
use crate::{answer, wait};

/// What became of a command.
///
/// Answers the outcome; or `queued`, where the receipt proves that the command was accepted and a consistent read found no outcome
/// yet. A receipt of another installation or command is as if it were not there. Without a receipt an id that
/// nothing is known of is `404`, and sending the same command with the same id again is safe.
#[utoipa::path(
    get,
    path = "/v1/items/{item_id}/commands/{command_id}",
    tag = "Commands",
    params(
        ("item_id" = String, Path, description = "The item", example = "cola-033"),
        ("command_id" = String, Path, description = "The command", format = "uuid", example = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b"),
        ("receipt" = Option<String>, Query, description = "As it came in `status_url`"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 20) for the outcome of a queued command", example = "wait=5"),
    ),
    responses(
        (status = 200, description = "The outcome; or `queued`, with `Retry-After`", body = inline(crate::openapi::StatusSchema)),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`receipt_invalid`, `invalid_id`, `invalid_parameter`"),
        (status = 404, description = "`command_not_found`"),
        (status = 409, description = "`command_id_reused`, with the command that holds the id"),
        (status = 410, description = "`outcome_missing`"),
        (status = 503, description = "`store_unavailable`: nothing can be said now"),
    ),
)]
pub(crate) async fn status(
    State(app): Shared,
    caller: Caller,
    InPath((item_id, command_id)): InPath<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_read_status()?;
    let state =
        CommandKey { item_id: super::id("item id", &item_id)?, command_id: super::id("command id", &command_id)? };
    let mut params = Params::of(&uri, &["receipt"]);
    let token = params.text("receipt");
    params.finish()?;
    let receipt = receipt::read(&app, &state, token.as_deref())?;
    let viewer = caller.viewer();
    let found = one(&app, &state).await?;
    let mut standing = judge(&app, &viewer, receipt, found);
    let mut applied = None;
    if let (Standing::Queued(_), Some(seconds)) = (&standing, wait::preference(&headers, app.limits.wait_s))
        && let Some(mut found) = app.waiting.outcomes(vec![state.clone()], seconds).await
    {
        applied = Some(seconds);
        // `queued` is said only after a consistent read; one that failed while waiting is none.
        let found = match found.pop().flatten() {
            None => one(&app, &state).await?,
            some => some,
        };
        standing = judge(&app, &viewer, receipt, found);
    }
    let mut response = match standing {
        Standing::Settled(record) => answer::read(&headers, &OutcomeView::of(&record, &viewer))?,
        Standing::Queued(receipt) => {
            let status_url =
                receipt::status_url(&state.item_id, state.command_id, token.as_deref().unwrap_or_default());
            let view = QueuedView {
                command_id: state.command_id,
                item_id: &state.item_id,
                status: "queued",
                accepted_at: receipt.accepted_at,
                status_url: &status_url,
            };
            let mut response = answer::read(&headers, &view)?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        Standing::Unknown(problem) => return Err(problem),
    };
    if let Some(seconds) = applied {
        preference_applied(&mut response, seconds);
    }
    Ok(response)
}

async fn one(app: &crate::app::App, state: &CommandKey) -> Result<Option<stockline_core::domain::Record>, Problem> {
    let records = app.queries.records(std::slice::from_ref(state)).await;
    Ok(records.map_err(|error| super::store(&error))?.pop().flatten())
}

/// A line of the request.
struct Wanted {
    state: CommandKey,
    receipt: Option<String>,
}

/// What became of up to 500 commands.
///
/// Each line is answered by the rules of the single status, in input order.
#[utoipa::path(
    post,
    path = "/v1/commands/status",
    tag = "Commands",
    request_body(content = inline(crate::openapi::StatusesSchema), content_type = "application/json"),
    responses(
        (status = 200, description = "One line each", body = StatusAnswer<'static>),
        (status = 422, description = "`invalid_body`, `too_many_commands`"),
        (status = 503, description = "`store_unavailable`: nothing can be said now"),
    ),
)]
pub(crate) async fn statuses(
    State(app): Shared,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, Problem> {
    caller.may_read_status()?;
    Params::of(&uri, &[]).finish()?;
    let bytes = body::read(&headers, request, &app.limits, &app.room).await?;
    let wanted = parse_wanted(&body::parse(&bytes)?, app.limits.batch_commands)?;
    drop(bytes);
    let states: Vec<_> = wanted.iter().map(|wanted| wanted.state.clone()).collect();
    let records = app.queries.records(&states).await.map_err(|error| super::store(&error))?;
    let viewer = caller.viewer();
    let standings: Vec<_> = wanted
        .iter()
        .zip(records)
        .map(|(wanted, record)| match receipt::read(&app, &wanted.state, wanted.receipt.as_deref()) {
            Ok(receipt) => judge(&app, &viewer, receipt, record),
            Err(problem) => Standing::Unknown(problem),
        })
        .collect();
    let mut answer = StatusAnswer { results: Vec::with_capacity(wanted.len()), settled: 0, queued: 0, unknown: 0 };
    for (index, (wanted, standing)) in wanted.iter().zip(&standings).enumerate() {
        let (item_id, command_id) = (&wanted.state.item_id, wanted.state.command_id);
        let bare = StatusLine { index, item_id, command_id, status: "unknown", outcome: None, problem: None };
        answer.results.push(match standing {
            Standing::Settled(record) => {
                answer.settled += 1;
                let outcome = Some(OutcomeView::of(record, &viewer));
                StatusLine { status: record.outcome.status.as_str(), outcome, ..bare }
            }
            Standing::Queued(_) => {
                answer.queued += 1;
                StatusLine { status: "queued", ..bare }
            }
            Standing::Unknown(problem) => {
                answer.unknown += 1;
                StatusLine { problem: Some(problem), ..bare }
            }
        });
    }
    answer::json(StatusCode::OK, &answer)
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
            Ok(Wanted { state: CommandKey { item_id, command_id }, receipt })
        }
        _ => Err(members.faults),
    }
}
