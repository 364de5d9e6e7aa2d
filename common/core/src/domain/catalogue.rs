use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Barcode, Cost, ItemId, LocationId, Percent, Planning, PlanningPatch, Quantity, Timestamp, barcode};

/// The location of a command that names none. It always exists.
pub const MAIN_LOCATION: &str = "main";

/// The most barcodes of one item (design.md §7: they are rows of its transactions).
pub const MAX_BARCODES: usize = 20;

/// The effect of a sale when there is not enough stock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortagePolicy {
    /// The goods are gone, so the sale is recorded and the balance falls below zero.
    #[default]
    Allow,
    /// The sale is refused.
    Reject,
}

impl ShortagePolicy {
    /// Returns the word used in JSON.
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
    /// The name for people.
    pub name: String,
    /// The unit, `piece` by default; at most 16 characters.
    pub unit: String,
    /// How many decimals a quantity may have, 0 to 3.
    pub decimals: u8,
    /// The barcodes, at most [`MAX_BARCODES`]. Each belongs to one item only. A command has them as they were written, an
    /// item as [`Barcode::held`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barcodes: Vec<Barcode>,
    /// A free category of at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The default threshold, for levels without their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_stock_threshold: Option<Quantity>,
    /// The policy for sales that name none.
    pub shortage_policy: ShortagePolicy,
    /// The cost of one unit for the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_cost: Option<Cost>,
    /// How it is ordered, at every location without a planning of its own.
    #[serde(flatten)]
    pub planning: Planning,
}

impl Catalogue {
    /// Returns the barcode that is this code, in whatever spelling.
    pub fn barcode(&self, code: &str) -> Option<&Barcode> {
        let wanted = barcode::canonical(code);
        self.barcodes.iter().find(|held| barcode::canonical(&held.code) == wanted)
    }
}

/// A change of some catalogue fields. An outer `None` keeps the field; an inner `None` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CataloguePatch {
    /// See [`Catalogue::name`].
    pub name: Option<String>,
    /// See [`Catalogue::unit`].
    pub unit: Option<String>,
    /// See [`Catalogue::decimals`].
    pub decimals: Option<u8>,
    /// See [`Catalogue::barcodes`]; the whole new list.
    pub barcodes: Option<Vec<Barcode>>,
    /// See [`Catalogue::category`].
    pub category: Option<Option<String>>,
    /// See [`Catalogue::low_stock_threshold`].
    pub low_stock_threshold: Option<Option<Quantity>>,
    /// See [`Catalogue::shortage_policy`].
    pub shortage_policy: Option<ShortagePolicy>,
    /// See [`Catalogue::unit_cost`].
    pub unit_cost: Option<Option<Cost>>,
    /// See [`Catalogue::planning`].
    pub planning: PlanningPatch,
}

/// The catalogue record of an item, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ItemFields")]
pub struct Item {
    /// The SKU.
    pub item_id: ItemId,
    /// The fields that managers choose.
    #[serde(flatten)]
    pub catalogue: Catalogue,
    /// What locations have instead of [`Catalogue::planning`], field by field; at most [`super::MAX_OVERRIDES`]. It is here and
    /// not in the level, because a level is written with every sale and a planning is read by reports only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<LocationId, Planning>,
    /// When it was archived; `None` while it is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// Grows by 1 with every change of this record, from 1.
    pub version: u64,
    /// Grows by 1 with every change of the default threshold, from 1.
    pub threshold_version: u64,
    /// Grows by 1 with every restore. Levels of an older epoch begin a new episode, without an alert.
    pub alert_epoch: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When this record last changed.
    pub updated_at: Timestamp,
}

/// The fields of a stored [`Item`], side by side for the reason of [`super::Record`]'s.
#[derive(Deserialize)]
struct ItemFields {
    item_id: ItemId,
    name: String,
    unit: String,
    decimals: u8,
    #[serde(default)]
    barcodes: Vec<Barcode>,
    category: Option<String>,
    low_stock_threshold: Option<Quantity>,
    shortage_policy: ShortagePolicy,
    unit_cost: Option<Cost>,
    supplier: Option<String>,
    lead_time_days: Option<u16>,
    order_multiple: Option<Quantity>,
    order_minimum: Option<Quantity>,
    service_level: Option<Percent>,
    #[serde(default)]
    overrides: BTreeMap<LocationId, Planning>,
    archived_at: Option<Timestamp>,
    version: u64,
    threshold_version: u64,
    alert_epoch: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<ItemFields> for Item {
    fn from(fields: ItemFields) -> Self {
        Self {
            item_id: fields.item_id,
            catalogue: Catalogue {
                name: fields.name,
                unit: fields.unit,
                decimals: fields.decimals,
                barcodes: fields.barcodes,
                category: fields.category,
                low_stock_threshold: fields.low_stock_threshold,
                shortage_policy: fields.shortage_policy,
                unit_cost: fields.unit_cost,
                planning: Planning {
                    supplier: fields.supplier,
                    lead_time_days: fields.lead_time_days,
                    order_multiple: fields.order_multiple,
                    order_minimum: fields.order_minimum,
                    service_level: fields.service_level,
                },
            },
            overrides: fields.overrides,
            archived_at: fields.archived_at,
            version: fields.version,
            threshold_version: fields.threshold_version,
            alert_epoch: fields.alert_epoch,
            created_at: fields.created_at,
            updated_at: fields.updated_at,
        }
    }
}

impl Claim {
    /// Returns the claims on a barcode, one for each spelling. The first is the one that an item takes; items of earlier
    /// programs may hold another.
    pub fn of_barcode(code: &str) -> impl Iterator<Item = Self> {
        barcode::spellings(code).into_iter().map(Self::Barcode)
    }
}

impl Item {
    /// Returns whether the item is archived, and so not in default lists and alerts.
    pub const fn is_archived(&self) -> bool {
        self.archived_at.is_some()
    }

    /// Returns who delivers the item to a location: the location's own supplier, else the item's.
    pub fn supplier_at(&self, location_id: &LocationId) -> Option<&str> {
        let own = self.overrides.get(location_id).and_then(|planning| planning.supplier.as_deref());
        own.or(self.catalogue.planning.supplier.as_deref())
    }
}

/// A value that only one item may hold. It has a row of its own, which an item may write if it is free or its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A barcode.
    Barcode(String),
    /// A lower-cased item id.
    ItemKey(String),
}

/// The settings of a location, written by managers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationSettings {
    /// The location.
    pub location_id: LocationId,
    /// The name for people, 1 to 200 characters.
    pub name: String,
    /// The IANA time zone, such as `Europe/Berlin`. Mails show local time in it.
    pub time_zone: String,
    /// The recipients of this location's alerts. If empty, the configured list.
    #[serde(default)]
    pub alert_emails: Vec<String>,
    /// Whether the location is closed: it accepts no movements.
    #[serde(default)]
    pub closed: bool,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl LocationSettings {
    /// The most characters of a name.
    pub const MAX_NAME_CHARS: usize = 200;
    /// The most addresses for alerts.
    pub const MAX_ALERT_EMAILS: usize = 20;
    /// RFC 5321, section 4.5.3.1.3, without the angle brackets.
    const MAX_EMAIL_BYTES: usize = 254;

    /// Reports whether a text can be a location's name.
    pub fn is_name(text: &str) -> bool {
        let printable = !text.trim().is_empty() && !text.chars().any(char::is_control);
        printable && text.chars().count() <= Self::MAX_NAME_CHARS
    }

    /// Reports whether a text is one plain mail address. The check prevents header injection and typing errors; the mail
    /// provider checks the rest.
    pub fn is_email(text: &str) -> bool {
        let plain = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '"' | '\\' | '[' | ']')
        };
        let Some((local, domain)) = text.split_once('@') else { return false };
        text.len() <= Self::MAX_EMAIL_BYTES
            && text.chars().all(plain)
            && !local.is_empty()
            && !domain.contains('@')
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
    }

    /// Returns the settings of `main` before a manager writes any.
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
