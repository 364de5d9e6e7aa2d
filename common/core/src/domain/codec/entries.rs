//! The compact binary form of ledger entries in tails and chunks (design.md §7).
//!
//! The bytes begin with the version and the `seq` of the first entry; the other entries follow it. Each entry is a
//! flag word and the fields that its flags name. Times are differences from the entry before. Version 1 has no checksum.
//! Version 3 adds money and reversals: `amount`, `cost`, `revaluation` and `reverses`.

use std::sync::Arc;

use super::super::analytics::Moved;
use super::super::{CommandId, Cost, Entry, EntryKind, Level, LocationId, Money, Quantity, Reason, Timestamp};
use super::bytes::{CodecError, Reader, flag, put_one_of, put_signed, put_text, put_time, put_unsigned, seal, unseal};

const VERSION: u8 = 3;

/// The last version without money.
const VERSION_WITHOUT_MONEY: u8 = 2;

/// The version without a checksum.
const VERSION_UNSEALED: u8 = 1;

const LATE: u64 = 1 << 4;
const CLOCK_AHEAD: u64 = 1 << 5;
const COUNTERPART: u64 = 1 << 6;
const UNIT_COST: u64 = 1 << 7;
const REASON: u64 = 1 << 8;
const NOTE: u64 = 1 << 9;
const REFERENCE: u64 = 1 << 10;
const DEVICE: u64 = 1 << 11;
const OPERATOR: u64 = 1 << 12;
/// The entry has the `submitted_by` of the entry before.
const SAME_SUBMITTER: u64 = 1 << 13;
const AMOUNT: u64 = 1 << 14;
const COST: u64 = 1 << 15;
const REVALUATION: u64 = 1 << 16;
const REVERSES: u64 = 1 << 17;
const KIND_MASK: u64 = 0xf;
const ALL_FLAGS: u64 = (1 << 18) - 1;
const FLAGS_WITHOUT_MONEY: u64 = (1 << 14) - 1;

/// Writes the tail of a level, which may be empty. A program that does not know of the level's value must not write the
/// level again, so there are bytes of the present version as soon as there is a value.
pub fn encode_tail(level: &Level) -> Vec<u8> {
    if level.tail.is_empty() && level.average_cost.is_some() {
        return seal(vec![VERSION], &[]);
    }
    encode_entries(&level.tail)
}

/// Writes entries with consecutive `seq`, oldest first. No entries make no bytes.
pub fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let Some(first) = entries.first() else {
        return Vec::new();
    };
    let mut out = Vec::with_capacity(entries.len() * 64 + 16);
    out.push(VERSION);
    put_unsigned(&mut out, first.seq);
    let (mut recorded, mut submitter) = (Timestamp::EPOCH, "");
    for entry in entries {
        put_entry(&mut out, entry, recorded, entry.submitted_by.as_ref() == submitter);
        recorded = entry.recorded_at;
        submitter = &entry.submitted_by;
    }
    seal(out, &[])
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, recorded_before: Timestamp, same_submitter: bool) {
    let kind = EntryKind::ALL.iter().position(|kind| *kind == entry.kind).unwrap_or(0) as u64;
    let flags = kind
        | flag(entry.late, LATE)
        | flag(entry.clock_ahead, CLOCK_AHEAD)
        | flag(entry.counterpart.is_some(), COUNTERPART)
        | flag(entry.unit_cost.is_some(), UNIT_COST)
        | flag(entry.reason.is_some(), REASON)
        | flag(entry.note.is_some(), NOTE)
        | flag(entry.reference.is_some(), REFERENCE)
        | flag(entry.device_id.is_some(), DEVICE)
        | flag(entry.operator.is_some(), OPERATOR)
        | flag(same_submitter, SAME_SUBMITTER)
        | flag(entry.amount.is_some(), AMOUNT)
        | flag(entry.cost.is_some(), COST)
        | flag(!entry.revaluation.is_zero(), REVALUATION)
        | flag(entry.reverses.is_some(), REVERSES);
    put_unsigned(out, flags);
    out.extend_from_slice(entry.command_id.0.as_bytes());
    put_signed(out, entry.quantity.raw());
    put_signed(out, entry.delta.raw());
    put_signed(out, entry.after.raw());
    put_time(out, entry.recorded_at, recorded_before);
    put_time(out, entry.recorded_at, entry.occurred_at);
    if !same_submitter {
        put_text(out, &entry.submitted_by);
    }
    if let Some(counterpart) = &entry.counterpart {
        put_text(out, counterpart.as_str());
    }
    if let Some(cost) = entry.unit_cost {
        put_signed(out, cost.raw());
    }
    if let Some(reason) = entry.reason {
        put_one_of(out, &Reason::ALL, &reason);
    }
    for text in [&entry.note, &entry.reference, &entry.device_id, &entry.operator].into_iter().flatten() {
        put_text(out, text);
    }
    let revaluation = Some(entry.revaluation).filter(|revaluation| !revaluation.is_zero());
    for money in [entry.amount, entry.cost, revaluation].into_iter().flatten() {
        put_signed(out, money.raw());
    }
    if let Some(reversed) = entry.reverses {
        out.extend_from_slice(reversed.0.as_bytes());
    }
}

/// Reads the bytes of [`encode_entries`], and those of versions 1 and 2. It refuses every other form of the same entries.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    own_entries(bytes, |written, submitted_by| written.entry(submitted_by))
}

/// As [`decode_entries`], but leaves out what people have written: note, reference, device and operator. For sums over many
/// ledgers, where to keep these texts takes most of the time.
pub fn skim_entries(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    own_entries(bytes, |written, submitted_by| Written { texts: [None; 4], ..written }.entry(submitted_by))
}

/// Reads what [`decode_entries`] reads, and shows `each` entry's seq with what sums are made of. Nothing is copied: for sums
/// over very many ledgers. Entries before a damaged byte are shown before the error is returned.
pub fn skim_movements(bytes: &[u8], mut each: impl FnMut(u64, Moved)) -> Result<(), CodecError> {
    let Some(mut reader) = EntryReader::begin(bytes)? else { return Ok(()) };
    while let Some(written) = reader.next()? {
        each(written.seq, written.moved());
    }
    Ok(())
}

fn own_entries(bytes: &[u8], own: impl Fn(Written<'_>, Arc<str>) -> Entry) -> Result<Vec<Entry>, CodecError> {
    let mut entries: Vec<Entry> = Vec::new();
    let Some(mut reader) = EntryReader::begin(bytes)? else { return Ok(entries) };
    while let Some(written) = reader.next()? {
        let same =
            entries.last().map(|before| &before.submitted_by).filter(|before| ***before == *written.submitted_by);
        let submitted_by = same.map_or_else(|| Arc::from(written.submitted_by), Arc::clone);
        entries.push(own(written, submitted_by));
    }
    Ok(entries)
}

/// An entry whose texts are still where they are written.
struct Written<'a> {
    seq: u64,
    kind: EntryKind,
    command_id: CommandId,
    quantity: Quantity,
    delta: Quantity,
    after: Quantity,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    late: bool,
    clock_ahead: bool,
    submitted_by: &'a str,
    counterpart: Option<LocationId>,
    unit_cost: Option<Cost>,
    reason: Option<Reason>,
    /// What people have written: note, reference, device and operator.
    texts: [Option<&'a str>; 4],
    amount: Option<Money>,
    cost: Option<Money>,
    revaluation: Money,
    reverses: Option<CommandId>,
}

impl Written<'_> {
    fn entry(self, submitted_by: Arc<str>) -> Entry {
        let [note, reference, device_id, operator] = self.texts.map(|text| text.map(str::to_owned));
        Entry {
            seq: self.seq,
            kind: self.kind,
            command_id: self.command_id,
            quantity: self.quantity,
            delta: self.delta,
            after: self.after,
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            late: self.late,
            clock_ahead: self.clock_ahead,
            submitted_by,
            counterpart: self.counterpart,
            unit_cost: self.unit_cost,
            reason: self.reason,
            note,
            reference,
            device_id,
            operator,
            amount: self.amount,
            cost: self.cost,
            revaluation: self.revaluation,
            reverses: self.reverses,
        }
    }

    const fn moved(&self) -> Moved {
        Moved {
            occurred_at: self.occurred_at,
            kind: self.kind,
            quantity: self.quantity,
            delta: self.delta,
            late: self.late,
            reason: self.reason,
            command_id: self.command_id,
            reverses: self.reverses,
            amount: self.amount,
            cost: self.cost,
            revaluation: self.revaluation,
        }
    }
}

struct EntryReader<'a> {
    bytes: Reader<'a>,
    /// The flags of the version.
    flags: u64,
    /// The seq of the next entry; `None` if there can be no more.
    seq: Option<u64>,
    begun: bool,
    /// Of the entry before.
    recorded_at: Timestamp,
    submitted_by: &'a str,
}

impl<'a> EntryReader<'a> {
    /// Begins to read; `None` if there are no entries.
    fn begin(bytes: &'a [u8]) -> Result<Option<Self>, CodecError> {
        let Some((&version, _)) = bytes.split_first() else {
            return Ok(None);
        };
        let bytes = if version == VERSION_UNSEALED { bytes } else { unseal(bytes, &[], VERSION)? };
        // What is known of a level without a tail is of this version too.
        if bytes == [VERSION] {
            return Ok(None);
        }
        let flags = if version <= VERSION_WITHOUT_MONEY { FLAGS_WITHOUT_MONEY } else { ALL_FLAGS };
        let mut bytes = Reader { bytes, at: 1 };
        let seq = Some(bytes.unsigned()?);
        Ok(Some(Self { bytes, flags, seq, begun: false, recorded_at: Timestamp::EPOCH, submitted_by: "" }))
    }

    /// Reads the next entry; `None` behind the last. There is at least one.
    fn next(&mut self) -> Result<Option<Written<'a>>, CodecError> {
        if self.begun && self.bytes.at == self.bytes.bytes.len() {
            return Ok(None);
        }
        let seq = self.seq.ok_or(self.bytes.damaged())?;
        let written = self.entry(seq)?;
        self.begun = true;
        (self.recorded_at, self.submitted_by) = (written.recorded_at, written.submitted_by);
        self.seq = seq.checked_add(1);
        Ok(Some(written))
    }

    fn entry(&mut self, seq: u64) -> Result<Written<'a>, CodecError> {
        let bytes = &mut self.bytes;
        let flags = bytes.unsigned()?;
        let kind = *EntryKind::ALL.get((flags & KIND_MASK) as usize).ok_or(bytes.damaged())?;
        if flags & !self.flags != 0 {
            return Err(bytes.damaged());
        }
        let has = |bit: u64| flags & bit != 0;
        let command_id = bytes.command_id()?;
        let (quantity, delta, after) = (bytes.quantity()?, bytes.quantity()?, bytes.quantity()?);
        let recorded_at = bytes.time_since(self.recorded_at)?;
        let occurred = recorded_at.as_millis().wrapping_sub(bytes.signed()?);
        let occurred_at = bytes.time(occurred)?;
        let submitted_by = if has(SAME_SUBMITTER) { self.submitted_by } else { bytes.text()? };
        if !has(SAME_SUBMITTER) && submitted_by == self.submitted_by {
            return Err(bytes.damaged());
        }
        Ok(Written {
            seq,
            kind,
            command_id,
            quantity,
            delta,
            after,
            occurred_at,
            recorded_at,
            late: has(LATE),
            clock_ahead: has(CLOCK_AHEAD),
            submitted_by,
            counterpart: has(COUNTERPART).then(|| bytes.location_id()).transpose()?,
            unit_cost: if has(UNIT_COST) { Some(Cost::from_raw(bytes.signed()?)) } else { None },
            reason: has(REASON).then(|| bytes.one_of(&Reason::ALL)).transpose()?,
            texts: [
                bytes.text_if(has(NOTE))?,
                bytes.text_if(has(REFERENCE))?,
                bytes.text_if(has(DEVICE))?,
                bytes.text_if(has(OPERATOR))?,
            ],
            amount: bytes.some_money(has(AMOUNT))?,
            cost: bytes.some_money(has(COST))?,
            revaluation: bytes.revaluation(has(REVALUATION))?,
            reverses: has(REVERSES).then(|| bytes.command_id()).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{CommandId, Money, Quantity};

    const CHECKSUM_BYTES: usize = 4;

    fn entries() -> Vec<Entry> {
        let plain = |seq: u64, kind, delta: i64, after: i64| Entry {
            seq,
            kind,
            command_id: CommandId(Uuid::from_u128(seq.into())),
            quantity: Quantity::from_raw(delta.abs()),
            delta: Quantity::from_raw(delta),
            after: Quantity::from_raw(after),
            occurred_at: Timestamp::from_millis(1_769_847_300_000),
            recorded_at: Timestamp::from_millis(1_769_847_300_000 + seq as i64 * 7),
            late: false,
            clock_ahead: false,
            submitted_by: "till-1".into(),
            counterpart: None,
            unit_cost: None,
            reason: None,
            note: None,
            reference: None,
            device_id: None,
            operator: None,
            amount: None,
            cost: None,
            revaluation: Money::ZERO,
            reverses: None,
        };
        let mut full = plain(43, EntryKind::TransferIn, 500, -1500);
        full.late = true;
        full.clock_ahead = true;
        full.submitted_by = "till-2".into();
        full.counterpart = Some("shop-1".parse().unwrap());
        full.unit_cost = Some(Cost::from_raw(4100));
        full.reason = Some(Reason::Other);
        full.note = Some("ünïcode\n".into());
        full.reference = Some("PO-1".into());
        full.device_id = Some("d".into());
        full.operator = Some("o".into());
        vec![plain(41, EntryKind::Receive, 2000, 2000), plain(42, EntryKind::Sell, -4000, -2000), full]
    }

    /// The entries with money, and one that takes another back.
    fn priced() -> Vec<Entry> {
        let mut entries = entries();
        entries[0].cost = Some(Money::from_raw(8_200));
        entries[1].amount = Some(Money::from_raw(39_800));
        entries[1].cost = Some(Money::from_raw(-16_400));
        entries[2].cost = Some(Money::ZERO);
        entries[2].revaluation = Money::from_raw(-7);
        entries[2].reverses = Some(CommandId(Uuid::from_u128(0xfeed)));
        entries
    }

    /// Returns the bytes in version 2.
    fn without_money(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = encode_entries(entries);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        bytes[0] = VERSION_WITHOUT_MONEY;
        seal(bytes, &[])
    }

    /// Returns the bytes in version 1.
    fn unsealed(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = encode_entries(entries);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        bytes[0] = VERSION_UNSEALED;
        bytes
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn golden_bytes_of_every_version_still_read() {
        assert_eq!(hex(&unsealed(&entries())), include_str!("entries.v1.golden"));
        assert_eq!(decode_entries(&unsealed(&entries())), Ok(entries()));
        assert_eq!(hex(&without_money(&entries())), include_str!("entries.v2.golden"));
        assert_eq!(decode_entries(&without_money(&entries())), Ok(entries()));
        assert_eq!(hex(&encode_entries(&priced())), include_str!("entries.v3.golden"));
        assert_eq!(decode_entries(&encode_entries(&priced())), Ok(priced()));
    }

    #[test]
    fn skimmed_entries_have_all_but_the_texts_of_people() {
        let mut without = priced();
        for entry in &mut without {
            (entry.note, entry.reference, entry.device_id, entry.operator) = (None, None, None, None);
        }
        let bytes = encode_entries(&priced());
        assert_eq!(skim_entries(&bytes), Ok(without));
        let mut moved = Vec::new();
        skim_movements(&bytes, |seq, one| moved.push((seq, one))).unwrap();
        let expected: Vec<_> = priced().iter().map(|entry| (entry.seq, Moved::of(entry))).collect();
        assert_eq!(moved, expected);
        for cut in 1..bytes.len() {
            assert!(skim_entries(&bytes[..cut]).is_err(), "{cut}");
            assert!(skim_movements(&bytes[..cut], |_, _| ()).is_err(), "{cut}");
        }
    }

    #[test]
    fn earlier_versions_have_no_money() {
        for bytes in [unsealed(&priced()), without_money(&priced())] {
            assert!(matches!(decode_entries(&bytes), Err(CodecError::Damaged(_))));
        }
        let mut nothing = priced();
        nothing[2].revaluation = Money::from_raw(1);
        let bytes = encode_entries(&nothing);
        let at = bytes.len() - CHECKSUM_BYTES - 16 - 1;
        let mut zero = bytes[..bytes.len() - CHECKSUM_BYTES].to_vec();
        assert_eq!(std::mem::replace(&mut zero[at], 0), 2);
        assert!(decode_entries(&seal(zero, &[])).is_err(), "a revaluation of zero is not written");
    }

    #[test]
    fn a_level_with_a_value_has_bytes_of_the_present_version_even_without_entries() {
        let mut level = Level::new("main".parse().unwrap(), 1);
        assert!(encode_tail(&level).is_empty());
        level.average_cost = Some(Money::from_raw(4_100));
        let bytes = encode_tail(&level);
        assert_eq!((bytes[0], decode_entries(&bytes)), (VERSION, Ok(vec![])));
        assert_eq!(decode_entries(&seal(vec![VERSION_WITHOUT_MONEY], &[])), Err(CodecError::Damaged(1)));
        level.tail = priced();
        assert_eq!(encode_tail(&level), encode_entries(&priced()));
    }

    #[test]
    fn a_version_is_believed_only_with_the_right_checksum() {
        let good = encode_entries(&priced());
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = decode_entries(&bytes).expect_err("every flipped bit is noticed");
            assert!(!error.is_newer(), "bit {bit}: {error}");
        }
        let mut later = good[..good.len() - CHECKSUM_BYTES].to_vec();
        later[0] = 4;
        let checksum = crc32fast::hash(&later).to_le_bytes();
        later.extend_from_slice(&checksum);
        assert_eq!(decode_entries(&later), Err(CodecError::Newer { found: 4, known: 3 }));
    }

    #[test]
    fn what_could_be_written_shorter_is_damaged() {
        let one = unsealed(&entries()[..1]);
        assert_eq!(decode_entries(&one).as_deref(), Ok(&entries()[..1]));
        let longer_number = [&one[..1], &[one[1] | 0x80, 0], &one[2..]].concat();
        assert!(decode_entries(&longer_number).is_err());

        let mut two = entries();
        two.truncate(2);
        let mut other = two.clone();
        other[1].submitted_by = "till-2".into();
        let named_again = unsealed(&other);
        let at = named_again.windows(6).rposition(|bytes| bytes == b"till-2").unwrap();
        let named_again = [&named_again[..at], b"till-1", &named_again[at + 6..]].concat();
        assert_ne!(named_again, unsealed(&two));
        assert!(decode_entries(&named_again).is_err(), "an unchanged submitter is not written again");
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let good = unsealed(&entries());
        assert_eq!(decode_entries(&[2, 0]), Err(CodecError::Checksum));
        assert_eq!(decode_entries(&[]), Ok(vec![]));
        assert!(decode_entries(&[1, 41]).is_err(), "no entries are no bytes");
        let whole_entries = (2..good.len()).filter(|cut| decode_entries(&good[..*cut]).is_ok()).count();
        assert_eq!(whole_entries, 2, "only a cut between entries can be read");
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                let _ = decode_entries(&bytes);
            }
        }
    }
}
