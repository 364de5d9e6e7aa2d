//! Files that other systems export, recognised by their headings.
//!
//! The headings are those that the systems publish: WooCommerce's product export, Shopify's product and inventory export,
//! Square's item library, the product export of Lightspeed Retail (X-Series). Columns of theirs that mean nothing here are
//! left out without asking.

use std::borrow::Cow;

use crate::kind::{Field, Kind, normalised};
use crate::table::{Row, Table};

/// A system whose files are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// WooCommerce: *Products → Export*.
    WooCommerce,
    /// Shopify: *Products → Export*.
    Shopify,
    /// Shopify: *Inventory → Export*.
    ShopifyInventory,
    /// Square: *Item library → Export*.
    Square,
    /// Lightspeed Retail (X-Series): *Catalog → Export*.
    Lightspeed,
}

use Vendor::{Lightspeed, Shopify, ShopifyInventory, Square, WooCommerce};

impl Vendor {
    const ALL: [Self; 5] = [WooCommerce, ShopifyInventory, Shopify, Square, Lightspeed];

    /// Returns its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            WooCommerce => "WooCommerce",
            Shopify => "Shopify",
            ShopifyInventory => "Shopify inventory",
            Square => "Square",
            Lightspeed => "Lightspeed",
        }
    }

    /// The headings by which its files are known, normalised.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            // Its export leaves out the columns that the owner does not choose.
            WooCommerce => &["type", "sku", "name", "in stock?"],
            Shopify => &["handle", "title", "option1 value", "variant sku", "variant inventory policy"],
            ShopifyInventory => &["handle", "title", "option1 value", "sku", "location"],
            Square => &["token", "item name", "variation name", "sku"],
            Lightspeed => &["id", "handle", "sku", "name", "supply price", "track inventory"],
        }
    }

    /// Recognises a file by its headings.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let headings: Vec<String> = table.headings.iter().map(|heading| normalised(heading)).collect();
        Self::ALL.into_iter().find(|vendor| vendor.marks().iter().all(|mark| headings.iter().any(|own| own == mark)))
    }

    /// Returns the field of a heading, for one of the kinds that the file can be imported as.
    pub(crate) fn field(self, kind: Kind, heading: &str) -> Option<Field> {
        let plain = normalised(heading);
        let field = match (self, plain.as_str()) {
            (WooCommerce | ShopifyInventory | Square | Lightspeed, "sku") | (Shopify, "variant sku") => Field::ItemId,
            (WooCommerce | Lightspeed, "name") | (Shopify | ShopifyInventory, "title") | (Square, "item name") => {
                Field::Name
            }
            (WooCommerce, "gtin, upc, ean, or isbn") | (Shopify, "variant barcode") | (Square, "gtin") => {
                Field::Barcodes
            }
            (WooCommerce | Square, "categories") | (Square, "category") | (Shopify, "type") => Field::Category,
            (Lightspeed, "product category") => Field::Category,
            (Shopify, "vendor") | (Square, "default vendor name") | (Lightspeed, "supplier name") => Field::Supplier,
            (WooCommerce, "low stock amount") => Field::LowStockThreshold,
            (WooCommerce, "backorders allowed?") | (Shopify, "variant inventory policy") => Field::ShortagePolicy,
            (WooCommerce, "cost of goods") | (Shopify, "cost per item") => Field::UnitCost,
            (Square, "default unit cost") | (Lightspeed, "supply price") => Field::UnitCost,
            (WooCommerce, "stock") | (Shopify, "variant inventory qty") => Field::OnHand,
            (ShopifyInventory, "location") => Field::LocationId,
            (ShopifyInventory, "on hand" | "on hand (current)") => Field::OnHand,
            _ => self.field_at(heading, &plain)?,
        };
        let field = if kind == Kind::Counts && field == Field::OnHand { Field::Counted } else { field };
        let known = kind.fields().contains(&field) || matches!(field, Field::OnHandAt(_) | Field::ThresholdAt(_));
        (known && (kind == Kind::Items || !matches!(field, Field::OnHandAt(_) | Field::ThresholdAt(_))))
            .then_some(field)
    }

    /// Returns the field of a column for one location.
    fn field_at(self, heading: &str, plain: &str) -> Option<Field> {
        let (stock, threshold) = match self {
            Square => ("current quantity ", "stock alert count "),
            Lightspeed => ("inventory ", "reorder point "),
            _ => return None,
        };
        let place =
            |start: &str| Some(heading.get(heading.len().checked_sub(plain.strip_prefix(start)?.len())?..)?.to_owned());
        place(stock).map(Field::OnHandAt).or_else(|| place(threshold).map(Field::ThresholdAt))
    }

    /// Returns why a line is no item of its own; it is left out.
    pub(crate) fn skips(self, cell: &dyn Fn(&str) -> String) -> Option<&'static str> {
        let kind = cell("type").to_lowercase();
        let is = |word: &str| kind.split(',').any(|part| part.trim() == word);
        match self {
            WooCommerce if is("variable") => Some("a product with variations: its variations are the items"),
            WooCommerce if is("grouped") || is("external") => Some("a grouped or external product has no stock"),
            Shopify if cell("variant sku").is_empty() && cell("variant price").is_empty() => {
                Some("a further picture of the product before")
            }
            ShopifyInventory if cell("on hand").to_lowercase().starts_with("not stocked") => Some("not stocked here"),
            ShopifyInventory if cell("on hand (current)").to_lowercase().starts_with("not stocked") => {
                Some("not stocked here")
            }
            Lightspeed if !cell("composite sku").is_empty() => Some("a part of a composite product"),
            Lightspeed if matches!(cell("active").as_str(), "0" | "false" | "no") => Some("not active"),
            _ => None,
        }
    }

    /// Returns the name of a variant: the product's name and the values of its options.
    pub(crate) fn full_name(self, name: &str, cell: &dyn Fn(&str) -> String) -> String {
        let options: [&str; 3] = match self {
            Shopify | ShopifyInventory => ["option1 value", "option2 value", "option3 value"],
            Square => ["variation name", "", ""],
            Lightspeed => ["variant option one value", "variant option two value", "variant option three value"],
            WooCommerce => return name.to_owned(),
        };
        let mut full = name.to_owned();
        for option in options.into_iter().filter(|option| !option.is_empty()).map(cell) {
            if !matches!(option.as_str(), "" | "Default Title" | "Regular") {
                full = format!("{full} {option}");
            }
        }
        full
    }

    /// Returns a cell in our words.
    pub(crate) fn word<'a>(self, field: &Field, cell: &'a str) -> Cow<'a, str> {
        let lower = cell.to_lowercase();
        Cow::Borrowed(match (self, field, lower.as_str()) {
            (WooCommerce, Field::ShortagePolicy, "0" | "no") | (Shopify, Field::ShortagePolicy, "deny") => "reject",
            (WooCommerce, Field::ShortagePolicy, "1" | "yes" | "notify") => "allow",
            (Shopify, Field::ShortagePolicy, "continue") => "allow",
            // A category with its parents: the last one, of the first path.
            (_, Field::Category, _) => {
                let first = cell.split(',').next().unwrap_or_default();
                return Cow::Borrowed(
                    first.rsplit([">", " / "][usize::from(self == Lightspeed)]).next().unwrap_or(first).trim(),
                );
            }
            _ => cell,
        })
    }
}

/// What is carried from line to line of a vendor's file.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    handle: String,
    name: String,
}

impl Carried {
    /// Returns the name of a product; Shopify writes it only in the first line of each.
    pub(crate) fn name(&mut self, vendor: Vendor, name: &str, row: Row<'_>, handle: Option<usize>) -> String {
        let handle = handle.map(|column| row.cell(column)).unwrap_or_default();
        if vendor != Shopify || handle.is_empty() {
            return name.to_owned();
        }
        if !name.is_empty() || self.handle != handle {
            self.handle = handle.to_owned();
            self.name = name.to_owned();
        }
        self.name.clone()
    }
}
