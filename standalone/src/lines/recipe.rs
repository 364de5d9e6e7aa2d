//! The command ids of `load`, by the published recipe.
//!
//! `command_id = UUIDv5(NAMESPACE, type ␟ value ␟ value …)`: the command type, then the values of the `--id` columns in
//! the order given, each after a unit separator (U+001F). A value is the cell without its CSV quotes, not trimmed. For `#`
//! the value is the decimal number of the line among the lines with the same other values, from 1. With `--batch NAME` the
//! namespace is UUIDv5(NAMESPACE, NAME). A file of refused lines carries its ids.

use std::borrow::Cow;
use std::collections::HashMap;

use stockline_core::domain::{CommandId, CommandKind};
use stockline_import::recipe::Name;
pub use stockline_import::recipe::{NAMESPACE, first_64_bits};
use uuid::Uuid;

/// One part of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The value of this column.
    Column(usize),
    /// `#`: the number of the line among the lines with the same other values, from 1.
    Occurrence,
}

/// Makes the ids of a file, line by line from the first.
#[derive(Debug, Clone)]
pub struct Recipe {
    namespace: Uuid,
    parts: Vec<Part>,
    /// The column of a refused file that holds the id of each line.
    carried: Option<usize>,
    /// How often each combination of the other values occurred, by 64 bits of its hash; empty without `#`.
    occurrences: HashMap<u64, u32>,
    name: Name,
}

impl Recipe {
    /// Creates the recipe.
    pub fn new(namespace: Uuid, parts: Vec<Part>) -> Self {
        Self { namespace, parts, carried: None, occurrences: HashMap::new(), name: Name::default() }
    }

    /// Takes the id of a line from this column, where the line has one.
    pub fn with_carried(self, carried: Option<usize>) -> Self {
        Self { carried, ..self }
    }

    /// Returns the text of a line's own id, if it has one.
    pub fn carried<'a>(&self, record: &'a csv::ByteRecord) -> Option<Cow<'a, str>> {
        let cell = record.get(self.carried?)?.trim_ascii();
        (!cell.is_empty()).then(|| String::from_utf8_lossy(cell))
    }

    /// Reports whether the file has a column of ids, as a refused file has.
    pub const fn carries(&self) -> bool {
        self.carried.is_some()
    }

    /// Returns the columns that the ids are made of.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(*column),
            Part::Occurrence => None,
        })
    }

    /// Returns the id of the next line, whose command has this type.
    pub fn next(&mut self, kind: CommandKind, record: &csv::ByteRecord) -> CommandId {
        if let Some(Ok(id)) = self.carried(record).map(|text| text.parse()) {
            return id;
        }
        let occurrence = if self.parts.contains(&Part::Occurrence) {
            self.write_name(kind, record, None);
            let key = first_64_bits(self.name.id(&self.namespace).0);
            let count = self.occurrences.entry(key).or_default();
            *count = count.saturating_add(1);
            Some(*count)
        } else {
            None
        };
        self.write_name(kind, record, occurrence);
        self.name.id(&self.namespace)
    }

    fn write_name(&mut self, kind: CommandKind, record: &csv::ByteRecord, occurrence: Option<u32>) {
        self.name.begin(kind);
        for part in &self.parts {
            match (part, occurrence) {
                (Part::Column(index), _) => {
                    self.name.value(record.get(*index).unwrap_or_default());
                }
                (Part::Occurrence, Some(count)) => {
                    self.name.value(count.to_string().as_bytes());
                }
                (Part::Occurrence, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(values: &[&str]) -> csv::ByteRecord {
        csv::ByteRecord::from(values.to_vec())
    }

    #[test]
    fn the_published_test_vector_holds() {
        let parts = vec![Part::Column(0), Part::Column(1)];
        let mut recipe = Recipe::new(NAMESPACE, parts);
        let line = record(&["31198570044", "1095275"]);
        assert_eq!(recipe.next(CommandKind::Sell, &line).to_string(), "63f7ba12-5d93-5ae4-8784-fe2144f108da");
        assert_eq!(
            recipe.next(CommandKind::Sell, &line).to_string(),
            "63f7ba12-5d93-5ae4-8784-fe2144f108da",
            "the same values, the same id"
        );
    }

    #[test]
    fn with_the_occurrence_number_repeated_lines_get_ids_of_their_own() {
        let parts = vec![Part::Column(0), Part::Column(1), Part::Occurrence];
        let mut recipe = Recipe::new(NAMESPACE, parts.clone());
        let line = record(&["31198570044", "1095275"]);
        let first = recipe.next(CommandKind::Sell, &line);
        recipe.next(CommandKind::Sell, &record(&["31198570044", "7"]));
        assert_eq!(recipe.next(CommandKind::Sell, &line).to_string(), "797899cb-8620-57c4-af8f-c6f99cef7b27");
        let again = Recipe::new(NAMESPACE, parts).next(CommandKind::Sell, &line);
        assert_eq!(again, first, "again from the first line");
    }

    #[test]
    fn values_do_not_run_into_each_other() {
        let parts = vec![Part::Column(0), Part::Column(1)];
        let mut recipe = Recipe::new(NAMESPACE, parts.clone());
        assert_ne!(
            recipe.next(CommandKind::Sell, &record(&["1", "23"])),
            recipe.next(CommandKind::Sell, &record(&["12", "3"]))
        );
        let line = record(&["1", "23"]);
        let received = recipe.next(CommandKind::Receive, &line);
        assert_ne!(recipe.next(CommandKind::Sell, &line), received, "the type is part of it");
    }

    #[test]
    fn a_line_of_a_refused_file_keeps_its_id() {
        let parts = vec![Part::Column(0), Part::Occurrence];
        let mut recipe = Recipe::new(NAMESPACE, parts).with_carried(Some(1));
        let id = "797899cb-8620-57c4-af8f-c6f99cef7b27";
        assert_eq!(recipe.next(CommandKind::Sell, &record(&["1", id])).to_string(), id);
        assert_ne!(
            recipe.next(CommandKind::Sell, &record(&["1", ""])).to_string(),
            id,
            "a new line gets an id of its own"
        );
    }
}
