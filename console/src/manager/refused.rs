//! Refused commands: corrected and sent again, one by one or all alike.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{CommandPage, CommandStatus, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// Commands of a page, and of one "send all again".
const PAGE: usize = 50;
const ALL_MAX: usize = 100;

/// What is listed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    cursor: String,
}

/// A refused command.
#[derive(Debug)]
struct Row {
    item_id: String,
    command_id: String,
    when: String,
    /// Type, quantity and item.
    what: String,
    why: String,
    code: String,
    by: String,
    place: String,
    /// Whether it can be sent again, whether it can be taken off the list, and whether it is a sale.
    can_send: bool,
    can_dismiss: bool,
    is_sale: bool,
    has_place: bool,
}

/// What became of a resubmission.
#[derive(Debug)]
struct Sent {
    text: String,
    is_good: bool,
}

#[derive(Template)]
#[template(path = "manager/refused.html")]
struct RefusedPage {
    frame: Frame,
    rows: Vec<Row>,
    /// The codes of the page with the number of their commands.
    codes: Vec<(String, usize)>,
    places: Vec<(String, String)>,
    sent: Vec<Sent>,
    next: String,
}

/// Lists refused commands, and those that were set aside.
pub(crate) async fn refused(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    shown(&visit, &wanted, Vec::new()).await
}

async fn shown(visit: &Visit, wanted: &Wanted, sent: Vec<Sent>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let listed = async |status: &str, cursor: &str| {
        let (filters, row) = (format!("&status={status}"), |command: &CommandStatus| Row::of(visit, &places, command));
        visit.api.gather::<CommandPage, _>("/v1/commands", &filters, cursor, PAGE, row).await
    };
    let refused = listed("rejected", &wanted.cursor).await?;
    let mut rows = refused.rows;
    if wanted.cursor.is_empty() {
        rows.splice(0..0, listed("dead_lettered", "").await?.rows);
    }
    let mut codes: Vec<(String, usize)> = Vec::new();
    for row in rows.iter().filter(|row| !row.code.is_empty()) {
        match codes.iter_mut().find(|(code, _)| *code == row.code) {
            Some((_, count)) => *count += 1,
            None => codes.push((row.code.clone(), 1)),
        }
    }
    codes.retain(|(_, count)| *count > 1);
    let next =
        refused.next.map(|cursor| format!("{}/console/refused?cursor={}", visit.app.config.base, segment(&cursor)));
    page(&RefusedPage {
        frame: visit.frame_at(visit.t.refused_list, Section::Refused, &places),
        rows,
        codes,
        places: places.pairs(),
        sent,
        next: next.unwrap_or_default(),
    })
}

/// Sends one command again with corrections, or all of a code as they are. The API makes the new id from the old one, so a
/// second press has no further effect.
pub(crate) async fn resubmit(visit: Visit, form: Form) -> Result<Response, Fault> {
    let sent = match form.some("all") {
        Some(code) => all(&visit, code).await?,
        None if form.some("dismiss").is_some() => vec![dismiss(&visit, &form).await?],
        None => {
            let mut correction = json!({});
            for (field, name) in [("item_id", "new_item"), ("location_id", "new_place")] {
                if let Some(text) = form.some(name).filter(|text| *text != form.text(&format!("old_{field}"))) {
                    correction[field] = text.into();
                }
            }
            if form.some("allow").is_some() {
                correction["on_shortage"] = "allow".into();
            }
            vec![one(&visit, form.text("item"), form.text("id"), &correction).await?]
        }
    };
    shown(&visit, &Wanted::default(), sent).await
}

async fn all(visit: &Visit, code: &str) -> Result<Vec<Sent>, Fault> {
    let filters = format!("&status=rejected&code={}", segment(code));
    let found = visit.api.gather::<CommandPage, _>("/v1/commands", &filters, "", ALL_MAX, CommandStatus::clone).await?;
    let (mut done, mut refused) = (0_usize, 0_usize);
    for command in found.rows {
        let sent = one(visit, &command.item_id, &command.command_id, &json!({})).await?;
        *(if sent.is_good { &mut done } else { &mut refused }) += 1;
    }
    let text = fill(visit.t.again_sent, &[&done.to_string(), &refused.to_string()]);
    Ok(vec![Sent { text, is_good: refused == 0 }])
}

async fn one(visit: &Visit, item_id: &str, command_id: &str, correction: &Value) -> Result<Sent, Fault> {
    let path = format!("/v1/items/{}/commands/{}/resubmit", segment(item_id), segment(command_id));
    match visit.api.post::<CommandStatus>(&path, correction).await {
        Ok(outcome) => match &outcome.rejection {
            Some(rejection) => Ok(Sent { text: fill(visit.t.again_refused, &[&rejection.detail]), is_good: false }),
            None => Ok(Sent { text: fill(visit.t.again_done, &[&what(visit, &outcome)]), is_good: true }),
        },
        Err(Fault::Problem(problem)) if problem.status != 403 => {
            let detail = problem.errors.first().map_or(&problem.detail, |error| &error.detail);
            Ok(Sent { text: fill(visit.t.again_refused, &[detail]), is_good: false })
        }
        Err(fault) => Err(fault),
    }
}

/// Takes a refused command off the list, with the person's reason.
async fn dismiss(visit: &Visit, form: &Form) -> Result<Sent, Fault> {
    let (item, id) = (segment(form.text("item")), segment(form.text("id")));
    let reason = json!({ "reason": form.text("reason") });
    match visit.api.post::<Value>(&format!("/v1/items/{item}/commands/{id}/dismiss"), &reason).await {
        Ok(_) => Ok(Sent { text: visit.t.dismissed.to_owned(), is_good: true }),
        Err(Fault::Problem(problem)) if problem.status != 403 => {
            let detail = problem.errors.into_iter().next().map_or(problem.detail, |error| error.detail);
            Ok(Sent { text: detail, is_good: false })
        }
        Err(fault) => Err(fault),
    }
}

/// Says in words what a command is.
fn what(visit: &Visit, status: &CommandStatus) -> String {
    let text = |field: &str| status.command.as_ref().and_then(|command| command[field].as_str()).unwrap_or_default();
    let quantity = ["quantity", "counted"].map(text).into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let kind = status.kind.as_deref().unwrap_or_default();
    let kind = if quantity.is_empty() { kind.replace('_', " ") } else { visit.t.kind(kind).to_owned() };
    [kind, visit.locale.number(quantity), status.item_id.clone()]
        .iter()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Row {
    fn of(visit: &Visit, places: &Places, status: &CommandStatus) -> Self {
        let field = |field: &str| status.command.as_ref().and_then(|command| command[field].as_str());
        let place = field("location_id").or_else(|| field("from_location_id")).unwrap_or_default();
        let zone = places.named(place).map_or(places.zone(), |place| &place.time_zone);
        let (rejection, letter) = (status.rejection.as_ref(), status.dead_letter.as_ref());
        let why = rejection.map(|rejection| rejection.detail.clone());
        let why = why.or_else(|| letter.map(|letter| format!("{} {}", visit.t.set_aside_advice, letter.reason)));
        Self {
            item_id: status.item_id.clone(),
            command_id: status.command_id.clone(),
            when: status.settled_at.as_deref().map_or(String::new(), |at| visit.locale.moment(at, zone)),
            what: what(visit, status),
            why: why.unwrap_or_default(),
            code: rejection.map_or(String::new(), |rejection| rejection.code.clone()),
            by: status.submitted_by.clone().unwrap_or_default(),
            place: place.to_owned(),
            can_send: status.command.is_some(),
            can_dismiss: status.command.is_some() && rejection.is_some(),
            is_sale: status.kind.as_deref() == Some("sell"),
            has_place: field("location_id").is_some(),
        }
    }
}
