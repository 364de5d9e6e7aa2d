//! Which column holds which field.

use jiff::tz::TimeZone;
use stockline_core::domain::LocationId;

use crate::format::{DateMeans, Decimal};
use crate::kind::{Field, Kind, exact_field_of, field_of, normalised};
use crate::result_file::OWN_COLUMNS;
use crate::table::Table;
use crate::vendor::Vendor;

/// The threshold of a level itself, in an export of stock.
const LOCATION_THRESHOLD: &str = "location threshold";

/// What a caller says about a file.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the file is about.
    pub kind: Kind,
    /// Fields with the headings of their columns; they come before what is recognised.
    pub map: Vec<(String, String)>,
    /// Whether columns that mean nothing here are left out.
    pub ignore_unknown: bool,
    /// The mark before fractions.
    pub decimal: Option<Decimal>,
    /// The zone of times without an offset; else that of the location.
    pub zone: Option<TimeZone>,
    /// What a date without a time means.
    pub date_means: Option<DateMeans>,
    /// The location of lines that name none.
    pub location: Option<LocationId>,
    /// Names of locations in the file, with the locations that they mean.
    pub places: Vec<(String, LocationId)>,
    /// A name for the events of this file: the same lines under another name are other events.
    pub batch: Option<String>,
}

impl Options {
    /// Returns the options of a plain file.
    pub const fn of(kind: Kind) -> Self {
        Self {
            kind,
            map: Vec::new(),
            ignore_unknown: false,
            decimal: None,
            zone: None,
            date_means: None,
            location: None,
            places: Vec::new(),
            batch: None,
        }
    }
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The fields with the numbers of their columns.
    pub fields: Vec<(Field, usize)>,
    /// The headings that mean nothing here, and that were not agreed to be left out.
    pub unknown: Vec<String>,
    /// The headings that are left out.
    pub left_out: Vec<String>,
    /// The system that the file is from.
    pub vendor: Option<Vendor>,
    /// Whether the file is an export of ours, whose numbers have points before fractions.
    pub own_export: bool,
}

/// Why the columns do not make sense. Each text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// A required field has no column.
    #[error("{kind} needs a column {field}, and the file has {}: map one to it, such as {field}={}", .columns.join(", "), .columns.first().map_or("COLUMN", String::as_str))]
    Missing {
        /// What is imported.
        kind: Kind,
        /// The field.
        field: String,
        /// The headings of the file.
        columns: Vec<String>,
    },
    /// Two columns hold the same field.
    #[error("the columns {first:?} and {second:?} both hold {field}: map the right one, such as {field}={first}")]
    Twice {
        /// The field.
        field: String,
        /// The first heading.
        first: String,
        /// The second one.
        second: String,
    },
    /// The map names a column that is not there.
    #[error("the file has no column {name:?}; it has {}", .columns.join(", "))]
    NoColumn {
        /// The name.
        name: String,
        /// The headings of the file.
        columns: Vec<String>,
    },
    /// The map names something that is no field.
    #[error("{name:?} is no field of {kind}; it has {}", .kind.fields().iter().map(Field::name).collect::<Vec<_>>().join(", "))]
    NoField {
        /// What is imported.
        kind: Kind,
        /// The name.
        name: String,
    },
}

impl Columns {
    /// Finds the fields of a file's columns: those that are mapped, then those of a vendor's file, then by their headings
    /// in any case and order.
    ///
    /// # Errors
    /// A required field is missing or held twice, or the map is wrong.
    pub fn of(table: &Table, options: &Options) -> Result<Self, ColumnsError> {
        let kind = options.kind;
        let vendor = Vendor::of(table).filter(|vendor| vendor.field_count(kind, table) >= kind.required());
        let mut columns =
            Self { fields: Vec::new(), unknown: Vec::new(), left_out: Vec::new(), vendor, own_export: false };
        columns.own_export = vendor.is_none() && is_own_export(table);
        for (name, heading) in &options.map {
            let field = field_of(kind, name).ok_or_else(|| ColumnsError::NoField { kind, name: name.clone() })?;
            columns.fields.push((field, column_of(table, heading)?));
        }
        let mapped = columns.fields.len();
        for (index, heading) in table.headings.iter().enumerate() {
            if columns.fields.iter().any(|(_, column)| *column == index) || heading.is_empty() {
                continue;
            }
            if OWN_COLUMNS.contains(&heading.as_str()) {
                continue;
            }
            if vendor.is_none() && is_only_exported(kind, table, heading) {
                columns.left_out.push(heading.clone());
                continue;
            }
            let found = match vendor {
                Some(vendor) => vendor.field(kind, heading),
                None => recognised(kind, table, heading),
            };
            match found {
                Some(field) => match columns.fields.iter().position(|(known, _)| *known == field) {
                    // What is mapped counts; the other column is left out.
                    Some(at) if at < mapped => columns.left_out.push(heading.clone()),
                    Some(at) => {
                        let first = columns.fields.get(at).and_then(|(_, column)| table.headings.get(*column));
                        let first = first.cloned().unwrap_or_default();
                        return Err(ColumnsError::Twice { field: field.name(), first, second: heading.clone() });
                    }
                    None => columns.fields.push((field, index)),
                },
                None if vendor.is_some() || options.ignore_unknown => columns.left_out.push(heading.clone()),
                None => columns.unknown.push(heading.clone()),
            }
        }
        for field in kind.fields().iter().take(kind.required()) {
            if columns.column(field).is_none() {
                let columns = table.headings.clone();
                return Err(ColumnsError::Missing { kind, field: field.name(), columns });
            }
        }
        Ok(columns)
    }

    /// Returns the column of a field.
    pub fn column(&self, field: &Field) -> Option<usize> {
        self.fields.iter().find(|(known, _)| known == field).map(|(_, column)| *column)
    }
}

impl Vendor {
    fn field_count(self, kind: Kind, table: &Table) -> usize {
        table.headings.iter().filter(|heading| self.field(kind, heading).is_some()).count()
    }
}

/// Reports whether a table is an export of ours, by the columns that no other file has.
fn is_own_export(table: &Table) -> bool {
    let has = |name: &str| table.headings.iter().any(|heading| normalised(heading) == name);
    has("version") && has("updated at")
}

/// Reports whether a column of an export of ours means nothing in an import: the store makes it anew.
fn is_only_exported(kind: Kind, table: &Table, heading: &str) -> bool {
    const MADE_ANEW: [&str; 7] = ["item name", "state", "seq", "version", "counted at", "updated at", "archived"];
    let plain = normalised(heading);
    // An export of stock also shows the thresholds of the items.
    let threshold_of_item = matches!(kind, Kind::Stock | Kind::Thresholds)
        && plain == "low stock threshold"
        && table.headings.iter().any(|other| normalised(other) == LOCATION_THRESHOLD);
    is_own_export(table) && (MADE_ANEW.contains(&plain.as_str()) || threshold_of_item)
}

/// Finds the field of a heading. A column that has the field's own name goes before one that is only called like it.
fn recognised(kind: Kind, table: &Table, heading: &str) -> Option<Field> {
    exact_field_of(kind, heading).or_else(|| {
        let field = field_of(kind, heading)?;
        let names_it = |other: &String| exact_field_of(kind, other).as_ref() == Some(&field);
        let taken = table.headings.iter().any(|other| names_it(other) && !is_only_exported(kind, table, other));
        (!taken).then_some(field)
    })
}

fn column_of(table: &Table, heading: &str) -> Result<usize, ColumnsError> {
    let exact = table.headings.iter().position(|own| own == heading.trim());
    let found = exact.or_else(|| table.headings.iter().position(|own| normalised(own) == normalised(heading)));
    found.ok_or_else(|| ColumnsError::NoColumn { name: heading.to_owned(), columns: table.headings.clone() })
}
