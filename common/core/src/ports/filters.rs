//! What lists are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{
    Catalogue, CommandKind, Entry, Item, ItemId, Level, LocationId, Record, RejectionCode, Status, StockState,
    Timestamp,
};

/// Selects items that meet all conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// Only the item with this barcode, in whatever spelling.
    pub barcode: Option<String>,
    /// Only names with this prefix, in any case.
    pub name_prefix: Option<String>,
    /// Only names that contain this text, in any case.
    pub name_part: Option<String>,
    /// Only this category.
    pub category: Option<String>,
    /// Only this supplier of the item itself, whatever locations have instead.
    pub supplier: Option<String>,
    /// Archived items instead of items in use.
    pub archived: bool,
    /// Only records that changed at or after this time.
    pub updated_since: Option<Timestamp>,
    /// Whether to include items in use and archived ones, whatever `archived` says. Only [`Queries::changed_items`](super::Queries::changed_items) asks so; a
    /// store with a `changed_items` of its own need not heed it.
    pub with_archived: bool,
}

impl ItemFilter {
    /// Returns whether items are wanted that are archived, or are not.
    pub const fn wants_archived(&self, archived: bool) -> bool {
        self.with_archived || self.archived == archived
    }

    /// Reports whether a record has the category and the supplier that are asked for.
    pub fn is_of(&self, catalogue: &Catalogue) -> bool {
        self.category.as_ref().is_none_or(|only| catalogue.category.as_ref() == Some(only))
            && self.supplier.as_ref().is_none_or(|only| catalogue.planning.supplier.as_ref() == Some(only))
    }

    /// Reports whether a lower-cased name contains the text that is asked for.
    pub fn has_part(&self, name: &str) -> bool {
        self.name_part.as_ref().is_none_or(|part| name.contains(&part.to_lowercase()))
    }
}

/// Selects movements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovementFilter {
    /// Only this location.
    pub location_id: Option<LocationId>,
    /// Only entries recorded at or after this time.
    pub from: Option<Timestamp>,
    /// Only entries recorded before this time.
    pub to: Option<Timestamp>,
    /// Only this command type.
    pub kind: Option<CommandKind>,
    /// Only this person at the till.
    pub operator: Option<String>,
}

impl MovementFilter {
    /// Returns whether an entry has the type and the operator.
    pub fn keeps(&self, entry: &Entry) -> bool {
        self.kind.is_none_or(|kind| entry.command_kind() == kind)
            && self.operator.as_ref().is_none_or(|only| entry.operator.as_ref() == Some(only))
    }
}

/// Selects levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelFilter {
    /// Only this location.
    pub location_id: Option<LocationId>,
    /// Only levels in one of these states, by [`LevelWithItem::state`](super::LevelWithItem::state); in any state if there are none.
    pub states: Vec<StockState>,
    /// Whether to include archived items.
    pub archived: bool,
    /// Only levels that changed at or after this time, or whose item did.
    pub updated_since: Option<Timestamp>,
}

impl LevelFilter {
    /// Returns whether a level has changed late enough.
    pub fn is_recent(&self, item: &Item, level: &Level) -> bool {
        self.updated_since.is_none_or(|since| level.updated_at >= since || item.updated_at >= since)
    }

    /// Returns whether levels in this state are wanted.
    pub fn wants(&self, state: StockState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Returns whether no level in the state `normal` is wanted, so that an index of the others is enough.
    pub fn wants_no_normal(&self) -> bool {
        !self.wants(StockState::Normal)
    }
}

/// Selects levels for their days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaysFilter {
    /// Only this location.
    pub location_id: Option<LocationId>,
    /// The IANA time zones of the locations; a location without one has the days of UTC.
    pub time_zones: Arc<BTreeMap<LocationId, String>>,
    /// Only days that begin at this moment or later need be whole. A store may sum up what occurred before, as
    /// [`Tally::of_last_entries`](crate::domain::analytics::Tally::of_last_entries) does; `None` asks for all days.
    pub since: Option<Timestamp>,
}

/// Selects refused commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFilter {
    /// The status, `rejected` or `dead_lettered`.
    pub status: Status,
    /// Only this rejection code.
    pub code: Option<RejectionCode>,
    /// Only commands that name this location (in a transfer, the giving side).
    pub location_id: Option<LocationId>,
    /// Only commands settled at or after this time.
    pub since: Option<Timestamp>,
    /// Whether to include resubmitted, dismissed and discarded commands.
    pub settled_otherwise: bool,
}

/// Selects changes of the catalogue: applied commands that move no stock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only this item.
    pub item_id: Option<ItemId>,
    /// Only this command type.
    pub kind: Option<CommandKind>,
    /// Only commands that name this location.
    pub location_id: Option<LocationId>,
    /// Only commands settled at or after this time.
    pub since: Option<Timestamp>,
}

impl ChangeFilter {
    /// Returns whether a record is a change that the filter selects.
    pub fn keeps(&self, record: &Record) -> bool {
        let outcome = &record.outcome;
        outcome.changed().is_some_and(|command| {
            self.item_id.as_ref().is_none_or(|only| outcome.item_id == *only)
                && self.kind.is_none_or(|only| command.kind() == only)
                && self.location_id.as_ref().is_none_or(|only| command.action.locations().next() == Some(only))
                && self.since.is_none_or(|since| outcome.settled_at >= since)
        })
    }
}
