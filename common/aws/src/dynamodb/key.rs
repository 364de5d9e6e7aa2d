//! Keys of rows. They are stored, so they must never change. An id that has another part behind it is written by
//! `in_key`, which escapes `#`, so keys never collide.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::table::{PK, SHARDS, SK};
use stockline_core::domain::{
    Alert, Claim, ClientId, CommandId, CommandKey, ItemId, LocationId, Timestamp, out_of_key,
};

/// The sort key of an item's catalogue record.
pub(super) const ITEM_SK: &str = "ITEM";
/// The prefix of the sort keys of an item's levels.
pub(super) const LEVEL_SK_PREFIX: &str = "LEVEL#";
/// The prefix of the partition keys of outcomes.
pub(super) const RECORD_PK_PREFIX: &str = "CMD#";
/// The prefix of the partition keys of chunks.
pub(super) const LEDGER_PK_PREFIX: &str = "LEDGER#";
/// The sort key of an outcome.
pub(super) const RECORD_SK: &str = "CMD";
/// The partition key of all location settings.
pub(super) const LOCATION_PK: &str = "LOCATION";
/// The partition key of the folded ids of locations.
pub(super) const LOCATION_KEY_PK: &str = "LOCATIONKEY";
/// The sort key of a registered client.
pub(super) const CLIENT_SK: &str = "CLIENT";
/// The partition key of the issuer's keys.
const ISSUER_KEYS_PK: &str = "ISSUERKEYS";
/// The partition key of the months that have alerts.
pub(super) const MONTHS_PK: &str = "ALERT";

/// What a row is, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowOf {
    Item(ItemId),
    Level(ItemId, LocationId),
    Chunk(ItemId, LocationId),
    Reversed(ItemId, LocationId),
    Record,
    Barcode,
}

/// Returns what a row is: only rows that a fold writes, and of claims only those on barcodes.
pub(super) fn row_of(key: &Key) -> Option<RowOf> {
    let (kind, rest) = key.pk.split_once('#')?;
    // The item is escaped, so the first `#` ends it; the location is not.
    let place = || {
        let (item, place) = rest.split_once('#')?;
        Some((out_of_key(item).parse().ok()?, place.parse().ok()?))
    };
    match kind {
        "ITEM" if key.sk == ITEM_SK => Some(RowOf::Item(rest.parse().ok()?)),
        "ITEM" => {
            let place = key.sk.strip_prefix(LEVEL_SK_PREFIX)?;
            Some(RowOf::Level(rest.parse().ok()?, place.parse().ok()?))
        }
        "LEDGER" => place().map(|(item, place)| RowOf::Chunk(item, place)),
        "REVERSED" => place().map(|(item, place)| RowOf::Reversed(item, place)),
        "CMD" if key.sk == RECORD_SK => Some(RowOf::Record),
        "BARCODE" => Some(RowOf::Barcode),
        _ => None,
    }
}

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.pk, self.sk)
    }
}

impl Key {
    /// Returns the partition of an item, with its catalogue record and its levels.
    pub(super) fn item_pk(item_id: &ItemId) -> String {
        format!("ITEM#{item_id}")
    }

    /// Returns the partition of a level's chunks.
    pub(super) fn ledger_pk(item_id: &ItemId, location_id: &LocationId) -> String {
        format!("{LEDGER_PK_PREFIX}{}#{location_id}", item_id.in_key())
    }

    /// Returns the location of a chunk; `None` if this is no key of a chunk. No item in a key has a `#`.
    pub(super) fn ledger_location(&self) -> Option<LocationId> {
        let (_, location_id) = self.pk.strip_prefix(LEDGER_PK_PREFIX)?.split_once('#')?;
        location_id.parse().ok()
    }

    /// Returns the partition of the marks on a level's entries that were taken back.
    pub(super) fn reversed_pk(item_id: &ItemId, location_id: &LocationId) -> String {
        format!("REVERSED#{}#{location_id}", item_id.in_key())
    }

    /// Returns the sort key of a chunk, and of a mark on an entry. The order of the texts is the order of the numbers.
    pub(super) fn chunk_sk(first_seq: u64) -> String {
        format!("{first_seq:020}")
    }

    /// Returns the partition of [`CHUNKS`](super::table::CHUNKS) for what was recorded at a location in a month, `2026-01`.
    pub(super) fn chunk_month(location_id: &LocationId, month: &str) -> String {
        format!("{location_id}#{month}")
    }

    /// Returns the command of an outcome; `None` if this is no key of one.
    pub(super) fn command(&self) -> Option<CommandKey> {
        let (item_id, command_id) = self.pk.strip_prefix(RECORD_PK_PREFIX)?.rsplit_once('#')?;
        Some(CommandKey { item_id: out_of_key(item_id).parse().ok()?, command_id: command_id.parse().ok()? })
    }

    fn record_pk(item_id: &ItemId, command_id: CommandId) -> String {
        format!("{RECORD_PK_PREFIX}{}#{command_id}", item_id.in_key())
    }

    /// Returns the partition of a location's notices of refused commands.
    pub(super) fn notices_pk(location_id: &LocationId) -> String {
        format!("NOTICE#{location_id}")
    }

    /// Returns the partition of a month's alerts.
    pub(super) fn alerts_pk(month: &str) -> String {
        format!("ALERT#{month}")
    }

    /// Returns the key of a catalogue record.
    pub(super) fn item(item_id: &ItemId) -> Self {
        Self { pk: Self::item_pk(item_id), sk: ITEM_SK.into() }
    }

    /// Returns the key of a level.
    pub(super) fn level(item_id: &ItemId, location_id: &LocationId) -> Self {
        Self { pk: Self::item_pk(item_id), sk: format!("{LEVEL_SK_PREFIX}{location_id}") }
    }

    /// Returns the key of a chunk.
    pub(super) fn chunk(item_id: &ItemId, location_id: &LocationId, first_seq: u64) -> Self {
        Self { pk: Self::ledger_pk(item_id, location_id), sk: Self::chunk_sk(first_seq) }
    }

    /// Returns the key of the mark on an entry that was taken back.
    pub(super) fn reversed(item_id: &ItemId, location_id: &LocationId, seq: u64) -> Self {
        Self { pk: Self::reversed_pk(item_id, location_id), sk: Self::chunk_sk(seq) }
    }

    /// Returns the key of an outcome.
    pub(super) fn record(item_id: &ItemId, command_id: CommandId) -> Self {
        Self { pk: Self::record_pk(item_id, command_id), sk: RECORD_SK.into() }
    }

    /// Returns the key of the mark that a level was re-judged for a command.
    pub(super) fn mark(item_id: &ItemId, command_id: CommandId, location_id: &LocationId) -> Self {
        Self { pk: Self::record_pk(item_id, command_id), sk: format!("AT#{location_id}") }
    }

    /// Returns the key of a claim on a barcode or on an item's folded id.
    pub(super) fn claim(claim: &Claim) -> Self {
        let pk = match claim {
            Claim::Barcode(code) => format!("BARCODE#{code}"),
            Claim::ItemKey(key) => format!("ITEMKEY#{key}"),
        };
        Self { sk: pk.clone(), pk }
    }

    /// Returns the key of a location's settings.
    pub(super) fn location(location_id: &LocationId) -> Self {
        Self { pk: LOCATION_PK.into(), sk: location_id.to_string() }
    }

    /// Returns the key of the row that says which location has this folded id.
    pub(super) fn location_key(location_id: &LocationId) -> Self {
        Self { pk: LOCATION_KEY_PK.into(), sk: location_id.folded() }
    }

    /// Returns the key of a registered client.
    pub(super) fn client(client_id: &ClientId) -> Self {
        Self { pk: format!("CLIENT#{client_id}"), sk: CLIENT_SK.into() }
    }

    /// Returns the key of the issuer's keys at an address.
    pub(super) fn issuer_keys(address: &str) -> Self {
        Self { pk: ISSUER_KEYS_PK.into(), sk: address.into() }
    }

    /// Returns the key of an alert in the history.
    pub(super) fn alert(alert: &Alert) -> Self {
        Self { pk: Self::alerts_pk(&month(alert.raised_at)), sk: format!("{}#{}", millis(alert.raised_at), alert.id()) }
    }

    /// Returns the first sort keys of alerts that were raised at `raised.0`, and behind those of `raised.1`.
    pub(super) fn alerts_between(raised: (Timestamp, Timestamp)) -> (String, String) {
        (millis(raised.0), millis(raised.1.plus_millis(1)))
    }

    /// Returns the key of the mark that a month has alerts.
    pub(super) fn month(month: &str) -> Self {
        Self { pk: MONTHS_PK.into(), sk: month.into() }
    }

    /// Returns the key of a day's notice of refused commands.
    pub(super) fn notice(location_id: &LocationId, day: &str) -> Self {
        Self { pk: Self::notices_pk(location_id), sk: day.into() }
    }

    /// Returns the key in the SDK's form.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PK.into(), AttributeValue::S(self.pk.clone())),
            (SK.into(), AttributeValue::S(self.sk.clone())),
        ])
    }

    /// Reads the key of a row.
    pub(super) fn of(row: &HashMap<String, AttributeValue>) -> Option<Self> {
        let text = |name| row.get(name)?.as_s().ok().cloned();
        Some(Self { pk: text(PK)?, sk: text(SK)? })
    }
}

/// Returns the month of a time in UTC, `2026-01`.
pub(super) fn month(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2026-01".len());
    text
}

/// Writes a time as 13 digits, whose order as texts is the order of time (until the year 2286).
pub(super) fn millis(at: Timestamp) -> String {
    format!("{:013}", at.as_millis())
}

/// Returns the shard of a key in an index: FNV-1a modulo [`SHARDS`].
pub(super) fn shard(of: &[u8]) -> u8 {
    let hash = of
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % u64::from(SHARDS)) as u8
}

/// Returns the partitions of [`super::table::BY_NAME`] and [`super::table::BY_ID`].
pub(super) fn item_shards() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|shard| shard.to_string())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_key_tells_whose_row_it_is() {
        let (item, place): (ItemId, LocationId) = ("#7:a%23".parse().unwrap(), "b#:%".parse().unwrap());
        let pair = || (item.clone(), place.clone());
        assert_eq!(row_of(&Key::item(&item)), Some(RowOf::Item(item.clone())));
        assert_eq!(row_of(&Key::level(&item, &place)), Some(RowOf::Level(pair().0, pair().1)));
        assert_eq!(row_of(&Key::chunk(&item, &place, 1)), Some(RowOf::Chunk(pair().0, pair().1)));
        assert_eq!(row_of(&Key::reversed(&item, &place, 1)), Some(RowOf::Reversed(pair().0, pair().1)));
        assert_eq!(row_of(&Key::location(&place)), None);
    }

    #[test]
    fn keys_are_stored_and_never_change() {
        let (item, place): (ItemId, LocationId) = ("Cola".parse().unwrap(), "main".parse().unwrap());
        let id = CommandId(Uuid::from_u128(0x9c5b_94b1_35ad_49bb_b118_8e8f_c24a_bf80));
        let keys = [
            Key::item(&item),
            Key::level(&item, &place),
            Key::chunk(&item, &place, 41),
            Key::reversed(&item, &place, 41),
            Key::record(&item, id),
            Key::mark(&item, id, &place),
            Key::claim(&Claim::Barcode("40".into())),
            Key::claim(&Claim::ItemKey(item.folded())),
            Key::location(&place),
            Key::location_key(&"Main".parse().unwrap()),
            Key::client(&"4tills".parse().unwrap()),
            Key::issuer_keys("https://issuer/jwks"),
            Key::month(&month(Timestamp::from_millis(1_769_847_300_000))),
            Key::notice(&place, "2026-01-31"),
        ];
        assert_eq!(
            keys.map(|key| key.to_string()),
            [
                "ITEM#Cola / ITEM",
                "ITEM#Cola / LEVEL#main",
                "LEDGER#Cola#main / 00000000000000000041",
                "REVERSED#Cola#main / 00000000000000000041",
                "CMD#Cola#9c5b94b1-35ad-49bb-b118-8e8fc24abf80 / CMD",
                "CMD#Cola#9c5b94b1-35ad-49bb-b118-8e8fc24abf80 / AT#main",
                "BARCODE#40 / BARCODE#40",
                "ITEMKEY#cola / ITEMKEY#cola",
                "LOCATION / main",
                "LOCATIONKEY / main",
                "CLIENT#4tills / CLIENT",
                "ISSUERKEYS / https://issuer/jwks",
                "ALERT / 2026-01",
                "NOTICE#main / 2026-01-31",
            ]
        );
        let (item, place): (ItemId, LocationId) = ("AB/12 #7%".parse().unwrap(), "Café:2#".parse().unwrap());
        let keys = [
            Key::item(&item),
            Key::level(&item, &place),
            Key::chunk(&item, &place, 41),
            Key::reversed(&item, &place, 41),
            Key::record(&item, id),
            Key::mark(&item, id, &place),
            Key::claim(&Claim::ItemKey("Größe#".parse::<ItemId>().unwrap().folded())),
            Key::location_key(&"CAFÉ:2#".parse().unwrap()),
        ];
        assert_eq!(
            keys.map(|key| key.to_string()),
            [
                "ITEM#AB/12 #7% / ITEM",
                "ITEM#AB/12 #7% / LEVEL#Café:2#",
                "LEDGER#AB/12 %237%25#Café:2# / 00000000000000000041",
                "REVERSED#AB/12 %237%25#Café:2# / 00000000000000000041",
                "CMD#AB/12 %237%25#9c5b94b1-35ad-49bb-b118-8e8fc24abf80 / CMD",
                "CMD#AB/12 %237%25#9c5b94b1-35ad-49bb-b118-8e8fc24abf80 / AT#Café:2#",
                "ITEMKEY#größe# / ITEMKEY#größe#",
                "LOCATIONKEY / café:2#",
            ]
        );
        assert_eq!(millis(Timestamp::from_millis(7)), "0000000000007");
        assert_eq!(["cola", "fanta", "4006381333931", ""].map(|id| shard(id.as_bytes())), [0, 1, 5, 5]);
    }
}
