use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Command, CommandId, Fingerprint, ItemId, Timestamp};

/// A receipt proves that a command with this payload was accepted at this time (design.md §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// When the command was accepted.
    pub accepted_at: Timestamp,
    /// The fingerprint of the payload.
    pub fingerprint: Fingerprint,
    /// The fingerprint of the payload without its cost; absent if it names none. Callers who may not see costs are
    /// compared by it.
    pub without_cost: Option<Fingerprint>,
}

impl Receipt {
    /// Returns the receipt of a command.
    pub fn of(command: &Command, accepted_at: Timestamp) -> Self {
        let without_cost = command.has_cost().then(|| Fingerprint::of(&command.clone().without_cost()));
        Self { accepted_at, fingerprint: Fingerprint::of(command), without_cost }
    }
}

/// Why a receipt is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The text is not a receipt: `receipt_invalid`.
    #[error("is not a receipt; send it as it came in status_url")]
    Malformed,
    /// The receipt belongs to another command or has an unknown key. It counts as absent.
    #[error("was not issued for this command by this installation")]
    Foreign,
}

/// Commands that were accepted, but may be neither in the queue nor in the store: an older backup was restored, or another
/// copy of the folder accepted them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKept {
    /// Commands accepted after this moment may be unknown.
    pub after: Timestamp,
    /// What happened, as a main clause for the one who asks for the status.
    pub why: Arc<str>,
}

/// The keys of receipts. The first signs and all verify, so keys can be rotated.
#[derive(Clone)]
pub struct ReceiptKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    mac: Hmac<Sha256>,
    /// The commands accepted under this key that may be unknown.
    not_kept: Vec<NotKept>,
}

const VERSION: u8 = 1;
/// The version with a second fingerprint.
const VERSION_WITH_COST: u8 = 2;
const TAG_BYTES: usize = 16;
const BODY_BYTES: usize = 1 + 8 + 16;
const BODY_WITH_COST_BYTES: usize = BODY_BYTES + 16;

impl ReceiptKeys {
    /// The fewest bytes of a key.
    pub const MIN_KEY_BYTES: usize = 32;

    /// Makes the keys from secrets, the signing one first. Returns `None` if there is none or one is shorter than
    /// [`ReceiptKeys::MIN_KEY_BYTES`].
    pub fn new<K: AsRef<[u8]>>(keys: &[K]) -> Option<Self> {
        let long = keys.iter().all(|key| key.as_ref().len() >= Self::MIN_KEY_BYTES);
        let macs = keys.iter().filter_map(|key| Hmac::new_from_slice(key.as_ref()).ok());
        let keys: Vec<_> = macs.map(|mac| Key { mac, not_kept: Vec::new() }).collect();
        (long && !keys.is_empty()).then_some(Self(keys))
    }

    /// Says of every key but the first `newer` that some commands accepted under it may be unknown. A new first key is
    /// made when that happens, so what it signs was accepted later, whatever the clocks say.
    #[must_use]
    pub fn not_kept_before(mut self, newer: usize, not_kept: &NotKept) -> Self {
        for key in self.0.iter_mut().skip(newer) {
            key.not_kept.push(not_kept.clone());
        }
        self
    }

    /// Derives a key for another purpose from each key, in their order. No receipt is made of such a text: the first byte of
    /// a receipt is its version.
    pub fn derived(&self, purpose: &str) -> Vec<[u8; 32]> {
        let derive = |key: &Key| {
            let mut mac = key.mac.clone();
            mac.update(b"derived for ");
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes().into()
        };
        self.0.iter().map(derive).collect()
    }

    /// Signs a receipt. The token has 55 characters of base64url, 76 for a command that names a cost.
    pub fn sign(&self, item_id: &ItemId, command_id: CommandId, receipt: Receipt) -> String {
        let mut bytes = Vec::with_capacity(BODY_WITH_COST_BYTES + TAG_BYTES);
        bytes.push(if receipt.without_cost.is_some() { VERSION_WITH_COST } else { VERSION });
        bytes.extend(receipt.accepted_at.as_millis().to_be_bytes());
        bytes.extend(receipt.fingerprint.as_bytes());
        bytes.extend(receipt.without_cost.iter().flat_map(Fingerprint::as_bytes));
        let tag = mac(&self.0[0].mac, &bytes, item_id, command_id).finalize().into_bytes();
        bytes.extend(&tag[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a receipt for this command, comparing in constant time.
    pub fn verify(&self, item_id: &ItemId, command_id: CommandId, token: &str) -> Result<Receipt, ReceiptError> {
        Ok(self.verify_kept(item_id, command_id, token)?.0)
    }

    /// As [`ReceiptKeys::verify`]. If the command may be unknown although it was accepted, also returns why.
    pub fn verify_kept(
        &self,
        item_id: &ItemId,
        command_id: CommandId,
        token: &str,
    ) -> Result<(Receipt, Option<&NotKept>), ReceiptError> {
        let mut bytes = [0; BODY_WITH_COST_BYTES + TAG_BYTES];
        let len = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).map_err(|_| ReceiptError::Malformed)?;
        let body_bytes = match bytes[0] {
            VERSION => BODY_BYTES,
            VERSION_WITH_COST => BODY_WITH_COST_BYTES,
            _ => return Err(ReceiptError::Malformed),
        };
        if len != body_bytes + TAG_BYTES {
            return Err(ReceiptError::Malformed);
        }
        let (body, tag) = bytes[..len].split_at(body_bytes);
        let signed = |key: &&Key| mac(&key.mac, body, item_id, command_id).verify_truncated_left(tag).is_ok();
        let key = self.0.iter().find(signed).ok_or(ReceiptError::Foreign)?;
        let mut millis = [0; 8];
        millis.copy_from_slice(&body[1..9]);
        let mut prints = body[9..].chunks_exact(16).map(|print| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(print);
            Fingerprint::from_bytes(bytes)
        });
        let receipt = Receipt {
            accepted_at: Timestamp::from_millis(i64::from_be_bytes(millis)),
            fingerprint: prints.next().ok_or(ReceiptError::Malformed)?,
            without_cost: prints.next(),
        };
        Ok((receipt, key.not_kept.iter().find(|not_kept| receipt.accepted_at > not_kept.after)))
    }
}

fn mac(key: &Hmac<Sha256>, body: &[u8], item_id: &ItemId, command_id: CommandId) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(body);
    mac.update(command_id.0.as_bytes());
    mac.update(item_id.as_str().as_bytes());
    mac
}

impl fmt::Debug for ReceiptKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptKeys({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (ItemId, CommandId, Receipt) {
        let receipt = Receipt {
            accepted_at: "2026-01-31T08:15:00Z".parse().unwrap(),
            fingerprint: Fingerprint::from_bytes([7; 16]),
            without_cost: None,
        };
        ("cola".parse().unwrap(), "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap(), receipt)
    }

    #[test]
    fn a_receipt_of_version_1_still_reads() {
        let (item, id, receipt) = fixture();
        let keys = ReceiptKeys::new(&[[1_u8; 32]]).unwrap();
        let golden = keys.sign(&item, id, receipt);
        assert_eq!(golden, include_str!("receipt.golden"));
        assert_eq!(keys.verify(&item, id, include_str!("receipt.golden")), Ok(receipt));
    }

    #[test]
    fn the_receipt_of_a_cost_has_a_fingerprint_without_it_and_is_bound_to_both() {
        let (item, id, plain) = fixture();
        let keys = ReceiptKeys::new(&[[1_u8; 32]]).unwrap();
        let receipt = Receipt { without_cost: Some(Fingerprint::from_bytes([8; 16])), ..plain };
        let token = keys.sign(&item, id, receipt);
        assert_eq!((token.len(), keys.verify(&item, id, &token)), (76, Ok(receipt)));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert!(keys.verify(&item, id, &URL_SAFE_NO_PAD.encode(forged)).is_err(), "{at}");
        }
        let mut cut = bytes;
        cut.drain(25..41);
        assert!(keys.verify(&item, id, &URL_SAFE_NO_PAD.encode(cut)).is_err());
    }

    #[test]
    fn all_keys_verify_and_the_first_signs() {
        let (item, id, receipt) = fixture();
        let old = ReceiptKeys::new(&[[1_u8; 32]]).unwrap();
        let rotated = ReceiptKeys::new(&[[2_u8; 32], [1; 32]]).unwrap();
        assert_eq!(rotated.verify(&item, id, &old.sign(&item, id, receipt)), Ok(receipt));
        assert_eq!(old.verify(&item, id, &rotated.sign(&item, id, receipt)), Err(ReceiptError::Foreign));
    }

    #[test]
    fn a_key_knows_which_of_its_commands_a_restore_has_lost() {
        let (item, id, receipt) = fixture();
        let old = ReceiptKeys::new(&[[1_u8; 32]]).unwrap();
        let lost =
            |seconds: i64| NotKept { after: receipt.accepted_at.plus_millis(seconds * 1_000), why: "restored".into() };
        let restored = |not_kept: &NotKept| {
            let keys = ReceiptKeys::new(&[[2_u8; 32], [1; 32]]).unwrap().not_kept_before(1, not_kept);
            let why = |token: &str| keys.verify_kept(&item, id, token).unwrap().1.cloned();
            (why(&old.sign(&item, id, receipt)), why(&keys.sign(&item, id, receipt)))
        };
        assert_eq!(restored(&lost(-1)), (Some(lost(-1)), None), "accepted after the backup, before the restore");
        assert_eq!(restored(&lost(0)), (None, None), "in the backup");
    }

    #[test]
    fn a_receipt_holds_for_its_own_command_only() {
        let (item, id, receipt) = fixture();
        let keys = ReceiptKeys::new(&[[1_u8; 32]]).unwrap();
        let token = keys.sign(&item, id, receipt);
        let other: ItemId = "Cola".parse().unwrap();
        assert_eq!(keys.verify(&other, id, &token), Err(ReceiptError::Foreign));
        assert_eq!(keys.verify(&item, id.of_resubmission(&item), &token), Err(ReceiptError::Foreign));
        for i in 1..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[i] = if forged[i] == b'A' { b'B' } else { b'A' };
            assert!(keys.verify(&item, id, std::str::from_utf8(&forged).unwrap()).is_err(), "{i}");
        }
        for bad in ["", "x", &token[1..], &format!("{token}A"), "é"] {
            assert_eq!(keys.verify(&item, id, bad), Err(ReceiptError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(ReceiptKeys::new(&[[1_u8; 31]]).is_none());
        assert!(ReceiptKeys::new::<[u8; 32]>(&[]).is_none());
    }
}
