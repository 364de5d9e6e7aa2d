//! Lines about the stock of an item at a location.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use stockline_core::domain::{Action, CommandKind, Item, ItemId, Json, LocationId, LocationSettings, Quantity, Reason};

use super::{Draft, Fields, Judge};
use crate::cell::clears;
use crate::format::{Format, Unclear};
use crate::kind::{Field, Kind};
use crate::plan::{Change, Question, key_of};

impl<'a> Judge<'a> {
    /// Finds the registered item of a line.
    fn registered(&self, draft: &mut Draft<'a>) -> Option<&'a Item> {
        let item_id = self.item_id(draft)?;
        let known = self.known;
        let Some(found) = known.items.get(&item_id) else {
            let key = stockline_core::domain::Claim::ItemKey(item_id.folded());
            let detail = match known.holders.get(&key) {
                Some(other) => format!("no item {item_id} is registered; {other} is, and ids are case-sensitive"),
                None => format!("no item {item_id} is registered"),
            };
            self.fault(draft, &Field::ItemId, "unknown_item", detail);
            return None;
        };
        if found.item.is_archived() {
            self.fault(draft, &Field::ItemId, "item_archived", format!("the item {item_id} is archived"));
        }
        Some(&found.item)
    }

    pub(super) fn stock(&mut self, draft: &mut Draft<'a>) {
        let (item, settings) = (self.registered(draft), self.place(draft));
        let (Some(item), Some(settings)) = (item, settings) else { return };
        self.only_once(draft, item.item_id.as_str(), settings.location_id.as_str());
        if !self.cell(draft.row, &Field::LowStockThreshold).is_empty() {
            self.set_threshold(draft, &item.item_id, Some(&settings.location_id), &Field::LowStockThreshold);
        }
        if self.cell(draft.row, &Field::OnHand).is_empty() {
            return self.fault(draft, &Field::OnHand, "missing_field", "is empty".into());
        }
        self.open(draft, &item.item_id, item.catalogue.decimals, settings, &Field::OnHand, true);
    }

    /// Opens the stock of an item at a location, once. If the item has moved there: `strict` refuses another stock, else it
    /// is left.
    pub(super) fn open(
        &mut self,
        draft: &mut Draft<'a>,
        item_id: &ItemId,
        decimals: u8,
        settings: &LocationSettings,
        field: &Field,
        strict: bool,
    ) {
        let Some(text) = self.number(draft, field) else { return };
        let location_id = &settings.location_id;
        let quantity = match text.parse::<Quantity>() {
            Ok(quantity) => quantity,
            Err(error) => return self.fault(draft, field, "invalid_value", error.to_string()),
        };
        if !quantity.fits_decimals(decimals) {
            let detail = format!("the item {item_id} has quantities with {decimals} decimals");
            return self.fault(draft, field, "fractional_quantity", detail);
        }
        let known = self.known;
        let level = known.level(item_id, location_id).filter(|level| level.seq > 0);
        if level.map_or(quantity.is_zero(), |level| level.on_hand == quantity) {
            return;
        }
        if settings.closed {
            return self.fault(draft, field, "location_closed", format!("the location {location_id} is closed"));
        }
        if level.is_some() && !strict {
            draft.note = Some("has moved already: its stock is left; import counts to set it");
            return;
        }
        let (kind, fields) = self.opening_fields(draft, location_id, quantity, &text);
        let Some(mut command) = self.command(draft, kind, item_id, fields) else { return };
        self.name.begin(kind);
        for value in [item_id.as_str(), "opening", location_id.as_str()] {
            self.name.value(value.as_bytes());
        }
        command.command_id = self.name.id(&self.namespace);
        if let Some(level) = level {
            let key = key_of(&command);
            let detail = format!("the item {item_id} has moved at {location_id}, where {} are on hand", level.on_hand);
            let else_fault = Some(self.fault_of(draft.row, field, "already_stocked", detail));
            draft.question = Some(Question { at: 0, key, else_fault, quantity: quantity.to_string() });
            return;
        }
        self.moves(draft, location_id, None, quantity);
        draft.creates |= strict;
        self.submit(draft, command);
    }

    /// Returns the command that opens a level: goods that are there are received, those that are missing are a correction.
    fn opening_fields(
        &self,
        draft: &mut Draft<'a>,
        location_id: &LocationId,
        quantity: Quantity,
        text: &str,
    ) -> (CommandKind, Fields<'a>) {
        let mut fields: Fields<'a> = vec![
            ("location_id", Json::Str(Cow::Owned(location_id.to_string()))),
            ("quantity", Json::Str(Cow::Owned(text.to_owned()))),
        ];
        if quantity.is_negative() {
            fields.push(("reason", Json::Str(Cow::Borrowed(Reason::Correction.as_str()))));
            return (CommandKind::Adjust, fields);
        }
        // In a file of items the cost is the item's, which a receive takes by itself.
        if self.options.kind == Kind::Stock
            && !self.cell(draft.row, &Field::UnitCost).is_empty()
            && let Some(cost) = self.number(draft, &Field::UnitCost)
        {
            fields.push(("unit_cost", Json::Str(Cow::Owned(cost))));
        }
        (CommandKind::Receive, fields)
    }

    fn moves(&self, draft: &mut Draft<'a>, location_id: &LocationId, from: Option<Quantity>, to: Quantity) {
        draft.changes.push(Change {
            field: "on_hand",
            location_id: Some(location_id.to_string()),
            from: from.map(|from| from.to_string()),
            to: Some(to.to_string()),
        });
    }

    pub(super) fn count(&mut self, draft: &mut Draft<'a>) {
        let (item, settings) = (self.registered(draft), self.place(draft));
        let (Some(item), Some(settings)) = (item, settings) else { return };
        if settings.closed {
            let detail = format!("the location {} is closed", settings.location_id);
            self.fault(draft, &Field::LocationId, "location_closed", detail);
        }
        let counted_at = self.counted_at(draft, settings);
        let place = format!("{} {}", settings.location_id, counted_at.clone().unwrap_or_default());
        self.only_once(draft, item.item_id.as_str(), &place);
        if self.cell(draft.row, &Field::Counted).is_empty() {
            return self.fault(draft, &Field::Counted, "missing_field", "is empty".into());
        }
        let Some(counted) = self.number(draft, &Field::Counted) else { return };
        let mut fields: Fields<'a> = vec![
            ("location_id", Json::Str(Cow::Owned(settings.location_id.to_string()))),
            ("counted", Json::Str(Cow::Owned(counted))),
        ];
        fields.extend(counted_at.clone().map(|at| ("occurred_at", Json::Str(Cow::Owned(at)))));
        let note = self.cell(draft.row, &Field::Note);
        if !note.is_empty() {
            fields.push(("note", Json::Str(note)));
        }
        let Some(mut command) = self.command(draft, CommandKind::Count, &item.item_id, fields) else { return };
        let Action::Count { counted, .. } = command.action else { return };
        if !counted.fits_decimals(item.catalogue.decimals) {
            let detail = format!("the item {} has quantities with {} decimals", item.item_id, item.catalogue.decimals);
            return self.fault(draft, &Field::Counted, "fractional_quantity", detail);
        }
        self.name.begin(CommandKind::Count);
        let (file, counted_text) = (self.file_hash.clone(), counted.to_string());
        let when = counted_at.as_deref().unwrap_or(&file);
        for value in [item.item_id.as_str(), settings.location_id.as_str(), &counted_text, when] {
            self.name.value(value.as_bytes());
        }
        command.command_id = self.name.id(&self.namespace);
        let known = self.known;
        let level = known.level(&item.item_id, &settings.location_id);
        if level.is_some_and(|level| level.counted_at.is_some()) {
            draft.question = Some(Question { at: 0, key: key_of(&command), else_fault: None, quantity: counted_text });
        }
        self.moves(draft, &settings.location_id, level.map(|level| level.on_hand), counted);
        self.submit(draft, command);
    }

    /// Reads when a line was counted, as RFC 3339; `None` means the moment of the import.
    fn counted_at(&mut self, draft: &mut Draft<'a>, settings: &LocationSettings) -> Option<String> {
        let cell = self.cell(draft.row, &Field::CountedAt).into_owned();
        if cell.is_empty() {
            return None;
        }
        let zone = self.options.zone.clone().or_else(|| TimeZone::get(&settings.time_zone).ok());
        let format = Format { zone, decimal: self.options.decimal, date_means: self.options.date_means };
        let unclear = match format.unclear_time(&cell, CommandKind::Count) {
            Some(Unclear::Zone) => Some(("time_zone", "has no offset, and its location has no time zone")),
            Some(Unclear::DateAlone) => {
                Some(("date_alone", "is a date without a time: when on that day was it counted?"))
            }
            Some(Unclear::Thousands) | None => None,
        };
        if let Some((code, detail)) = unclear {
            self.fault(draft, &Field::CountedAt, code, detail.into());
            return None;
        }
        let moment = format.moment(&cell, self.previous);
        self.previous = moment.or(self.previous);
        Some(moment.map_or(cell, |moment| moment.to_string()))
    }

    pub(super) fn threshold(&mut self, draft: &mut Draft<'a>) {
        let Some(item) = self.registered(draft) else { return };
        let place = match self.cell(draft.row, &Field::LocationId).is_empty() {
            true => self.options.location.clone(),
            false => match self.place(draft) {
                Some(settings) => Some(settings.location_id.clone()),
                None => return,
            },
        };
        self.only_once(draft, item.item_id.as_str(), place.as_ref().map_or("", LocationId::as_str));
        // An empty cell says nothing.
        if !self.cell(draft.row, &Field::LowStockThreshold).is_empty() {
            self.set_threshold(draft, &item.item_id, place.as_ref(), &Field::LowStockThreshold);
        }
    }

    /// Sets the threshold of an item, or of one of its levels, if it differs.
    pub(super) fn set_threshold(
        &mut self,
        draft: &mut Draft<'a>,
        item_id: &ItemId,
        location_id: Option<&LocationId>,
        field: &Field,
    ) {
        let cell = self.cell(draft.row, field);
        let value = match clears(&cell) {
            true => Json::Null,
            false => match self.number(draft, field) {
                Some(number) => Json::Str(Cow::Owned(number)),
                None => return,
            },
        };
        let mut fields: Fields<'a> = vec![("low_stock_threshold", value)];
        fields.extend(location_id.map(|place| ("location_id", Json::Str(Cow::Owned(place.to_string())))));
        let Some(mut command) = self.command(draft, CommandKind::SetThreshold, item_id, fields) else { return };
        let Action::SetThreshold { low_stock_threshold: new, .. } = command.action else { return };
        let known = self.known;
        let found = known.items.get(item_id);
        let level = location_id.and_then(|place| known.level(item_id, place));
        let now = match location_id {
            Some(_) => level.and_then(|level| level.low_stock_threshold),
            None => found.and_then(|found| found.item.catalogue.low_stock_threshold),
        };
        if new == now {
            return;
        }
        self.name.begin(CommandKind::SetThreshold);
        let versions =
            format!("{} {}", found.map_or(0, |found| found.item.version), level.map_or(0, |level| level.version));
        let text = |threshold: Option<Quantity>| threshold.map(|threshold| threshold.to_string());
        let place = location_id.map_or("", LocationId::as_str);
        for value in [item_id.as_str(), place, &versions, &text(new).unwrap_or_default()] {
            self.name.value(value.as_bytes());
        }
        command.command_id = self.name.id(&self.namespace);
        draft.changes.push(Change {
            field: "low_stock_threshold",
            location_id: location_id.map(ToString::to_string),
            from: text(now),
            to: text(new),
        });
        self.submit(draft, command);
    }
}
