//! What the rows prove, in the form that the fold takes and makes: commands, messages, effects and outcomes.

use std::collections::BTreeMap;

use stockline_core::domain::{
    Action, Catalogue, Command, Effect, Entry, EntryKind, Fingerprint, Item, ItemId, LocationId, LocationSettings,
    MovementDetails, Outcome, Planning, Queued, Record, ShortagePolicy, Status, Timestamp,
};

use super::evidence::Remains;

/// Returns why a record was refused, for people.
pub(super) fn refusal(record: &Record) -> String {
    record.outcome.rejection.as_ref().map_or_else(String::new, |rejection| rejection.detail.clone())
}

/// Returns the settings of a location in use.
pub(super) fn open(location_id: &LocationId) -> LocationSettings {
    LocationSettings { location_id: location_id.clone(), closed: false, ..LocationSettings::main() }
}

/// Returns the item as it judges movements that have happened.
pub(super) fn in_use(mut item: Item) -> Item {
    item.archived_at = None;
    item.catalogue.shortage_policy = ShortagePolicy::Allow;
    item.catalogue.decimals = MAX_DECIMALS;
    item
}

const MAX_DECIMALS: u8 = 3;

/// Makes a record for an item whose own is lost.
pub(super) fn nameless(item_id: &ItemId, remains: &Remains) -> Item {
    let epoch =
        remains.ledgers.values().filter_map(|ledger| ledger.level.as_ref()).map(|level| level.alert_epoch).max();
    let at = remains.ledgers.values().filter_map(|ledger| ledger.level.as_ref()).map(|level| level.updated_at).max();
    Item {
        item_id: item_id.clone(),
        catalogue: Catalogue {
            name: item_id.to_string(),
            unit: "piece".to_owned(),
            decimals: MAX_DECIMALS,
            barcodes: Vec::new(),
            category: None,
            low_stock_threshold: None,
            shortage_policy: ShortagePolicy::Allow,
            unit_cost: None,
            planning: Planning::default(),
        },
        overrides: BTreeMap::new(),
        archived_at: None,
        version: 1,
        threshold_version: 1,
        alert_epoch: epoch.unwrap_or(1),
        created_at: at.unwrap_or(Timestamp::EPOCH),
        updated_at: at.unwrap_or(Timestamp::EPOCH),
    }
}

/// Returns the command of an outcome as it was queued.
pub(super) fn queued_of(record: &Record, command: Command) -> Queued {
    Queued {
        command,
        accepted_at: record.outcome.accepted_at,
        submitted_by: record.outcome.submitted_by.clone(),
        retry: record.retry,
        resubmits: record.resubmits.clone(),
        first_accepted_at: record.first_accepted_at,
        reach: None,
        trace: None,
    }
}

/// Returns the command of an entry as it was queued: from its outcome if that is there, else from what the entry keeps of it.
pub(super) fn queued_of_entry(
    old: Option<&Record>,
    item_id: &ItemId,
    location_id: &LocationId,
    entry: &Entry,
) -> Queued {
    if let Some(old) = old
        && let Some(command) = &old.outcome.command
    {
        return queued_of(old, command.clone());
    }
    Queued {
        command: command_of(item_id, location_id, entry),
        // What is not late keeps its place in the queue; see `Occurrence`.
        accepted_at: if entry.late { entry.recorded_at } else { entry.occurred_at },
        submitted_by: entry.submitted_by.clone(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }
}

/// Returns the command that an entry tells of. Only its preconditions are lost.
pub(super) fn command_of(item_id: &ItemId, location_id: &LocationId, entry: &Entry) -> Command {
    let location_id = location_id.clone();
    let (quantity, amount) = (entry.quantity, entry.amount);
    let other = entry.counterpart.clone().unwrap_or_else(|| location_id.clone());
    let action = match (entry.reverses, entry.kind) {
        (Some(reverses), _) => Action::Reverse { reverses },
        (None, EntryKind::Receive) => Action::Receive { location_id, quantity, unit_cost: entry.unit_cost },
        (None, EntryKind::Sell) => Action::Sell { location_id, quantity, on_shortage: None, amount },
        (None, EntryKind::Return) => Action::Return { location_id, quantity, amount },
        (None, EntryKind::Adjust) => Action::Adjust { location_id, quantity },
        (None, EntryKind::Count) => Action::Count { location_id, counted: quantity },
        (None, EntryKind::TransferOut) => {
            Action::Transfer { from_location_id: location_id, to_location_id: other, quantity }
        }
        (None, EntryKind::TransferIn) => {
            Action::Transfer { from_location_id: other, to_location_id: location_id, quantity }
        }
    };
    let details = MovementDetails {
        occurred_at: entry.late.then_some(entry.occurred_at),
        reason: entry.reason,
        note: entry.note.clone(),
        reference: entry.reference.clone(),
        device_id: entry.device_id.clone(),
        operator: entry.operator.clone(),
        ..MovementDetails::default()
    };
    Command { command_id: entry.command_id, item_id: item_id.clone(), action, details }
}

/// Returns the command as it is judged: its goods have moved, so nothing may refuse it.
pub(super) fn as_if_allowed(queued: &Queued) -> Queued {
    let mut queued = Queued { resubmits: None, ..queued.clone() };
    queued.command.details.expected_on_hand = None;
    if let Action::Sell { on_shortage, .. } = &mut queued.command.action {
        *on_shortage = Some(ShortagePolicy::Allow);
    }
    queued
}

/// Makes the outcome of an applied command. An outcome that is made from an entry has no fingerprint, because the entry
/// does not tell all of the command: so a till that sends it again gets the outcome, and not `command_id_reused`.
pub(super) fn applied(queued: &Queued, old: Option<&Record>, effects: Vec<Effect>, settled_at: Timestamp) -> Record {
    let command = &queued.command;
    Record {
        outcome: Outcome {
            command_id: command.command_id,
            item_id: command.item_id.clone(),
            status: Status::Applied,
            accepted_at: queued.accepted_at,
            settled_at: old
                .filter(|old| old.outcome.status == Status::Applied)
                .map_or(settled_at, |old| old.outcome.settled_at),
            submitted_by: queued.submitted_by.clone(),
            command: Some(command.clone()),
            effects,
            reversed_by: old.and_then(|old| old.outcome.reversed_by),
            rejection: None,
            dead_letter: None,
        },
        fingerprint: old.and_then(|old| old.outcome.command.as_ref()).map(Fingerprint::of),
        retry: queued.retry,
        alerts: old.map(|old| old.alerts.clone()).unwrap_or_default(),
        changed_default: None,
        resubmits: queued.resubmits.clone(),
        first_accepted_at: queued.first_accepted_at,
        reach: None,
        resubmitted_as: None,
    }
}

/// Returns the effect that an entry records.
pub(super) fn effect_of(location_id: &LocationId, entry: &Entry, command: &Command) -> Effect {
    let named = match &command.action {
        Action::Receive { unit_cost, .. } => *unit_cost,
        _ => None,
    };
    let is_reversal = entry.reverses.is_some();
    Effect {
        location_id: location_id.clone(),
        seq: entry.seq,
        kind: entry.kind,
        delta: entry.delta,
        after: entry.after,
        occurred_at: entry.occurred_at,
        recorded_at: entry.recorded_at,
        late: entry.late,
        clock_ahead: entry.clock_ahead,
        unit_cost: entry.unit_cost.filter(|_| named.is_none()),
        cost: entry.cost,
        revaluation: entry.revaluation,
        quantity: is_reversal.then_some(entry.quantity),
        amount: entry.amount.filter(|_| is_reversal),
    }
}
