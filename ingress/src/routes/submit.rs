use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use stockline_core::domain::{CommandId, Fault, ParseContext, parse_command};

use crate::accept::accept;
use crate::access::Caller;
use crate::app::Shared;
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::view::{OutcomeView, QueuedView};
use crate::{body, members};

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
    request_body(content = inline(crate::view::CommandSchema), content_type = "application/json"),
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
    let bytes = body::read(&headers, request, &app.limits, &app.body_budget).await?;
    let context = ParseContext {
        pointer: String::new(),
        default_location: app.default_location.clone(),
        sent_at: None,
        command_id: idempotency_key(&headers)?,
    };
    let command = parse_command(&members::parse(&bytes)?, &context).map_err(Problem::invalid_command)?;
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
