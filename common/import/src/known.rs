//! What must be known of the store to judge a file.

use std::collections::{BTreeSet, HashMap};

use stockline_core::domain::{Claim, ItemId, Level, LocationId, LocationSettings};
use stockline_core::ports::ItemWithLevels;

use crate::cell::{barcodes, id, unquoted};
use crate::columns::{Columns, Options};
use crate::kind::{Field, Kind, normalised};
use crate::table::Table;

/// What is known of the store.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The items of the file that are registered.
    pub items: HashMap<ItemId, ItemWithLevels>,
    /// Which item holds a barcode or a folded id, of those in [`Needs::claims`].
    pub holders: HashMap<Claim, ItemId>,
    /// All locations.
    pub locations: Vec<LocationSettings>,
    /// The location of a line that names none; `None` if each must name one.
    pub default_location: Option<LocationId>,
}

/// What a file needs to be judged.
#[derive(Debug)]
pub struct Needs;

impl Needs {
    /// Returns the items that the file names, each once.
    pub fn items(table: &Table, columns: &Columns, options: &Options) -> Vec<ItemId> {
        let Some(column) = columns.column(&Field::ItemId).filter(|_| options.kind != Kind::Locations) else {
            return Vec::new();
        };
        let texts: BTreeSet<&str> = table.rows().map(|row| unquoted(row.cell(column))).collect();
        texts.into_iter().filter_map(|text| id(text).ok()).collect()
    }

    /// Returns the barcodes and ids whose holders are not known from the items themselves.
    pub fn claims(table: &Table, columns: &Columns, options: &Options, known: &Known) -> Vec<Claim> {
        let mut claims = BTreeSet::new();
        for item_id in Self::items(table, columns, options) {
            if !known.items.contains_key(&item_id) {
                claims.insert(Claim::ItemKey(item_id.folded()));
            }
        }
        if let (Kind::Items, Some(column)) = (options.kind, columns.column(&Field::Barcodes)) {
            let item_column = columns.column(&Field::ItemId);
            for row in table.rows() {
                let item_id = item_column.and_then(|column| id::<ItemId>(unquoted(row.cell(column))).ok());
                let own = item_id.and_then(|item_id| known.items.get(&item_id));
                let is_own = |code: &str| {
                    own.is_some_and(|own| own.item.catalogue.barcodes.iter().any(|held| held.code == code))
                };
                let codes = barcodes(row.cell(column)).map(|barcode| barcode.held().into_owned());
                claims.extend(codes.filter(|code| !is_own(code)).map(Claim::Barcode));
            }
        }
        claims.into_iter().collect()
    }
}

impl Known {
    /// Returns the level of an item; `None` if the item has never been there.
    pub(crate) fn level(&self, item_id: &ItemId, location_id: &LocationId) -> Option<&Level> {
        self.items.get(item_id)?.levels.iter().find(|level| level.location_id == *location_id)
    }

    /// Returns the settings of a location.
    pub(crate) fn location(&self, location_id: &LocationId) -> Option<&LocationSettings> {
        self.locations.iter().find(|settings| settings.location_id == *location_id)
    }

    /// Finds a location by its id, its name, or the name that the options give it.
    pub(crate) fn place(&self, text: &str, options: &Options) -> Option<&LocationSettings> {
        if let Some((_, location_id)) = options.places.iter().find(|(name, _)| normalised(name) == normalised(text)) {
            return self.location(location_id);
        }
        let exact = self.locations.iter().find(|settings| settings.location_id.as_str() == text);
        exact.or_else(|| {
            let plain = normalised(text);
            let is = |settings: &&LocationSettings| {
                normalised(&settings.name) == plain || normalised(settings.location_id.as_str()) == plain
            };
            let mut found = self.locations.iter().filter(is);
            found.next().filter(|_| found.next().is_none())
        })
    }
}
