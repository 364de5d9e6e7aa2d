//! Lines of items.

use std::borrow::Cow;
use std::collections::BTreeMap;

use stockline_core::domain::{
    Action, Barcode, Catalogue, CataloguePatch, Claim, Command, CommandKind, Cost, Item, ItemId, Json, LocationId,
    Planning, PlanningPatch, Quantity,
};

use super::{Draft, Fields, Judge};
use crate::cell::{Written, barcodes, clears};
use crate::kind::Field;
use crate::number;
use crate::plan::Change;

/// The fields that are texts.
const TEXTS: [Field; 5] = [Field::Name, Field::Unit, Field::Category, Field::ShortagePolicy, Field::Supplier];
/// The fields that are decimal numbers.
const NUMBERS: [Field; 5] =
    [Field::LowStockThreshold, Field::UnitCost, Field::OrderMultiple, Field::OrderMinimum, Field::ServiceLevel];
/// The fields that are whole numbers.
const WHOLE: [Field; 2] = [Field::Decimals, Field::LeadTimeDays];

/// Returns a cell as a whole number, or as the text that it is, which is refused.
fn whole(cell: Cow<'_, str>) -> Json<'_> {
    cell.parse().map_or(Json::Str(cell), Json::Int)
}

/// Returns a barcode that an item holds as a command has it.
fn as_json<'a>(barcode: &Barcode) -> Json<'a> {
    let code = Json::Str(Cow::Owned(barcode.code.clone()));
    if barcode.is_single() {
        return code;
    }
    let quantity = Json::Str(Cow::Owned(barcode.quantity.to_string()));
    Json::Object(vec![(Cow::Borrowed("code"), code), (Cow::Borrowed("quantity"), quantity)])
}

/// Returns barcodes as a cell has them.
fn list(barcodes: &[Barcode]) -> String {
    let texts = barcodes.iter().map(|barcode| match barcode.is_single() {
        true => barcode.code.clone(),
        false => format!("{}*{}", barcode.code, barcode.quantity),
    });
    texts.collect::<Vec<_>>().join(";")
}

impl<'a> Judge<'a> {
    pub(super) fn item(&mut self, draft: &mut Draft<'a>) {
        let Some(item_id) = self.item_id(draft) else { return };
        self.only_once(draft, item_id.as_str(), "");
        let known = self.known;
        let registered = known.items.get(&item_id).map(|found| &found.item);
        self.barcodes_are_free(draft, &item_id, registered);
        let Some(fields) = self.catalogue_fields(draft, registered) else { return };
        let decimals = match registered {
            Some(item) => self.update(draft, item, fields),
            None => self.register(draft, &item_id, fields),
        };
        if let Some(decimals) = decimals {
            self.thresholds_at_places(draft, &item_id);
            self.plannings_at_places(draft, &item_id, registered);
            self.opening_stock(draft, &item_id, decimals);
        }
    }

    /// Returns the fields that the line sets; an empty cell sets none.
    fn catalogue_fields(&mut self, draft: &mut Draft<'a>, registered: Option<&Item>) -> Option<Fields<'a>> {
        let mut fields: Fields<'a> = Vec::with_capacity(8);
        for field in TEXTS {
            let cell = match field {
                Field::Name => self.full_name(draft),
                _ => self.cell(draft.row, &field),
            };
            if !cell.is_empty() {
                fields.push((field.word(), Json::Str(cell)));
            }
        }
        for field in NUMBERS {
            if !self.cell(draft.row, &field).is_empty()
                && let Some(number) = self.number(draft, &field)
            {
                fields.push((field.word(), Json::Str(Cow::Owned(number))));
            }
        }
        for field in WHOLE {
            let cell = self.cell(draft.row, &field);
            if !cell.is_empty() {
                fields.push((field.word(), whole(cell)));
            }
        }
        let column = self.columns.column(&Field::Barcodes);
        let codes = column.map(|column| draft.row.cell(column)).unwrap_or_default();
        // An import adds barcodes and takes none away: a vendor's file knows only one of several.
        let held = registered.map(|item| item.catalogue.barcodes.as_slice()).unwrap_or_default();
        let new: Vec<_> = barcodes(codes).filter(|barcode| !barcode.is_among(held)).collect();
        if !new.is_empty() {
            let others = held.iter().filter(|own| !new.iter().any(|barcode| barcode.held() == own.code));
            let all = others.map(as_json).chain(new.iter().map(Written::json));
            fields.push(("barcodes", Json::Array(all.collect())));
        }
        draft.faults.is_empty().then_some(fields)
    }

    fn full_name(&mut self, draft: &Draft<'a>) -> Cow<'a, str> {
        let name = self.cell(draft.row, &Field::Name);
        let Some(vendor) = self.columns.vendor else { return name };
        let handle = self.table.headings.iter().position(|heading| heading.eq_ignore_ascii_case("handle"));
        let name = self.carried.name(vendor, &name, draft.row, handle);
        if name.is_empty() {
            return Cow::Borrowed("");
        }
        Cow::Owned(vendor.full_name(&name, &|heading| self.cell_called(draft.row, heading)))
    }

    /// Refuses barcodes that stand twice in the file, or belong to another item.
    fn barcodes_are_free(&mut self, draft: &mut Draft<'a>, item_id: &ItemId, registered: Option<&Item>) {
        let Some(column) = self.columns.column(&Field::Barcodes) else { return };
        for barcode in barcodes(draft.row.cell(column)) {
            let code = barcode.code;
            if number::is_exponent(code) {
                let detail = format!("{code} was shortened by a spreadsheet; the digits are lost");
                self.fault(draft, &Field::Barcodes, "shortened_number", detail);
                continue;
            }
            if let Some((other, line)) = self.seen_barcodes.get(barcode.held().as_ref()) {
                if other != item_id.as_str() {
                    let detail = format!("{code} is a barcode of {other} in line {line} already");
                    self.fault(draft, &Field::Barcodes, "duplicate_barcode", detail);
                }
                continue;
            }
            self.seen_barcodes.insert(barcode.held().into_owned(), (item_id.to_string(), draft.row.line()));
            let own =
                registered.is_some_and(|item| item.catalogue.barcodes.iter().any(|held| held.code == barcode.held()));
            if let Some(holder) =
                self.known.holders.get(&Claim::Barcode(barcode.held().into_owned())).filter(|holder| *holder != item_id)
                && !own
            {
                let detail = format!("{code} belongs to the item {holder}");
                self.fault(draft, &Field::Barcodes, "barcode_taken", detail);
            }
        }
    }

    /// Registers an item. Returns its decimals.
    fn register(&mut self, draft: &mut Draft<'a>, item_id: &ItemId, fields: Fields<'_>) -> Option<u8> {
        if let Some(other) = self.known.holders.get(&Claim::ItemKey(item_id.folded())).filter(|other| *other != item_id)
        {
            let detail = format!("the item {other} is registered, and differs only by case");
            self.fault(draft, &Field::ItemId, "item_exists", detail);
            return None;
        }
        let mut command = self.command(draft, CommandKind::RegisterItem, item_id, fields)?;
        self.name.begin(CommandKind::RegisterItem);
        self.name.value(item_id.as_str().as_bytes());
        self.name.value(b"new");
        command.command_id = self.name.id(&self.namespace);
        let Action::RegisterItem(Catalogue { decimals, .. }) = command.action else { return None };
        draft.creates = true;
        self.submit(draft, command);
        Some(decimals)
    }

    /// Changes what differs. Returns the item's decimals afterwards.
    fn update(&mut self, draft: &mut Draft<'a>, item: &Item, fields: Fields<'_>) -> Option<u8> {
        if fields.is_empty() {
            return Some(item.catalogue.decimals);
        }
        let command = self.command(draft, CommandKind::UpdateItem, &item.item_id, fields)?;
        let Action::UpdateItem(patch) = command.action else { return None };
        let decimals = patch.decimals.unwrap_or(item.catalogue.decimals);
        let (patch, changes) = differences(&item.catalogue, patch);
        if changes.is_empty() {
            return Some(decimals);
        }
        draft.changes.extend(changes);
        let mut command = Command { action: Action::UpdateItem(patch), ..command };
        self.name.begin(CommandKind::UpdateItem);
        self.name.value(item.item_id.as_str().as_bytes());
        self.name.value(item.version.to_string().as_bytes());
        // The id in it is the same for all, so the text is that of the fields.
        self.name.value(&serde_json::to_vec(&command).unwrap_or_default());
        command.command_id = self.name.id(&self.namespace);
        self.submit(draft, command);
        Some(decimals)
    }

    /// Sets the thresholds of the columns that name a location.
    fn thresholds_at_places(&mut self, draft: &mut Draft<'a>, item_id: &ItemId) {
        let columns = self.columns;
        for (field, column) in &columns.fields {
            let (Field::ThresholdAt(_), Some(location_id)) = (field, self.places.get(column).cloned()) else {
                continue;
            };
            if !self.cell(draft.row, field).is_empty() {
                self.set_threshold(draft, item_id, Some(&location_id), field);
            }
        }
    }

    /// Sets what locations have instead of the item's planning, by the columns that name a location. Of one location it is one
    /// command.
    fn plannings_at_places(&mut self, draft: &mut Draft<'a>, item_id: &ItemId, registered: Option<&Item>) {
        let columns = self.columns;
        let mut by_place: BTreeMap<LocationId, Fields<'a>> = BTreeMap::new();
        for (field, column) in &columns.fields {
            let (Field::PlanningAt(word, _), Some(location_id)) = (field, self.places.get(column).cloned()) else {
                continue;
            };
            let cell = self.cell(draft.row, field);
            if cell.is_empty() {
                continue;
            }
            let value = if clears(&cell) {
                Json::Null
            } else if *word == Field::Supplier.word() {
                Json::Str(cell)
            } else if *word == Field::LeadTimeDays.word() {
                whole(cell)
            } else if let Some(number) = self.number(draft, field) {
                Json::Str(Cow::Owned(number))
            } else {
                continue;
            };
            by_place.entry(location_id).or_default().push((word, value));
        }
        for (location_id, mut fields) in by_place {
            fields.push(("location_id", Json::Str(Cow::Owned(location_id.to_string()))));
            let Some(command) = self.command(draft, CommandKind::SetPlanning, item_id, fields) else { continue };
            let Action::SetPlanning { planning, .. } = command.action else { continue };
            let none = Planning::default();
            let own = registered.and_then(|item| item.overrides.get(&location_id)).unwrap_or(&none);
            let (planning, changes) = planning_differences(own, planning, Some(&location_id));
            if changes.is_empty() {
                continue;
            }
            draft.changes.extend(changes);
            let action = Action::SetPlanning { location_id: location_id.clone(), planning };
            let mut command = Command { action, ..command };
            self.name.begin(CommandKind::SetPlanning);
            let version = registered.map_or(0, |item| item.version).to_string();
            for value in [item_id.as_str(), location_id.as_str(), &version] {
                self.name.value(value.as_bytes());
            }
            // The id in it is the same for all, so the text is that of the fields.
            self.name.value(&serde_json::to_vec(&command).unwrap_or_default());
            command.command_id = self.name.id(&self.namespace);
            self.submit(draft, command);
        }
    }

    /// Receives the stock of a line, where the item has not moved yet.
    fn opening_stock(&mut self, draft: &mut Draft<'a>, item_id: &ItemId, decimals: u8) {
        let columns = self.columns;
        for (field, column) in &columns.fields {
            let settings = match field {
                Field::OnHand if !self.cell(draft.row, field).is_empty() => self.place(draft),
                Field::OnHandAt(_) if !self.cell(draft.row, field).is_empty() => {
                    let known = self.known;
                    self.places.get(column).and_then(|location_id| known.location(location_id))
                }
                _ => continue,
            };
            if let Some(settings) = settings {
                self.open(draft, item_id, decimals, settings, field, false);
            }
        }
    }
}

/// Returns what a patch changes of a record, and the same as values for people.
fn differences(now: &Catalogue, patch: CataloguePatch) -> (CataloguePatch, Vec<Change>) {
    let mut changes = Vec::new();
    let mut note = |field: &'static str, from: Option<String>, to: Option<String>| {
        changes.push(Change { field, location_id: None, from, to });
    };
    let text = |value: &Option<String>| value.clone();
    let quantity = |value: &Option<Quantity>| value.map(|value| value.to_string());
    let cost = |value: &Option<Cost>| value.map(|value| value.to_string());
    let CataloguePatch {
        name,
        unit,
        decimals,
        barcodes,
        category,
        low_stock_threshold,
        shortage_policy,
        unit_cost,
        planning,
    } = patch;
    let (planning, planned) = planning_differences(&now.planning, planning, None);
    let patch = CataloguePatch {
        name: name
            .filter(|new| *new != now.name)
            .inspect(|new| note("name", Some(now.name.clone()), Some(new.clone()))),
        unit: unit
            .filter(|new| *new != now.unit)
            .inspect(|new| note("unit", Some(now.unit.clone()), Some(new.clone()))),
        decimals: decimals
            .filter(|new| *new != now.decimals)
            .inspect(|new| note("decimals", Some(now.decimals.to_string()), Some(new.to_string()))),
        barcodes: barcodes
            .filter(|new| *new != now.barcodes)
            .inspect(|new| note("barcodes", Some(list(&now.barcodes)), Some(list(new)))),
        category: category
            .filter(|new| *new != now.category)
            .inspect(|new| note("category", text(&now.category), text(new))),
        low_stock_threshold: low_stock_threshold
            .filter(|new| *new != now.low_stock_threshold)
            .inspect(|new| note("low_stock_threshold", quantity(&now.low_stock_threshold), quantity(new))),
        shortage_policy: shortage_policy.filter(|new| *new != now.shortage_policy).inspect(|new| {
            note("shortage_policy", Some(now.shortage_policy.as_str().to_owned()), Some(new.as_str().to_owned()));
        }),
        unit_cost: unit_cost
            .filter(|new| *new != now.unit_cost)
            .inspect(|new| note("unit_cost", cost(&now.unit_cost), cost(new))),
        planning,
    };
    changes.extend(planned);
    (patch, changes)
}

/// Returns what a patch changes of a planning, and the same as values for people.
fn planning_differences(
    now: &Planning,
    patch: PlanningPatch,
    location_id: Option<&LocationId>,
) -> (PlanningPatch, Vec<Change>) {
    fn changed<T: PartialEq + ToString>(
        changes: &mut Vec<Change>,
        (field, location_id): (&'static str, Option<&LocationId>),
        now: &Option<T>,
        new: Option<Option<T>>,
    ) -> Option<Option<T>> {
        let new = new.filter(|new| new != now)?;
        let text = |value: &Option<T>| value.as_ref().map(ToString::to_string);
        let location_id = location_id.map(ToString::to_string);
        changes.push(Change { field, location_id, from: text(now), to: text(&new) });
        Some(new)
    }
    let mut changes = Vec::new();
    let patch = PlanningPatch {
        supplier: changed(&mut changes, ("supplier", location_id), &now.supplier, patch.supplier),
        lead_time_days: changed(
            &mut changes,
            ("lead_time_days", location_id),
            &now.lead_time_days,
            patch.lead_time_days,
        ),
        order_multiple: changed(
            &mut changes,
            ("order_multiple", location_id),
            &now.order_multiple,
            patch.order_multiple,
        ),
        order_minimum: changed(&mut changes, ("order_minimum", location_id), &now.order_minimum, patch.order_minimum),
        service_level: changed(&mut changes, ("service_level", location_id), &now.service_level, patch.service_level),
    };
    (patch, changes)
}
