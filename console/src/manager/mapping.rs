//! Which column of a file holds which field, and which location a name of a file means: fields of the import's form.

use std::collections::BTreeSet;

use axum::body::Bytes;
use stockline_import::Kind;

use crate::api::Import;
use crate::fault::Fault;
use crate::form::Form;
use crate::texts::{Texts, fill};
use crate::visit::Places;

/// The most columns that are shown to be mapped.
const COLUMNS_MAX: usize = 100;

/// The columns of a file to map, and the names of locations in it.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    pub(crate) columns: Vec<Mapped>,
    /// Names that no location has.
    pub(crate) names: Vec<Mapped>,
    /// Whether columns that mean nothing are left out.
    pub(crate) ignores_unknown: bool,
    /// Whether a column is known to mean nothing.
    pub(crate) has_unknown: bool,
}

/// A column or a name, with what it may mean.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) label: String,
    /// What it means if nothing is chosen.
    pub(crate) usual: String,
    /// The value, the text, and whether it is chosen.
    pub(crate) options: Vec<(String, String, bool)>,
}

impl Mapping {
    /// Returns the mapping of a file that was judged. What the form has chosen stays chosen.
    pub(crate) fn of(t: &'static Texts, import: &Import, places: &Places, form: &Form) -> Self {
        let Ok(kind) = import.kind.parse::<Kind>() else { return Self::default() };
        let unknown: BTreeSet<&str> = import
            .faults
            .iter()
            .filter(|fault| fault.code == "unknown_column")
            .filter_map(|fault| fault.column.as_deref())
            .collect();
        let held = import.columns.iter().map(|held| (held.column.as_str(), Some(held.field.as_str())));
        let others = import.left_out.iter().map(String::as_str).chain(unknown.iter().copied());
        let all = held.chain(others.map(|column| (column, None)));
        let columns = all.take(COLUMNS_MAX).map(|(column, field)| {
            let usual = match field {
                Some(field) => t.field(field).to_owned(),
                None => t.import_leave_out.to_owned(),
            };
            Mapped::column(t, kind, column, usual, form)
        });
        let names: BTreeSet<&str> = import
            .faults
            .iter()
            .filter(|fault| fault.code == "unknown_location")
            .filter_map(|fault| fault.value.as_deref())
            .collect();
        let meant = form.all("place").filter_map(|place| place.rsplit_once('=')).map(|(name, _)| name);
        let names: BTreeSet<&str> = names.into_iter().chain(meant).collect();
        Self {
            columns: columns.collect(),
            names: names.into_iter().take(COLUMNS_MAX).map(|name| Mapped::place(t, name, places, form)).collect(),
            ignores_unknown: form.some("ignore_unknown").is_some(),
            has_unknown: !unknown.is_empty() || !import.left_out.is_empty(),
        }
    }
}

/// Returns the mapping of a file whose columns the API can't make sense of, from its first line; of one that can't be read
/// at all, nothing.
pub(crate) async fn of_unread(t: &'static Texts, file: Bytes, form: &Form) -> Result<Mapping, Fault> {
    let [delimiter, sheet] = ["delimiter", "sheet"].map(|name| form.text(name).to_owned());
    let read = move || {
        let delimiter = match delimiter.as_str() {
            "comma" => Some(b','),
            "semicolon" => Some(b';'),
            "tab" => Some(b'\t'),
            _ => None,
        };
        stockline_import::read(&file, delimiter, Some(sheet.as_str()).filter(|sheet| !sheet.is_empty()))
            .map(|opened| opened.table.headings)
    };
    let headings = tokio::task::spawn_blocking(read).await.map_err(|error| Fault::broken(&error))?;
    let (Ok(headings), Ok(kind)) = (headings, form.text("type").parse::<Kind>()) else { return Ok(Mapping::default()) };
    let columns = headings.iter().filter(|heading| !heading.is_empty()).take(COLUMNS_MAX);
    let columns = columns.map(|heading| Mapped::column(t, kind, heading, t.import_by_heading.to_owned(), form));
    let ignores_unknown = form.some("ignore_unknown").is_some();
    Ok(Mapping { columns: columns.collect(), has_unknown: true, ignores_unknown, ..Mapping::default() })
}

impl Mapped {
    fn column(t: &'static Texts, kind: Kind, column: &str, usual: String, form: &Form) -> Self {
        let fields = kind.fields().iter().map(stockline_import::Field::name);
        let options = fields.map(|field| (format!("{field}={column}"), t.field(&field).to_owned()));
        let label = fill(t.import_column_means, &[column]);
        Self { label, usual, options: chosen(options, form, "map") }
    }

    fn place(t: &'static Texts, name: &str, places: &Places, form: &Form) -> Self {
        let options = places.pairs().into_iter().map(|(id, text)| (format!("{name}={id}"), text));
        let (label, usual) = (fill(t.import_place_means, &[name]), t.import_choose.to_owned());
        Self { label, usual, options: chosen(options, form, "place") }
    }
}

/// Says of each option whether the form has it.
fn chosen(
    options: impl Iterator<Item = (String, String)>,
    form: &Form,
    name: &'static str,
) -> Vec<(String, String, bool)> {
    let is_chosen = |value: &str| form.all(name).any(|chosen| chosen == value);
    options.map(|(value, text)| (is_chosen(&value), value, text)).map(|(is, value, text)| (value, text, is)).collect()
}
