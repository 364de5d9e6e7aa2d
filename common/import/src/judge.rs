//! Judges one line after the other: its faults, or its commands.

use std::borrow::Cow;
use std::collections::HashMap;

use stockline_core::domain::{
    Command, CommandKind, Fault, ItemId, Json, LocationId, LocationSettings, ParseContext, Timestamp, folded,
    parse_command,
};
use uuid::Uuid;

use crate::cell::{id, unquoted};
use crate::columns::{Columns, Options};
use crate::format::Decimal;
use crate::kind::{Field, Kind, normalised};
use crate::known::Known;
use crate::number::{self, NumberFault};
use crate::plan::{Change, Effect, LineFault, May, NO_ID, Plan, PlannedLine, Step};
use crate::recipe;
use crate::table::{Row, Table};
use crate::vendor::Carried;

mod items;
mod levels;
mod locations;
pub(crate) mod remedy;

/// The values of a spreadsheet's cell whose formula failed.
const CELL_ERRORS: [&str; 7] = ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"];

/// The fields of a command before they are parsed.
pub(crate) type Fields<'a> = Vec<(&'static str, Json<'a>)>;

struct Judge<'a> {
    table: &'a Table,
    columns: &'a Columns,
    options: &'a Options,
    known: &'a Known,
    may: &'a May<'a>,
    /// In hexadecimal.
    file_hash: String,
    namespace: Uuid,
    name: recipe::Name,
    plan: Plan,
    /// Folded items, or items and places, with the line that has them.
    seen: HashMap<(String, String), u32>,
    seen_barcodes: HashMap<String, (String, u32)>,
    /// The locations of columns that name one.
    places: HashMap<usize, LocationId>,
    carried: Carried,
    previous: Option<Timestamp>,
    shown: usize,
}

impl Plan {
    /// Judges every line. `file_hash` is the SHA-256 of the file, which names counts without a time.
    pub fn of(
        table: &Table,
        columns: &Columns,
        options: &Options,
        known: &Known,
        may: &May<'_>,
        file_hash: &[u8],
    ) -> Self {
        let mut judge = Judge::new(table, columns, options, known, may, file_hash);
        for row in table.rows() {
            judge.row(row);
        }
        judge.finish()
    }
}

/// A line while it is judged.
pub(crate) struct Draft<'a> {
    row: Row<'a>,
    faults: Vec<LineFault>,
    steps: Vec<Step>,
    changes: Vec<Change>,
    subject: String,
    creates: bool,
    note: Option<&'static str>,
    question: Option<crate::plan::Question>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        table: &'a Table,
        columns: &'a Columns,
        options: &'a Options,
        known: &'a Known,
        may: &'a May<'a>,
        file_hash: &[u8],
    ) -> Self {
        let namespace = recipe::of_batch(recipe::IMPORTS, options.batch.as_deref());
        let file_hash = file_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut judge = Self {
            table,
            columns,
            options,
            known,
            may,
            file_hash,
            namespace,
            name: recipe::Name::default(),
            plan: Plan::default(),
            seen: HashMap::new(),
            seen_barcodes: HashMap::new(),
            places: HashMap::new(),
            carried: Carried::default(),
            previous: None,
            shown: 0,
        };
        judge.headings();
        judge
    }

    /// Judges the headings: columns that mean nothing, and locations that columns name.
    fn headings(&mut self) {
        for heading in &self.columns.unknown {
            self.plan.file_faults.push(LineFault {
                index: 0,
                line: 1,
                column: Some(heading.clone()),
                value: None,
                code: "unknown_column",
                detail: format!("is no column of {}", self.options.kind),
                remedy: "leave it out (ignore unknown columns), or map it to a field".into(),
            });
        }
        for (field, column) in &self.columns.fields {
            let (Field::OnHandAt(place) | Field::ThresholdAt(place) | Field::PlanningAt(_, place)) = field else {
                continue;
            };
            match self.known.place(place, self.options) {
                Some(settings) => drop(self.places.insert(*column, settings.location_id.clone())),
                None => self.plan.file_faults.push(LineFault {
                    index: 0,
                    line: 1,
                    column: self.table.headings.get(*column).cloned(),
                    value: Some(place.clone()),
                    code: "unknown_location",
                    detail: format!("no location is called {place}"),
                    remedy: format!("say which location it is, such as {place}=main, or register it first"),
                }),
            }
        }
    }

    pub(crate) fn row(&mut self, row: Row<'a>) {
        let mut draft = Draft {
            row,
            faults: Vec::new(),
            steps: Vec::new(),
            changes: Vec::new(),
            subject: String::new(),
            creates: false,
            note: None,
            question: None,
        };
        let skipped = self.columns.vendor.and_then(|vendor| vendor.skips(&|heading| self.cell_called(row, heading)));
        if skipped.is_none() {
            self.cell_errors(&mut draft);
            match self.options.kind {
                Kind::Items => self.item(&mut draft),
                Kind::Stock => self.stock(&mut draft),
                Kind::Counts => self.count(&mut draft),
                Kind::Thresholds => self.threshold(&mut draft),
                Kind::Locations => self.location(&mut draft),
            }
        }
        self.take(draft, skipped);
    }

    fn take(&mut self, draft: Draft<'a>, skipped: Option<&'static str>) {
        let Draft { row, faults, mut steps, mut changes, subject, creates, note, question } = draft;
        let effect = if skipped.is_some() {
            Effect::Skip
        } else if !faults.is_empty() {
            Effect::Faulty
        } else if steps.is_empty() {
            Effect::Leave
        } else if creates {
            Effect::Create
        } else {
            Effect::Change
        };
        if effect == Effect::Faulty {
            steps.clear();
            changes.clear();
        } else if let Some(question) = question {
            self.plan.ask(crate::plan::Question { at: self.plan.lines.len(), ..question });
        }
        if matches!(effect, Effect::Create | Effect::Change) {
            if !Plan::shows(self.shown) {
                changes = Vec::new();
            }
            self.shown += 1;
        }
        self.plan.faults.extend(faults);
        let note = skipped.or(note);
        self.plan.lines.push(PlannedLine {
            index: row.index(),
            line: row.line(),
            effect,
            subject,
            changes,
            note,
            steps,
        });
    }

    pub(crate) fn finish(self) -> Plan {
        self.plan
    }

    /// Returns the cell of a field, trimmed and in our words; empty if there is no such column.
    fn cell(&self, row: Row<'a>, field: &Field) -> Cow<'a, str> {
        let Some(column) = self.columns.column(field) else { return Cow::Borrowed("") };
        let cell = unquoted(row.cell(column));
        match self.columns.vendor {
            Some(vendor) if !cell.is_empty() => vendor.word(field, cell),
            _ => Cow::Borrowed(cell),
        }
    }

    /// Returns the cell under a heading, whether it has a field or not.
    fn cell_called(&self, row: Row<'a>, heading: &str) -> String {
        let column = self.table.headings.iter().position(|own| normalised(own) == heading);
        column.map(|column| row.cell(column).to_owned()).unwrap_or_default()
    }

    fn cell_errors(&self, draft: &mut Draft<'a>) {
        for (field, column) in &self.columns.fields {
            let cell = draft.row.cell(*column);
            if cell.starts_with('#') && CELL_ERRORS.iter().any(|error| cell.starts_with(error)) {
                self.fault(draft, field, "cell_error", "is the error of a formula".into());
            }
        }
    }

    /// Adds a fault of a field, with the cell that holds it.
    fn fault(&self, draft: &mut Draft<'a>, field: &Field, code: &'static str, detail: String) {
        draft.faults.push(self.fault_of(draft.row, field, code, detail));
    }

    fn fault_of(&self, row: Row<'a>, field: &Field, code: &'static str, detail: String) -> LineFault {
        let column = self.columns.column(field);
        LineFault {
            index: row.index(),
            line: row.line(),
            column: column.and_then(|column| self.table.headings.get(column)).cloned().or_else(|| Some(field.name())),
            value: column.map(|column| row.cell(column)).filter(|cell| !cell.is_empty()).map(str::to_owned),
            code,
            detail,
            remedy: remedy::of(code, field, self.options.kind),
        }
    }

    /// Reads the item of a line. The same one must not stand in another line, at the same place.
    fn item_id(&self, draft: &mut Draft<'a>) -> Option<ItemId> {
        let cell = self.cell(draft.row, &Field::ItemId);
        draft.subject = cell.clone().into_owned();
        if cell.is_empty() {
            self.fault(draft, &Field::ItemId, "missing_field", "is empty".into());
            return None;
        }
        if number::is_exponent(&cell) {
            self.fault(
                draft,
                &Field::ItemId,
                "shortened_number",
                "was shortened by a spreadsheet; the digits are lost".into(),
            );
            return None;
        }
        match id(&cell) {
            Ok(item_id) => Some(item_id),
            Err(error) => {
                self.fault(draft, &Field::ItemId, "invalid_value", format!("{error}"));
                None
            }
        }
    }

    /// Notes that a line is about this item and place, and finds the line that was before.
    fn only_once(&mut self, draft: &mut Draft<'a>, item: &str, place: &str) {
        let key = (folded(item), place.to_owned());
        match self.seen.get(&key) {
            Some(first) => {
                let detail = format!(
                    "stands in line {first} already{}",
                    if place.is_empty() { "" } else { ", for the same location" }
                );
                self.fault(draft, &Field::ItemId, "duplicate_line", detail);
            }
            None => drop(self.seen.insert(key, draft.row.line())),
        }
    }

    /// Reads the location of a line: its cell, or what is said for all lines.
    fn place(&self, draft: &mut Draft<'a>) -> Option<&'a LocationSettings> {
        let cell = self.cell(draft.row, &Field::LocationId);
        if !cell.is_empty() {
            let found = self.known.place(&cell, self.options);
            if found.is_none() {
                self.fault(draft, &Field::LocationId, "unknown_location", format!("no location is called {cell}"));
            }
            return found;
        }
        if self.columns.column(&Field::LocationId).is_some() {
            self.fault(draft, &Field::LocationId, "missing_field", "is empty".into());
            return None;
        }
        let Some(location_id) = self.options.location.as_ref().or(self.known.default_location.as_ref()) else {
            self.fault(
                draft,
                &Field::LocationId,
                "missing_field",
                "no column and no option says where the stock is".into(),
            );
            return None;
        };
        let found = self.known.location(location_id);
        if found.is_none() {
            self.fault(
                draft,
                &Field::LocationId,
                "unknown_location",
                format!("no location {location_id} is registered"),
            );
        }
        found
    }

    /// Reads a number as the API writes it; `None` if it is refused.
    fn number(&self, draft: &mut Draft<'a>, field: &Field) -> Option<String> {
        let cell = self.cell(draft.row, field);
        let numeric = self.columns.column(field).is_some_and(|column| draft.row.is_numeric(column));
        let decimal = self.options.decimal.or(self.columns.own_export.then_some(Decimal::Point));
        match number::plain(&cell, decimal, numeric) {
            Ok(number) => Some(number),
            Err(NumberFault::Ambiguous) => {
                self.fault(draft, field, "ambiguous_number", "may be a whole number or a fraction".into());
                None
            }
            Err(NumberFault::Exponent) => {
                self.fault(
                    draft,
                    field,
                    "shortened_number",
                    "was shortened by a spreadsheet; the digits are lost".into(),
                );
                None
            }
        }
    }

    /// Parses a command. Its id is set by the caller.
    fn command(
        &self,
        draft: &mut Draft<'a>,
        kind: CommandKind,
        item_id: &ItemId,
        fields: Fields<'_>,
    ) -> Option<Command> {
        let text = |text: &'static str| Json::Str(Cow::Borrowed(text));
        let mut members = vec![
            (Cow::Borrowed("type"), text(kind.as_str())),
            (Cow::Borrowed("command_id"), Json::Str(Cow::Owned(NO_ID.to_string()))),
            (Cow::Borrowed("item_id"), Json::Str(Cow::Borrowed(item_id.as_str()))),
        ];
        members.extend(fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)));
        match parse_command(&Json::Object(members), &ParseContext::stored()) {
            Ok(command) => Some(command),
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.command_fault(draft, fault));
                None
            }
        }
    }

    /// Adds the fault of a command where the file has its value.
    fn command_fault(&self, draft: &mut Draft<'a>, fault: Fault) {
        let name = fault.pointer.trim_start_matches('/');
        let name = name.split('/').next().unwrap_or(name);
        let field = match (name, self.options.kind) {
            ("quantity", _) => Some(Field::OnHand),
            ("occurred_at", _) => Some(Field::CountedAt),
            (name, kind) => kind.fields().iter().find(|field| field.word() == name).cloned(),
        };
        let field = field.unwrap_or(Field::ItemId);
        if name == "name" && fault.code == "missing_field" {
            return self.fault(draft, &Field::Name, "missing_name", "the item is new, and has no name".into());
        }
        self.fault(draft, &field, fault.code, fault.detail);
    }

    /// Adds a command to the line, if the caller may submit it.
    fn submit(&self, draft: &mut Draft<'a>, command: Command) {
        match (self.may.submit)(&command) {
            Ok(()) => draft.steps.push(Step::Command(Box::new(command))),
            Err(detail) => {
                let field = if command.action.locations().next().is_some() { Field::LocationId } else { Field::ItemId };
                self.fault(draft, &field, "forbidden", detail);
            }
        }
    }
}
