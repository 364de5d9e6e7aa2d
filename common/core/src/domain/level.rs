use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Alert, CommandId, CommandKind, Cost, Item, LocationId, Quantity, Reason, StockState, Timestamp};

/// What a ledger entry records.
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
    /// The command type it belongs to; both legs are `transfer`.
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
    /// 1, 2, 3 … per level, without gaps.
    pub seq: u64,
    /// What it records.
    pub kind: EntryKind,
    /// Which command.
    pub command_id: CommandId,
    /// As submitted: what was moved, or counted.
    pub quantity: Quantity,
    /// What it changed the balance by; 0 when late.
    pub delta: Quantity,
    /// The balance after it.
    pub after: Quantity,
    /// When it happened, corrected and clamped (design.md §4, honest time).
    pub occurred_at: Timestamp,
    /// When it was committed; never behind `accepted_at` or the entry before.
    pub recorded_at: Timestamp,
    /// The last count already saw it.
    pub late: bool,
    /// It claimed to come from the future and was clamped.
    pub clock_ahead: bool,
    /// The token's `sub` or `client_id`.
    pub submitted_by: Arc<str>,
    /// The other side of a transfer.
    pub counterpart: Option<LocationId>,
    /// What one cost, of a receive.
    pub unit_cost: Option<Cost>,
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
    /// The balance before it.
    pub const fn before(&self) -> Quantity {
        Quantity::from_raw(self.after.raw().wrapping_sub(self.delta.raw()))
    }
}

/// The stock of one item at one location. `tail` is kept apart (see [`super::encode_entries`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Where.
    pub location_id: LocationId,
    /// The balance.
    pub on_hand: Quantity,
    /// The last ledger entry; 0 when there is none.
    pub seq: u64,
    /// +1 with every commit that touches it; begins at 1.
    pub version: u64,
    /// This level's own threshold, instead of the item's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
    /// As last judged for alerts.
    pub state: StockState,
    /// [`super::AlertKind::bit`]s of the kinds alerted in this episode.
    #[serde(default)]
    pub alerted: u8,
    /// The number of the last alert; 0 when there was none.
    #[serde(default)]
    pub alert_no: u64,
    /// The item's [`Item::alert_epoch`] that `state` and `alerted` belong to.
    #[serde(default)]
    pub alert_epoch: u64,
    /// When the last count was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<Timestamp>,
    /// `recorded_at` of the last entry, or when the threshold last changed.
    pub updated_at: Timestamp,
    /// The last entries, oldest first, not yet in a chunk; its last has `seq`.
    #[serde(skip)]
    pub tail: Vec<Entry>,
}

impl Level {
    /// A level nobody has touched: `out`, silently (design.md §8: opening stock mails nobody).
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
            updated_at: Timestamp::EPOCH,
            tail: Vec::new(),
        }
    }

    /// The threshold that holds: its own, else the item's default.
    pub fn threshold(&self, item: &Item) -> Option<Quantity> {
        self.low_stock_threshold.or(item.catalogue.low_stock_threshold)
    }

    /// Judges the balance as it stands now; on a crossing that is to be told, the alert.
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
        let told = self.alerted & kind.bit() != 0;
        let silent = threshold.is_none() && state != StockState::Oversold;
        if told || silent {
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
            raised_at,
            command_id,
            item_name: item.catalogue.name.clone(),
            unit: item.catalogue.unit.clone(),
        })
    }

    /// Begins a new episode, silently, where the item was restored since this level was judged.
    ///
    /// The state stays as last judged: while the item was archived every entry and threshold was judged too. (Judging
    /// it anew here, by a default threshold that has just changed, would swallow that change's crossing.)
    pub const fn enter_epoch(&mut self, item: &Item) {
        if self.alert_epoch != item.alert_epoch {
            self.alert_epoch = item.alert_epoch;
            self.alerted = 0;
        }
    }
}
