use std::sync::Arc;

use uuid::Uuid;

use super::super::{CommandId, LocationId, Money, Quantity, Timestamp};

/// Why stored bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A later version of this program wrote them.
    #[error("the bytes have version {found}; this program reads versions up to {known}")]
    Newer {
        /// The version of the bytes.
        found: u8,
        /// The latest version that this program reads.
        known: u8,
    },
    /// The bytes break off or contradict themselves.
    #[error("the bytes are damaged at byte {0}")]
    Damaged(usize),
    /// The bytes have changed since they were written.
    #[error("the checksum is wrong: the bytes have changed since they were written")]
    Checksum,
}

impl CodecError {
    /// Returns whether a later version of this program wrote the bytes.
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }
}

const CHECKSUM_BYTES: usize = 4;

/// Adds the CRC-32 of the bytes and of `key`, which is stored beside them.
pub(super) fn seal(mut bytes: Vec<u8>, key: &[&[u8]]) -> Vec<u8> {
    let checksum = sum(&bytes, key);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Returns the bytes before the checksum. A version is believed only if the checksum is right.
pub(super) fn unseal<'a>(bytes: &'a [u8], key: &[&[u8]], known: u8) -> Result<&'a [u8], CodecError> {
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(CodecError::Checksum)?;
    let found = sealed.first().copied().unwrap_or(0);
    if found == 0 || u32::from_le_bytes(*checksum) != sum(sealed, key) {
        return Err(CodecError::Checksum);
    }
    if found <= known { Ok(sealed) } else { Err(CodecError::Newer { found, known }) }
}

fn sum(bytes: &[u8], key: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    for part in key {
        hasher.update(part);
        hasher.update(&(part.len() as u64).to_le_bytes());
    }
    hasher.finalize()
}

pub(super) fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes how long after `since` a time is.
pub(super) fn put_time(out: &mut Vec<u8>, time: Timestamp, since: Timestamp) {
    put_signed(out, time.millis_since(since));
}

/// Reads what the functions above write, and refuses every other form of it.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn damaged(&self) -> CodecError {
        CodecError::Damaged(self.at)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(self.damaged())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// Reads the rest of the bytes.
    pub(super) fn take_rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, CodecError> {
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

    pub(super) fn signed(&mut self) -> Result<i64, CodecError> {
        let value = self.unsigned()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// Makes a time. Times outside the range would be clamped silently.
    pub(super) fn time(&self, millis: i64) -> Result<Timestamp, CodecError> {
        let time = Timestamp::from_millis(millis);
        if time.as_millis() == millis { Ok(time) } else { Err(self.damaged()) }
    }

    /// Reads what [`put_time`] writes.
    pub(super) fn time_since(&mut self, since: Timestamp) -> Result<Timestamp, CodecError> {
        let millis = since.as_millis().wrapping_add(self.signed()?);
        self.time(millis)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, CodecError> {
        let len = usize::try_from(self.unsigned()?).map_err(|_| self.damaged())?;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    pub(super) fn shared_text(&mut self) -> Result<Arc<str>, CodecError> {
        self.text().map(Arc::from)
    }

    pub(super) fn text_if(&mut self, there: bool) -> Result<Option<&'a str>, CodecError> {
        there.then(|| self.text()).transpose()
    }

    pub(super) fn some_text(&mut self, there: bool) -> Result<Option<String>, CodecError> {
        self.text_if(there).map(|text| text.map(str::to_owned))
    }

    pub(super) fn quantity(&mut self) -> Result<Quantity, CodecError> {
        self.signed().map(Quantity::from_raw)
    }

    pub(super) fn some_money(&mut self, there: bool) -> Result<Option<Money>, CodecError> {
        there.then(|| self.signed().map(Money::from_raw)).transpose()
    }

    /// Reads a revaluation. One of zero is not written.
    pub(super) fn revaluation(&mut self, there: bool) -> Result<Money, CodecError> {
        match self.some_money(there)? {
            Some(nothing) if nothing.is_zero() => Err(self.damaged()),
            revaluation => Ok(revaluation.unwrap_or_default()),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.try_into().map_err(|_| self.damaged())
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, CodecError> {
        self.array().map(Uuid::from_bytes)
    }

    pub(super) fn command_id(&mut self) -> Result<CommandId, CodecError> {
        self.uuid().map(CommandId)
    }

    pub(super) fn location_id(&mut self) -> Result<LocationId, CodecError> {
        self.text()?.parse().map_err(|_| self.damaged())
    }

    /// Reads a value by its place in a list.
    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> Result<T, CodecError> {
        usize::try_from(self.unsigned()?).ok().and_then(|place| all.get(place)).copied().ok_or(self.damaged())
    }
}

/// Writes the place of a value in a list.
pub(super) fn put_one_of<T: PartialEq>(out: &mut Vec<u8>, all: &[T], value: &T) {
    put_unsigned(out, all.iter().position(|one| one == value).unwrap_or(0) as u64);
}

/// Returns `bit` if it is set.
pub(super) const fn flag(set: bool, bit: u64) -> u64 {
    if set { bit } else { 0 }
}
