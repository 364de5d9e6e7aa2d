use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stockline_core::domain::{CommandId, Fault, ParseContext, parse_command};

use super::sent::Sent;
use crate::accept::accept;
use crate::access::Caller;
use crate::app::Shared;
use crate::members;
use crate::problem::{Problem, codes};
use crate::view::StatusView;

/// Submits one command.
///
/// `202` means that the command is durable in the queue. With `Prefer: wait=N` the answer is `200` with the outcome, if it
/// arrives in time. It is always safe to send the same command with the same id again: it takes effect once, and the answer
/// is the same.
#[utoipa::path(
    post,
    operation_id = "submit_command",
    path = "/v1/commands",
    tag = "Commands",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The command's id, quoted or bare, if the body has none; if both have one, they must be equal", example = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: waits up to N seconds (at most 20) for the outcome. If too many requests wait already, the answer comes at once, without `Preference-Applied`", example = "wait=5"),
    ),
    request_body(content = crate::view::CommandSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "With `Prefer: wait`: the outcome arrived in time", body = StatusView<'static>),
        (status = 202, description = "Durable in the queue", body = StatusView<'static>, headers(
            ("Location" = String, description = "The address of the status, with the receipt"),
            ("Retry-After" = u64, description = "Seconds to wait before asking for the status"),
        )),
        (status = 400, description = "`malformed_json`: detail names line and column; `invalid_header`: the `Idempotency-Key` is not a UUID"),
        (status = 409, description = "With `Prefer: wait`: `command_id_reused`, with the command that holds the id"),
        (status = 422, description = "`invalid_command`: every fault is named"),
    ),
)]
pub(crate) async fn submit(State(app): Shared, caller: Caller, mut sent: Sent) -> Result<Response, Problem> {
    let bytes = sent.body(&app).await?;
    let context = ParseContext {
        pointer: String::new(),
        default_location: app.default_location.clone(),
        sent_at: None,
        command_id: idempotency_key(&sent.headers)?,
        accepted: false,
    };
    let command = parse_command(&members::parse(&bytes)?, &context).map_err(Problem::invalid_command)?;
    drop(bytes);
    caller.may_submit(&command, &app.staff_may)?;
    accept(&app, &caller, command, None, &sent.headers).await
}

/// Returns the id of the `Idempotency-Key` header, which may be quoted (a structured field) or bare.
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
