//! The rules of stock. This code is pure: no I/O, no clock, no randomness, no async.
//!
//! Time and ids are arguments. A business refusal is a value ([`Rejection`]), never an error.

mod alert;
pub mod analytics;
mod barcode;
mod catalogue;
mod checksum;
mod client;
mod codec;
mod command;
mod commit;
mod fingerprint;
mod fixed;
mod fold;
mod ids;
mod json;
mod level;
mod load;
mod message;
mod occurrence;
mod outcome;
mod parse;
mod planning;
mod printable;
mod receipt;
mod record;
mod rejudge;
mod rules;
mod scan;
mod segment;
mod slot;
mod time;
mod trace;
mod valuation;

pub use alert::{Alert, AlertKind, StockState};
pub use barcode::{
    Barcode, BarcodeError, canonical as canonical_barcode, check as check_barcode, spellings as barcode_spellings,
};
pub use catalogue::{
    Catalogue, CataloguePatch, Claim, Item, LocationSettings, MAIN_LOCATION, MAX_BARCODES, ShortagePolicy,
};
pub use checksum::{Seal, checksum, seal, seal_of};
pub use client::{CLIENT_LOCATIONS_MAX, ClientRight, ClientSettings};
pub use codec::{CodecError, decode_entries, encode_entries, encode_tail, skim_entries, skim_movements};
pub use command::{Action, Command, CommandKey, CommandKind, MovementDetails, Queued, Reach, Reason};
pub use commit::{Chunk, ClaimChange, Commit, ItemPut, LevelPut, RejudgeMark, Reversal};
pub use fingerprint::Fingerprint;
pub use fixed::{Cost, Fixed, FixedError, MAX_COMMAND_MONEY, MAX_COMMAND_QUANTITY, Money, Percent, Quantity};
pub use fold::{Fold, fold};
pub use ids::{ClientId, CommandId, IdError, ItemId, LocationId, RequestId};
pub use json::{Json, JsonObject};
pub use level::{Entry, EntryKind, Level};
pub use load::{LoadRequest, Loaded, LoadedLevel};
pub use message::{
    DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES, MAX_PACK_BYTES, MAX_PACK_COMMANDS, MESSAGE_FRAME_BYTES, MessageError,
    decode_message, encode_command, encode_message, item_of_carried, item_of_message, join_message, set_message_aside,
};
pub use outcome::{
    DISMISSAL_REASON_MAX_CHARS, DeadLetter, Dismissal, Effect, Outcome, Rejection, RejectionCode, Status,
};
pub use parse::{Fault, ParseContext, fields_of, parse_command};
pub use planning::{MAX_LEAD_TIME_DAYS, MAX_OVERRIDES, MAX_SERVICE_LEVEL, MIN_SERVICE_LEVEL, Planning, PlanningPatch};
pub use printable::{PrintableFault, composed, folded};
pub use receipt::{NotKept, Receipt, ReceiptError, ReceiptKeys};
pub use record::{Record, RecordError};
pub use rejudge::rejudge;
pub use rules::{CLOCK_SKEW_MAX_MS, FoldLimits, Rules};
pub use scan::{Gs1Error, Mass, SCAN_MAX_BYTES, ScaleRuleError, ScaleRules, Scan, ScanError, ScanFacts, ScanKind};
pub use segment::{carried, in_key, out_of_key, path_segment};
pub use slot::Slot;
pub use time::{TimeError, Timestamp};
pub use trace::Trace;
pub use valuation::{Basis, Moved, Valuation};
