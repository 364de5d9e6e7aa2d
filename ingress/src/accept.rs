//! Accepts commands: queues them and, if the caller prefers so, waits for their outcomes.
//!
//! A single command and a resubmission are batches of one; only their answers have another shape.

use std::collections::HashMap;

use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use stockline_core::domain::{Command, CommandId, CommandKind, Queued, Record, encode_command};

use stockline_service::trace;

use crate::access::Caller;
use crate::answer;
use crate::app::App;
use crate::packer::{self, Submitted};
use crate::problem::{Problem, codes};
use crate::receipt::{Accepted, Standing};
use crate::view::{StatusView, Viewer};
use crate::wait;

/// A command of a request, after it was sent to the queue.
pub(crate) enum Line {
    /// It is durable in the queue; the standing is the newest that is known.
    Accepted(Accepted, Standing),
    /// It did not reach the queue.
    Failed(CommandId),
}

/// The records of the refused commands that commands of a request replace, by the ids of the new ones.
pub(crate) type Replaced = HashMap<CommandId, Record>;

/// Queues the commands of a request, and returns their lines in order.
pub(crate) async fn queue(
    app: &App,
    caller: &Caller,
    commands: Vec<Command>,
    replaced: &Replaced,
) -> Result<Vec<Line>, Problem> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let accepted_at = app.clock.now();
    if let Some(lately) = &app.lately {
        lately.note(&commands, &caller.submitted_by(), accepted_at);
    }
    let (accepted, packing): (Vec<_>, Vec<_>) = commands
        .into_iter()
        .map(|command| {
            let accepted = app.receipts.issue(&command, accepted_at);
            let replaced = replaced.get(&command.command_id);
            let is_reversal = command.kind() == CommandKind::Reverse;
            let reach = is_reversal.then(|| caller.reach(accepted_at, &app.staff_may)).flatten();
            let queued = Queued {
                command,
                accepted_at,
                submitted_by: caller.submitted_by(),
                retry: 0,
                resubmits: replaced.map(Record::reference),
                first_accepted_at: replaced.map(Record::first_accepted_at),
                reach,
                trace: caller.trace(),
            };
            let envelope = encode_command(&queued);
            (accepted, packer::Line { item_id: queued.command.item_id, envelope })
        })
        .unzip();
    let Submitted::Lines(queued) = app.packer.submit(packing).await else {
        return Err(Problem::overloaded());
    };
    let failed = queued.iter().filter(|queued| !**queued).count();
    tracing::debug!(target: trace::TARGET, commands = queued.len(), failed, "commands are sent to the queue");
    app.command_metrics.submitted(queued.len() - failed, failed);
    let line = |(accepted, queued): (Accepted, bool)| match queued {
        true => {
            let standing = Standing::Queued(accepted.receipt);
            Line::Accepted(accepted, standing)
        }
        false => Line::Failed(accepted.key.command_id),
    };
    Ok(accepted.into_iter().zip(queued).map(line).collect())
}

/// Waits for the outcomes of the accepted lines. Returns `false` if too many requests wait already.
pub(crate) async fn wait_for(app: &App, viewer: &Viewer, lines: &mut [Line], seconds: u64) -> bool {
    let mut waiting: Vec<_> = lines
        .iter_mut()
        .filter_map(|line| match line {
            Line::Accepted(accepted, standing) => Some((&*accepted, standing)),
            Line::Failed(_) => None,
        })
        .collect();
    let keys = waiting.iter().map(|(accepted, _)| accepted.key.clone()).collect();
    let Some(found) = app.waiting.outcomes(keys, seconds).await else { return false };
    for ((accepted, standing), found) in waiting.iter_mut().zip(found) {
        if found.is_some() {
            **standing = app.receipts.judge(viewer, Some(accepted.receipt.into()), found);
        }
    }
    true
}

/// Queues one command and answers it.
pub(crate) async fn accept(
    app: &App,
    caller: &Caller,
    command: Command,
    replaced: Option<Record>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let replaced = replaced.into_iter().map(|record| (command.command_id, record)).collect();
    let mut lines = queue(app, caller, vec![command], &replaced).await?;
    let viewer = caller.viewer();
    let mut waited = None;
    if let Some(seconds) = wait::preference(headers, app.limits.wait_s)
        && !matches!(lines.as_slice(), [Line::Failed(_)])
    {
        waited = wait_for(app, &viewer, &mut lines, seconds).await.then_some(seconds);
    }
    let Some(Line::Accepted(accepted, standing)) = lines.pop() else { return Err(not_queued()) };
    let mut response = match standing {
        Standing::Settled(record) => answer::json(StatusCode::OK, &StatusView::of(&record, &viewer))?,
        Standing::Queued(_) => answer::json(
            StatusCode::ACCEPTED,
            &StatusView::queued(
                &accepted.key,
                accepted.receipt.accepted_at,
                Some(&accepted.token),
                &accepted.status_url,
            ),
        )?,
        Standing::Problem(problem) => return Err(problem),
    };
    // Ids and receipts have no character that a header refuses.
    if let Ok(value) = HeaderValue::from_str(&accepted.status_url) {
        response.headers_mut().insert(LOCATION, value);
    }
    if let Some(seconds) = waited {
        preference_applied(&mut response, seconds);
    }
    if response.status() == StatusCode::ACCEPTED {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// Returns the problem of a command that did not reach the queue in time. It may be in the queue all the same.
pub(crate) fn not_queued() -> Problem {
    let detail = "the queue did not acknowledge the command in time; it is safe to send the same command with the same \
                  id again";
    Problem::new(codes::QUEUE_UNAVAILABLE, detail)
}

/// Says that `Prefer: wait` was honoured (RFC 7240).
pub(crate) fn preference_applied(response: &mut Response, seconds: u64) {
    if let Ok(value) = HeaderValue::from_str(&format!("wait={seconds}")) {
        response.headers_mut().insert(HeaderName::from_static("preference-applied"), value);
    }
}
