//! The keys that sign receipts: `keys/receipt.keys`, a line of creation time and key each, the newest first.

use anyhow::anyhow;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stockline_core::domain::{ReceiptKeys, Timestamp};

use super::keys::{Keys, receipt_keys_path};
use crate::files::{self, SECRET};
use crate::folder::manifest::Break;

/// How long an old receipt key still verifies: longer than the queue and the dead letter queue keep a command.
const KEPT_MS: i64 = 60 * 24 * 3_600_000;
/// The most receipt keys. A receipt under a dropped one counts as none.
const KEYS_MAX: usize = 64;

impl Keys {
    /// Reads the keys that sign receipts, the newest first. A key that is older than a break knows of it.
    pub(crate) fn receipt_keys(&self, breaks: &[Break]) -> anyhow::Result<ReceiptKeys> {
        let path = receipt_keys_path(self.folder());
        let text = files::read_if_exists(&path)?.unwrap_or_default();
        let key = |line: &str| {
            let (made, key) = line.split_once(' ')?;
            Some((made.parse::<i64>().ok()?, STANDARD.decode(key.trim()).ok()?))
        };
        let lines: Option<Vec<(i64, Vec<u8>)>> = text.lines().map(key).collect();
        let (made, keys): (Vec<i64>, Vec<Vec<u8>>) = lines.unwrap_or_default().into_iter().unzip();
        let keys = ReceiptKeys::new(&keys)
            .ok_or_else(|| anyhow!("{} is damaged: restore it from a backup", path.display()))?;
        Ok(breaks.iter().fold(keys, |keys, broken| {
            let newer = made.iter().take_while(|made| **made >= broken.at.as_millis()).count();
            keys.not_kept_before(newer, &broken.not_kept())
        }))
    }

    /// Makes a new receipt key and returns its time of creation, which is later than that of every other key. The caller
    /// holds the lock.
    pub(crate) fn rotate_receipts(&self, now: Timestamp) -> anyhow::Result<Timestamp> {
        let path = receipt_keys_path(self.folder());
        let present = files::read_if_exists(&path)?.unwrap_or_default();
        let made_at = |line: &str| line.split_once(' ').and_then(|(made, _)| made.parse::<i64>().ok());
        let newest = present
            .lines()
            .filter_map(made_at)
            .max()
            .map_or(now, |newest| Timestamp::from_millis(newest).plus_millis(1));
        let made = now.max(newest);
        let mut text = line(made)?;
        // A key was superseded when the key above it was created.
        let mut superseded_at = made;
        for line in present.lines().take(KEYS_MAX - 1) {
            if is_forgotten(superseded_at, now) {
                break;
            }
            text.push_str(line);
            text.push('\n');
            superseded_at = made_at(line).map_or(superseded_at, Timestamp::from_millis);
        }
        files::write_atomic(&path, text.as_bytes(), SECRET)?;
        Ok(made)
    }
}

/// Reports whether the receipt keys that were superseded at that time are dropped by a rotation.
pub(crate) fn is_forgotten(superseded_at: Timestamp, now: Timestamp) -> bool {
    now.millis_since(superseded_at) > KEPT_MS
}

pub(super) fn line(now: Timestamp) -> anyhow::Result<String> {
    let mut key = [0_u8; ReceiptKeys::MIN_KEY_BYTES];
    SystemRandom::new().fill(&mut key).map_err(|_| anyhow!("the system provides no random numbers"))?;
    Ok(format!("{} {}\n", now.as_millis(), STANDARD.encode(key)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::folder::Folder;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    #[test]
    fn receipts_signed_before_a_rotation_still_verify() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (keys, _) = Keys::open_or_create(&folder, Uuid::from_u128(7), at(0)).unwrap();
        let item = "cola".parse().unwrap();
        let id = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap();
        let receipt = stockline_core::domain::Receipt {
            accepted_at: at(0),
            fingerprint: stockline_core::domain::Fingerprint::from_bytes([1; 16]),
            without_cost: None,
        };
        let token = keys.receipt_keys(&[]).unwrap().sign(&item, id, receipt);
        keys.rotate(at(1), false, |_| false).unwrap();
        let keys = Keys::open(&folder).unwrap();
        assert!(keys.receipt_keys(&[]).unwrap().verify(&item, id, &token).is_ok());
        keys.rotate(at(KEPT_MS * 2), false, |_| false).unwrap();
        let keys = Keys::open(&folder).unwrap();
        keys.rotate(at(KEPT_MS * 4), false, |_| false).unwrap();
        let keys = Keys::open(&folder).unwrap();
        assert!(
            keys.receipt_keys(&[]).unwrap().verify(&item, id, &token).is_err(),
            "a receipt key is dropped after 60 days"
        );
    }

    #[test]
    fn a_receipt_key_is_newer_than_all_others_and_their_number_is_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path());
        let (keys, _) = Keys::open_or_create(&folder, Uuid::from_u128(7), at(0)).unwrap();
        assert_eq!(keys.rotate_receipts(at(0)).unwrap(), at(1));
        assert_eq!(keys.rotate_receipts(at(-5)).unwrap(), at(2), "also where the clock was set back");
        for _ in 0..KEYS_MAX {
            keys.rotate_receipts(at(3)).unwrap();
        }
        assert_eq!(std::fs::read_to_string(receipt_keys_path(&folder)).unwrap().lines().count(), KEYS_MAX);
    }
}
