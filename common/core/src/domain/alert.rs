use serde::{Deserialize, Serialize};

use super::{CommandId, ItemId, LocationId, Quantity, Timestamp, Trace};

/// How well stocked a level is, ordered from good to bad: a greater state is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockState {
    /// At or above the threshold, or above zero without one.
    Normal,
    /// Below the threshold, above zero.
    Low,
    /// Exactly zero.
    Out,
    /// Below zero.
    Oversold,
}

impl StockState {
    /// Returns the state of a balance under a threshold (design.md §8: `low` means `on_hand < low_stock_threshold`).
    pub fn judge(on_hand: Quantity, threshold: Option<Quantity>) -> Self {
        if on_hand.is_negative() {
            Self::Oversold
        } else if on_hand.is_zero() {
            Self::Out
        } else if threshold.is_some_and(|t| on_hand < t) {
            Self::Low
        } else {
            Self::Normal
        }
    }

    /// Returns the kind of alert that a change to this state raises.
    pub const fn alert_kind(self) -> Option<AlertKind> {
        match self {
            Self::Normal => None,
            Self::Low => Some(AlertKind::Low),
            Self::Out => Some(AlertKind::Out),
            Self::Oversold => Some(AlertKind::Oversold),
        }
    }

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// The kind of an alert. Each kind alerts at most once in an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Fell below its threshold.
    Low,
    /// Reached zero.
    Out,
    /// Went below zero.
    Oversold,
}

impl AlertKind {
    /// Returns the bit of this kind in a level's set of kinds that alerted in this episode.
    pub const fn bit(self) -> u8 {
        match self {
            Self::Low => 1,
            Self::Out => 2,
            Self::Oversold => 4,
        }
    }

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// A crossing of a threshold, as published and mailed. Its id `{item}:{location}:{alert_no}` is the same on every path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The item.
    pub item_id: ItemId,
    /// The location.
    pub location_id: LocationId,
    /// The level's own counter, from 1.
    pub alert_no: u64,
    /// The kind of crossing.
    pub kind: AlertKind,
    /// The balance right after the entry that crossed.
    pub on_hand: Quantity,
    /// The threshold it was judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
    /// The ledger entry that crossed; for a change of the threshold, the last entry before it (0: none).
    pub seq: u64,
    /// Whether it crossed with its opening stock: the first entry of the level, which is also its first judging. The
    /// openings of a location are mailed together. Alerts of earlier programs have none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opening: bool,
    /// When it was committed.
    pub raised_at: Timestamp,
    /// The command that caused it.
    pub command_id: CommandId,
    /// The item's name then.
    pub item_name: String,
    /// The item's unit then.
    pub unit: String,
    /// The request that the command came with; unset where a default threshold's change judged the level anew. It
    /// decides nothing.
    #[serde(default, deserialize_with = "super::trace::lenient", skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

impl Alert {
    /// Returns the id `{item}:{location}:{alert_no}`, which deduplicates everywhere. A `:` in an id is escaped
    /// ([`in_key`](super::in_key)), so no two alerts have the same one.
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.item_id.in_key(), self.location_id.in_key(), self.alert_no)
    }
}
