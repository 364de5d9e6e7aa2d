use std::sync::Arc;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{
    Catalogue, CataloguePatch, CommandId, Cost, ItemId, LocationId, Money, Planning, PlanningPatch, Quantity,
    ShortagePolicy, Timestamp, Trace,
};

/// The types of command (design.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Creates an item.
    RegisterItem,
    /// Changes catalogue fields.
    UpdateItem,
    /// Takes an item out of use.
    ArchiveItem,
    /// Puts an archived item back in use.
    RestoreItem,
    /// Sets the default or a location's threshold.
    SetThreshold,
    /// Sets how an item is ordered at a location.
    SetPlanning,
    /// Goods came in.
    Receive,
    /// Goods were sold.
    Sell,
    /// A customer brought goods back.
    Return,
    /// A correction with a reason.
    Adjust,
    /// A count of the goods on the shelf.
    Count,
    /// Goods moved from one location to another.
    Transfer,
    /// A movement that was a mistake, taken back.
    Reverse,
}

impl CommandKind {
    /// All types, in the order of design.md §4.
    pub const ALL: [Self; 13] = [
        Self::RegisterItem,
        Self::UpdateItem,
        Self::ArchiveItem,
        Self::RestoreItem,
        Self::SetThreshold,
        Self::SetPlanning,
        Self::Receive,
        Self::Sell,
        Self::Return,
        Self::Adjust,
        Self::Count,
        Self::Transfer,
        Self::Reverse,
    ];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegisterItem => "register_item",
            Self::UpdateItem => "update_item",
            Self::ArchiveItem => "archive_item",
            Self::RestoreItem => "restore_item",
            Self::SetThreshold => "set_threshold",
            Self::SetPlanning => "set_planning",
            Self::Receive => "receive",
            Self::Sell => "sell",
            Self::Return => "return",
            Self::Adjust => "adjust",
            Self::Count => "count",
            Self::Transfer => "transfer",
            Self::Reverse => "reverse",
        }
    }

    /// Returns the type of a word; `None` if no type has that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns whether the command moves stock, and so has [`MovementDetails`].
    pub const fn is_movement(self) -> bool {
        matches!(
            self,
            Self::Receive | Self::Sell | Self::Return | Self::Adjust | Self::Count | Self::Transfer | Self::Reverse
        )
    }
}

/// Why stock was adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Broken goods.
    Damaged,
    /// Past their date.
    Expired,
    /// Stolen.
    Theft,
    /// Turned up again.
    Found,
    /// The figure was wrong.
    Correction,
    /// Given away or tasted.
    Sample,
    /// Anything else, which the note explains.
    Other,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 7] =
        [Self::Damaged, Self::Expired, Self::Theft, Self::Found, Self::Correction, Self::Sample, Self::Other];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Expired => "expired",
            Self::Theft => "theft",
            Self::Found => "found",
            Self::Correction => "correction",
            Self::Sample => "sample",
            Self::Other => "other",
        }
    }

    /// Returns the reason of a word; `None` if no reason has that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// The action of a command, with the fields of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// See [`CommandKind::RegisterItem`].
    RegisterItem(Catalogue),
    /// See [`CommandKind::UpdateItem`].
    UpdateItem(CataloguePatch),
    /// See [`CommandKind::ArchiveItem`].
    ArchiveItem,
    /// See [`CommandKind::RestoreItem`].
    RestoreItem,
    /// Sets a threshold. Without a location it is the item's default; without a threshold it is cleared.
    SetThreshold {
        /// The location of the threshold.
        location_id: Option<LocationId>,
        /// The new threshold.
        low_stock_threshold: Option<Quantity>,
    },
    /// Sets what a location has instead of the item's planning. A field that is cleared is the item's again.
    SetPlanning {
        /// The location.
        location_id: LocationId,
        /// The change.
        planning: PlanningPatch,
    },
    /// See [`CommandKind::Receive`].
    Receive {
        /// The location.
        location_id: LocationId,
        /// The quantity, above zero.
        quantity: Quantity,
        /// The cost of one unit.
        unit_cost: Option<Cost>,
    },
    /// See [`CommandKind::Sell`].
    Sell {
        /// The location.
        location_id: LocationId,
        /// The quantity, above zero.
        quantity: Quantity,
        /// Overrides the item's policy.
        on_shortage: Option<ShortagePolicy>,
        /// The line's total as the customer paid it, zero or more.
        amount: Option<Money>,
    },
    /// See [`CommandKind::Return`].
    Return {
        /// The location.
        location_id: LocationId,
        /// The quantity, above zero.
        quantity: Quantity,
        /// The line's total as the customer got it back, zero or more.
        amount: Option<Money>,
    },
    /// The reason is in [`MovementDetails::reason`], which is always set here.
    Adjust {
        /// The location.
        location_id: LocationId,
        /// The quantity, not zero.
        quantity: Quantity,
    },
    /// See [`CommandKind::Count`].
    Count {
        /// The location.
        location_id: LocationId,
        /// The counted quantity, zero or more.
        counted: Quantity,
    },
    /// See [`CommandKind::Transfer`].
    Transfer {
        /// The giving side.
        from_location_id: LocationId,
        /// The receiving side, a different location.
        to_location_id: LocationId,
        /// The quantity, above zero.
        quantity: Quantity,
    },
    /// See [`CommandKind::Reverse`].
    Reverse {
        /// The command of the same item to take back, another than this one.
        reverses: CommandId,
    },
}

impl Action {
    /// Returns the command's type.
    pub const fn kind(&self) -> CommandKind {
        match self {
            Self::RegisterItem(_) => CommandKind::RegisterItem,
            Self::UpdateItem(_) => CommandKind::UpdateItem,
            Self::ArchiveItem => CommandKind::ArchiveItem,
            Self::RestoreItem => CommandKind::RestoreItem,
            Self::SetThreshold { .. } => CommandKind::SetThreshold,
            Self::SetPlanning { .. } => CommandKind::SetPlanning,
            Self::Receive { .. } => CommandKind::Receive,
            Self::Sell { .. } => CommandKind::Sell,
            Self::Return { .. } => CommandKind::Return,
            Self::Adjust { .. } => CommandKind::Adjust,
            Self::Count { .. } => CommandKind::Count,
            Self::Transfer { .. } => CommandKind::Transfer,
            Self::Reverse { .. } => CommandKind::Reverse,
        }
    }

    /// Returns the command that a reversal takes back.
    pub const fn reverses(&self) -> Option<CommandId> {
        match self {
            Self::Reverse { reverses } => Some(*reverses),
            _ => None,
        }
    }

    /// Returns the line's total of a sale or a return.
    pub const fn amount(&self) -> Option<Money> {
        match self {
            Self::Sell { amount, .. } | Self::Return { amount, .. } => *amount,
            _ => None,
        }
    }

    /// Returns whether the action sets the item's default threshold, changed or not.
    pub fn sets_default(&self) -> bool {
        match self {
            Self::SetThreshold { location_id, .. } => location_id.is_none(),
            Self::UpdateItem(patch) => patch.low_stock_threshold.is_some(),
            _ => false,
        }
    }

    /// Returns whether the action changes the item's record, if it is applied.
    pub const fn changes_item(&self) -> bool {
        match self {
            Self::SetThreshold { location_id, .. } => location_id.is_none(),
            action => !action.kind().is_movement(),
        }
    }

    /// Returns the locations that the action names, the giving side first.
    pub fn locations(&self) -> impl Iterator<Item = &LocationId> {
        let (first, second) = match self {
            Self::SetThreshold { location_id, .. } => (location_id.as_ref(), None),
            Self::SetPlanning { location_id, .. }
            | Self::Receive { location_id, .. }
            | Self::Sell { location_id, .. }
            | Self::Return { location_id, .. }
            | Self::Adjust { location_id, .. }
            | Self::Count { location_id, .. } => (Some(location_id), None),
            Self::Transfer { from_location_id, to_location_id, .. } => (Some(from_location_id), Some(to_location_id)),
            Self::RegisterItem(_)
            | Self::UpdateItem(_)
            | Self::ArchiveItem
            | Self::RestoreItem
            | Self::Reverse { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// The fields that every movement may have besides its own. On catalogue commands only `sent_at` may be set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovementDetails {
    /// When the movement happened, by the client's clock. If unset, it happened when it was accepted.
    pub occurred_at: Option<Timestamp>,
    /// The client's clock at sending, which corrects `occurred_at`. It is not part of the fingerprint.
    pub sent_at: Option<Timestamp>,
    /// The balance that must exist when the command is applied (in a transfer, the giving side's).
    pub expected_on_hand: Option<Quantity>,
    /// The reason; always set for `adjust`.
    pub reason: Option<Reason>,
    /// A free text of at most 500 characters.
    pub note: Option<String>,
    /// A receipt, an order or the address of a document, at most 200 characters.
    pub reference: Option<String>,
    /// The till, as a code of at most 64 characters.
    pub device_id: Option<String>,
    /// The person at the till, as a code of at most 64 characters, not a name.
    pub operator: Option<String>,
}

/// A parsed request to change something. It serialises to JSON that parses to the same command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The id, unique within the item.
    pub command_id: CommandId,
    /// The item.
    pub item_id: ItemId,
    /// The action.
    pub action: Action,
    /// The fields that every movement may have.
    pub details: MovementDetails,
}

impl Command {
    /// Returns the command's type.
    pub const fn kind(&self) -> CommandKind {
        self.action.kind()
    }

    /// Returns whether the command names a cost, which only managers and its submitter may see.
    pub const fn has_cost(&self) -> bool {
        match &self.action {
            Action::RegisterItem(catalogue) => catalogue.unit_cost.is_some(),
            Action::UpdateItem(patch) => patch.unit_cost.is_some(),
            Action::Receive { unit_cost, .. } => unit_cost.is_some(),
            _ => false,
        }
    }

    /// Returns the command without its cost.
    #[must_use]
    pub fn without_cost(mut self) -> Self {
        match &mut self.action {
            Action::RegisterItem(catalogue) => catalogue.unit_cost = None,
            Action::UpdateItem(patch) => patch.unit_cost = None,
            Action::Receive { unit_cost, .. } => *unit_cost = None,
            _ => {}
        }
        self
    }
}

/// The key of a command. An id is unique only within its item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandKey {
    /// The item.
    pub item_id: ItemId,
    /// The id of the command.
    pub command_id: CommandId,
}

/// What a submitter may take back; a Manager without a binding has no such bounds. The ingress knows the submitter, and only
/// the fold knows the movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Only the submitter's own commands that were accepted at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_since: Option<Timestamp>,
    /// Only movements at these locations; of a transfer the giving side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<LocationId>>,
}

/// A command in the queue, with what the ingress added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The command.
    pub command: Command,
    /// When the ingress accepted it.
    pub accepted_at: Timestamp,
    /// The token's `sub` or `client_id`.
    pub submitted_by: Arc<str>,
    /// The number of the retry of a dead letter: 0 for the first submission, n for the nth retry.
    pub retry: u32,
    /// In a resubmission, the refused command that it replaces, which may be of another item.
    pub resubmits: Option<CommandKey>,
    /// In a resubmission, when the first submission was accepted. The age of a movement is judged by that time.
    pub first_accepted_at: Option<Timestamp>,
    /// In a reversal, what its submitter may take back.
    pub reach: Option<Reach>,
    /// The request that it came with. It decides nothing.
    pub trace: Option<Trace>,
}

fn planning<M: SerializeMap>(map: &mut M, planning: &Planning) -> Result<(), M::Error> {
    set(map, "supplier", planning.supplier.as_ref())?;
    set(map, "lead_time_days", planning.lead_time_days.as_ref())?;
    set(map, "order_multiple", planning.order_multiple.as_ref())?;
    set(map, "order_minimum", planning.order_minimum.as_ref())?;
    set(map, "service_level", planning.service_level.as_ref())
}

fn planning_patch<M: SerializeMap>(map: &mut M, patch: &PlanningPatch) -> Result<(), M::Error> {
    set(map, "supplier", patch.supplier.as_ref())?;
    set(map, "lead_time_days", patch.lead_time_days.as_ref())?;
    set(map, "order_multiple", patch.order_multiple.as_ref())?;
    set(map, "order_minimum", patch.order_minimum.as_ref())?;
    set(map, "service_level", patch.service_level.as_ref())
}

fn set<M: SerializeMap, T: Serialize>(map: &mut M, key: &'static str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind().as_str())?;
        map.serialize_entry("command_id", &self.command_id)?;
        map.serialize_entry("item_id", &self.item_id)?;
        match &self.action {
            Action::RegisterItem(c) => {
                map.serialize_entry("name", &c.name)?;
                map.serialize_entry("unit", &c.unit)?;
                map.serialize_entry("decimals", &c.decimals)?;
                if !c.barcodes.is_empty() {
                    map.serialize_entry("barcodes", &c.barcodes)?;
                }
                set(&mut map, "category", c.category.as_ref())?;
                set(&mut map, "low_stock_threshold", c.low_stock_threshold.as_ref())?;
                map.serialize_entry("shortage_policy", &c.shortage_policy)?;
                set(&mut map, "unit_cost", c.unit_cost.as_ref())?;
                planning(&mut map, &c.planning)?;
            }
            Action::UpdateItem(p) => {
                set(&mut map, "name", p.name.as_ref())?;
                set(&mut map, "unit", p.unit.as_ref())?;
                set(&mut map, "decimals", p.decimals.as_ref())?;
                set(&mut map, "barcodes", p.barcodes.as_ref())?;
                set(&mut map, "category", p.category.as_ref())?;
                set(&mut map, "low_stock_threshold", p.low_stock_threshold.as_ref())?;
                set(&mut map, "shortage_policy", p.shortage_policy.as_ref())?;
                set(&mut map, "unit_cost", p.unit_cost.as_ref())?;
                planning_patch(&mut map, &p.planning)?;
            }
            Action::ArchiveItem | Action::RestoreItem => {}
            Action::SetThreshold { location_id, low_stock_threshold } => {
                set(&mut map, "location_id", location_id.as_ref())?;
                map.serialize_entry("low_stock_threshold", low_stock_threshold)?;
            }
            Action::SetPlanning { location_id, planning } => {
                map.serialize_entry("location_id", location_id)?;
                planning_patch(&mut map, planning)?;
            }
            Action::Receive { location_id, quantity, unit_cost } => {
                map.serialize_entry("location_id", location_id)?;
                map.serialize_entry("quantity", quantity)?;
                set(&mut map, "unit_cost", unit_cost.as_ref())?;
            }
            Action::Sell { location_id, quantity, on_shortage, amount } => {
                map.serialize_entry("location_id", location_id)?;
                map.serialize_entry("quantity", quantity)?;
                set(&mut map, "on_shortage", on_shortage.as_ref())?;
                set(&mut map, "amount", amount.as_ref())?;
            }
            Action::Return { location_id, quantity, amount } => {
                map.serialize_entry("location_id", location_id)?;
                map.serialize_entry("quantity", quantity)?;
                set(&mut map, "amount", amount.as_ref())?;
            }
            Action::Adjust { location_id, quantity } => {
                map.serialize_entry("location_id", location_id)?;
                map.serialize_entry("quantity", quantity)?;
            }
            Action::Count { location_id, counted } => {
                map.serialize_entry("location_id", location_id)?;
                map.serialize_entry("counted", counted)?;
            }
            Action::Transfer { from_location_id, to_location_id, quantity } => {
                map.serialize_entry("from_location_id", from_location_id)?;
                map.serialize_entry("to_location_id", to_location_id)?;
                map.serialize_entry("quantity", quantity)?;
            }
            Action::Reverse { reverses } => map.serialize_entry("reverses", reverses)?,
        }
        let details = &self.details;
        set(&mut map, "occurred_at", details.occurred_at.as_ref())?;
        set(&mut map, "sent_at", details.sent_at.as_ref())?;
        set(&mut map, "expected_on_hand", details.expected_on_hand.as_ref())?;
        set(&mut map, "reason", details.reason.as_ref())?;
        set(&mut map, "note", details.note.as_ref())?;
        set(&mut map, "reference", details.reference.as_ref())?;
        set(&mut map, "device_id", details.device_id.as_ref())?;
        set(&mut map, "operator", details.operator.as_ref())?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Command {
    /// Uses the one parser, so that a stored command obeys the same rules as a submitted one.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = super::Json::deserialize(deserializer)?;
        super::parse_command(&json, &super::ParseContext::stored())
            .map_err(|faults| serde::de::Error::custom(super::parse::describe(&faults)))
    }
}
