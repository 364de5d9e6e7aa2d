//! Maps a line of a CSV file to a command as JSON.

use std::borrow::Cow;

use anyhow::bail;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use stockline_core::domain::{CommandId, CommandKind, Json, ParseContext, Timestamp, parse_command};

use crate::exit::Usage;

/// Separates the barcodes of one cell.
const BARCODE_SEPARATOR: char = ';';

/// The source of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Column(usize),
    Fixed(String),
}

/// Maps columns to the fields of a command.
#[derive(Debug, Clone)]
pub struct Mapping {
    kind: CommandKind,
    fields: Vec<(String, Source)>,
    item: Source,
    zone: Option<TimeZone>,
}

/// Finds a column by name.
pub fn column(headers: &csv::ByteRecord, name: &str) -> anyhow::Result<usize> {
    let mut found = headers.iter().enumerate().filter(|(_, header)| *header == name.as_bytes());
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(Usage(format!("the file has more than one column {name:?}: rename one")).into()),
        (None, _) => {
            let names: Vec<_> = headers.iter().map(String::from_utf8_lossy).collect();
            Err(Usage(format!("the file has no column {name:?}; it has {}", names.join(", "))).into())
        }
    }
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
        kind: CommandKind,
        map: &[String],
        set: &[String],
        zone: Option<TimeZone>,
        headers: &csv::ByteRecord,
    ) -> anyhow::Result<Self> {
        let mut fields: Vec<(String, Source)> = Vec::new();
        for text in map {
            let (field, name) = pair(text)?;
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
            if matches!(field.as_str(), "type" | "command_id" | "sent_at") {
                bail!(Usage(format!(
                    "{field} can't be mapped: --type and --id define the type and the id, and a line has no time of sending"
                )));
            }
        }
        let Some(item) = fields.iter().position(|(field, _)| field == "item_id") else {
            bail!(Usage("no column holds the item: add --map item_id=COLUMN".into()));
        };
        let item = fields.remove(item).1;
        let mapping = Self { kind, fields, item, zone };
        mapping.check_fields(headers.len())?;
        Ok(mapping)
    }

    /// Refuses unknown fields, and required fields that are not mapped: with either, every line would fail.
    fn check_fields(&self, columns: usize) -> anyhow::Result<()> {
        // A line without an empty cell. Its values do not matter.
        let line: csv::ByteRecord = std::iter::repeat_n("1", columns).collect::<Vec<_>>().into();
        let mut body = Vec::new();
        self.write(&line, CommandId(uuid::Uuid::nil()), &mut body);
        let json: Json<'_> = serde_json::from_slice(&body)?;
        let Err(faults) = parse_command(&json, &ParseContext::stored()) else { return Ok(()) };
        for fault in faults {
            let field = fault.pointer.trim_start_matches('/');
            if fault.code == "unknown_field" {
                bail!(Usage(format!("{field} {}", fault.detail)));
            }
            if fault.code == "missing_field" {
                let kind = self.kind.as_str();
                bail!(Usage(format!(
                    "{kind} needs {field}: add --map {field}=COLUMN, or --set {field}=VALUE for all lines"
                )));
            }
        }
        Ok(())
    }

    /// Reports whether a cell of this column may hold line breaks. Only a note may; elsewhere a line break means that a
    /// closing quote is missing.
    pub fn is_note(&self, column: usize) -> bool {
        self.fields
            .iter()
            .any(|(field, source)| field == "note" && matches!(source, Source::Column(index) if *index == column))
    }

    /// Returns the column of a time that has no offset, if `--time-zone` does not provide it.
    pub fn time_without_offset(&self, record: &csv::ByteRecord) -> Option<usize> {
        if self.zone.is_some() {
            return None;
        }
        self.fields.iter().find_map(|(field, source)| match source {
            Source::Column(index) if field == "occurred_at" => {
                let value = text(record.get(*index)?);
                (value.parse::<Timestamp>().is_err() && value.parse::<DateTime>().is_ok()).then_some(*index)
            }
            _ => None,
        })
    }

    /// Returns the item of a line.
    pub fn item<'a>(&'a self, record: &'a csv::ByteRecord) -> Cow<'a, str> {
        self.value(&self.item, record)
    }

    fn value<'a>(&self, source: &'a Source, record: &'a csv::ByteRecord) -> Cow<'a, str> {
        match source {
            Source::Column(index) => text(record.get(*index).unwrap_or_default()),
            Source::Fixed(value) => Cow::Borrowed(value),
        }
    }

    /// Writes the command of a line as JSON, without the fields of empty cells.
    pub fn write(&self, record: &csv::ByteRecord, command_id: CommandId, body: &mut Vec<u8>) {
        body.extend_from_slice(b"{\"type\":\"");
        body.extend_from_slice(self.kind.as_str().as_bytes());
        body.extend_from_slice(b"\",\"command_id\":\"");
        let mut buffer = uuid::Uuid::encode_buffer();
        body.extend_from_slice(command_id.0.hyphenated().encode_lower(&mut buffer).as_bytes());
        body.extend_from_slice(b"\",\"item_id\":");
        write_json(body, &*self.item(record));
        for (field, source) in &self.fields {
            let value = self.value(source, record);
            if value.is_empty() {
                continue;
            }
            body.push(b',');
            write_json(body, field.as_str());
            body.push(b':');
            self.write_value(field, &value, body);
        }
        body.push(b'}');
    }

    fn write_value(&self, field: &str, value: &str, body: &mut Vec<u8>) {
        match (field, value.parse::<i64>()) {
            ("decimals", Ok(number)) => body.extend_from_slice(number.to_string().as_bytes()),
            ("barcodes", _) => {
                let codes: Vec<&str> = value.split(BARCODE_SEPARATOR).map(str::trim).collect();
                write_json(body, &codes);
            }
            ("occurred_at", _) => match self.zone.as_ref().and_then(|zone| in_zone(value, zone)) {
                Some(time) => write_json(body, &time),
                None => write_json(body, value),
            },
            _ => write_json(body, value),
        }
    }
}

/// Converts a local time without an offset; returns `None` if the value has an offset or is not a time.
fn in_zone(value: &str, zone: &TimeZone) -> Option<Timestamp> {
    if value.parse::<Timestamp>().is_ok() {
        return None;
    }
    let time = zone.to_ambiguous_zoned(value.parse::<DateTime>().ok()?).compatible().ok()?;
    Some(Timestamp::from_millis(time.timestamp().as_millisecond()))
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

    fn mapping(kind: CommandKind, map: &[&str], set: &[&str], time_zone: Option<&str>) -> anyhow::Result<Mapping> {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let headers = record(&["sold_at", "store", "product", "quantity", "codes"]);
        Mapping::new(kind, &owned(map), &owned(set), time_zone.map(|text| zone(text).unwrap()), &headers)
    }

    fn json(mapping: &Mapping, values: &[&str]) -> serde_json::Value {
        let mut body = Vec::new();
        mapping.write(&record(values), "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap(), &mut body);
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
        assert_eq!(sales.time_without_offset(&record(&["2017-07-01T08:12:00", "", "cola", "1", ""])), Some(0));
        assert_eq!(sales.time_without_offset(&record(&["2017-07-01T08:12:00Z", "", "cola", "1", ""])), None);
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
    }
}
