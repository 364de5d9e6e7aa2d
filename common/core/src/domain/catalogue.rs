use serde::{Deserialize, Serialize};

use super::{Cost, ItemId, LocationId, Quantity, Timestamp};

/// The location that is meant where a command names none; it always exists.
pub const MAIN_LOCATION: &str = "main";

/// The most barcodes one item has (design.md §7: they are rows of its transactions).
pub const MAX_BARCODES: usize = 20;

/// What a sale does when there is not enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortagePolicy {
    /// The goods are gone: it is recorded and the balance goes below zero.
    #[default]
    Allow,
    /// The sale is refused.
    Reject,
}

impl ShortagePolicy {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Reject => "reject",
        }
    }
}

/// The fields of an item that managers choose. Texts are 1 to 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// What people call it.
    pub name: String,
    /// What one is, `piece` unless given; at most 16 characters.
    pub unit: String,
    /// How many decimals a quantity of it may have, 0 to 3.
    pub decimals: u8,
    /// Each belongs to one item only; at most [`MAX_BARCODES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barcodes: Vec<String>,
    /// A free grouping; at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// For levels that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
    /// For sales that do not say.
    pub shortage_policy: ShortagePolicy,
    /// What one costs the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_cost: Option<Cost>,
}

/// A change of some catalogue fields: outer `None` leaves a field as it is, inner `None` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CataloguePatch {
    /// See [`Catalogue::name`].
    pub name: Option<String>,
    /// See [`Catalogue::unit`].
    pub unit: Option<String>,
    /// See [`Catalogue::decimals`].
    pub decimals: Option<u8>,
    /// See [`Catalogue::barcodes`]; the whole new list.
    pub barcodes: Option<Vec<String>>,
    /// See [`Catalogue::category`].
    pub category: Option<Option<String>>,
    /// See [`Catalogue::low_stock_threshold`].
    pub low_stock_threshold: Option<Option<Quantity>>,
    /// See [`Catalogue::shortage_policy`].
    pub shortage_policy: Option<ShortagePolicy>,
    /// See [`Catalogue::unit_cost`].
    pub unit_cost: Option<Option<Cost>>,
}

/// The catalogue record of an item, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The SKU.
    pub item_id: ItemId,
    /// What managers choose.
    #[serde(flatten)]
    pub catalogue: Catalogue,
    /// Since when it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// +1 with every change of this record; begins at 1.
    pub version: u64,
    /// +1 with every change of the default threshold; begins at 1.
    pub threshold_version: u64,
    /// +1 with every restore: levels of an older epoch start their alert state over, silently.
    pub alert_epoch: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When this record last changed.
    pub updated_at: Timestamp,
}

impl Item {
    /// Out of default lists and alerts?
    pub const fn is_archived(&self) -> bool {
        self.archived_at.is_some()
    }
}

/// Something that only one item may hold; a row of its own, put under *absent or mine*.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A barcode.
    Barcode(String),
    /// A lower-cased item id.
    ItemKey(String),
}

/// The settings of a location, put by managers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationSettings {
    /// The location.
    pub location_id: LocationId,
    /// What people call it, 1 to 200 characters.
    pub name: String,
    /// IANA name, e.g. `Europe/Berlin`; mails give local time in it.
    pub time_zone: String,
    /// Who gets this location's alerts; empty: the configured list.
    #[serde(default)]
    pub alert_emails: Vec<String>,
    /// A closed location takes no new movements.
    #[serde(default)]
    pub closed: bool,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl LocationSettings {
    /// `main` as it is before a manager has put anything.
    pub fn main() -> Self {
        #[expect(clippy::expect_used, reason = "the constant is a valid id; a test holds it so")]
        let location_id = MAIN_LOCATION.parse().expect("main is a location id");
        Self {
            location_id,
            name: "Main".into(),
            time_zone: "UTC".into(),
            alert_emails: Vec::new(),
            closed: false,
            updated_at: Timestamp::EPOCH,
        }
    }
}
