use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Alert, CommandId, CommandKind, Cost, Item, LocationId, Money, Quantity, Reason, StockState, Timestamp, Valuation,
};

/// The kind of a ledger entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Goods came in.
    Receive,
    /// Goods were sold.
    Sell,
    /// A customer brought goods back.
    Return,
    /// A correction.
    Adjust,
    /// A count.
    Count,
    /// The giving leg of a transfer.
    TransferOut,
    /// The receiving leg of a transfer.
    TransferIn,
}

impl EntryKind {
    /// All kinds. An entry is stored with the place of its kind in this list, so a new kind goes to the end.
    pub const ALL: [Self; 7] =
        [Self::Receive, Self::Sell, Self::Return, Self::Adjust, Self::Count, Self::TransferOut, Self::TransferIn];

    /// Returns the command type of the kind; both legs are `transfer`. A reversal has the kind of what it takes back.
    pub const fn command_kind(self) -> CommandKind {
        match self {
            Self::Receive => CommandKind::Receive,
            Self::Sell => CommandKind::Sell,
            Self::Return => CommandKind::Return,
            Self::Adjust => CommandKind::Adjust,
            Self::Count => CommandKind::Count,
            Self::TransferOut | Self::TransferIn => CommandKind::Transfer,
        }
    }
}

/// One applied movement at one level. `before` is `after − delta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of the entry in its level: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// The kind of movement.
    pub kind: EntryKind,
    /// The command that made it.
    pub command_id: CommandId,
    /// The moved or counted quantity, as submitted.
    pub quantity: Quantity,
    /// The change of the balance; 0 if late.
    pub delta: Quantity,
    /// The balance after it.
    pub after: Quantity,
    /// When the movement happened, corrected and clamped (design.md §4, honest time).
    pub occurred_at: Timestamp,
    /// When it was committed; never before `accepted_at` or the entry before.
    pub recorded_at: Timestamp,
    /// Whether the last count already included it.
    pub late: bool,
    /// Whether it claimed a time in the future and was clamped.
    pub clock_ahead: bool,
    /// The token's `sub` or `client_id`.
    pub submitted_by: Arc<str>,
    /// The other side of a transfer.
    pub counterpart: Option<LocationId>,
    /// The cost of one unit: as a receive named it, as a transfer brought it, or the catalogue's where the level had no
    /// average yet and took that one.
    pub unit_cost: Option<Cost>,
    /// The line's total as the customer paid it, in a sale or a return.
    pub amount: Option<Money>,
    /// The cost that the goods moved at: positive into the level, negative out of it. `None` if it is not known, and if
    /// the balance did not change.
    pub cost: Option<Money>,
    /// The change of the value of the goods that did *not* move; see [`Valuation`].
    pub revaluation: Money,
    /// The command whose entry this one takes back.
    pub reverses: Option<CommandId>,
    /// See [`super::MovementDetails::reason`].
    pub reason: Option<Reason>,
    /// See [`super::MovementDetails::note`].
    pub note: Option<String>,
    /// See [`super::MovementDetails::reference`].
    pub reference: Option<String>,
    /// See [`super::MovementDetails::device_id`].
    pub device_id: Option<String>,
    /// See [`super::MovementDetails::operator`].
    pub operator: Option<String>,
}

impl Entry {
    /// Returns the balance before the entry.
    pub const fn before(&self) -> Quantity {
        Quantity::from_raw(self.after.raw().wrapping_sub(self.delta.raw()))
    }

    /// Returns the type of the command that made the entry.
    pub fn command_kind(&self) -> CommandKind {
        if self.reverses.is_some() { CommandKind::Reverse } else { self.kind.command_kind() }
    }

    /// Returns whether goods were received, which may have a cost of their own.
    pub(super) fn is_receipt(&self) -> bool {
        self.kind == EntryKind::Receive && self.reverses.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
pub(super) const fn is_nothing(money: &Money) -> bool {
    money.is_zero()
}

/// The stock of one item at one location. `tail` is stored separately (see [`super::encode_entries`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The location.
    pub location_id: LocationId,
    /// The balance.
    pub on_hand: Quantity,
    /// The number of the last ledger entry; 0 if there is none.
    pub seq: u64,
    /// Grows by 1 with every commit that writes the level, from 1.
    pub version: u64,
    /// This level's own threshold, instead of the item's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
    /// The state that was last judged for alerts.
    pub state: StockState,
    /// The [`super::AlertKind::bit`]s of the kinds that alerted in this episode.
    #[serde(default)]
    pub alerted: u8,
    /// The number of the last alert; 0 if there was none.
    #[serde(default)]
    pub alert_no: u64,
    /// The [`Item::alert_epoch`] of `state` and `alerted`.
    #[serde(default)]
    pub alert_epoch: u64,
    /// When the last count was taken. `None` before the first one, and once the queue has shown that the clock of the
    /// last one was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// The entry of the last count that was not late; 0 if there was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub counted_seq: u64,
    /// The value of the stock: the sum of the costs and the revaluations of all entries.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub value: Money,
    /// The moving average cost of one unit; `None` until a cost is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_cost: Option<Cost>,
    /// The `recorded_at` of the last entry, or the last change of the threshold.
    pub updated_at: Timestamp,
    /// The last entries, which are not in a chunk yet, oldest first. The last one has `seq`.
    #[serde(skip)]
    pub tail: Vec<Entry>,
}

impl Level {
    /// Makes a new level in the state `out`. It is not judged until its opening stock is in (design.md §8): until then
    /// its balance is zero, so no threshold makes its state worse. See [`Level::open`].
    pub fn new(location_id: LocationId, alert_epoch: u64) -> Self {
        Self {
            location_id,
            on_hand: Quantity::ZERO,
            seq: 0,
            version: 0,
            low_stock_threshold: None,
            state: StockState::Out,
            alerted: 0,
            alert_no: 0,
            alert_epoch,
            counted_at: None,
            counted_seq: 0,
            value: Money::ZERO,
            average_cost: None,
            updated_at: Timestamp::EPOCH,
            tail: Vec::new(),
        }
    }

    /// Returns the level's own threshold, else the item's default.
    pub fn threshold(&self, item: &Item) -> Option<Quantity> {
        self.low_stock_threshold.or(item.catalogue.low_stock_threshold)
    }

    /// Returns the stock with its value.
    pub const fn valuation(&self) -> Valuation {
        Valuation { on_hand: self.on_hand, value: self.value, average_cost: self.average_cost }
    }

    /// Begins the judging with the level's first entry, before that moves the balance: stock that opens low has fallen
    /// below its threshold like any other.
    pub(super) const fn open(&mut self) {
        self.state = StockState::Normal;
    }

    /// Judges the present balance. Returns the alert of a crossing that must be reported.
    ///
    /// Call [`Level::enter_epoch`] first.
    pub fn judge(&mut self, item: &Item, raised_at: Timestamp, command_id: CommandId) -> Option<Alert> {
        let threshold = self.threshold(item);
        let state = StockState::judge(self.on_hand, threshold);
        let was = std::mem::replace(&mut self.state, state);
        if state == StockState::Normal {
            self.alerted = 0;
        }
        if item.is_archived() || state <= was {
            return None;
        }
        let kind = state.alert_kind()?;
        let alerted = self.alerted & kind.bit() != 0;
        let silent = threshold.is_none() && state != StockState::Oversold;
        if alerted || silent {
            return None;
        }
        self.alerted |= kind.bit();
        self.alert_no += 1;
        Some(Alert {
            trace: None,
            item_id: item.item_id.clone(),
            location_id: self.location_id.clone(),
            alert_no: self.alert_no,
            kind,
            on_hand: self.on_hand,
            low_stock_threshold: threshold,
            seq: self.seq,
            opening: false,
            raised_at,
            command_id,
            item_name: item.catalogue.name.clone(),
            unit: item.catalogue.unit.clone(),
        })
    }

    /// Begins a new episode, without an alert, if the item was restored since this level was judged.
    ///
    /// The state stays as last judged, because every entry and threshold was also judged while the item was archived.
    /// Judging again here would hide the crossing of a default threshold that has just changed.
    pub const fn enter_epoch(&mut self, item: &Item) {
        if self.alert_epoch != item.alert_epoch {
            self.alert_epoch = item.alert_epoch;
            self.alerted = 0;
        }
    }
}
