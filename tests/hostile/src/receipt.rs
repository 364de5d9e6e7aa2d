//! Target: a receipt, as it appears in a URL.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stockline_core::domain::{CommandId, Fingerprint, ItemId, Receipt, ReceiptKeys, Timestamp};

pub(crate) fn run(bytes: &[u8]) -> bool {
    let keys = ReceiptKeys::new(&[[2_u8; 32], [1; 32]]).unwrap();
    let item_id: ItemId = "cola".parse().unwrap();
    let command_id: CommandId = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap();
    // The bytes are tried as the text and as the decoded content, so that mutations also get past the encoding.
    let tokens = [std::str::from_utf8(bytes).ok().map(str::to_owned), Some(URL_SAFE_NO_PAD.encode(bytes))];
    let mut taken = false;
    for token in tokens.into_iter().flatten() {
        let Ok(receipt) = keys.verify(&item_id, command_id, &token) else { continue };
        // Only a receipt that one of the keys signed is accepted, and only in its one encoding.
        let signed =
            [[1_u8; 32], [2; 32]].map(|key| ReceiptKeys::new(&[key]).unwrap().sign(&item_id, command_id, receipt));
        assert!(signed.contains(&token), "{token} was forged");
        taken = true;
    }
    // Any signed receipt is read as it was signed, and is valid for no other command.
    if let Some((millis, print)) = bytes.split_first_chunk::<8>()
        && let Some((print, _)) = print.split_first_chunk::<16>()
    {
        let accepted_at = Timestamp::from_millis(i64::from_be_bytes(*millis));
        let receipt = Receipt { accepted_at, fingerprint: Fingerprint::from_bytes(*print), without_cost: None };
        let token = keys.sign(&item_id, command_id, receipt);
        assert_eq!(keys.verify(&item_id, command_id, &token), Ok(receipt));
        assert!(keys.verify(&item_id, command_id.of_resubmission(&item_id), &token).is_err());
    }
    taken
}
