//! Registers an item, and changes one.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::item::{self, Told};
use crate::api::{CommandStatus, Planning, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "manager/new_item.html")]
struct NewItemPage {
    frame: Frame,
    fields: Fields,
    command_id: String,
    stock_id: String,
    quantity: String,
    opening_hint: String,
    wrong: String,
}

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
    fn typed(form: &Form) -> Self {
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
    fn put(&self, visit: &Visit, clears: bool, command: &mut Map<String, Value>) {
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
    fn typed(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            item_id: text("item_id"),
            name: text("name"),
            unit: text("unit"),
            decimals: text("decimals"),
            category: text("category"),
            barcodes: text("barcodes"),
            threshold: text("threshold"),
            policy: text("policy"),
            planning: PlanningFields::typed(form),
        }
    }

    /// Returns the fields of a command; `clears` says whether an empty field removes what was there.
    fn command(&self, visit: &Visit, clears: bool) -> Map<String, Value> {
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
        match (self.threshold.as_str(), clears) {
            ("", false) => {}
            ("", true) => drop(put("low_stock_threshold", Value::Null)),
            (threshold, _) => drop(put("low_stock_threshold", visit.locale.typed(threshold).into())),
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

/// Shows the empty form.
pub(crate) async fn blank(visit: Visit) -> Result<Response, Fault> {
    let (command_id, stock_id) = (visit.new_id(), visit.new_id());
    new_page(&visit, Fields::default(), String::new(), (command_id, stock_id), String::new()).await
}

async fn new_page(
    visit: &Visit,
    fields: Fields,
    quantity: String,
    (command_id, stock_id): (String, String),
    wrong: String,
) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let opening_hint = fill(visit.t.opening_hint, &[places.here().map_or("", |place| &place.name)]);
    let frame = visit.frame_at(visit.t.new_item, Section::Items, &places);
    page(&NewItemPage { frame, fields, command_id, stock_id, quantity, opening_hint, wrong })
}

/// Registers the item, and receives its opening stock.
pub(crate) async fn register(visit: Visit, form: Form) -> Result<Response, Fault> {
    let (fields, quantity) = (Fields::typed(&form), form.text("quantity").to_owned());
    let (id, stock_id) = (form.text("id").to_owned(), form.text("stock_id").to_owned());
    let mut command = fields.command(&visit, false);
    command.insert("type".into(), "register_item".into());
    command.insert("command_id".into(), id.as_str().into());
    command.insert("item_id".into(), fields.item_id.as_str().into());
    if let Err(Refused { why, is_final }) = submit(&visit, &command.into()).await? {
        let id = if is_final { visit.new_id() } else { id };
        return new_page(&visit, fields, quantity, (id, stock_id), why).await;
    }
    if !quantity.is_empty() {
        let places = visit.places().await?;
        let receive = json!({
            "type": "receive",
            "command_id": stock_id,
            "item_id": fields.item_id,
            "location_id": places.here_id(),
            "quantity": visit.locale.typed(&quantity),
        });
        if let Err(Refused { why, .. }) = submit(&visit, &receive).await? {
            return item::shown(&visit, &fields.item_id, Some(Told { text: why, is_good: false })).await;
        }
    }
    let to = format!("/console/items/{}", segment(&fields.item_id));
    Ok((StatusCode::SEE_OTHER, [(LOCATION, visit.back_to(&to))]).into_response())
}

/// Changes an item: its fields, a threshold or the planning of one location, or whether it is archived; or reverses one of its movements.
pub(crate) async fn change(visit: Visit, Path(item_id): Path<String>, form: Form) -> Result<Response, Fault> {
    let mut command = match form.text("act") {
        "archive" => Map::from_iter([("type".to_owned(), Value::from("archive_item"))]),
        "restore" => Map::from_iter([("type".to_owned(), Value::from("restore_item"))]),
        "threshold" => threshold(&visit, &form),
        "planning" => {
            let mut command = Map::from_iter([
                ("type".to_owned(), Value::from("set_planning")),
                ("location_id".to_owned(), form.text("at").into()),
            ]);
            PlanningFields::typed(&form).put(&visit, true, &mut command);
            command
        }
        "reverse" => Map::from_iter([
            ("type".to_owned(), Value::from("reverse")),
            ("reverses".to_owned(), form.text("reverses").into()),
        ]),
        "fields" => {
            let mut command = Fields::typed(&form).command(&visit, true);
            command.insert("type".into(), "update_item".into());
            command
        }
        _ => return Err(Fault::BadForm),
    };
    command.insert("command_id".into(), form.text("id").into());
    command.insert("item_id".into(), item_id.as_str().into());
    let told = match submit(&visit, &command.into()).await? {
        Ok(()) => Told { text: visit.t.saved.to_owned(), is_good: true },
        Err(refused) => Told { text: refused.why, is_good: false },
    };
    item::shown(&visit, &item_id, Some(told)).await
}

fn threshold(visit: &Visit, form: &Form) -> Map<String, Value> {
    let level = match form.text("threshold") {
        "" => Value::Null,
        typed => visit.locale.typed(typed).into(),
    };
    Map::from_iter([
        ("type".to_owned(), "set_threshold".into()),
        ("location_id".to_owned(), form.text("at").into()),
        ("low_stock_threshold".to_owned(), level),
    ])
}

/// Why a command was not done.
struct Refused {
    why: String,
    /// Whether its id is used up.
    is_final: bool,
}

/// Submits a command of the catalogue, and waits for it.
async fn submit(visit: &Visit, command: &Value) -> Result<Result<(), Refused>, Fault> {
    match visit.api.post::<CommandStatus>("/v1/commands", command).await {
        Ok(outcome) => Ok(match (outcome.rejection, outcome.dead_letter) {
            (Some(rejection), _) => Err(Refused { why: rejection.detail, is_final: true }),
            (None, Some(letter)) => Err(Refused { why: letter.reason, is_final: true }),
            (None, None) => Ok(()),
        }),
        Err(Fault::Problem(problem)) if [409, 422].contains(&problem.status) => {
            let is_final = problem.status == 409;
            Ok(Err(Refused { why: problem.in_words(), is_final }))
        }
        Err(fault) => Err(fault),
    }
}
