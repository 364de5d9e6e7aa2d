use serde::{Deserialize, Serialize};

use super::{CommandId, ItemId, LocationId, Quantity, Timestamp, Trace};

/// How well stocked a level is; ordered from good to bad, so a greater state is a worsening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockState {
    /// At or above the threshold, or above zero where there is none.
    Normal,
    /// Below the threshold, above zero.
    Low,
    /// Exactly zero.
    Out,
    /// Below zero.
    Oversold,
}

impl StockState {
    /// The state of a balance under a threshold (design.md §8: `low` means `on_hand < low_stock_threshold`).
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

    /// The alert that a worsening to this state raises.
    pub const fn alert_kind(self) -> Option<AlertKind> {
        match self {
            Self::Normal => None,
            Self::Low => Some(AlertKind::Low),
            Self::Out => Some(AlertKind::Out),
            Self::Oversold => Some(AlertKind::Oversold),
        }
    }

    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// What an alert says; each kind alerts at most once in an episode.
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
    /// Its bit in a level's set of kinds already alerted in this episode.
    pub const fn bit(self) -> u8 {
        match self {
            Self::Low => 1,
            Self::Out => 2,
            Self::Oversold => 4,
        }
    }

    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// A crossing, as published and mailed. Its id is `{item}:{location}:{alert_no}`, the same on every path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The item.
    pub item_id: ItemId,
    /// The location.
    pub location_id: LocationId,
    /// The level's own counter, from 1.
    pub alert_no: u64,
    /// What happened.
    pub kind: AlertKind,
    /// The balance right after the entry that crossed.
    pub on_hand: Quantity,
    /// The threshold it was judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
    /// The ledger entry that crossed; for a threshold change the last one before it (0: none).
    pub seq: u64,
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
    /// `{item}:{location}:{alert_no}`: deduplicates everywhere.
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.item_id, self.location_id, self.alert_no)
    }
}
