//! Writes and reads rows. Attribute names are stored, so they must never change.
//!
//! | row | attributes beside `pk` and `sk` |
//! |---|---|
//! | item | `item` (JSON), `version`, `threshold_version`, `item_shard`, `name_key` |
//! | level | `level` (JSON), `version`, `tail` (entries; absent when empty, unless the level has an average cost), `location`, `unwell` (unless normal) |
//! | chunk | `entries`, `chunk_month` (absent in chunks that are older than the index; `worker backfill` adds it) |
//! | outcome | `record` (compact; JSON in rows of earlier programs); `dead`, the retry that made an open dead letter; `refused` and `refused_at`, unless it is an applied movement; `changed`, if it is an applied change of the catalogue; `resubmitted_as` (JSON), `reversed_by`, `discarded_at` and `dismissed` (JSON), which are set later and override the record |
//! | entry taken back | `reversed_by` |
//! | re-judging | `mark` (JSON) |
//! | claim | `item_id` |
//! | location | `settings` (JSON) |
//! | location key | `location_id` |
//! | alert | `alert` (JSON), `location_id`, `lease_until`, `sent_at`; `missing` (JSON) and `tally` (JSON) of its mail, `no_recipient`; `gathered_at` of what waits until it is claimed |
//! | client | `client` (JSON); `refused`, always `clients`, and `refused_at`, the client: the list of clients |
//! | issuer's keys | `keys`, sealed by the ingress |
//! | notice | `lease_until`, `sent_at`, `told_until` |

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key::{self, Key};
use super::table::{BY_LOCATION, BY_NAME, CHANGES, CHUNKS, LOW_LEVELS, REFUSED};
use stockline_core::domain::{
    Alert, Chunk, ClientSettings, CodecError, CommandId, CommandKey, Entry, Item, ItemId, Level, LocationId,
    LocationSettings, Record, RecordError, RejudgeMark, Status, StockState, Timestamp, decode_entries, encode_entries,
    encode_tail, skim_entries,
};
use stockline_core::ports::{AlertRecord, MailState, MailTally, RefusedNotice, StoreError};

/// A row in the SDK's form.
pub(super) type Row = HashMap<String, AttributeValue>;

pub(super) const ITEM: &str = "item";
pub(super) const VERSION: &str = "version";
pub(super) const THRESHOLD_VERSION: &str = "threshold_version";
pub(super) const LEVEL: &str = "level";
pub(super) const TAIL: &str = "tail";
pub(super) const ENTRIES: &str = "entries";
pub(super) const RECORD: &str = "record";
pub(super) const DEAD: &str = "dead";
pub(super) const RESUBMITTED_AS: &str = "resubmitted_as";
pub(super) const REVERSED_BY: &str = "reversed_by";
pub(super) const DISCARDED_AT: &str = "discarded_at";
pub(super) const DISMISSED: &str = "dismissed";
pub(super) const MARK: &str = "mark";
pub(super) const ITEM_ID: &str = "item_id";
pub(super) const SETTINGS: &str = "settings";
pub(super) const CLIENT: &str = "client";
const KEYS: &str = "keys";
pub(super) const ALERT: &str = "alert";
pub(super) const LOCATION_ID: &str = "location_id";
pub(super) const LEASE_UNTIL: &str = "lease_until";
pub(super) const SENT_AT: &str = "sent_at";
pub(super) const GATHERED_AT: &str = "gathered_at";
/// Who does not have a mail yet after others got it.
pub(super) const MISSING: &str = "missing";
const TALLY: &str = "tally";
const NO_RECIPIENT: &str = "no_recipient";
/// The end of the period that a notice covers. The stored name is older than the constant's.
pub(super) const NOTIFIED_UNTIL: &str = "told_until";

/// The partition of [`REFUSED`] that lists the registered clients. No status has this name.
pub(super) const CLIENTS_PARTITION: &str = "clients";

/// The longest key of [`BY_NAME`], in bytes. DynamoDB allows 1,024.
const NAME_KEY_BYTES_MAX: usize = 1_000;

/// Makes a text attribute.
pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Makes a number attribute.
pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Makes an attribute of a time: milliseconds since 1970.
pub(super) fn moment(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

/// Makes an attribute of a value in JSON. It fails only if the value has no JSON form.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<AttributeValue, StoreError> {
    serde_json::to_string(value)
        .map(AttributeValue::S)
        .map_err(|error| StoreError::Unreadable(format!("a value can't be written as JSON: {error}")))
}

/// Makes the attribute of a record.
fn sealed(record: &Record) -> Result<AttributeValue, StoreError> {
    record
        .to_bytes()
        .map(|bytes| AttributeValue::B(Blob::new(bytes)))
        .map_err(|error| StoreError::Unreadable(format!("a record can't be written as JSON: {error}")))
}

fn bytes(entries: &[Entry]) -> AttributeValue {
    AttributeValue::B(Blob::new(encode_entries(entries)))
}

fn row<const N: usize>(key: &Key, attributes: [(&str, AttributeValue); N]) -> Row {
    let mut row = key.attributes();
    row.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    row
}

/// Writes a catalogue record.
pub(super) fn of_item(item: &Item) -> Result<Row, StoreError> {
    Ok(row(
        &Key::item(&item.item_id),
        [
            (ITEM, json(item)?),
            (VERSION, number(item.version)),
            (THRESHOLD_VERSION, number(item.threshold_version)),
            (BY_NAME.partition, text(key::shard(item.item_id.as_str().as_bytes()).to_string())),
            (BY_NAME.sort, text(name_key(item))),
        ],
    ))
}

fn name_key(item: &Item) -> String {
    let mut key = format!("{}\u{0}{}", item.catalogue.name.to_lowercase(), item.item_id);
    key.truncate(key.floor_char_boundary(NAME_KEY_BYTES_MAX));
    key
}

/// Writes a level.
pub(super) fn of_level(item_id: &ItemId, level: &Level) -> Result<Row, StoreError> {
    let place = level.location_id.as_str();
    let mut row = row(
        &Key::level(item_id, &level.location_id),
        [(LEVEL, json(level)?), (VERSION, number(level.version)), (BY_LOCATION.partition, text(place))],
    );
    let tail = encode_tail(level);
    if !tail.is_empty() {
        row.insert(TAIL.into(), AttributeValue::B(Blob::new(tail)));
    }
    if level.state != StockState::Normal {
        row.insert(LOW_LEVELS.partition.into(), text(place));
    }
    Ok(row)
}

/// Writes a chunk.
pub(super) fn of_chunk(item_id: &ItemId, chunk: &Chunk) -> Row {
    let first_seq = chunk.entries.first().map_or(0, |entry| entry.seq);
    row(
        &Key::chunk(item_id, &chunk.location_id, first_seq),
        [(ENTRIES, bytes(&chunk.entries)), (CHUNKS.partition, text(chunk_month(&chunk.location_id, &chunk.entries)))],
    )
}

/// Returns the partition of [`CHUNKS`] that lists a chunk: the month of its last entry. `recorded_at` never decreases along
/// a ledger, and nothing is recorded before it occurs. So what occurred in a month is listed in that month or later.
pub(super) fn chunk_month(location_id: &LocationId, entries: &[Entry]) -> String {
    let last = entries.last().map_or(Timestamp::EPOCH, |entry| entry.recorded_at);
    Key::chunk_month(location_id, &key::month(last))
}

/// Writes an outcome.
pub(super) fn of_record(record: &Record) -> Result<Row, StoreError> {
    let outcome = &record.outcome;
    let mut row = row(&Key::record(&outcome.item_id, outcome.command_id), [(RECORD, sealed(record)?)]);
    let changes = outcome.changed().is_some();
    if changes {
        row.insert(CHANGES.partition.into(), text(outcome.item_id.as_str()));
    }
    if changes || outcome.status != Status::Applied {
        let id = outcome.command_id.to_string();
        // The shard depends on the command, because many commands of one item may be refused at once.
        let refused = refused_partition(outcome.status, key::shard(id.as_bytes()));
        row.insert(REFUSED.partition.into(), text(refused));
        let sort = format!("{}#{}#{id}", key::millis(outcome.settled_at), outcome.item_id.in_key());
        row.insert(REFUSED.sort.into(), text(sort));
    }
    if outcome.status == Status::DeadLettered && !record.is_settled_otherwise() {
        row.insert(DEAD.into(), number(record.retry));
    }
    Ok(row)
}

/// Returns a partition of [`REFUSED`].
pub(super) fn refused_partition(status: Status, shard: u8) -> String {
    format!("{}{shard}", refused_prefix(status))
}

/// Returns the beginning of the names of a status's partitions of [`REFUSED`].
pub(super) fn refused_prefix(status: Status) -> String {
    format!("{}#", status.as_str())
}

/// Writes the mark of a re-judging.
pub(super) fn of_mark(item_id: &ItemId, mark: &RejudgeMark) -> Result<Row, StoreError> {
    Ok(row(&Key::mark(item_id, mark.command_id, &mark.location_id), [(MARK, json(mark)?)]))
}

/// Writes the holder of a claim.
pub(super) fn of_holder(claim: &Key, item_id: &ItemId) -> Row {
    row(claim, [(ITEM_ID, text(item_id.as_str()))])
}

/// Writes a location's settings.
pub(super) fn of_settings(settings: &LocationSettings) -> Result<Row, StoreError> {
    Ok(row(&Key::location(&settings.location_id), [(SETTINGS, json(settings)?)]))
}

/// Writes which location has a lower-cased id.
pub(super) fn of_location_key(location_id: &LocationId) -> Row {
    row(&Key::location_key(location_id), [(LOCATION_ID, text(location_id.as_str()))])
}

/// Reads which location has a lower-cased id.
pub(super) fn location_id(row: &Row) -> Result<LocationId, StoreError> {
    read_text(row, LOCATION_ID)?.parse().map_err(|error| unreadable(row, LOCATION_ID, error))
}

/// Writes a registered client.
pub(super) fn of_client(settings: &ClientSettings) -> Result<Row, StoreError> {
    let client_id = &settings.client_id;
    let listed = [(REFUSED.partition, text(CLIENTS_PARTITION)), (REFUSED.sort, text(client_id.as_str()))];
    let mut row = row(&Key::client(client_id), listed);
    row.insert(CLIENT.into(), json(settings)?);
    Ok(row)
}

/// Writes the issuer's keys.
pub(super) fn of_issuer_keys(address: &str, sealed: &str) -> Row {
    row(&Key::issuer_keys(address), [(KEYS, text(sealed))])
}

/// Reads the issuer's keys.
pub(super) fn issuer_keys(row: &Row) -> Result<String, StoreError> {
    read_text(row, KEYS).map(str::to_owned)
}

/// Writes a claimed alert.
pub(super) fn of_alert(alert: &Alert, lease_until: Timestamp) -> Result<Row, StoreError> {
    Ok(row(
        &Key::alert(alert),
        [(ALERT, json(alert)?), (LOCATION_ID, text(alert.location_id.as_str())), (LEASE_UNTIL, moment(lease_until))],
    ))
}

/// Writes a day's claimed notice.
pub(super) fn of_notice(notice: &RefusedNotice, lease_until: Timestamp) -> Row {
    row(&Key::notice(&notice.location_id, &notice.day), [(LEASE_UNTIL, moment(lease_until))])
}

/// Writes a day's mailed notice, which covers refusals up to `until`.
pub(super) fn of_sent_notice(notice: &RefusedNotice, until: Timestamp) -> Row {
    row(
        &Key::notice(&notice.location_id, &notice.day),
        [(LEASE_UNTIL, moment(until)), (SENT_AT, moment(until)), (NOTIFIED_UNTIL, moment(until))],
    )
}

/// Reads a catalogue record.
pub(super) fn item(row: &Row) -> Result<Item, StoreError> {
    read_json(row, ITEM)
}

/// Reads a level with its tail.
pub(super) fn level(row: &Row) -> Result<Level, StoreError> {
    let mut level: Level = read_json(row, LEVEL)?;
    if row.contains_key(TAIL) {
        level.tail = read_entries(row, TAIL, decode_entries)?;
    }
    Ok(level)
}

/// Reads a chunk.
pub(super) fn chunk(row: &Row) -> Result<Vec<Entry>, StoreError> {
    read_entries(row, ENTRIES, decode_entries)
}

/// Reads a chunk without the texts of people.
pub(super) fn skimmed_chunk(row: &Row) -> Result<Vec<Entry>, StoreError> {
    read_entries(row, ENTRIES, skim_entries)
}

/// Reads an outcome with the attributes that override its record.
pub(super) fn record(row: &Row) -> Result<Record, StoreError> {
    let bytes = match row.get(RECORD) {
        Some(AttributeValue::B(bytes)) => bytes.as_ref(),
        _ => read_text(row, RECORD)?.as_bytes(),
    };
    let key = Key::of(row).and_then(|key| key.command());
    let mut record = Record::from_bytes(bytes, key).map_err(|error| match error {
        RecordError::Newer(_) => newer(row, RECORD, error),
        RecordError::Text(_) | RecordError::Bytes(_) | RecordError::Checksum | RecordError::Key => {
            unreadable(row, RECORD, error)
        }
    })?;
    if row.contains_key(RESUBMITTED_AS) {
        record.resubmitted_as = Some(read_json::<CommandKey>(row, RESUBMITTED_AS)?);
    }
    if row.contains_key(REVERSED_BY) {
        record.outcome.reversed_by = Some(reversed_by(row)?);
    }
    if let (Some(at), Some(letter)) = (read_moment(row, DISCARDED_AT)?, &mut record.outcome.dead_letter) {
        letter.discarded_at = Some(at);
    }
    if row.contains_key(DISMISSED)
        && let Some(rejection) = &mut record.outcome.rejection
    {
        rejection.note_dismissal(read_json(row, DISMISSED)?);
    }
    Ok(record)
}

/// Writes the mark on an entry that was taken back.
pub(super) fn of_reversed(item_id: &ItemId, location_id: &LocationId, seq: u64, by: CommandId) -> Row {
    row(&Key::reversed(item_id, location_id, seq), [(REVERSED_BY, text(by.to_string()))])
}

/// Reads which command took back.
pub(super) fn reversed_by(row: &Row) -> Result<CommandId, StoreError> {
    read_text(row, REVERSED_BY)?.parse().map_err(|error| unreadable(row, REVERSED_BY, error))
}

/// Reads the mark of a re-judging.
pub(super) fn mark(row: &Row) -> Result<RejudgeMark, StoreError> {
    read_json(row, MARK)
}

/// Reads the holder of a claim.
pub(super) fn holder(row: &Row) -> Result<ItemId, StoreError> {
    read_text(row, ITEM_ID)?.parse().map_err(|error| unreadable(row, ITEM_ID, error))
}

/// Reads a location's settings.
pub(super) fn settings(row: &Row) -> Result<LocationSettings, StoreError> {
    read_json(row, SETTINGS)
}

/// Reads a registered client.
pub(super) fn client(row: &Row) -> Result<ClientSettings, StoreError> {
    read_json(row, CLIENT)
}

/// Reads an alert from the history.
pub(super) fn alert(row: &Row) -> Result<AlertRecord, StoreError> {
    let alert: Alert = read_json(row, ALERT)?;
    let mail = MailState {
        no_recipient: row.contains_key(NO_RECIPIENT),
        tally: tally(row)?,
        waiting: u32::try_from(missing(row)?.len()).unwrap_or(u32::MAX),
    };
    Ok(AlertRecord { alert_id: alert.id(), sent_at: read_moment(row, SENT_AT)?, alert, mail })
}

/// Reads who does not have an alert's mail yet, after others got it.
pub(super) fn missing(row: &Row) -> Result<Vec<String>, StoreError> {
    if row.contains_key(MISSING) { read_json(row, MISSING) } else { Ok(Vec::new()) }
}

/// Reads whom an alert's mail has reached.
pub(super) fn tally(row: &Row) -> Result<Option<MailTally>, StoreError> {
    row.contains_key(TALLY).then(|| read_json(row, TALLY)).transpose()
}

/// Reads a time; `None` if the attribute is absent.
pub(super) fn read_moment(row: &Row, name: &str) -> Result<Option<Timestamp>, StoreError> {
    let Some(value) = row.get(name) else {
        return Ok(None);
    };
    let millis = value.as_n().ok().and_then(|digits| digits.parse().ok());
    millis
        .map(|millis| Some(Timestamp::from_millis(millis)))
        .ok_or_else(|| unreadable(row, name, "is not a whole number"))
}

fn read_text<'a>(row: &'a Row, name: &str) -> Result<&'a str, StoreError> {
    match row.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        Some(_) => Err(unreadable(row, name, "is not a text")),
        None => Err(unreadable(row, name, "is missing")),
    }
}

pub(super) fn read_json<T: DeserializeOwned>(row: &Row, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(read_text(row, name)?).map_err(|error| unreadable(row, name, error))
}

fn read_entries(
    row: &Row,
    name: &str,
    decode: fn(&[u8]) -> Result<Vec<Entry>, CodecError>,
) -> Result<Vec<Entry>, StoreError> {
    let Some(AttributeValue::B(bytes)) = row.get(name) else {
        return Err(unreadable(row, name, "is missing or not binary"));
    };
    decode(bytes.as_ref())
        .map_err(|error| if error.is_newer() { newer(row, name, error) } else { unreadable(row, name, error) })
}

/// Names the attribute and the row that can't be read, and why.
fn unreadable(row: &Row, attribute: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable(format!("{attribute} of {}: {why}", name_of(row)))
}

/// Names an attribute that a later version of this program wrote.
fn newer(row: &Row, attribute: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Newer(format!("{attribute} of {}: {why}", name_of(row)))
}

fn name_of(row: &Row) -> String {
    Key::of(row).map_or_else(|| "a row without a key".into(), |key| key.to_string())
}
