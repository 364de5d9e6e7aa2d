//! The compact binary form of ledger entries in tails and chunks (design.md §7).
//!
//! The bytes begin with the version and the `seq` of the first entry; the other entries follow it. Each entry is a
//! flag word and the fields that its flags name. Integers are LEB128 varints (signed ones zigzag), texts have their
//! length before them, and times are differences from the entry before. Version 2 ends with the CRC-32 of all bytes
//! before it, and so does every later version: a version is believed only if that checksum is right. Version 1 has none.
//! Version 3 adds money and reversals: `amount`, `cost`, `revaluation` and `reverses`.

use std::sync::Arc;

use uuid::Uuid;

use super::{CommandId, Cost, Entry, EntryKind, Level, Money, Quantity, Reason, Timestamp};

/// Why bytes could not be read as entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// This program does not read this version.
    #[error("ledger entries of version {0}; this program reads versions 1 to 3")]
    Version(u8),
    /// The bytes break off or contradict themselves.
    #[error("ledger entries are damaged at byte {0}")]
    Damaged(usize),
    /// The bytes have changed since they were written.
    #[error("the checksum of ledger entries is wrong: their bytes have changed since they were written")]
    Checksum,
}

const VERSION: u8 = 3;

/// The last version without money.
const VERSION_WITHOUT_MONEY: u8 = 2;

/// The version without a checksum.
const VERSION_UNSEALED: u8 = 1;

const CHECKSUM_BYTES: usize = 4;

impl CodecError {
    /// Returns whether a later version of this program wrote the bytes.
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::Version(version) if *version > VERSION)
    }
}

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
        return sealed(vec![VERSION]);
    }
    encode_entries(&level.tail)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Writes entries with consecutive `seq`, oldest first. No entries make no bytes.
pub fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let Some(first) = entries.first() else {
        return Vec::new();
    };
    let mut out = Vec::with_capacity(entries.len() * 64 + 16);
    out.push(VERSION);
    put_unsigned(&mut out, first.seq);
    let (mut recorded, mut submitter): (i64, &str) = (0, "");
    for entry in entries {
        put_entry(&mut out, entry, recorded, entry.submitted_by.as_ref() == submitter);
        recorded = entry.recorded_at.as_millis();
        submitter = &entry.submitted_by;
    }
    sealed(out)
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, recorded_before: i64, same_submitter: bool) {
    let kind = EntryKind::ALL.iter().position(|kind| *kind == entry.kind).unwrap_or(0) as u64;
    let flag = |set: bool, bit: u64| if set { bit } else { 0 };
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
    put_signed(out, entry.recorded_at.as_millis().wrapping_sub(recorded_before));
    put_signed(out, entry.recorded_at.as_millis().wrapping_sub(entry.occurred_at.as_millis()));
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
        put_unsigned(out, Reason::ALL.iter().position(|r| *r == reason).unwrap_or(0) as u64);
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

/// Returns the version and the bytes before the checksum, if that is right.
fn unseal(bytes: &[u8], version: u8) -> Result<&[u8], CodecError> {
    if version == VERSION_UNSEALED {
        return Ok(bytes);
    }
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(CodecError::Checksum)?;
    if version == 0 || u32::from_le_bytes(*checksum) != crc32fast::hash(sealed) {
        return Err(CodecError::Checksum);
    }
    if version <= VERSION { Ok(sealed) } else { Err(CodecError::Version(version)) }
}

/// Reads the bytes of [`encode_entries`], and those of versions 1 and 2. It refuses every other form of the same entries.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    read_entries(bytes, false)
}

/// As [`decode_entries`], but leaves out what people have written: note, reference, device and operator. For sums over many
/// ledgers, where to keep these texts takes most of the time.
pub fn skim_entries(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    read_entries(bytes, true)
}

fn read_entries(bytes: &[u8], skims: bool) -> Result<Vec<Entry>, CodecError> {
    let Some((&version, _)) = bytes.split_first() else {
        return Ok(Vec::new());
    };
    let bytes = unseal(bytes, version)?;
    // What is known of a level without a tail is of this version too.
    if bytes == [VERSION] {
        return Ok(Vec::new());
    }
    let flags = if version <= VERSION_WITHOUT_MONEY { FLAGS_WITHOUT_MONEY } else { ALL_FLAGS };
    let mut reader = Reader { bytes, at: 1, flags, skims };
    let mut seq = reader.unsigned()?;
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let entry = reader.entry(seq, entries.last())?;
        entries.push(entry);
        if reader.at == bytes.len() {
            return Ok(entries);
        }
        seq = seq.checked_add(1).ok_or(reader.damaged())?;
    }
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The flags of the version.
    flags: u64,
    /// Whether texts of people are passed over.
    skims: bool,
}

impl<'a> Reader<'a> {
    const fn damaged(&self) -> CodecError {
        CodecError::Damaged(self.at)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(self.damaged())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn unsigned(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(self.damaged());
            }
            value |= part << shift;
            if byte < 0x80 {
                // A last byte of zero would make the number longer than necessary.
                return if byte == 0 && shift > 0 { Err(self.damaged()) } else { Ok(value) };
            }
        }
        Err(self.damaged())
    }

    fn signed(&mut self) -> Result<i64, CodecError> {
        let value = self.unsigned()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// Reads a time within the range. Times outside it would be clamped silently.
    fn time(&self, millis: i64) -> Result<Timestamp, CodecError> {
        let time = Timestamp::from_millis(millis);
        if time.as_millis() == millis { Ok(time) } else { Err(self.damaged()) }
    }

    fn text(&mut self) -> Result<&'a str, CodecError> {
        let len = usize::try_from(self.unsigned()?).map_err(|_| self.damaged())?;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    fn some_text(&mut self, there: bool) -> Result<Option<String>, CodecError> {
        let text = there.then(|| self.text()).transpose()?;
        Ok(text.filter(|_| !self.skims).map(str::to_owned))
    }

    fn some_money(&mut self, there: bool) -> Result<Option<Money>, CodecError> {
        there.then(|| self.signed().map(Money::from_raw)).transpose()
    }

    /// Reads a revaluation. One of zero is not written.
    fn revaluation(&mut self, there: bool) -> Result<Money, CodecError> {
        match self.some_money(there)? {
            Some(nothing) if nothing.is_zero() => Err(self.damaged()),
            revaluation => Ok(revaluation.unwrap_or_default()),
        }
    }

    fn entry(&mut self, seq: u64, before: Option<&Entry>) -> Result<Entry, CodecError> {
        let flags = self.unsigned()?;
        let kind = *EntryKind::ALL.get((flags & KIND_MASK) as usize).ok_or(self.damaged())?;
        if flags & !self.flags != 0 {
            return Err(self.damaged());
        }
        let has = |bit: u64| flags & bit != 0;
        let id = Uuid::from_slice(self.take(16)?).map_err(|_| self.damaged())?;
        let (quantity, delta, after) = (self.signed()?, self.signed()?, self.signed()?);
        let recorded_before = before.map_or(0, |entry| entry.recorded_at.as_millis());
        let recorded = recorded_before.wrapping_add(self.signed()?);
        let occurred = recorded.wrapping_sub(self.signed()?);
        let submitter_before = before.map_or_else(|| Arc::from(""), |before| before.submitted_by.clone());
        let submitted_by = if has(SAME_SUBMITTER) { submitter_before.clone() } else { Arc::from(self.text()?) };
        if !has(SAME_SUBMITTER) && submitted_by == submitter_before {
            return Err(self.damaged());
        }
        let counterpart = match has(COUNTERPART) {
            true => Some(self.text()?.parse().map_err(|_| self.damaged())?),
            false => None,
        };
        let unit_cost = if has(UNIT_COST) { Some(Cost::from_raw(self.signed()?)) } else { None };
        let reason = match has(REASON) {
            true => Some(*Reason::ALL.get(self.unsigned()? as usize).ok_or(self.damaged())?),
            false => None,
        };
        Ok(Entry {
            seq,
            kind,
            command_id: CommandId(id),
            quantity: Quantity::from_raw(quantity),
            delta: Quantity::from_raw(delta),
            after: Quantity::from_raw(after),
            occurred_at: self.time(occurred)?,
            recorded_at: self.time(recorded)?,
            late: has(LATE),
            clock_ahead: has(CLOCK_AHEAD),
            submitted_by,
            counterpart,
            unit_cost,
            reason,
            note: self.some_text(has(NOTE))?,
            reference: self.some_text(has(REFERENCE))?,
            device_id: self.some_text(has(DEVICE))?,
            operator: self.some_text(has(OPERATOR))?,
            amount: self.some_money(has(AMOUNT))?,
            cost: self.some_money(has(COST))?,
            revaluation: self.revaluation(has(REVALUATION))?,
            reverses: match has(REVERSES) {
                true => Some(CommandId(Uuid::from_slice(self.take(16)?).map_err(|_| self.damaged())?)),
                false => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        sealed(bytes)
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
        assert_eq!(hex(&unsealed(&entries())), include_str!("codec.golden"));
        assert_eq!(decode_entries(&unsealed(&entries())), Ok(entries()));
        assert_eq!(hex(&without_money(&entries())), include_str!("codec.v2.golden"));
        assert_eq!(decode_entries(&without_money(&entries())), Ok(entries()));
        assert_eq!(hex(&encode_entries(&priced())), include_str!("codec.v3.golden"));
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
        for cut in 1..bytes.len() {
            assert!(skim_entries(&bytes[..cut]).is_err(), "{cut}");
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
        assert!(decode_entries(&sealed(zero)).is_err(), "a revaluation of zero is not written");
    }

    #[test]
    fn a_level_with_a_value_has_bytes_of_the_present_version_even_without_entries() {
        let mut level = Level::new("main".parse().unwrap(), 1);
        assert!(encode_tail(&level).is_empty());
        level.average_cost = Some(Money::from_raw(4_100));
        let bytes = encode_tail(&level);
        assert_eq!((bytes[0], decode_entries(&bytes)), (VERSION, Ok(vec![])));
        assert_eq!(decode_entries(&sealed(vec![VERSION_WITHOUT_MONEY])), Err(CodecError::Damaged(1)));
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
        assert_eq!(decode_entries(&later), Err(CodecError::Version(4)));
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
