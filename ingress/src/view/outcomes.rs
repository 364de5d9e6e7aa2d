use std::borrow::Cow;

use serde::Serialize;
use stockline_core::domain::{
    Command, CommandId, CommandKey, CommandKind, ItemId, Outcome, Record, Rejection, Timestamp,
};
use stockline_core::ports::Movement;
use utoipa::ToSchema;

use super::commands::CommandSchema;
use super::movements::MovementView;
use super::remarks;
use super::viewer::Viewer;
use super::words::{BatchLineStatusWord, CommandTypeWord, RejectionCodeWord, StatusLineStatusWord, StatusWord};
use crate::problem::Problem;

/// A command as submitted.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct CommandView<'a>(Cow<'a, Command>);

/// The reason of a rejection.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct RejectionView<'a>(&'a Rejection);

/// Why a command was set aside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct DeadLetterView<'a> {
    /// The reason.
    reason: &'a str,
    /// The message as it arrived. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    body: Option<&'a str>,
    /// When it was discarded for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    discarded_at: Option<Timestamp>,
}

/// Another command that this one replaces or is replaced by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommandRef)]
pub(crate) struct ResubmitsView<'a> {
    /// Its item.
    #[schema(value_type = String)]
    item_id: &'a ItemId,
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
}

impl<'a> ResubmitsView<'a> {
    fn of(resubmits: &'a CommandKey) -> Self {
        Self { item_id: &resubmits.item_id, command_id: resubmits.command_id }
    }
}

/// The status of a command. While it is `queued`, `receipt` and `status_url` say how to ask for the outcome. The outcome has
/// `settled_at` and `effects`, and never changes, except that a dead letter may be retried and a movement taken back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommandStatus, example = json!({
    "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_id": "cola-033", "type": "sell", "status": "applied",
    "accepted_at": "2026-01-31T08:15:02.120Z", "settled_at": "2026-01-31T08:15:02.128Z", "submitted_by": "till-3",
    "command": {
        "type": "sell", "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_id": "cola-033",
        "location_id": "shop-1", "quantity": "2", "on_shortage": "allow"
    },
    "effects": [{
        "item_id": "cola-033", "location_id": "shop-1", "seq": 3, "type": "sell",
        "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "quantity": "2", "delta": "-2", "before": "24",
        "after": "22", "occurred_at": "2026-01-31T08:15:02.120Z", "recorded_at": "2026-01-31T08:15:02.128Z",
        "late": false, "clock_ahead": false, "submitted_by": "till-3"
    }]
}))]
pub(crate) struct StatusView<'a> {
    /// The command.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// The item.
    #[schema(value_type = String)]
    item_id: &'a ItemId,
    /// The command's type; absent while it is queued, and if it could not be decoded.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CommandTypeWord>, nullable = false)]
    kind: Option<CommandKind>,
    /// `queued`, `applied`, `rejected` or `dead_lettered`.
    #[schema(value_type = StatusWord)]
    status: &'static str,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    accepted_at: Timestamp,
    /// The proof of acceptance; absent once the command has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    receipt: Option<&'a str>,
    /// The address of the status, with the receipt; absent once the command has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status_url: Option<&'a str>,
    /// When the outcome was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    settled_at: Option<Timestamp>,
    /// The token's `sub` or `client_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    submitted_by: Option<&'a str>,
    /// The command as submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CommandSchema>, nullable = false)]
    command: Option<CommandView<'a>>,
    /// The ledger entries that it made, the giving side first. If a token is bound to locations, only the entries there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    effects: Option<Vec<MovementView>>,
    /// The command that took this movement back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    reversed_by: Option<CommandId>,
    /// What is unusual about the effects, in words: a movement was late, its time was clamped or corrected, or a count kept
    /// later movements. Empty for most commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!([]))]
    remarks: Option<Vec<String>>,
    /// Set if the status is `rejected`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RejectionSchema>, nullable = false)]
    rejection: Option<RejectionView<'a>>,
    /// Set if the status is `dead_lettered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dead_letter: Option<DeadLetterView<'a>>,
    /// The refused command that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resubmits: Option<ResubmitsView<'a>>,
    /// Set on a resubmission: when the first command of the chain was accepted. The age of the resubmission is judged by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    first_accepted_at: Option<Timestamp>,
    /// The command that replaces this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resubmitted_as: Option<ResubmitsView<'a>>,
}

impl<'a> StatusView<'a> {
    /// Returns the outcome of a command, as far as the viewer may see it.
    pub(crate) fn of(record: &'a Record, viewer: &Viewer) -> Self {
        let outcome: &Outcome = &record.outcome;
        let seen = outcome.effects.iter().filter(|effect| viewer.sees(&effect.location_id));
        let effects = seen
            .filter_map(|effect| Movement::of_effect(outcome, effect))
            .map(|movement| MovementView::of(movement, viewer))
            .collect();
        Self {
            command_id: outcome.command_id,
            item_id: &outcome.item_id,
            kind: outcome.command.as_ref().map(Command::kind),
            status: outcome.status.as_str(),
            accepted_at: outcome.accepted_at,
            receipt: None,
            status_url: None,
            settled_at: Some(outcome.settled_at),
            submitted_by: Some(&outcome.submitted_by),
            command: outcome.command.as_ref().map(|command| CommandView(viewer.command(command))),
            effects: Some(effects),
            reversed_by: outcome.reversed_by,
            remarks: Some(remarks::of(outcome, viewer)),
            rejection: outcome.rejection.as_ref().map(RejectionView),
            dead_letter: outcome.dead_letter.as_ref().map(|letter| DeadLetterView {
                reason: &letter.reason,
                body: viewer.costs.then_some(letter.body.as_str()),
                discarded_at: letter.discarded_at,
            }),
            resubmits: record.resubmits.as_ref().map(ResubmitsView::of),
            first_accepted_at: record.first_accepted_at,
            resubmitted_as: record.resubmitted_as.as_ref().map(ResubmitsView::of),
        }
    }

    /// Returns the status of a command that is durable in the queue and has no outcome yet.
    pub(crate) fn queued(
        key: &'a CommandKey,
        accepted_at: Timestamp,
        receipt: Option<&'a str>,
        status_url: &'a str,
    ) -> Self {
        Self {
            command_id: key.command_id,
            item_id: &key.item_id,
            kind: None,
            status: "queued",
            accepted_at,
            receipt,
            status_url: Some(status_url),
            settled_at: None,
            submitted_by: None,
            command: None,
            effects: None,
            reversed_by: None,
            remarks: None,
            rejection: None,
            dead_letter: None,
            resubmits: None,
            first_accepted_at: None,
            resubmitted_as: None,
        }
    }
}

/// The answer to one line of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchLine<'a> {
    /// The number of the line, from 0.
    #[schema(example = 0)]
    pub(crate) index: usize,
    /// The command's id, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    pub(crate) command_id: Option<CommandId>,
    /// `queued`; `invalid`: the line has a fault; `failed`: it did not reach the queue and may be sent again with
    /// the same id. With `Prefer: wait` also `applied`, `rejected` or `dead_lettered`.
    #[schema(value_type = BatchLineStatusWord)]
    pub(crate) status: &'static str,
    /// The proof of acceptance, while the line is `queued`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) receipt: Option<&'a str>,
    /// The address of the status, with the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) status_url: Option<&'a str>,
    /// The problem, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::problem::ProblemBody<'static>>, nullable = false)]
    pub(crate) problem: Option<&'a Problem>,
    /// With `Prefer: wait`: the outcome, if it arrived in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) outcome: Option<StatusView<'a>>,
}

/// The answer to a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer<'a> {
    /// The answers, one for each line, in order.
    pub(crate) results: Vec<BatchLine<'a>>,
    /// Lines that are durable in the queue and have no outcome yet.
    #[schema(example = 1)]
    pub(crate) queued: usize,
    /// Lines that are not valid commands, or that you may not submit.
    #[schema(example = 0)]
    pub(crate) invalid: usize,
    /// Lines that did not reach the queue.
    #[schema(example = 0)]
    pub(crate) failed: usize,
    /// With `Prefer: wait`: lines whose outcome arrived in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) settled: Option<usize>,
}

/// The status of one command of several.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusLine<'a> {
    /// The number of the line, from 0.
    #[schema(example = 0)]
    pub(crate) index: usize,
    /// The item.
    #[schema(value_type = String)]
    pub(crate) item_id: &'a ItemId,
    /// The command.
    #[schema(value_type = String, format = "uuid")]
    pub(crate) command_id: CommandId,
    /// `queued`, `applied`, `rejected` or `dead_lettered`; `unknown` if there is a problem.
    #[schema(value_type = StatusLineStatusWord)]
    pub(crate) status: &'static str,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) outcome: Option<StatusView<'a>>,
    /// Why the status is unknown: `command_not_found`, `command_id_reused`, `receipt_invalid`, `outcome_missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::problem::ProblemBody<'static>>, nullable = false)]
    pub(crate) problem: Option<&'a Problem>,
}

/// The status of several commands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusAnswer<'a> {
    /// The answers, one for each line, in order.
    pub(crate) results: Vec<StatusLine<'a>>,
    /// Lines with an outcome.
    #[schema(example = 1)]
    pub(crate) settled: usize,
    /// Lines that are still queued.
    #[schema(example = 0)]
    pub(crate) queued: usize,
    /// Lines whose status is unknown.
    #[schema(example = 0)]
    pub(crate) unknown: usize,
}

/// A page of commands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandPage<'a> {
    /// The commands, newest first.
    pub(crate) commands: Vec<StatusView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
}

/// Why a command was refused, and what was found.
#[derive(ToSchema)]
#[schema(as = Rejection, example = json!({
    "code": "insufficient_stock", "detail": "2 were asked for and 1 is available at shop-1", "available": "1"
}))]
#[expect(dead_code, reason = "describes what domain::Rejection writes")]
pub(crate) struct RejectionSchema {
    /// Why; if several reasons apply, the first one.
    #[schema(value_type = RejectionCodeWord)]
    code: String,
    /// What was wrong and what to do.
    detail: String,
    /// `precondition_failed`: the current balance.
    #[schema(nullable = false)]
    found: Option<String>,
    /// `insufficient_stock`: the available quantity.
    #[schema(nullable = false)]
    available: Option<String>,
    /// `item_exists`, `barcode_taken`: the item that has it.
    #[schema(nullable = false)]
    held_by: Option<String>,
    /// The location concerned, if the command has more than one.
    #[schema(nullable = false)]
    location_id: Option<String>,
    /// When a person dismissed it, because nothing needs to be done.
    #[schema(format = DateTime, nullable = false)]
    dismissed_at: Option<String>,
    /// The reason of that person.
    #[schema(nullable = false)]
    dismissed_because: Option<String>,
    /// That person: the token's `sub` or `client_id`.
    #[schema(nullable = false)]
    dismissed_by: Option<String>,
}
