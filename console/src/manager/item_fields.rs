//! The fields of an item's form, and the command that they make.

use serde_json::{Map, Value, json};

use crate::api::{Item, Planning};
use crate::form::Form;
use crate::visit::Visit;

/// The fields of an item's form, as they are typed.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) item_id: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) decimals: String,
    pub(crate) category: String,
    pub(crate) barcodes: String,
    pub(crate) threshold: String,
    pub(crate) unit_cost: String,
    pub(crate) policy: String,
    pub(crate) planning: PlanningFields,
}

/// How the item is ordered, as it is typed: in the item's form, or for a location.
#[derive(Debug, Default)]
pub(crate) struct PlanningFields {
    pub(crate) supplier: String,
    pub(crate) lead_time: String,
    pub(crate) multiple: String,
    pub(crate) minimum: String,
    pub(crate) service: String,
}

impl PlanningFields {
    /// Reads a posted form.
    pub(crate) fn typed(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            supplier: text("supplier"),
            lead_time: text("lead_time"),
            multiple: text("multiple"),
            minimum: text("minimum"),
            service: text("service"),
        }
    }

    /// Returns the fields as a form shows them.
    pub(crate) fn of(visit: &Visit, planning: &Planning) -> Self {
        let number = |text: &Option<String>| text.as_deref().map_or(String::new(), |text| visit.locale.number(text));
        Self {
            supplier: planning.supplier.clone().unwrap_or_default(),
            lead_time: planning.lead_time_days.map_or(String::new(), |days| days.to_string()),
            multiple: number(&planning.order_multiple),
            minimum: number(&planning.order_minimum),
            service: number(&planning.service_level),
        }
    }

    /// Adds the fields to a command; `clears` says whether an empty one removes what was there.
    pub(crate) fn put(&self, visit: &Visit, clears: bool, command: &mut Map<String, Value>) {
        let number = |typed: &str| Value::from(visit.locale.typed(typed));
        let days = |typed: &str| typed.parse::<i64>().map_or_else(|_| typed.into(), Value::from);
        let fields = [
            ("supplier", &self.supplier, Value::from(self.supplier.as_str())),
            ("lead_time_days", &self.lead_time, days(&self.lead_time)),
            ("order_multiple", &self.multiple, number(&self.multiple)),
            ("order_minimum", &self.minimum, number(&self.minimum)),
            ("service_level", &self.service, number(&self.service)),
        ];
        for (name, typed, value) in fields {
            if clears || !typed.is_empty() {
                command.insert(name.to_owned(), if typed.is_empty() { Value::Null } else { value });
            }
        }
    }
}

impl Fields {
    /// Returns the fields of an item as its form shows them.
    pub(crate) fn of(visit: &Visit, item: &Item) -> Self {
        let number = |text: &Option<String>| text.as_deref().map_or(String::new(), |text| visit.locale.number(text));
        Self {
            item_id: item.item_id.clone(),
            name: item.name.clone(),
            unit: item.unit.clone(),
            decimals: item.decimals.to_string(),
            category: item.category.clone().unwrap_or_default(),
            barcodes: item.codes().join(" "),
            threshold: number(&item.low_stock_threshold),
            unit_cost: number(&item.unit_cost),
            policy: item.shortage_policy.clone(),
            planning: PlanningFields::of(visit, &item.planning),
        }
    }

    /// Reads a posted form.
    pub(crate) fn typed(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            item_id: text("item_id"),
            name: text("name"),
            unit: text("unit"),
            decimals: text("decimals"),
            category: text("category"),
            barcodes: text("barcodes"),
            threshold: text("threshold"),
            unit_cost: text("unit_cost"),
            policy: text("policy"),
            planning: PlanningFields::typed(form),
        }
    }

    /// Returns the fields of a command; `clears` says whether an empty field removes what was there.
    pub(crate) fn command(&self, visit: &Visit, clears: bool) -> Map<String, Value> {
        let mut command = Map::new();
        let mut put = |name: &str, value: Value| command.insert(name.to_owned(), value);
        put("name", self.name.as_str().into());
        if !self.unit.is_empty() {
            put("unit", self.unit.as_str().into());
        }
        if let Ok(decimals) = self.decimals.parse::<u8>() {
            put("decimals", decimals.into());
        }
        match (self.category.as_str(), clears) {
            ("", false) => {}
            ("", true) => drop(put("category", Value::Null)),
            (category, _) => drop(put("category", category.into())),
        }
        for (name, typed) in [("low_stock_threshold", &self.threshold), ("unit_cost", &self.unit_cost)] {
            match (typed.as_str(), clears) {
                ("", false) => {}
                ("", true) => drop(put(name, Value::Null)),
                (typed, _) => drop(put(name, visit.locale.typed(typed).into())),
            }
        }
        let codes: Vec<Value> = self.barcodes.split_whitespace().map(barcode).collect();
        if clears || !codes.is_empty() {
            put("barcodes", codes.into());
        }
        if !self.policy.is_empty() {
            put("shortage_policy", self.policy.as_str().into());
        }
        self.planning.put(visit, clears, &mut command);
        command
    }
}

/// Reads a barcode as people write it: `code`, or `code*12` for a pack.
fn barcode(text: &str) -> Value {
    match text.rsplit_once('*') {
        Some((code, pack)) => json!({ "code": code, "quantity": pack }),
        None => text.into(),
    }
}
