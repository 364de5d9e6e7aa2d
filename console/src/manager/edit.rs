//! Registers an item, and changes one.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::item::{self, Told};
use super::item_fields::{Fields, PlanningFields};
use crate::api::{CommandStatus, segment};
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
