//! The API's answers, as far as pages show them. Fields that a page does not need are left out.

use serde::Deserialize;
use serde_json::Value;

/// A page of items.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ItemPage {
    pub(crate) items: Vec<Item>,
    pub(crate) next_cursor: Option<String>,
}

/// An item with its levels.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Item {
    pub(crate) item_id: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) decimals: u8,
    pub(crate) barcodes: Vec<Barcode>,
    pub(crate) category: Option<String>,
    pub(crate) low_stock_threshold: Option<String>,
    pub(crate) shortage_policy: String,
    /// The catalogue's cost of one. Only Managers are told what things cost.
    #[serde(default)]
    pub(crate) unit_cost: Option<String>,
    #[serde(flatten)]
    pub(crate) worth: Worth,
    #[serde(flatten)]
    pub(crate) planning: Planning,
    #[serde(default)]
    pub(crate) overrides: Vec<Override>,
    pub(crate) archived: bool,
    pub(crate) on_hand: String,
    pub(crate) levels: Vec<Level>,
}

/// What stock has cost, as far as it is known.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Worth {
    #[serde(default)]
    pub(crate) average_cost: Option<String>,
    #[serde(default)]
    pub(crate) value: Option<String>,
}

impl Item {
    /// Returns its barcodes as people write them: that of a pack is `code*12`.
    pub(crate) fn codes(&self) -> Vec<String> {
        let written = |barcode: &Barcode| match barcode.quantity.as_str() {
            "1" => barcode.code.clone(),
            pack => format!("{}*{pack}", barcode.code),
        };
        self.barcodes.iter().map(written).collect()
    }
}

/// How an item is ordered.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Planning {
    pub(crate) supplier: Option<String>,
    pub(crate) lead_time_days: Option<u16>,
    pub(crate) order_multiple: Option<String>,
    pub(crate) order_minimum: Option<String>,
    pub(crate) service_level: Option<String>,
}

/// What a location has instead of the item's planning.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Override {
    pub(crate) location_id: String,
    #[serde(flatten)]
    pub(crate) planning: Planning,
}

/// A barcode, and the quantity that one scan of it means.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Barcode {
    pub(crate) code: String,
    pub(crate) quantity: String,
}

/// What a scanned code means.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Scan {
    /// `None` if the person has to enter it.
    pub(crate) quantity: Option<String>,
    pub(crate) item: Item,
}

/// The stock of an item at a location.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Level {
    pub(crate) item_id: String,
    #[serde(default)]
    pub(crate) item_name: Option<String>,
    pub(crate) location_id: String,
    pub(crate) on_hand: String,
    pub(crate) low_stock_threshold: Option<String>,
    pub(crate) state: String,
    pub(crate) counted_at: Option<String>,
    #[serde(flatten)]
    pub(crate) worth: Worth,
}

/// A page of levels.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LevelPage {
    pub(crate) levels: Vec<Level>,
    pub(crate) next_cursor: Option<String>,
}

/// The locations that the caller sees.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LocationPage {
    pub(crate) locations: Vec<Location>,
}

/// A location.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Location {
    pub(crate) location_id: String,
    pub(crate) name: String,
    pub(crate) time_zone: String,
    #[serde(default)]
    pub(crate) alert_emails: Option<Vec<String>>,
    pub(crate) closed: bool,
}

/// A ledger entry.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Movement {
    pub(crate) location_id: String,
    pub(crate) command_id: String,
    /// The command that took this movement back.
    #[serde(default)]
    pub(crate) reversed_by: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) quantity: String,
    pub(crate) delta: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) occurred_at: String,
    pub(crate) late: bool,
    pub(crate) submitted_by: String,
    #[serde(default)]
    pub(crate) operator: Option<String>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) note: Option<String>,
    #[serde(default)]
    pub(crate) reference: Option<String>,
}

/// A page of movements.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MovementPage {
    pub(crate) movements: Vec<Movement>,
    pub(crate) next_cursor: Option<String>,
}

/// The outcome of a command, or `queued`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CommandStatus {
    pub(crate) command_id: String,
    pub(crate) item_id: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) settled_at: Option<String>,
    #[serde(default)]
    pub(crate) submitted_by: Option<String>,
    #[serde(default)]
    pub(crate) command: Option<Value>,
    #[serde(default)]
    pub(crate) effects: Option<Vec<Movement>>,
    #[serde(default)]
    pub(crate) rejection: Option<Rejection>,
    #[serde(default)]
    pub(crate) dead_letter: Option<DeadLetter>,
}

/// Why a command was refused.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rejection {
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// Why a command was set aside.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DeadLetter {
    pub(crate) reason: String,
}

/// A page of commands.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CommandPage {
    pub(crate) commands: Vec<CommandStatus>,
    pub(crate) next_cursor: Option<String>,
}

/// The answer to a batch.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BatchAnswer {
    pub(crate) results: Vec<BatchLine>,
}

/// The answer to one line of a batch.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BatchLine {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) problem: Option<super::Problem>,
    #[serde(default)]
    pub(crate) outcome: Option<CommandStatus>,
}

/// An alert.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Alert {
    pub(crate) item_id: String,
    pub(crate) item_name: String,
    pub(crate) unit: String,
    pub(crate) location_id: String,
    pub(crate) kind: String,
    pub(crate) on_hand: String,
    pub(crate) raised_at: String,
    #[serde(default)]
    pub(crate) sent_at: Option<String>,
}

/// A page of alerts.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AlertPage {
    pub(crate) alerts: Vec<Alert>,
}
