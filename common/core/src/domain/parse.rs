//! The one parser from JSON to [`Command`], for the API, the queue and stored records. It finds every fault.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    Action, Catalogue, CataloguePatch, Command, CommandId, CommandKind, ItemId, Json, LocationId, MAIN_LOCATION,
    MovementDetails, Planning, PlanningPatch, Reason, Timestamp,
};

mod values;

/// One fault of a submitted command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The place, as a JSON pointer (RFC 6901) from the root of the body; empty for the body itself.
    pub pointer: String,
    /// The stable code.
    pub code: &'static str,
    /// A text for people: what is wrong and what would be right.
    pub detail: String,
}

/// The context of a command.
#[derive(Debug, Clone)]
pub struct ParseContext {
    /// The pointer of the command within the body: `""`, or `/commands/3`.
    pub pointer: String,
    /// The location of a movement that names none; `None` if every movement must name one.
    pub default_location: Option<LocationId>,
    /// The batch's `sent_at`, for commands without their own.
    pub sent_at: Option<Timestamp>,
    /// The id from the `Idempotency-Key` header.
    pub command_id: Option<CommandId>,
    /// Whether the command was accepted before: then its barcodes are taken as they are, because rules for new ones may
    /// have come since.
    pub accepted: bool,
}

impl ParseContext {
    /// Returns the context for a new command, as a server that requires no location reads it.
    pub fn submitted() -> Self {
        Self { accepted: false, ..Self::stored() }
    }

    /// Returns the context for an accepted command that [`Command`]'s `Serialize` wrote.
    pub fn stored() -> Self {
        let default_location = MAIN_LOCATION.parse().ok();
        Self { pointer: String::new(), default_location, sent_at: None, command_id: None, accepted: true }
    }
}

/// Describes faults in one line, for logs and stored reasons.
pub(super) fn describe(faults: &[Fault]) -> String {
    let texts: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
    texts.join("; ")
}

const MAX_NAME_CHARS: usize = 200;
const MAX_UNIT_CHARS: usize = 16;
const MAX_CATEGORY_CHARS: usize = 64;
const MAX_SUPPLIER_CHARS: usize = 64;
const MAX_NOTE_CHARS: usize = 500;
const MAX_REFERENCE_CHARS: usize = 200;
const MAX_CODE_CHARS: usize = 64;
/// The most bytes of a movement's free texts, in UTF-8.
pub(super) const MAX_DETAILS_BYTES: usize = 4 * (MAX_NOTE_CHARS + MAX_REFERENCE_CHARS + 2 * MAX_CODE_CHARS);
const DEFAULT_UNIT: &str = "piece";
/// The most members of a command: every known field, and room for mistakes. More members are one fault, not thousands.
const MAX_MEMBERS: usize = 64;

const MOVEMENT_FIELDS: &[&str] =
    &["occurred_at", "expected_on_hand", "reason", "note", "reference", "device_id", "operator"];

/// Returns the fields that movements of a type share. A reversal occurred when the movement did that it takes back.
const fn shared_fields(kind: CommandKind) -> &'static [&'static str] {
    match (kind, MOVEMENT_FIELDS) {
        (CommandKind::Reverse, [_occurred_at, others @ ..]) => others,
        (kind, all) if kind.is_movement() => all,
        _ => &[],
    }
}

/// Returns the fields of a type besides `type`, `command_id`, `item_id`, `sent_at` and, for movements,
/// [`shared_fields`].
const fn own_fields(kind: CommandKind) -> &'static [&'static str] {
    match kind {
        CommandKind::RegisterItem | CommandKind::UpdateItem => &[
            "name",
            "unit",
            "decimals",
            "barcodes",
            "category",
            "low_stock_threshold",
            "shortage_policy",
            "unit_cost",
            "supplier",
            "lead_time_days",
            "order_multiple",
            "order_minimum",
            "service_level",
        ],
        CommandKind::ArchiveItem | CommandKind::RestoreItem => &[],
        CommandKind::SetThreshold => &["location_id", "low_stock_threshold"],
        CommandKind::SetPlanning => {
            &["location_id", "supplier", "lead_time_days", "order_multiple", "order_minimum", "service_level"]
        }
        CommandKind::Receive => &["location_id", "quantity", "unit_cost"],
        CommandKind::Sell => &["location_id", "quantity", "on_shortage", "amount"],
        CommandKind::Return => &["location_id", "quantity", "amount"],
        CommandKind::Adjust => &["location_id", "quantity"],
        CommandKind::Count => &["location_id", "counted"],
        CommandKind::Transfer => &["from_location_id", "to_location_id", "quantity"],
        CommandKind::Reverse => &["reverses"],
    }
}

/// Returns every field that a command of this type may have.
pub fn fields_of(kind: CommandKind) -> impl Iterator<Item = &'static str> {
    let own = own_fields(kind).iter().chain(shared_fields(kind));
    ["type", "command_id", "item_id"].iter().chain(own).chain(&["sent_at"]).copied()
}

fn is_known(kind: CommandKind, field: &str) -> bool {
    fields_of(kind).any(|known| known == field)
}

/// Reads the members of one object and collects the faults.
struct Reader<'a> {
    members: &'a [(Cow<'a, str>, Json<'a>)],
    context: &'a ParseContext,
    faults: Vec<Fault>,
}

/// Parses a command. Returns all faults if there are any.
pub fn parse_command(json: &Json<'_>, context: &ParseContext) -> Result<Command, Vec<Fault>> {
    let Json::Object(members) = json else {
        return Err(vec![Fault {
            pointer: context.pointer.clone(),
            code: "wrong_type",
            detail: format!("a command is an object, not {}", json.kind()),
        }]);
    };
    if members.len() > MAX_MEMBERS {
        let detail = format!("has {} fields; a command has at most {MAX_MEMBERS}", members.len());
        return Err(vec![Fault { pointer: context.pointer.clone(), code: "too_many_fields", detail }]);
    }
    let mut reader = Reader { members, context, faults: Vec::new() };
    reader.repeated_fields();
    let command_id = reader.command_id();
    let item_id = reader.required("item_id", Reader::id::<ItemId>);
    let kind = reader.kind();
    let sent_at = reader.optional("sent_at", Reader::time).or(context.sent_at);
    let Some(kind) = kind else {
        return Err(reader.faults);
    };
    reader.unknown_fields(kind);
    let action = reader.action(kind, command_id);
    let details = if kind.is_movement() { reader.details(kind) } else { MovementDetails::default() };
    match (command_id, item_id, action) {
        (Some(command_id), Some(item_id), Some(action)) if reader.faults.is_empty() => {
            Ok(Command { command_id, item_id, action, details: MovementDetails { sent_at, ..details } })
        }
        _ => Err(reader.faults),
    }
}

impl<'a> Reader<'a> {
    /// Adds a fault. `path` is a known field or an element of one (`barcodes/2`).
    fn fault(&mut self, path: &str, code: &'static str, detail: impl Into<String>) {
        let pointer = format!("{}/{path}", self.context.pointer);
        self.faults.push(Fault { pointer, code, detail: detail.into() });
    }

    /// Adds a fault of a field with a name that the client chose.
    fn key_fault(&mut self, key: &str, code: &'static str, detail: impl Into<String>) {
        self.fault(&key.replace('~', "~0").replace('/', "~1"), code, detail);
    }

    fn get(&self, field: &str) -> Option<&'a Json<'a>> {
        self.members.iter().find(|(key, _)| key == field).map(|(_, value)| value)
    }

    fn repeated_fields(&mut self) {
        let members = self.members;
        for (index, (key, _)) in members.iter().enumerate() {
            if members[..index].iter().any(|(earlier, _)| earlier == key) {
                self.key_fault(key, "duplicate_field", "is given more than once");
            }
        }
    }

    fn unknown_fields(&mut self, kind: CommandKind) {
        let members = self.members;
        for (key, _) in members {
            if !is_known(kind, key) {
                let mut known: Vec<&str> = own_fields(kind).to_vec();
                known.extend(shared_fields(kind));
                let detail = if known.is_empty() {
                    format!("{} takes no fields beside command_id, item_id and sent_at", kind.as_str())
                } else {
                    format!("is not a field of {}; it takes {}", kind.as_str(), known.join(", "))
                };
                self.key_fault(key, "unknown_field", detail);
            }
        }
    }

    fn kind(&mut self) -> Option<CommandKind> {
        let words = || CommandKind::ALL.map(CommandKind::as_str).join(", ");
        match self.get("type") {
            Some(Json::Str(word)) => {
                let kind = CommandKind::from_word(word);
                if kind.is_none() {
                    self.fault("type", "invalid_value", format!("must be one of {}", words()));
                }
                kind
            }
            Some(other) => {
                self.fault("type", "wrong_type", format!("must be a string, one of {}, not {}", words(), other.kind()));
                None
            }
            None => {
                self.fault("type", "missing_field", format!("is required: one of {}", words()));
                None
            }
        }
    }

    fn command_id(&mut self) -> Option<CommandId> {
        let header = self.context.command_id;
        match (self.optional("command_id", Self::id::<CommandId>), header) {
            (Some(own), Some(header)) if own != header => {
                self.fault("command_id", "idempotency_key_mismatch", "differs from the Idempotency-Key header");
                None
            }
            (Some(id), _) | (None, Some(id)) => Some(id),
            (None, None) => {
                if self.get("command_id").is_none_or(|json| *json == Json::Null) {
                    let detail = "is required: a UUID made once per command and sent again on every retry (or send it as Idempotency-Key)";
                    self.fault("command_id", "missing_field", detail);
                }
                None
            }
        }
    }

    /// Reads a field that may be omitted or null.
    fn optional<T>(&mut self, field: &str, read: impl Fn(&mut Self, &str, &'a Json<'a>) -> Option<T>) -> Option<T> {
        match self.get(field) {
            None | Some(Json::Null) => None,
            Some(json) => read(self, field, json),
        }
    }

    /// Reads a field of a change: `None` if omitted, `Some(None)` if null.
    fn clearable<T>(
        &mut self,
        field: &str,
        read: impl Fn(&mut Self, &str, &'a Json<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(field) {
            None => None,
            Some(Json::Null) => Some(None),
            Some(json) => read(self, field, json).map(Some),
        }
    }

    fn required<T>(&mut self, field: &str, read: impl Fn(&mut Self, &str, &'a Json<'a>) -> Option<T>) -> Option<T> {
        match self.get(field) {
            None | Some(Json::Null) => {
                self.fault(field, "missing_field", "is required");
                None
            }
            Some(json) => read(self, field, json),
        }
    }

    fn action(&mut self, kind: CommandKind, command_id: Option<CommandId>) -> Option<Action> {
        match kind {
            CommandKind::RegisterItem => self.catalogue().map(Action::RegisterItem),
            CommandKind::UpdateItem => self.patch().map(Action::UpdateItem),
            CommandKind::ArchiveItem => Some(Action::ArchiveItem),
            CommandKind::RestoreItem => Some(Action::RestoreItem),
            CommandKind::SetThreshold => {
                let location_id = self.optional("location_id", Self::id);
                let low_stock_threshold = self.clearable("low_stock_threshold", Self::threshold);
                if self.get("low_stock_threshold").is_none() {
                    self.fault("low_stock_threshold", "missing_field", "is required; null clears the threshold");
                }
                Some(Action::SetThreshold { location_id, low_stock_threshold: low_stock_threshold? })
            }
            CommandKind::SetPlanning => {
                let location_id = self.required("location_id", Self::id);
                let faults_before = self.faults.len();
                let planning = self.planning_patch();
                if planning.is_empty() && self.faults.len() == faults_before {
                    let detail =
                        "set_planning needs at least one field to change; null clears it, so that the item's holds";
                    self.fault("lead_time_days", "missing_field", detail);
                }
                Some(Action::SetPlanning { location_id: location_id?, planning })
            }
            CommandKind::Receive => {
                let (location_id, quantity) = (self.location("location_id"), self.positive_quantity());
                let unit_cost = self.optional("unit_cost", Self::money);
                Some(Action::Receive { location_id: location_id?, quantity: quantity?, unit_cost })
            }
            CommandKind::Sell => {
                let (location_id, quantity) = (self.location("location_id"), self.positive_quantity());
                let on_shortage = self.optional("on_shortage", Self::policy);
                let amount = self.optional("amount", Self::money);
                Some(Action::Sell { location_id: location_id?, quantity: quantity?, on_shortage, amount })
            }
            CommandKind::Return => {
                let (location_id, quantity) = (self.location("location_id"), self.positive_quantity());
                let amount = self.optional("amount", Self::money);
                Some(Action::Return { location_id: location_id?, quantity: quantity?, amount })
            }
            CommandKind::Adjust => {
                let location_id = self.location("location_id");
                let quantity = self.checked_quantity("quantity", |q| !q.is_zero(), "other than 0");
                Some(Action::Adjust { location_id: location_id?, quantity: quantity? })
            }
            CommandKind::Count => {
                let location_id = self.location("location_id");
                let counted = self.checked_quantity("counted", |q| !q.is_negative(), "0 or more");
                Some(Action::Count { location_id: location_id?, counted: counted? })
            }
            CommandKind::Transfer => {
                let from: Option<LocationId> = self.required("from_location_id", Self::id);
                let to: Option<LocationId> = self.required("to_location_id", Self::id);
                let quantity = self.positive_quantity();
                if from.is_some() && from == to {
                    self.fault("to_location_id", "invalid_value", "must differ from from_location_id");
                }
                Some(Action::Transfer { from_location_id: from?, to_location_id: to?, quantity: quantity? })
            }
            CommandKind::Reverse => {
                let reverses = self.required("reverses", Self::id::<CommandId>);
                if reverses.is_some() && reverses == command_id {
                    self.fault("reverses", "invalid_value", "must be another command than this one");
                }
                Some(Action::Reverse { reverses: reverses? })
            }
        }
    }

    fn catalogue(&mut self) -> Option<Catalogue> {
        let name = self.required("name", |r, f, j| r.text(f, j, MAX_NAME_CHARS, false));
        let unit = self.optional("unit", |r, f, j| r.text(f, j, MAX_UNIT_CHARS, false));
        let catalogue = Catalogue {
            name: String::new(),
            unit: unit.unwrap_or_else(|| DEFAULT_UNIT.into()),
            decimals: self.optional("decimals", Self::decimals).unwrap_or(0),
            barcodes: self.optional("barcodes", Self::barcodes).unwrap_or_default(),
            category: self.optional("category", |r, f, j| r.text(f, j, MAX_CATEGORY_CHARS, false)),
            low_stock_threshold: self.optional("low_stock_threshold", Self::threshold),
            shortage_policy: self.optional("shortage_policy", Self::policy).unwrap_or_default(),
            unit_cost: self.optional("unit_cost", Self::money),
            planning: Planning {
                supplier: self.optional("supplier", |r, f, j| r.text(f, j, MAX_SUPPLIER_CHARS, false)),
                lead_time_days: self.optional("lead_time_days", Self::lead_time),
                order_multiple: self.optional("order_multiple", Self::multiple),
                order_minimum: self.optional("order_minimum", Self::threshold),
                service_level: self.optional("service_level", Self::service_level),
            },
        };
        Some(Catalogue { name: name?, ..catalogue })
    }

    fn patch(&mut self) -> Option<CataloguePatch> {
        let faults_before = self.faults.len();
        let patch = CataloguePatch {
            name: self.optional("name", |r, f, j| r.text(f, j, MAX_NAME_CHARS, false)),
            unit: self.optional("unit", |r, f, j| r.text(f, j, MAX_UNIT_CHARS, false)),
            decimals: self.optional("decimals", Self::decimals),
            barcodes: self.optional("barcodes", Self::barcodes),
            category: self.clearable("category", |r, f, j| r.text(f, j, MAX_CATEGORY_CHARS, false)),
            low_stock_threshold: self.clearable("low_stock_threshold", Self::threshold),
            shortage_policy: self.optional("shortage_policy", Self::policy),
            unit_cost: self.clearable("unit_cost", Self::money),
            planning: self.planning_patch(),
        };
        if patch == CataloguePatch::default() && self.faults.len() == faults_before {
            self.fault("name", "missing_field", "update_item needs at least one field to change");
            return None;
        }
        Some(patch)
    }

    fn planning_patch(&mut self) -> PlanningPatch {
        PlanningPatch {
            supplier: self.clearable("supplier", |r, f, j| r.text(f, j, MAX_SUPPLIER_CHARS, false)),
            lead_time_days: self.clearable("lead_time_days", Self::lead_time),
            order_multiple: self.clearable("order_multiple", Self::multiple),
            order_minimum: self.clearable("order_minimum", Self::threshold),
            service_level: self.clearable("service_level", Self::service_level),
        }
    }

    fn details(&mut self, kind: CommandKind) -> MovementDetails {
        let code = |r: &mut Self, f: &str, j: &'a Json<'a>| r.text(f, j, MAX_CODE_CHARS, false);
        let details = MovementDetails {
            occurred_at: match kind {
                CommandKind::Reverse => None,
                _ => self.optional("occurred_at", Self::time),
            },
            sent_at: None,
            expected_on_hand: self.optional("expected_on_hand", Self::fixed::<3>),
            reason: self.optional("reason", Self::reason),
            note: self.optional("note", |r, f, j| r.text(f, j, MAX_NOTE_CHARS, true)),
            reference: self.optional("reference", |r, f, j| r.text(f, j, MAX_REFERENCE_CHARS, false)),
            device_id: self.optional("device_id", code),
            operator: self.optional("operator", code),
        };
        if kind == CommandKind::Adjust && self.get("reason").is_none_or(|json| *json == Json::Null) {
            let words = Reason::ALL.map(Reason::as_str).join(", ");
            self.fault("reason", "missing_field", format!("is required for adjust: one of {words}"));
        }
        details
    }
}
