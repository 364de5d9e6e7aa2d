use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use stockline_core::domain::{Command, CommandId, Fault, ParseContext, Queued, Record, encode_command, parse_command};

use crate::access::Caller;
use crate::app::{App, Shared};
use crate::packer::{Line, Submitted};
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::receipt::{Accepted, Standing, judge};
use crate::view::{OutcomeView, QueuedView, Viewer};
use crate::{answer, body, metrics, wait};

/// Submits one command.
///
/// `202` means that it is durable in the queue. With `Prefer: wait=N` the outcome is answered with `200` where it comes in
/// time. Sending the same command with the same id again is always safe: it takes effect once, and answers as the
/// first time.
#[utoipa::path(
    post,
    path = "/v1/commands",
    tag = "Commands",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The command's id, quoted or bare, where the body has none; where both have one they must be equal", example = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 20) for the outcome. Where too many requests wait already, the answer comes at once, without `Preference-Applied`", example = "wait=5"),
    ),
    request_body(content = inline(crate::openapi::CommandSchema), content_type = "application/json"),
    responses(
        (status = 200, description = "With `Prefer: wait`: the outcome came in time", body = OutcomeView<'static>),
        (status = 202, description = "Durable in the queue", body = QueuedView<'static>, headers(
            ("Location" = String, description = "Where to look for the outcome, with the receipt"),
            ("Retry-After" = u64, description = "Seconds until a first look is worth it"),
        )),
        (status = 400, description = "`malformed_json`: detail names line and column; `invalid_header`: the `Idempotency-Key` is no UUID"),
        (status = 409, description = "With `Prefer: wait`: `command_id_reused`, with the command that holds the id"),
        (status = 422, description = "`invalid_command`: every fault is named"),
    ),
)]
pub(crate) async fn submit(
    State(app): Shared,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, Problem> {
    Params::of(&uri, &[]).finish()?;
    let bytes = body::read(&headers, request, &app.limits, &app.room).await?;
    let context = ParseContext {
        pointer: String::new(),
        default_location: app.default_location.clone(),
        sent_at: None,
        command_id: idempotency_key(&headers)?,
    };
    let command = parse_command(&body::parse(&bytes)?, &context).map_err(Problem::invalid_command)?;
    drop(bytes);
    caller.may_submit(&command, &app.staff_may)?;
    accept(&app, &caller, command, None, &headers).await
}

/// The id of the `Idempotency-Key` header, quoted (a structured field) or bare.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    bare.parse().map(Some).map_err(|error| {
        Problem::new(codes::INVALID_HEADER, format!("the Idempotency-Key header {error}")).with_faults(vec![Fault {
            pointer: String::new(),
            code: "invalid_value",
            detail: format!("Idempotency-Key {error}"),
        }])
    })
}

/// Queues one command and answers.
pub(crate) async fn accept(
    app: &Arc<App>,
    caller: &Caller,
    command: Command,
    replaced: Option<&Record>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let accepted_at = app.clock.now();
    let receipted = Accepted::of(app, &command, accepted_at);
    let queued = Queued {
        command,
        accepted_at,
        submitted_by: caller.submitted_by(),
        retry: 0,
        resubmits: replaced.map(Record::reference),
        first_accepted_at: replaced.map(Record::first_accepted_at),
        trace: None,
    };
    let line = Line { item_id: queued.command.item_id.clone(), envelope: encode_command(&queued) };
    drop(queued);
    match app.packer.submit(vec![line]).await {
        Submitted::Overloaded => return Err(Problem::overloaded()),
        Submitted::Lines(lines) if lines.first() != Some(&true) => {
            metrics::failed(1);
            return Err(not_queued());
        }
        Submitted::Lines(_) => metrics::accepted(1),
    }
    let mut response = match wait::preference(headers, app.limits.wait_s) {
        None => queued_response(&receipted)?,
        Some(seconds) => match app.waiting.outcomes(vec![receipted.state.clone()], seconds).await {
            None => queued_response(&receipted)?,
            Some(mut found) => {
                let found = found.pop().flatten();
                let viewer = caller.viewer();
                let mut response = match found {
                    None => queued_response(&receipted)?,
                    some => settled_response(&viewer, &receipted, judge(app, &viewer, Some(receipted.receipt), some))?,
                };
                preference_applied(&mut response, seconds);
                response
            }
        },
    };
    if response.status() == StatusCode::ACCEPTED {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The command may be in the queue all the same.
pub(crate) fn not_queued() -> Problem {
    let detail = "the queue did not acknowledge the command in time; send the same command with the same id again, which is safe";
    Problem::new(codes::QUEUE_UNAVAILABLE, detail)
}

/// Says that `Prefer: wait` was honoured (RFC 7240).
pub(crate) fn preference_applied(response: &mut Response, seconds: u64) {
    if let Ok(value) = HeaderValue::from_str(&format!("wait={seconds}")) {
        response.headers_mut().insert(HeaderName::from_static("preference-applied"), value);
    }
}

fn queued_response(receipted: &Accepted) -> Result<Response, Problem> {
    let view = QueuedView {
        command_id: receipted.state.command_id,
        item_id: &receipted.state.item_id,
        status: "queued",
        accepted_at: receipted.receipt.accepted_at,
        status_url: &receipted.status_url,
    };
    located(answer::json(StatusCode::ACCEPTED, &view)?, receipted)
}

fn settled_response(viewer: &Viewer, receipted: &Accepted, standing: Standing) -> Result<Response, Problem> {
    match standing {
        Standing::Settled(record) => {
            located(answer::json(StatusCode::OK, &OutcomeView::of(&record, viewer))?, receipted)
        }
        Standing::Queued(_) => queued_response(receipted),
        Standing::Unknown(problem) => Err(problem),
    }
}

fn located(mut response: Response, receipted: &Accepted) -> Result<Response, Problem> {
    // Ids and receipts have no character that a header refuses.
    if let Ok(value) = HeaderValue::from_str(&receipted.status_url) {
        response.headers_mut().insert(LOCATION, value);
    }
    Ok(response)
}
