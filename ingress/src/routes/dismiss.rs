use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stockline_core::domain::{Command, DISMISSAL_REASON_MAX_CHARS, Dismissal, Json, Record, Rejection, Status};

use super::path::{InPath, command_key};
use super::sent::Sent;
use super::status::decided;
use crate::access::Caller;
use crate::answer;
use crate::app::Shared;
use crate::members::{self, Members};
use crate::openapi::parameters;
use crate::problem::{Problem, codes};
use crate::receipt::status_url;
use crate::view::StatusView;

/// Dismisses a rejected command.
///
/// For Managers, when nothing needs to be done about it. The command leaves the list of refused ones. It is kept with the
/// reason, the time and who dismissed it, and can still be resubmitted. Sent again by the same caller with the same reason,
/// it gets the first answer.
#[utoipa::path(
    post,
    operation_id = "dismiss_command",
    path = "/v1/items/{item_id}/commands/{command_id}/dismiss",
    tag = "Commands",
    params(
        parameters::CommandInPath,
    ),
    request_body(content = crate::view::DismissalSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "Dismissed", body = StatusView<'static>),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 404, description = "`command_not_found`"),
        (status = 409, description = "`already_dismissed`: detail says by whom and why; `not_dismissable`: it was applied, set aside or resubmitted"),
        (status = 422, description = "`invalid_body`: every fault is named"),
        (status = 503, description = "`store_unavailable`, `overloaded`"),
    ),
)]
pub(crate) async fn dismiss(
    State(app): Shared,
    caller: Caller,
    InPath(ids): InPath<(String, String)>,
    mut sent: Sent,
) -> Result<Response, Problem> {
    caller.may_decide_refused()?;
    let key = command_key(&ids)?;
    let bytes = sent.body(&app).await?;
    let because = reason(&members::parse(&bytes)?)?;
    drop(bytes);
    let record = decided(&app, &caller, &key).await?;
    caller.may_submit(command(&record)?, &app.staff_may)?;
    let by = caller.submitted_by();
    if !is_open(&record, &because, &by)? {
        return answer::json(StatusCode::OK, &StatusView::of(&record, &caller.viewer()));
    }
    let dismissal = Dismissal { at: app.clock.now(), because, by: Some(by) };
    let dismissed = app.queries.dismiss(&key, &dismissal).await?;
    let record = decided(&app, &caller, &key).await?;
    if !dismissed && is_open(&record, &dismissal.because, &caller.submitted_by())? {
        // Only what another has decided meanwhile refuses the mark, and no decision is taken back.
        return Err(Problem::new(codes::INTERNAL_ERROR, "the command could not be dismissed, and nothing says why"));
    }
    answer::json(StatusCode::OK, &StatusView::of(&record, &caller.viewer()))
}

fn not_dismissable(detail: &'static str) -> Problem {
    Problem::new(codes::NOT_DISMISSABLE, detail)
}

/// Returns the command of a rejected one.
fn command(record: &Record) -> Result<&Command, Problem> {
    match (record.outcome.status, &record.outcome.command) {
        (Status::Rejected, Some(command)) => Ok(command),
        (Status::Applied, _) => Err(not_dismissable("the command took effect; nobody needs to decide about it")),
        _ => Err(not_dismissable(
            "the command was set aside; an operator retries it, or discards it for good (`dead-letters discard`)",
        )),
    }
}

/// Returns whether somebody needs to decide about a rejected command; `false` if this caller has dismissed it for this
/// reason before.
fn is_open(record: &Record, because: &str, by: &Arc<str>) -> Result<bool, Problem> {
    if let Some(other) = &record.resubmitted_as {
        let detail = "the command was resubmitted; the status of the resubmission is at status_url";
        return Err(not_dismissable(detail).with_status_url(status_url(&other.item_id, other.command_id, "")));
    }
    let Some(Rejection { dismissed_at: Some(at), dismissed_because, dismissed_by, .. }) = &record.outcome.rejection
    else {
        return Ok(true);
    };
    let earlier = dismissed_because.as_deref().unwrap_or_default();
    if earlier == because && dismissed_by.as_ref() == Some(by) {
        return Ok(false);
    }
    let who = dismissed_by.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
    Err(Problem::new(codes::ALREADY_DISMISSED, format!("the command was dismissed{who} at {at}: {earlier}")))
}

fn reason(json: &Json<'_>) -> Result<String, Problem> {
    let mut members =
        Members::of(json, String::new(), &["reason"]).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let text = members.required("reason").and_then(|value| members.text("reason", value)).unwrap_or_default();
    if members.faults.is_empty() && !Dismissal::is_reason(text) {
        let detail = format!("must be 1 to {DISMISSAL_REASON_MAX_CHARS} characters in one line, and not only spaces");
        members.fault("reason", "invalid_value", detail);
    }
    if members.faults.is_empty() { Ok(text.to_owned()) } else { Err(Problem::invalid_body(members.faults)) }
}
