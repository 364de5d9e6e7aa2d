//! Maps a line of a CSV file to a command as JSON.

use std::borrow::Cow;

use anyhow::bail;
use jiff::tz::TimeZone;
use stockline_core::domain::{CommandId, CommandKind, Json, ParseContext, Timestamp, fields_of, parse_command};

use super::format::{Format, Unclear};
use super::kinds::{Kinds, UnknownWord};
use crate::exit::Usage;

/// Separates the barcodes of one cell.
const BARCODE_SEPARATOR: char = ';';
/// The fields that hold a number.
const NUMBERS: [&str; 9] = [
    "quantity",
    "counted",
    "low_stock_threshold",
    "unit_cost",
    "amount",
    "expected_on_hand",
    "order_multiple",
    "order_minimum",
    "service_level",
];
/// The fields that hold a location. An empty cell is refused: without the field the command would mean `main`.
const LOCATIONS: [&str; 3] = ["location_id", "from_location_id", "to_location_id"];
/// The fields that say when or by which document something moved.
const EVENTS: [&str; 2] = ["occurred_at", "reference"];
/// The fields that hold a whole number, which JSON has as a number.
const WHOLE: [&str; 2] = ["decimals", "lead_time_days"];
/// The numbers that can be cleared.
const CLEARABLE: [&str; 6] =
    ["low_stock_threshold", "unit_cost", "lead_time_days", "order_multiple", "order_minimum", "service_level"];

/// The source of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Column(usize),
    Fixed(String),
}

/// Maps columns to the fields of a command.
#[derive(Debug, Clone)]
pub struct Mapping {
    kinds: Kinds,
    /// The column that says the type of a line.
    kind: Option<usize>,
    fields: Vec<(String, Source)>,
    item: Source,
    format: Format,
    /// The moment of the line before.
    previous: Option<Timestamp>,
}

/// The file has no column of this name.
#[derive(Debug, thiserror::Error)]
#[error("the file has no column {name:?}; it has {}", .columns.join(", "))]
pub struct NoColumn {
    /// The name that was looked for.
    pub name: String,
    /// The names of the columns that there are.
    pub columns: Vec<String>,
}

/// Finds a column by name. Where no name is equal, upper and lower case do not matter.
pub fn column(headers: &csv::ByteRecord, name: &str) -> anyhow::Result<usize> {
    let of = |same: &dyn Fn(&[u8]) -> bool| -> Vec<usize> {
        (0..headers.len()).filter(|index| headers.get(*index).is_some_and(same)).collect()
    };
    let mut found = of(&|header| header == name.as_bytes());
    if found.is_empty() {
        let lower = name.trim().to_lowercase();
        found = of(&|header| text(header).to_lowercase() == lower);
    }
    match found[..] {
        [index] => Ok(index),
        [] => {
            let columns = headers.iter().map(|header| text(header).into_owned()).collect();
            Err(NoColumn { name: name.to_owned(), columns }.into())
        }
        _ => Err(Usage(format!("the file has more than one column {name:?}: rename one")).into()),
    }
}

/// Splits a list at its commas. A piece that has no name of its own belongs to the piece before, because a heading may hold
/// commas: `item_id=SKU,counted=Qty, on hand` are two.
pub fn pieces<'a>(lists: &'a [String], begins: impl Fn(&str) -> bool) -> Vec<Cow<'a, str>> {
    let mut pieces: Vec<Cow<'a, str>> = Vec::new();
    for list in lists {
        let list = list.strip_prefix('"').and_then(|list| list.strip_suffix('"')).unwrap_or(list);
        for (index, piece) in list.split(',').enumerate() {
            match pieces.last_mut() {
                Some(before) if index > 0 && !begins(piece) => *before = Cow::Owned(format!("{before},{piece}")),
                _ => pieces.push(Cow::Borrowed(piece)),
            }
        }
    }
    pieces
}

/// Splits `field=column`.
fn pair(text: &str) -> anyhow::Result<(&str, &str)> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.trim(), value)),
        _ => Err(Usage(format!("{text:?} must be field=column, such as item_id=product_id")).into()),
    }
}

/// Parses an IANA name or an offset such as `+01:00`.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    let wrong = || format!("{text:?} is neither a time zone such as Europe/Berlin nor an offset such as +01:00");
    if text == "Z" {
        return Ok(TimeZone::UTC);
    }
    if text.starts_with(['+', '-']) {
        // Jiff parses an offset only as part of a time.
        let probe: jiff::Timestamp = format!("2000-01-01T00:00:00{text}").parse().map_err(|_| wrong())?;
        let base = jiff::Timestamp::from_second(946_684_800).map_err(|_| wrong())?;
        let seconds = i32::try_from(base.as_second() - probe.as_second()).map_err(|_| wrong())?;
        return jiff::tz::Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|_| wrong());
    }
    TimeZone::get(text).map_err(|_| wrong())
}

impl Mapping {
    /// Checks fields and columns before a line is read.
    pub fn new(
        kinds: impl Into<Kinds>,
        map: &[String],
        set: &[String],
        format: Format,
        headers: &csv::ByteRecord,
    ) -> anyhow::Result<Self> {
        let mut fields: Vec<(String, Source)> = Vec::new();
        let field_begins = |piece: &str| {
            let field = piece.split_once('=').map(|(field, _)| field.trim());
            field.is_some_and(|field| field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        };
        for text in pieces(map, field_begins) {
            let (field, name) = pair(&text)?;
            fields.push((field.to_owned(), Source::Column(column(headers, name)?)));
        }
        for text in set {
            let (field, value) = pair(text)?;
            fields.push((field.to_owned(), Source::Fixed(value.to_owned())));
        }
        for (index, (field, _)) in fields.iter().enumerate() {
            if fields[..index].iter().any(|(earlier, _)| earlier == field) {
                bail!(Usage(format!("the field {field} is mapped twice: remove one")));
            }
            if matches!(field.as_str(), "command_id" | "sent_at") {
                bail!(Usage(format!(
                    "{field} can't be mapped: --id defines the id, and a line has no time of sending"
                )));
            }
        }
        let kind = match fields.iter().position(|(field, _)| field == "type").map(|index| fields.remove(index).1) {
            None => None,
            Some(Source::Column(column)) => Some(column),
            Some(Source::Fixed(_)) => bail!(Usage("--set type=… : --type is the type of all lines".into())),
        };
        let Some(item) = fields.iter().position(|(field, _)| field == "item_id") else {
            bail!(Usage("no column holds the item: add --map item_id=COLUMN".into()));
        };
        let item = fields.remove(item).1;
        let mapping = Self { kinds: kinds.into(), kind, fields, item, format, previous: None };
        for kind in mapping.kinds.all() {
            mapping.check_fields(kind, headers.len())?;
        }
        Ok(mapping)
    }

    /// Refuses unknown fields, and required fields that are not mapped: with either, every line would fail.
    fn check_fields(&self, kind: CommandKind, columns: usize) -> anyhow::Result<()> {
        // A line without an empty cell. Its values do not matter.
        let line: csv::ByteRecord = std::iter::repeat_n("1", columns).collect::<Vec<_>>().into();
        let mut body = Vec::new();
        self.clone().write(kind, &line, CommandId(uuid::Uuid::nil()), &mut body);
        let json: Json<'_> = serde_json::from_slice(&body)?;
        let Err(faults) = parse_command(&json, &ParseContext::submitted()) else { return Ok(()) };
        for fault in faults {
            let field = fault.pointer.trim_start_matches('/');
            if fault.code == "unknown_field" {
                bail!(Usage(format!("{field} {}", fault.detail)));
            }
            if fault.code == "missing_field" {
                let kind = kind.as_str();
                bail!(Usage(format!(
                    "{kind} needs {field}: add --map {field}=COLUMN, or --set {field}=VALUE for all lines"
                )));
            }
        }
        Ok(())
    }

    /// Reports whether a cell may hold line breaks: a note, and a column that is not mapped. Elsewhere a line break means
    /// that a closing quote is missing, and so does a line within the cell that looks like a line of the file.
    pub fn may_hold_line_break(&self, column: usize, cell: &[u8], columns: usize, delimiter: u8) -> bool {
        let mut fields = self.fields.iter().filter(|(_, source)| *source == Source::Column(column)).peekable();
        if fields.peek().is_none() && self.item != Source::Column(column) {
            let separators = |line: &[u8]| line.iter().filter(|byte| **byte == delimiter).count() + 1;
            return columns < 3 || cell.split(|byte| *byte == b'\n').all(|line| separators(line) < columns);
        }
        self.item != Source::Column(column) && fields.all(|(field, _)| field == "note")
    }

    /// Returns the type of a line's command; `None` if the line is left out.
    ///
    /// # Errors
    /// Fails with the column if its word is no type.
    pub fn kind(&self, record: &csv::ByteRecord) -> Result<Option<CommandKind>, (usize, UnknownWord)> {
        let word = self.kind.map_or(Cow::Borrowed(""), |column| text(record.get(column).unwrap_or_default()));
        let quantity = self.fields.iter().find(|(field, _)| field == "quantity");
        let quantity = quantity.map_or(Cow::Borrowed(""), |(_, source)| trimmed(self.value(source, record)));
        self.kinds.of(&word, &quantity).map_err(|unknown| (self.kind.unwrap_or_default(), unknown))
    }

    /// Returns every type that a line can have.
    pub fn kinds(&self) -> impl Iterator<Item = CommandKind> {
        self.kinds.all()
    }

    /// Reports whether the cell of a column says when or by which document something moved: a column that is not mapped, a
    /// time or a reference. Whatever says only what moved comes again with the next delivery.
    pub fn names_an_event(&self, column: usize) -> bool {
        let source = Source::Column(column);
        let mut fields = self.fields.iter().filter(|(_, mapped)| *mapped == source).peekable();
        let is_mapped = self.item == source || self.kind == Some(column) || fields.peek().is_some();
        !is_mapped || fields.any(|(field, _)| EVENTS.contains(&field.as_str()))
    }

    /// Returns the first column whose cell can't be read without being told more.
    pub fn unclear(&self, kind: CommandKind, record: &csv::ByteRecord) -> Option<(usize, Unclear)> {
        self.fields.iter().find_map(|(field, source)| {
            let Source::Column(index) = source else { return None };
            let value = text(record.get(*index)?);
            let unclear = match field.as_str() {
                "occurred_at" => self.format.unclear_time(value.trim(), kind),
                field if NUMBERS.contains(&field) => self.format.unclear_number(value.trim()),
                _ => None,
            };
            unclear.map(|unclear| (*index, unclear))
        })
    }

    /// Returns the item of a line.
    pub fn item<'a>(&'a self, record: &'a csv::ByteRecord) -> Cow<'a, str> {
        trimmed(self.value(&self.item, record))
    }

    fn value<'a>(&self, source: &'a Source, record: &'a csv::ByteRecord) -> Cow<'a, str> {
        match source {
            Source::Column(index) => unquoted(text(record.get(*index).unwrap_or_default())),
            Source::Fixed(value) => Cow::Borrowed(value),
        }
    }

    /// Writes the command of a line as JSON, without the fields of empty cells. Spaces around a cell are no part of it,
    /// except in a note. A field that only other lines of the file can have is left out. Lines are written in the order of the
    /// file.
    pub fn write(&mut self, kind: CommandKind, record: &csv::ByteRecord, command_id: CommandId, body: &mut Vec<u8>) {
        body.extend_from_slice(b"{\"type\":\"");
        body.extend_from_slice(kind.as_str().as_bytes());
        body.extend_from_slice(b"\",\"command_id\":\"");
        let mut buffer = uuid::Uuid::encode_buffer();
        body.extend_from_slice(command_id.0.hyphenated().encode_lower(&mut buffer).as_bytes());
        body.extend_from_slice(b"\",\"item_id\":");
        write_json(body, &*self.item(record));
        let mut moment = None;
        for (field, source) in &self.fields {
            let cell = self.value(source, record);
            let value = if field == "note" { cell } else { trimmed(cell) };
            let required = LOCATIONS.contains(&field.as_str()) && matches!(source, Source::Column(_));
            if (value.is_empty() && !required) || self.is_of_others(kind, field) {
                continue;
            }
            if field == "occurred_at" {
                moment = self.format.moment(&value, self.previous);
            }
            body.push(b',');
            write_json(body, field.as_str());
            body.push(b':');
            match moment {
                Some(at) if field == "occurred_at" => write_json(body, &at),
                _ => self.write_value(field, self.unsigned(kind, field, &value), body),
            }
        }
        self.previous = moment.or(self.previous);
        body.push(b'}');
    }

    /// Reports whether lines of this type can't have the field, but others of the file can.
    fn is_of_others(&self, kind: CommandKind, field: &str) -> bool {
        let has = |kind: CommandKind| fields_of(kind).any(|known| known == field);
        !has(kind) && (self.kinds.all().any(has) || self.kind.is_some() && CommandKind::ALL.into_iter().any(has))
    }

    /// Takes the sign from the quantity that has decided the line's type.
    fn unsigned<'a>(&self, kind: CommandKind, field: &str, value: &'a str) -> &'a str {
        let by_sign = field == "quantity" && self.kinds.negative() == Some(kind);
        if by_sign { value.strip_prefix('-').unwrap_or(value) } else { value }
    }

    fn write_value(&self, field: &str, value: &str, body: &mut Vec<u8>) {
        match (field, value.parse::<i64>()) {
            (field, _) if CLEARABLE.contains(&field) && stockline_import::clears(value) => {
                body.extend_from_slice(b"null");
            }
            (field, Ok(number)) if WHOLE.contains(&field) => body.extend_from_slice(number.to_string().as_bytes()),
            ("barcodes", _) => {
                let codes: Vec<&str> = value.split(BARCODE_SEPARATOR).map(str::trim).collect();
                write_json(body, &codes);
            }
            (field, _) if NUMBERS.contains(&field) => {
                write_json(body, &*plain(self.format.number(value).as_deref().unwrap_or(value)));
            }
            _ => write_json(body, value),
        }
    }
}

fn trimmed(cell: Cow<'_, str>) -> Cow<'_, str> {
    match cell {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// Takes from a cell what only marks text in spreadsheets: `'0012`, `="0012"`.
fn unquoted(cell: Cow<'_, str>) -> Cow<'_, str> {
    match cell {
        Cow::Borrowed(text) => Cow::Borrowed(stockline_import::unquoted(text)),
        Cow::Owned(text) => Cow::Owned(stockline_import::unquoted(&text).to_owned()),
    }
}

/// Writes a number as the API reads it: `+4` is `4`, `.5` is `0.5`.
fn plain(number: &str) -> Cow<'_, str> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let zero = if digits.starts_with('.') { "0" } else { "" };
    if zero.is_empty() && sign.len() + digits.len() == number.len() {
        return Cow::Borrowed(number);
    }
    Cow::Owned(format!("{sign}{zero}{digits}"))
}

/// Decodes a cell. The first pass has checked that every cell is UTF-8.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn write_json<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    // This can't fail: texts and lists of texts always serialize, and a Vec accepts every write.
    let _ = serde_json::to_writer(body, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(values: &[&str]) -> csv::ByteRecord {
        csv::ByteRecord::from(values.to_vec())
    }

    fn mapping(kind: impl Into<Kinds>, map: &[&str], set: &[&str], time_zone: Option<&str>) -> anyhow::Result<Mapping> {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let headers = record(&["sold_at", "store", "product", "quantity", "codes"]);
        let zone = time_zone.map(|text| zone(text).unwrap());
        let format = Format { zone, decimal: None, date_means: None };
        Mapping::new(kind, &owned(map), &owned(set), format, &headers)
    }

    fn json(mapping: &Mapping, values: &[&str]) -> serde_json::Value {
        let mut body = Vec::new();
        let line = record(values);
        let kind = mapping.kind(&line).unwrap().expect("the line is left out");
        mapping.clone().write(kind, &line, "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap(), &mut body);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_line_becomes_a_command_and_empty_cells_are_left_out() {
        let map = ["item_id=product", "location_id=store", "quantity=quantity", "occurred_at=sold_at"];
        let sales = mapping(CommandKind::Sell, &map, &["on_shortage=allow"], None).unwrap();
        assert_eq!(
            json(&sales, &["2017-01-01T11:53:26Z", "12", "co\"la", "2", ""]),
            serde_json::json!({"type": "sell", "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_id": "co\"la",
                "location_id": "12", "quantity": "2", "occurred_at": "2017-01-01T11:53:26Z", "on_shortage": "allow"})
        );
        assert!(json(&sales, &["", "12", "cola", "2", ""]).get("occurred_at").is_none());
    }

    #[test]
    fn numbers_and_lists_take_their_json_shape() {
        let map = ["item_id=product", "name=product", "decimals=quantity", "barcodes=codes"];
        let items = mapping(CommandKind::RegisterItem, &map, &[], None).unwrap();
        let item = json(&items, &["", "", "cola", "3", "123; 456"]);
        assert_eq!((&item["decimals"], &item["barcodes"]), (&3.into(), &serde_json::json!(["123", "456"])));
    }

    #[test]
    fn a_cell_means_what_the_sheet_shows() {
        let items = mapping(CommandKind::RegisterItem, &["item_id=product", "name=store", "barcodes=codes"], &[], None);
        let item = json(&items.unwrap(), &["", "'=1+1", "=\"0012\"", "", "'0012345678905"]);
        assert_eq!((&item["item_id"], &item["name"]), (&"0012".into(), &"=1+1".into()));
        assert_eq!(item["barcodes"], serde_json::json!(["0012345678905"]));
        let adjusted = mapping(CommandKind::Adjust, &["item_id=product", "quantity=quantity"], &["reason=found"], None);
        let adjusted = adjusted.unwrap();
        for (cell, number) in [("+4", "4"), (".5", "0.5"), ("-.5", "-0.5"), ("-2", "-2"), ("4", "4"), ("x", "x")] {
            assert_eq!(json(&adjusted, &["", "", "a", cell, ""])["quantity"], number, "{cell}");
        }
    }

    #[test]
    fn none_clears_a_number_that_can_be_cleared() {
        let map = ["item_id=product", "low_stock_threshold=quantity", "location_id=store"];
        let thresholds = mapping(CommandKind::SetThreshold, &map, &[], None).unwrap();
        assert_eq!(
            json(&thresholds, &["", "s1", "cola", " None ", ""])["low_stock_threshold"],
            serde_json::Value::Null
        );
        assert_eq!(json(&thresholds, &["", "s1", "cola", "0", ""])["low_stock_threshold"], "0");
        assert!(json(&thresholds, &["", "s1", "cola", "", ""]).get("low_stock_threshold").is_none(), "not said");
        let sales = mapping(CommandKind::Sell, &["item_id=product", "quantity=quantity"], &[], None).unwrap();
        assert_eq!(json(&sales, &["", "", "cola", "none", ""])["quantity"], "none", "refused, with the line");
    }

    #[test]
    fn the_planning_of_an_item_is_written_as_the_api_takes_it() {
        let map = ["item_id=product", "lead_time_days=quantity", "order_multiple=store"];
        let items = mapping(CommandKind::UpdateItem, &map, &[], None).unwrap();
        let line = json(&items, &["", "6", "cola", "14", ""]);
        assert_eq!((&line["lead_time_days"], &line["order_multiple"]), (&14.into(), &"6".into()));
        let line = json(&items, &["", "None", "cola", "-", ""]);
        assert_eq!(
            (&line["lead_time_days"], &line["order_multiple"]),
            (&serde_json::Value::Null, &serde_json::Value::Null)
        );
    }

    #[test]
    fn lines_of_several_types_have_the_fields_of_their_own() {
        let words = ["R=return", "V=skip"].map(String::from);
        let kinds = Kinds::from(CommandKind::Sell).with_negative(Some(CommandKind::Return)).unwrap();
        let map = ["item_id=product", "quantity=quantity", "type=codes"];
        let till = mapping(kinds.with_words(&words).unwrap(), &map, &["on_shortage=allow"], None).unwrap();
        let sold = json(&till, &["", "", "cola", "2", ""]);
        assert_eq!((&sold["type"], &sold["on_shortage"]), (&"sell".into(), &"allow".into()));
        for (quantity, word) in [("-2", ""), ("2", "R"), ("2", "return")] {
            let back = json(&till, &["", "", "cola", quantity, word]);
            assert_eq!((&back["type"], &back["quantity"]), (&"return".into(), &"2".into()));
            assert!(back.get("on_shortage").is_none(), "a return has no such field: {back}");
        }
        assert_eq!(till.kind(&record(&["", "", "cola", "2", "v"])), Ok(None));
        assert_eq!(till.kind(&record(&["", "", "cola", "2", "X"])), Err((4, UnknownWord)));
        let unknown = mapping(CommandKind::Sell, &map, &["price=1"], None).unwrap_err().to_string();
        assert!(unknown.contains("price is not a field of sell"), "{unknown}");
    }

    #[test]
    fn an_event_is_named_by_what_is_not_mapped_by_a_time_or_by_a_reference() {
        let map = ["item_id=product", "location_id=store", "quantity=quantity", "occurred_at=sold_at"];
        let sales = mapping(CommandKind::Sell, &map, &[], Some("UTC")).unwrap();
        let names: Vec<bool> = (0..5).map(|column| sales.names_an_event(column)).collect();
        assert_eq!(names, [true, false, false, false, true], "sold_at, store, product, quantity, codes");
    }

    #[test]
    fn a_local_time_is_converted_with_the_named_time_zone() {
        let map = ["item_id=product", "quantity=quantity", "occurred_at=sold_at"];
        let at = |place: &str, time: &str| {
            let sales = mapping(CommandKind::Sell, &map, &[], Some(place)).unwrap();
            json(&sales, &[time, "", "cola", "1", ""])["occurred_at"].as_str().unwrap().to_owned()
        };
        assert_eq!(at("Europe/Berlin", "2017-07-01T08:12:00"), "2017-07-01T06:12:00.000Z");
        assert_eq!(at("-05:00", "2017-07-01 08:12:00"), "2017-07-01T13:12:00.000Z");
        assert_eq!(at("+05:30", "2017-07-01T08:12:00Z"), "2017-07-01T08:12:00Z", "its own offset wins");
        assert!(zone("Nowhere/Town").is_err() && zone("+1").is_err());
        let sales = mapping(CommandKind::Sell, &map, &[], None).unwrap();
        let local = record(&["2017-07-01T08:12:00", "", "cola", "1", ""]);
        assert_eq!(sales.unclear(CommandKind::Sell, &local), Some((0, Unclear::Zone)));
        assert_eq!(sales.unclear(CommandKind::Sell, &record(&["2017-07-01T08:12:00Z", "", "cola", "1", ""])), None);
    }

    #[test]
    fn an_empty_location_is_not_main_and_spaces_around_a_cell_are_not_part_of_it() {
        let map = ["item_id=product", "location_id=store", "quantity=quantity", "note=codes"];
        let sales = mapping(CommandKind::Sell, &map, &[], None).unwrap();
        let sale = json(&sales, &["", " ", "cola\u{a0}", " 2 ", " kept "]);
        assert_eq!((&sale["location_id"], &sale["item_id"]), (&"".into(), &"cola".into()));
        assert_eq!((&sale["quantity"], &sale["note"]), (&"2".into(), &" kept ".into()));
    }

    #[test]
    fn a_heading_may_hold_commas_and_be_written_in_another_case() {
        let headers = record(&["SKU", "Qty, on hand"]);
        let format = Format { zone: None, decimal: None, date_means: None };
        for map in ["item_id=sku,counted=Qty, on hand", "\"item_id=sku,counted=Qty, on hand\""] {
            Mapping::new(CommandKind::Count, &[map.to_owned()], &[], format.clone(), &headers).unwrap();
        }
        assert!(column(&record(&["SKU", "Sku"]), "sku").is_err(), "neither is meant for sure");
    }

    #[test]
    fn a_line_break_is_a_missing_quote_where_a_value_is_read_or_a_line_is_swallowed() {
        let map = ["item_id=product", "quantity=quantity", "note=codes"];
        let sales = mapping(CommandKind::Sell, &map, &[], None).unwrap();
        assert!(sales.may_hold_line_break(4, b"a\nb", 5, b','), "a note");
        assert!(sales.may_hold_line_break(1, b"<p>Green,\nleaf</p>", 5, b','), "not mapped");
        assert!(!sales.may_hold_line_break(2, b"a\nb", 5, b','), "the item");
        assert!(!sales.may_hold_line_break(1, b"s1\n1,2,3,4,5", 5, b','), "a whole line");
        assert!(!sales.may_hold_line_break(1, b"s1\n1;2;3;4;5", 5, b';'), "by the file's own separator");
    }

    #[test]
    fn a_mapping_with_which_every_line_would_fail_is_refused() {
        let refused = |map: &[&str], set: &[&str]| -> String {
            mapping(CommandKind::Sell, map, set, None).unwrap_err().to_string()
        };
        assert!(refused(&["item_id=produkt"], &[]).contains("no column \"produkt\"; it has sold_at, store"));
        assert!(refused(&["item_id"], &[]).contains("must be field=column"));
        assert!(refused(&["quantity=quantity"], &[]).contains("--map item_id="));
        assert!(refused(&["item_id=product"], &[]).contains("sell needs quantity"));
        assert!(
            refused(&["item_id=product", "quantity=quantity", "price=codes"], &[]).contains("price is not a field")
        );
        assert!(refused(&["item_id=product", "quantity=quantity"], &["quantity=1"]).contains("mapped twice"));
        assert!(
            refused(&["item_id=product", "quantity=quantity", "command_id=codes"], &[]).contains("can't be mapped")
        );
        assert!(refused(&["item_id=product", "quantity=quantity"], &["type=return"]).contains("--type is"));
    }
}
