//! One parser from JSON to [`Command`], for the API, the queue and stored records alike. It finds every fault.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    Action, Catalogue, CataloguePatch, Command, CommandId, CommandKind, Cost, Facts, Fixed, FixedError, ItemId, Json,
    LocationId, MAIN_LOCATION, MAX_BARCODES, MAX_COMMAND_QUANTITY, Quantity, Reason, ShortagePolicy, Timestamp,
};

/// One thing that is wrong with a submitted command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) from the root of the body; empty for the body itself.
    pub pointer: String,
    /// A stable name.
    pub code: &'static str,
    /// For people: what was wrong and what would be right.
    pub detail: String,
}

/// What holds around a command.
#[derive(Debug, Clone)]
pub struct ParseContext {
    /// Pointer of the command within the body: `""`, or `/commands/3`.
    pub pointer: String,
    /// Meant where a movement names no location; `None` where it must name one.
    pub default_location: Option<LocationId>,
    /// The batch's clock, for commands without their own.
    pub sent_at: Option<Timestamp>,
    /// From the `Idempotency-Key` header.
    pub command_id: Option<CommandId>,
}

impl ParseContext {
    /// For a command that was accepted before and written by [`Command`]'s `Serialize`.
    pub fn stored() -> Self {
        Self { pointer: String::new(), default_location: MAIN_LOCATION.parse().ok(), sent_at: None, command_id: None }
    }
}

/// The faults in one line, for logs and stored reasons.
pub(super) fn describe(faults: &[Fault]) -> String {
    let texts: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
    texts.join("; ")
}

const MAX_NAME_CHARS: usize = 200;
const MAX_UNIT_CHARS: usize = 16;
const MAX_CATEGORY_CHARS: usize = 64;
const MAX_BARCODE_CHARS: usize = 64;
const MAX_NOTE_CHARS: usize = 500;
const MAX_REFERENCE_CHARS: usize = 200;
const MAX_CODE_CHARS: usize = 64;
const DEFAULT_UNIT: &str = "piece";
const MAX_DECIMALS: i64 = 3;

const MOVEMENT_FIELDS: &[&str] =
    &["occurred_at", "expected_on_hand", "reason", "note", "reference", "device_id", "operator"];

/// The fields of a type besides `type`, `command_id`, `item_id`, `sent_at` and, for movements, [`MOVEMENT_FIELDS`].
const fn own_fields(kind: CommandKind) -> &'static [&'static str] {
    match kind {
        CommandKind::RegisterItem | CommandKind::UpdateItem => {
            &["name", "unit", "decimals", "barcodes", "category", "low_stock_threshold", "shortage_policy", "unit_cost"]
        }
        CommandKind::ArchiveItem | CommandKind::RestoreItem => &[],
        CommandKind::SetThreshold => &["location_id", "low_stock_threshold"],
        CommandKind::Receive => &["location_id", "quantity", "unit_cost"],
        CommandKind::Sell => &["location_id", "quantity", "on_shortage"],
        CommandKind::Return | CommandKind::Adjust => &["location_id", "quantity"],
        CommandKind::Count => &["location_id", "counted"],
        CommandKind::Transfer => &["from_location_id", "to_location_id", "quantity"],
    }
}

fn is_known(kind: CommandKind, field: &str) -> bool {
    matches!(field, "type" | "command_id" | "item_id" | "sent_at")
        || own_fields(kind).contains(&field)
        || (kind.is_movement() && MOVEMENT_FIELDS.contains(&field))
}

/// Reads the members of one object, collecting faults as it goes.
struct Reader<'a> {
    members: &'a [(Cow<'a, str>, Json<'a>)],
    context: &'a ParseContext,
    faults: Vec<Fault>,
}

/// Parses a command; on failure, everything that is wrong with it.
pub fn parse_command(json: &Json<'_>, context: &ParseContext) -> Result<Command, Vec<Fault>> {
    let Json::Object(members) = json else {
        return Err(vec![Fault {
            pointer: context.pointer.clone(),
            code: "wrong_type",
            detail: format!("a command is an object, not {}", json.kind()),
        }]);
    };
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
    let action = reader.action(kind);
    let facts = if kind.is_movement() { reader.facts(kind) } else { Facts::default() };
    match (command_id, item_id, action) {
        (Some(command_id), Some(item_id), Some(action)) if reader.faults.is_empty() => {
            Ok(Command { command_id, item_id, action, facts: Facts { sent_at, ..facts } })
        }
        _ => Err(reader.faults),
    }
}

impl<'a> Reader<'a> {
    fn fault(&mut self, field: &str, code: &'static str, detail: impl Into<String>) {
        let escaped = field.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{escaped}", self.context.pointer);
        self.faults.push(Fault { pointer, code, detail: detail.into() });
    }

    fn get(&self, field: &str) -> Option<&'a Json<'a>> {
        self.members.iter().find(|(key, _)| key == field).map(|(_, value)| value)
    }

    fn repeated_fields(&mut self) {
        let members = self.members;
        for (index, (key, _)) in members.iter().enumerate() {
            if members[..index].iter().any(|(earlier, _)| earlier == key) {
                self.fault(key, "duplicate_field", "is given more than once");
            }
        }
    }

    fn unknown_fields(&mut self, kind: CommandKind) {
        let members = self.members;
        for (key, _) in members {
            if !is_known(kind, key) {
                let mut known: Vec<&str> = own_fields(kind).to_vec();
                if kind.is_movement() {
                    known.extend(MOVEMENT_FIELDS);
                }
                let detail = if known.is_empty() {
                    format!("{} takes no fields beside command_id, item_id and sent_at", kind.as_str())
                } else {
                    format!("is not a field of {}; it takes {}", kind.as_str(), known.join(", "))
                };
                self.fault(key, "unknown_field", detail);
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

    /// A field that may be left out or null.
    fn optional<T>(&mut self, field: &str, read: impl Fn(&mut Self, &str, &'a Json<'a>) -> Option<T>) -> Option<T> {
        match self.get(field) {
            None | Some(Json::Null) => None,
            Some(json) => read(self, field, json),
        }
    }

    /// A field of a change: `None` when left out, `Some(None)` when null.
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

    fn str(&mut self, field: &str, json: &'a Json<'a>) -> Option<&'a str> {
        if let Json::Str(text) = json {
            return Some(text);
        }
        self.fault(field, "wrong_type", format!("must be a string, not {}", json.kind()));
        None
    }

    fn id<T: std::str::FromStr>(&mut self, field: &str, json: &'a Json<'a>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.str(field, json)?;
        text.parse().map_err(|error: T::Err| self.fault(field, "invalid_value", error.to_string())).ok()
    }

    fn time(&mut self, field: &str, json: &'a Json<'a>) -> Option<Timestamp> {
        self.id(field, json)
    }

    /// A text of 1 to `max` characters, without control characters (line breaks and tabs where `lines`).
    fn text(&mut self, field: &str, json: &'a Json<'a>, max: usize, lines: bool) -> Option<String> {
        let text = self.str(field, json)?;
        let allowed_break = |c: char| lines && matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(|c| c.is_control() && !allowed_break(c)) {
            self.fault(field, "invalid_value", "has a control character");
            return None;
        }
        let chars = text.chars().count();
        if text.trim().is_empty() || chars > max {
            self.fault(field, "invalid_value", format!("must be 1 to {max} characters, not {chars}"));
            return None;
        }
        Some(text.to_owned())
    }

    fn fixed<const P: u32>(&mut self, field: &str, json: &'a Json<'a>) -> Option<Fixed<P>> {
        let range = |reader: &mut Self| {
            reader.fault(field, "out_of_range", "is out of range");
            None
        };
        match json {
            Json::Int(units) => Fixed::from_units(*units).map_or_else(|| range(self), Some),
            Json::Str(text) => match text.parse() {
                Ok(number) => Some(number),
                Err(FixedError::Range) => range(self),
                Err(error) => {
                    self.fault(field, "invalid_value", error.to_string());
                    None
                }
            },
            Json::Float(number) => {
                let detail = format!("must be a decimal string, because a JSON float is not exact: write \"{number}\"");
                self.fault(field, "float", detail);
                None
            }
            other => {
                self.fault(
                    field,
                    "wrong_type",
                    format!("must be a decimal string such as \"2\", not {}", other.kind()),
                );
                None
            }
        }
    }

    /// A quantity within what one command may move, either way.
    fn quantity(&mut self, field: &str, json: &'a Json<'a>) -> Option<Quantity> {
        let before = self.faults.len();
        let quantity = self.fixed(field, json);
        if let Some(fault) = self.faults.get_mut(before).filter(|fault| fault.code == "out_of_range") {
            fault.code = "quantity_too_large";
        }
        let quantity: Quantity = quantity?;
        if quantity > MAX_COMMAND_QUANTITY || quantity < Quantity::from_raw(-MAX_COMMAND_QUANTITY.raw()) {
            let detail =
                format!("is more than one command moves ({MAX_COMMAND_QUANTITY}); was a barcode scanned into it?");
            self.fault(field, "quantity_too_large", detail);
            return None;
        }
        Some(quantity)
    }

    fn checked_quantity(&mut self, field: &str, ok: fn(Quantity) -> bool, rule: &str) -> Option<Quantity> {
        let quantity = self.required(field, Self::quantity)?;
        if !ok(quantity) {
            self.fault(field, "invalid_value", format!("must be {rule}, not {quantity}"));
            return None;
        }
        Some(quantity)
    }

    fn positive_quantity(&mut self) -> Option<Quantity> {
        self.checked_quantity("quantity", Quantity::is_positive, "above 0")
    }

    fn not_negative<const P: u32>(&mut self, field: &str, json: &'a Json<'a>) -> Option<Fixed<P>> {
        let number: Fixed<P> = self.fixed(field, json)?;
        if number.is_negative() || number.raw() > MAX_COMMAND_QUANTITY.raw() {
            self.fault(
                field,
                "invalid_value",
                format!("must be from 0 to {}", Fixed::<P>::from_raw(MAX_COMMAND_QUANTITY.raw())),
            );
            return None;
        }
        Some(number)
    }

    fn location(&mut self, field: &str) -> Option<LocationId> {
        match (self.get(field), &self.context.default_location) {
            (None | Some(Json::Null), Some(default)) => Some(default.clone()),
            _ => self.required(field, Self::id),
        }
    }

    fn word<T>(&mut self, field: &str, json: &'a Json<'a>, words: &[(&str, T)]) -> Option<T>
    where
        T: Copy,
    {
        let text = self.str(field, json)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(field, "invalid_value", format!("must be one of {}", list.join(", ")));
        }
        found
    }

    fn policy(&mut self, field: &str, json: &'a Json<'a>) -> Option<ShortagePolicy> {
        let words = [ShortagePolicy::Allow, ShortagePolicy::Reject].map(|policy| (policy.as_str(), policy));
        self.word(field, json, &words)
    }

    fn reason(&mut self, field: &str, json: &'a Json<'a>) -> Option<Reason> {
        self.word(field, json, &Reason::ALL.map(|reason| (reason.as_str(), reason)))
    }

    fn decimals(&mut self, field: &str, json: &'a Json<'a>) -> Option<u8> {
        match json {
            Json::Int(n @ 0..=MAX_DECIMALS) => u8::try_from(*n).ok(),
            other => {
                let code = if matches!(other, Json::Int(_) | Json::Float(_)) { "invalid_value" } else { "wrong_type" };
                self.fault(field, code, format!("must be a whole number from 0 to {MAX_DECIMALS}"));
                None
            }
        }
    }

    fn barcodes(&mut self, field: &str, json: &'a Json<'a>) -> Option<Vec<String>> {
        let Json::Array(values) = json else {
            self.fault(field, "wrong_type", format!("must be an array of strings, not {}", json.kind()));
            return None;
        };
        if values.len() > MAX_BARCODES {
            self.fault(
                field,
                "invalid_value",
                format!("has {} entries; an item has at most {MAX_BARCODES}", values.len()),
            );
            return None;
        }
        let mut barcodes: Vec<String> = Vec::with_capacity(values.len());
        for value in values {
            let barcode = self.text(field, value, MAX_BARCODE_CHARS, false)?;
            if barcodes.contains(&barcode) {
                self.fault(field, "invalid_value", format!("names {barcode} twice"));
                return None;
            }
            barcodes.push(barcode);
        }
        Some(barcodes)
    }

    fn action(&mut self, kind: CommandKind) -> Option<Action> {
        match kind {
            CommandKind::RegisterItem => self.catalogue().map(Action::RegisterItem),
            CommandKind::UpdateItem => self.patch().map(Action::UpdateItem),
            CommandKind::ArchiveItem => Some(Action::ArchiveItem),
            CommandKind::RestoreItem => Some(Action::RestoreItem),
            CommandKind::SetThreshold => {
                let location_id = self.optional("location_id", Self::id);
                let low_stock_threshold = self.clearable("low_stock_threshold", Self::not_negative::<3>);
                if self.get("low_stock_threshold").is_none() {
                    self.fault("low_stock_threshold", "missing_field", "is required; null clears the threshold");
                }
                Some(Action::SetThreshold { location_id, low_stock_threshold: low_stock_threshold? })
            }
            CommandKind::Receive => {
                let (location_id, quantity) = (self.location("location_id"), self.positive_quantity());
                let unit_cost = self.optional("unit_cost", Self::not_negative::<4>);
                Some(Action::Receive { location_id: location_id?, quantity: quantity?, unit_cost })
            }
            CommandKind::Sell => {
                let (location_id, quantity) = (self.location("location_id"), self.positive_quantity());
                let on_shortage = self.optional("on_shortage", Self::policy);
                Some(Action::Sell { location_id: location_id?, quantity: quantity?, on_shortage })
            }
            CommandKind::Return => {
                let (location_id, quantity) = (self.location("location_id"), self.positive_quantity());
                Some(Action::Return { location_id: location_id?, quantity: quantity? })
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
            low_stock_threshold: self.optional("low_stock_threshold", Self::not_negative::<3>),
            shortage_policy: self.optional("shortage_policy", Self::policy).unwrap_or_default(),
            unit_cost: self.optional::<Cost>("unit_cost", Self::not_negative::<4>),
        };
        Some(Catalogue { name: name?, ..catalogue })
    }

    fn patch(&mut self) -> Option<CataloguePatch> {
        let patch = CataloguePatch {
            name: self.optional("name", |r, f, j| r.text(f, j, MAX_NAME_CHARS, false)),
            unit: self.optional("unit", |r, f, j| r.text(f, j, MAX_UNIT_CHARS, false)),
            decimals: self.optional("decimals", Self::decimals),
            barcodes: self.optional("barcodes", Self::barcodes),
            category: self.clearable("category", |r, f, j| r.text(f, j, MAX_CATEGORY_CHARS, false)),
            low_stock_threshold: self.clearable("low_stock_threshold", Self::not_negative::<3>),
            shortage_policy: self.optional("shortage_policy", Self::policy),
            unit_cost: self.clearable("unit_cost", Self::not_negative::<4>),
        };
        if patch == CataloguePatch::default() && self.faults.is_empty() {
            self.fault("name", "missing_field", "update_item needs at least one field to change");
            return None;
        }
        Some(patch)
    }

    fn facts(&mut self, kind: CommandKind) -> Facts {
        let code = |r: &mut Self, f: &str, j: &'a Json<'a>| r.text(f, j, MAX_CODE_CHARS, false);
        let facts = Facts {
            occurred_at: self.optional("occurred_at", Self::time),
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
        facts
    }
}
