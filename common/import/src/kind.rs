//! What a file is about, and the columns that it may have.

use std::fmt;
use std::str::FromStr;

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Items of the catalogue: new ones are registered, others changed. May have opening stock and thresholds.
    Items,
    /// Opening stock: received once where an item has no movement yet.
    Stock,
    /// Counts of the shelf: they set the stock.
    Counts,
    /// Thresholds below which stock is low.
    Thresholds,
    /// Locations and their settings.
    Locations,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Items, Self::Stock, Self::Counts, Self::Thresholds, Self::Locations];

    /// Returns the word of the command line and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Stock => "stock",
            Self::Counts => "counts",
            Self::Thresholds => "thresholds",
            Self::Locations => "locations",
        }
    }

    /// Returns the fields of a line; the first ones, up to `required`, must have a column.
    pub const fn fields(self) -> &'static [Field] {
        use Field as F;
        match self {
            Self::Items => &[
                F::ItemId,
                F::Name,
                F::Unit,
                F::Decimals,
                F::Barcodes,
                F::Category,
                F::LowStockThreshold,
                F::ShortagePolicy,
                F::UnitCost,
                F::Supplier,
                F::LeadTimeDays,
                F::OrderMultiple,
                F::OrderMinimum,
                F::ServiceLevel,
                F::OnHand,
                F::LocationId,
            ],
            Self::Stock => &[F::ItemId, F::OnHand, F::LocationId, F::UnitCost, F::LowStockThreshold],
            Self::Counts => &[F::ItemId, F::Counted, F::LocationId, F::CountedAt, F::Note],
            Self::Thresholds => &[F::ItemId, F::LowStockThreshold, F::LocationId],
            Self::Locations => &[F::LocationId, F::Name, F::TimeZone, F::AlertEmails, F::Closed],
        }
    }

    /// Returns how many of [`Kind::fields`] must have a column. An item's name may be missing where no item is new.
    pub const fn required(self) -> usize {
        match self {
            Self::Items | Self::Locations => 1,
            Self::Stock | Self::Counts | Self::Thresholds => 2,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field of a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// The item.
    ItemId,
    /// The name of an item or a location.
    Name,
    /// The unit.
    Unit,
    /// How many decimals a quantity may have.
    Decimals,
    /// Barcodes, with `;`, `|` or line ends between.
    Barcodes,
    /// The category.
    Category,
    /// A threshold: of the item, or of the line's location.
    LowStockThreshold,
    /// `allow` or `reject`.
    ShortagePolicy,
    /// The cost of one unit.
    UnitCost,
    /// Who delivers the item.
    Supplier,
    /// Days from an order to its goods.
    LeadTimeDays,
    /// The quantity whose multiples can be ordered.
    OrderMultiple,
    /// The least quantity of an order.
    OrderMinimum,
    /// The probability in percent that the stock lasts.
    ServiceLevel,
    /// The location, by id or name.
    LocationId,
    /// The stock.
    OnHand,
    /// The counted quantity.
    Counted,
    /// When it was counted.
    CountedAt,
    /// A note.
    Note,
    /// The time zone of a location.
    TimeZone,
    /// The mail addresses of a location, with `;` between.
    AlertEmails,
    /// Whether a location is closed.
    Closed,
    /// The stock at the location that the heading names.
    OnHandAt(String),
    /// The threshold at the location that the heading names.
    ThresholdAt(String),
    /// One of [`PLANNING`], instead of the item's, at the location that the heading names.
    PlanningAt(&'static str, String),
}

/// The fields by which an item is ordered.
pub(crate) const PLANNING: [Field; 5] =
    [Field::Supplier, Field::LeadTimeDays, Field::OrderMultiple, Field::OrderMinimum, Field::ServiceLevel];

impl Field {
    /// Returns the field's name, which is also the heading of a template's column.
    pub fn name(&self) -> String {
        match self {
            Self::OnHandAt(place) => format!("on_hand:{place}"),
            Self::ThresholdAt(place) => format!("low_stock_threshold:{place}"),
            Self::PlanningAt(word, place) => format!("{word}:{place}"),
            other => other.word().to_owned(),
        }
    }

    /// Returns the name without a location.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ItemId => "item_id",
            Self::Name => "name",
            Self::Unit => "unit",
            Self::Decimals => "decimals",
            Self::Barcodes => "barcodes",
            Self::Category => "category",
            Self::LowStockThreshold | Self::ThresholdAt(_) => "low_stock_threshold",
            Self::ShortagePolicy => "shortage_policy",
            Self::UnitCost => "unit_cost",
            Self::Supplier => "supplier",
            Self::LeadTimeDays => "lead_time_days",
            Self::OrderMultiple => "order_multiple",
            Self::OrderMinimum => "order_minimum",
            Self::ServiceLevel => "service_level",
            Self::PlanningAt(word, _) => word,
            Self::LocationId => "location_id",
            Self::OnHand | Self::OnHandAt(_) => "on_hand",
            Self::Counted => "counted",
            Self::CountedAt => "counted_at",
            Self::Note => "note",
            Self::TimeZone => "time_zone",
            Self::AlertEmails => "alert_emails",
            Self::Closed => "closed",
        }
    }

    /// Returns further headings of the field, normalised.
    pub(crate) const fn synonyms(&self) -> &'static [&'static str] {
        match self {
            Self::ItemId => &[
                "sku",
                "item",
                "item number",
                "item no",
                "article",
                "article number",
                "article no",
                "product",
                "product id",
                "product code",
                "artikelnummer",
                "artikel",
                "code",
                "part number",
                "variant sku",
            ],
            Self::Name => &["item name", "title", "product name", "bezeichnung", "artikelname", "description"],
            Self::Unit => &["uom", "unit of measure", "einheit"],
            Self::Decimals => &[],
            Self::Barcodes => &["barcode", "ean", "gtin", "upc", "ean13", "ean code"],
            Self::Category => &["product category", "group", "department", "kategorie", "warengruppe"],
            Self::LowStockThreshold => &[
                "threshold",
                "location threshold",
                "low stock amount",
                "reorder point",
                "minimum",
                "minimum stock",
                "min stock",
                "mindestbestand",
            ],
            Self::ShortagePolicy => &[],
            Self::UnitCost => {
                &["cost", "cost price", "average cost", "cost per item", "purchase price", "einkaufspreis", "ek"]
            }
            Self::Supplier => &["supplier name", "vendor", "lieferant", "hersteller"],
            Self::LeadTimeDays => &["lead time", "delivery time", "lieferzeit"],
            Self::OrderMultiple => &["pack size", "case size", "order unit", "verpackungseinheit", "ve"],
            Self::OrderMinimum => &["minimum order", "minimum order quantity", "moq", "mindestbestellmenge"],
            Self::ServiceLevel => &["servicegrad"],
            Self::LocationId => &["location", "store", "store id", "shop", "branch", "filiale", "lager", "outlet"],
            Self::OnHand => &[
                "stock",
                "quantity",
                "qty",
                "on hand",
                "qty on hand",
                "quantity on hand",
                "stock quantity",
                "bestand",
                "menge",
                "pieces",
            ],
            Self::Counted => {
                &["count", "counted quantity", "quantity", "qty", "on hand", "pieces", "gezählt", "stock", "menge"]
            }
            Self::CountedAt => &["counted on", "count date", "date", "datum"],
            Self::Note => &["notes", "comment", "bemerkung"],
            Self::TimeZone => &["timezone", "zone", "zeitzone"],
            Self::AlertEmails => &["alert email", "email", "e mail", "emails"],
            Self::Closed => &[],
            Self::OnHandAt(_) | Self::ThresholdAt(_) | Self::PlanningAt(..) => &[],
        }
    }
}

/// Returns a heading in the form in which headings are compared: lower case, words with one space between.
pub(crate) fn normalised(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let words = lower.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.' | '/' | '*' | '"'));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Finds the field of a kind by its name or another heading that people use.
pub(crate) fn field_of(kind: Kind, heading: &str) -> Option<Field> {
    exact_field_of(kind, heading).or_else(|| {
        let plain = normalised(heading);
        kind.fields().iter().find(|field| field.synonyms().contains(&plain.as_str())).cloned()
    })
}

/// Finds the field whose name the heading is.
pub(crate) fn exact_field_of(kind: Kind, heading: &str) -> Option<Field> {
    let plain = normalised(heading);
    let exact = kind.fields().iter().find(|field| normalised(field.word()) == plain);
    exact.cloned().or_else(|| at_location(kind, heading))
}

/// Finds a column of one location: `on_hand:shop-1`.
fn at_location(kind: Kind, heading: &str) -> Option<Field> {
    if kind != Kind::Items {
        return None;
    }
    let (field, place) = heading.split_once(':')?;
    let place = place.trim().to_owned();
    match (normalised(field).as_str(), place.is_empty()) {
        ("on hand" | "stock", false) => Some(Field::OnHandAt(place)),
        ("low stock threshold" | "threshold", false) => Some(Field::ThresholdAt(place)),
        (word, false) => {
            let found = PLANNING.iter().find(|field| normalised(field.word()) == word);
            found.map(|field| Field::PlanningAt(field.word(), place))
        }
        _ => None,
    }
}
