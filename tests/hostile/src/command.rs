//! Target: a command in JSON.

use serde_json::Value;
use stockline_core::domain::{
    Fingerprint, Json, LocationSettings, MAX_COMMAND_MONEY, MAX_COMMAND_QUANTITY, Money, ParseContext, Quantity,
    Queued, Slot, Timestamp, decode_message, encode_message, parse_command,
};

use crate::faults;

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Ok(json) = serde_json::from_slice::<Json<'_>>(bytes) else { return false };
    let context = ParseContext {
        pointer: "/commands/7".into(),
        default_location: Some(LocationSettings::main().location_id),
        sent_at: None,
        command_id: None,
        accepted: false,
    };
    let command = match parse_command(&json, &context) {
        Ok(command) => command,
        Err(found) => {
            faults::check(&json, "/commands/7", &found);
            return false;
        }
    };
    // The command survives writing and reading, alone and in a message.
    let written = serde_json::to_string(&command).unwrap();
    let again: Json<'_> = serde_json::from_str(&written).unwrap();
    let again = parse_command(&again, &ParseContext::stored()).unwrap();
    assert_eq!(again, command);
    assert_eq!(Fingerprint::of(&again), Fingerprint::of(&command));
    let written: Value = serde_json::from_str(&written).unwrap();
    for moved in ["quantity", "counted"].into_iter().filter_map(|field| written[field].as_str()) {
        assert!(moved.parse::<Quantity>().unwrap().raw().abs() <= MAX_COMMAND_QUANTITY.raw(), "{moved}");
    }
    for paid in ["amount", "unit_cost"].into_iter().filter_map(|field| written[field].as_str()) {
        let paid: Money = paid.parse().unwrap();
        assert!(!paid.is_negative() && paid <= MAX_COMMAND_MONEY, "{paid}");
    }
    let item_id = command.item_id.clone();
    let queued = Queued {
        command,
        accepted_at: Timestamp::EPOCH,
        submitted_by: "x".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    };
    let body = encode_message(&item_id, [&queued]);
    let slots = decode_message(&item_id, "m", &body, Timestamp::EPOCH).unwrap();
    assert!(matches!(&slots[..], [Slot::Command(read)] if **read == queued), "{body}");
    true
}
