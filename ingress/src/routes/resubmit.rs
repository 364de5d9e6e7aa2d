use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use stockline_core::domain::{
    Action, Command, CommandKey, Fault, ItemId, Json, LocationId, MovementDetails, Outcome, Record, ShortagePolicy,
    Status,
};

use super::path::{InPath, command_key};
use super::sent::Sent;
use super::status::decided;
use crate::accept::accept;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::members::{self, Members};
use crate::openapi::parameters;
use crate::problem::{Problem, codes};
use crate::receipt::status_url;
use crate::view::StatusView;

/// The fields that a resubmission corrects.
#[derive(Debug, Default)]
struct Correction {
    item_id: Option<ItemId>,
    location_id: Option<LocationId>,
    on_shortage: Option<ShortagePolicy>,
}

/// Sends a refused command again, corrected.
///
/// For Managers. The command is queued under a new id, the UUIDv5 of the old id and its item. So a second resubmission has no
/// further effect, and gets the same answer. A movement keeps the time at which it occurred; without one, it occurred when it
/// was first accepted. Its age is judged by that time, however late it is corrected. The outcome of the new command names
/// the old one, which is then marked as resubmitted.
#[utoipa::path(
    post,
    operation_id = "resubmit_command",
    path = "/v1/items/{item_id}/commands/{command_id}/resubmit",
    tag = "Commands",
    params(
        parameters::CommandInPath,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: waits up to N seconds (at most 20) for the outcome", example = "wait=5"),
    ),
    request_body(content = crate::view::CorrectionSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "With `Prefer: wait`: the outcome arrived in time", body = StatusView<'static>),
        (status = 202, description = "Durable in the queue, under a new id", body = StatusView<'static>),
        (status = 404, description = "`command_not_found`"),
        (status = 409, description = "`already_applied`; `already_resubmitted`: it was resubmitted for another item, or it is itself a resubmission that came too late; `not_resubmittable`; with `Prefer: wait` also `command_id_reused`: it was resubmitted before with another correction"),
        (status = 422, description = "`invalid_body`: every fault is named"),
        (status = 503, description = "`store_unavailable`, `queue_unavailable`, `overloaded`"),
    ),
)]
pub(crate) async fn resubmit(
    State(app): Shared,
    caller: Caller,
    InPath(ids): InPath<(String, String)>,
    mut sent: Sent,
) -> Result<Response, Problem> {
    caller.may_decide_refused()?;
    let key = command_key(&ids)?;
    let bytes = sent.body(&app).await?;
    let record = decided(&app, &caller, &key).await?;
    let command = refused(&record)?;
    ends_its_chain(&app, &record).await?;
    let correction = match bytes.is_empty() {
        true => Correction::default(),
        false => match members::parse(&bytes)? {
            Json::Null => Correction::default(),
            json => correction(&json, command)?,
        },
    };
    drop(bytes);
    let command = corrected(command, &record.outcome, correction);
    caller.may_submit(&command, &app.staff_may)?;
    was_not_replaced(&record, &command)?;
    was_not_set_aside(&app, &command).await?;
    accept(&app, &caller, command, Some(record), &sent.headers).await
}

/// Refuses a command of a batch that is to replace a refused one and may not.
pub(super) async fn may_replace(app: &App, record: &Record, command: &Command) -> Result<(), Problem> {
    refused(record)?;
    ends_its_chain(app, record).await?;
    was_not_replaced(record, command)
}

/// Refuses a resubmission that never replaced its command.
async fn ends_its_chain(app: &App, record: &Record) -> Result<(), Problem> {
    if let Some(old) = &record.resubmits {
        took_its_place(app, old, &record.reference(), record.outcome.status).await?;
    }
    Ok(())
}

/// Returns the command of a record, if it may be resubmitted.
fn refused(record: &Record) -> Result<&Command, Problem> {
    if record.outcome.status == Status::Applied {
        return Err(Problem::new(codes::ALREADY_APPLIED, "the command took effect; there is nothing to resubmit"));
    }
    let letter = record.outcome.dead_letter.as_ref();
    if letter.is_some_and(|letter| letter.discarded_at.is_some()) {
        return Err(Problem::new(
            codes::NOT_RESUBMITTABLE,
            "the command was discarded for good; submit a new one instead",
        ));
    }
    record.outcome.command.as_ref().ok_or_else(|| {
        Problem::new(codes::NOT_RESUBMITTABLE, "the command could not be decoded; submit a new one instead")
    })
}

/// Refuses a command that was replaced already. Only the same resubmission may be sent again; it gets the answer of the
/// first time (P7).
fn was_not_replaced(record: &Record, command: &Command) -> Result<(), Problem> {
    match &record.resubmitted_as {
        Some(by) if by.item_id != command.item_id || by.command_id != command.command_id => {
            let detail = "the command was resubmitted; the status of the resubmission is at status_url";
            let problem = Problem::new(codes::ALREADY_RESUBMITTED, detail);
            Err(problem.with_status_url(status_url(&by.item_id, by.command_id, "")))
        }
        _ => Ok(()),
    }
}

/// Refuses a resubmission that never replaced its command: another one was faster, the command was applied after all, or
/// the resubmission was set aside. Sent again, it could apply the same effect a second time.
async fn took_its_place(app: &App, old: &CommandKey, it: &CommandKey, status: Status) -> Result<(), Problem> {
    let of_old = CommandKey { item_id: old.item_id.clone(), command_id: old.command_id };
    let found = app.queries.records(&[of_old]).await?;
    let mark = found.into_iter().flatten().next().and_then(|record| record.resubmitted_as);
    if mark.is_some_and(|by| by.item_id == it.item_id && by.command_id == it.command_id) {
        return Ok(());
    }
    let problem = if status == Status::DeadLettered {
        let detail = "the command was to replace the one at status_url and was set aside before it could; repair the \
            cause, then retry it with `dead-letters retry`";
        Problem::new(codes::NOT_RESUBMITTABLE, detail)
    } else {
        let detail =
            "the command was to replace another one and came too late; the status of that one is at status_url";
        Problem::new(codes::ALREADY_RESUBMITTED, detail)
    };
    Err(problem.with_status_url(status_url(&old.item_id, old.command_id, "")))
}

/// Refuses a resubmission that was set aside before: it holds the id, so that it would count as done.
async fn was_not_set_aside(app: &App, command: &Command) -> Result<(), Problem> {
    let key = CommandKey { item_id: command.item_id.clone(), command_id: command.command_id };
    let found = app.queries.records(std::slice::from_ref(&key)).await?;
    let Some(letter) = found.into_iter().flatten().next().and_then(|record| record.outcome.dead_letter) else {
        return Ok(());
    };
    let detail = match letter.discarded_at {
        None => {
            "its resubmission, at status_url, was set aside; repair the cause, then retry that one with `dead-letters retry`"
        }
        Some(_) => "its resubmission, at status_url, was set aside and discarded for good; submit a new one instead",
    };
    let problem = Problem::new(codes::NOT_RESUBMITTABLE, detail);
    Err(problem.with_status_url(status_url(&key.item_id, key.command_id, "")))
}

fn correction(json: &Json<'_>, command: &Command) -> Result<Correction, Problem> {
    let known = ["item_id", "location_id", "on_shortage"];
    let mut members = Members::of(json, String::new(), &known).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let correction = Correction {
        item_id: members.parsed("item_id"),
        location_id: members.parsed("location_id"),
        on_shortage: members.parsed::<Policy>("on_shortage").map(|policy| policy.0),
    };
    let kind = command.kind().as_str();
    let one_location = command.action.locations().count() == 1;
    if correction.location_id.is_some() && !one_location {
        members.fault(
            "location_id",
            "invalid_value",
            format!("a {kind} does not have exactly one location to correct; submit a new command"),
        );
    }
    if correction.on_shortage.is_some() && !matches!(command.action, Action::Sell { .. }) {
        members.fault("on_shortage", "invalid_value", format!("is a field of sell, and this is a {kind}"));
    }
    let faults: Vec<Fault> = members.faults;
    if faults.is_empty() { Ok(correction) } else { Err(Problem::invalid_body(faults)) }
}

/// A policy, parsed from its word.
struct Policy(ShortagePolicy);

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let policies = [ShortagePolicy::Allow, ShortagePolicy::Reject];
        policies.into_iter().find(|policy| policy.as_str() == word).map(Self).ok_or("must be one of allow, reject")
    }
}

/// Returns the new command. Its `occurred_at` is computed from the old clock and the old acceptance, because `sent_at` does
/// not fit the new acceptance, and a movement without `occurred_at` occurred when it was first accepted.
fn corrected(old: &Command, outcome: &Outcome, correction: Correction) -> Command {
    let mut command = old.clone();
    command.command_id = old.command_id.of_resubmission(&old.item_id);
    if let Some(item_id) = correction.item_id {
        command.item_id = item_id;
    }
    match &mut command.action {
        Action::Sell { location_id, on_shortage, .. } => {
            *on_shortage = correction.on_shortage.or(*on_shortage);
            replace(location_id, correction.location_id);
        }
        Action::Receive { location_id, .. }
        | Action::Return { location_id, .. }
        | Action::Adjust { location_id, .. }
        | Action::Count { location_id, .. }
        | Action::SetPlanning { location_id, .. } => replace(location_id, correction.location_id),
        Action::SetThreshold { location_id: Some(location_id), .. } => replace(location_id, correction.location_id),
        _ => {}
    }
    let MovementDetails { occurred_at, sent_at, .. } = old.details;
    let accepted_at = outcome.accepted_at;
    command.details.sent_at = None;
    // A reversal has the time of the movement that it takes back.
    if old.kind().is_movement() && old.action.reverses().is_none() {
        let behind_ms = sent_at.map_or(0, |sent_at| accepted_at.millis_since(sent_at));
        let occurred_at = occurred_at.map_or(accepted_at, |claimed| claimed.plus_millis(behind_ms).min(accepted_at));
        command.details.occurred_at = Some(occurred_at);
    }
    command
}

fn replace(location_id: &mut LocationId, corrected: Option<LocationId>) {
    if let Some(corrected) = corrected {
        *location_id = corrected;
    }
}
