//! What lists are made of.

use std::sync::Arc;

use crate::domain::analytics::LevelDays;
use crate::domain::{
    Action, Command, CommandId, Cost, Effect, Entry, EntryKind, Item, ItemId, Level, LocationId, Outcome, Quantity,
    Reason, StockState,
};

/// An item with all its levels, read in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemWithLevels {
    /// The catalogue record.
    pub item: Item,
    /// The levels, by location.
    pub levels: Vec<Level>,
}

impl ItemWithLevels {
    /// Returns at how many places it has something: its levels, and the overrides of its planning. A page counts them.
    pub fn places(&self) -> usize {
        self.levels.len() + self.item.overrides.len()
    }
}

/// A level with the record of its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelWithItem {
    /// The catalogue record.
    pub item: Arc<Item>,
    /// The level.
    pub level: Level,
}

impl LevelWithItem {
    /// Returns the state that reads show, from the present balance and threshold.
    pub fn state(&self) -> StockState {
        StockState::judge(self.level.on_hand, self.level.threshold(&self.item))
    }
}

/// One ledger entry with its item and location, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The item.
    pub item_id: ItemId,
    /// The location.
    pub location_id: LocationId,
    /// The entry.
    pub entry: Entry,
    /// The command that took it back.
    pub reversed_by: Option<CommandId>,
}

impl Movement {
    /// Builds the movement of an outcome's effect. Returns `None` if the outcome has no command.
    pub fn of_effect(outcome: &Outcome, effect: &Effect) -> Option<Self> {
        let command: &Command = outcome.command.as_ref()?;
        let details = &command.details;
        let (quantity, named): (Quantity, Option<Cost>) = match &command.action {
            Action::Receive { quantity, unit_cost, .. } => (*quantity, *unit_cost),
            Action::Sell { quantity, .. }
            | Action::Return { quantity, .. }
            | Action::Adjust { quantity, .. }
            | Action::Transfer { quantity, .. } => (*quantity, None),
            Action::Count { counted, .. } => (*counted, None),
            Action::Reverse { .. } => (effect.quantity?, None),
            _ => return None,
        };
        let reason: Option<Reason> = details.reason;
        let counterpart = match (&command.action, effect.kind) {
            (Action::Transfer { to_location_id, .. }, EntryKind::TransferOut) => Some(to_location_id.clone()),
            (Action::Transfer { from_location_id, .. }, _) => Some(from_location_id.clone()),
            (Action::Reverse { .. }, _) => {
                let other = outcome.effects.iter().find(|other| other.location_id != effect.location_id);
                other.map(|other| other.location_id.clone())
            }
            _ => None,
        };
        Some(Self {
            item_id: outcome.item_id.clone(),
            location_id: effect.location_id.clone(),
            entry: Entry {
                seq: effect.seq,
                kind: effect.kind,
                command_id: outcome.command_id,
                quantity,
                delta: effect.delta,
                after: effect.after,
                occurred_at: effect.occurred_at,
                recorded_at: effect.recorded_at,
                late: effect.late,
                clock_ahead: effect.clock_ahead,
                submitted_by: outcome.submitted_by.clone(),
                counterpart,
                unit_cost: effect.unit_cost.or(named),
                amount: effect.amount.or(command.action.amount()),
                cost: effect.cost,
                revaluation: effect.revaluation,
                reverses: command.action.reverses(),
                reason,
                note: details.note.clone(),
                reference: details.reference.clone(),
                device_id: details.device_id.clone(),
                operator: details.operator.clone(),
            },
            reversed_by: outcome.reversed_by,
        })
    }
}

/// A level with its item and the totals of its local days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelWithDays {
    /// The catalogue record.
    pub item: Arc<Item>,
    /// The level. A store may leave out its tail, which is in the days.
    pub level: Level,
    /// The days of its ledger, up to the level's seq.
    pub days: Arc<LevelDays>,
}

/// A page of levels with their days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaysPage {
    /// The levels. There may be none, though a later page has some.
    pub entries: Vec<LevelWithDays>,
    /// The levels that were left out because they can't be read.
    pub unreadable: usize,
    /// The cursor of the next page; only `None` means the end.
    pub next_cursor: Option<String>,
}
