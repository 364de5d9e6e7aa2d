use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stockline_core::domain::{Json, LocationId, LocationSettings, Timestamp};
use stockline_core::ports::{LocationPut, StoreError, cursor};

use super::path::{InPath, id};
use super::read::{Read, no_location};
use super::sent::Sent;
use crate::access::Caller;
use crate::answer;
use crate::app::{App, Shared};
use crate::members::{self, Members};
use crate::openapi::parameters;
use crate::problem::{Problem, codes};
use crate::view::{LocationPage, LocationView, Viewer};

/// The list's name in cursors.
const LIST: &str = "locations";

/// Lists all locations, by id.
///
/// Only Managers see `alert_emails`.
#[utoipa::path(
    get,
    operation_id = "list_locations",
    path = "/v1/locations",
    tag = "Locations",
    params(
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = LocationPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
    ),
)]
pub(crate) async fn locations(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    let params = read.params(&["cursor", "limit"]);
    let paging = read.paging(params)?;
    let viewer = caller.viewer();
    let after: String = cursor::decode(LIST, paging.cursor.as_deref()).map_err(StoreError::from)?.unwrap_or_default();
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let all = read.app.queries.locations().await?;
    let mut rest: Vec<_> = all
        .iter()
        .filter(|settings| settings.location_id.as_str() > after.as_str() && viewer.sees(&settings.location_id))
        .collect();
    let more = rest.len() > paging.limit;
    rest.truncate(paging.limit);
    let next_cursor = rest.last().filter(|_| more).and_then(|last| cursor::encode(LIST, &last.location_id));
    let locations =
        rest.iter().map(|settings| LocationView::of(settings, &viewer_of(&caller, &settings.location_id))).collect();
    read.answer_in(room, &LocationPage { locations, next_cursor: next_cursor.as_deref() })
}

/// Returns what the caller may see of a location. A caller who may change it sees all of its settings, so that it can read,
/// change and put them back.
fn viewer_of(caller: &Caller, location_id: &LocationId) -> Viewer {
    Viewer { settings: caller.may_manage_location(location_id, true).is_ok(), ..caller.viewer() }
}

/// Returns one location.
#[utoipa::path(
    get,
    operation_id = "get_location",
    path = "/v1/locations/{location_id}",
    tag = "Locations",
    params(("location_id" = String, Path, description = "The location", example = "shop-1")),
    responses(
        (status = 200, description = "The location", body = LocationView<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_id`"),
        (status = 403, description = "`forbidden_location`"),
        (status = 404, description = "`location_not_found`"),
    ),
)]
pub(crate) async fn location(
    caller: Caller,
    InPath(location_id): InPath<String>,
    read: Read,
) -> Result<Response, Problem> {
    let location_id: LocationId = id("location id", &location_id)?;
    caller.may_read_location(&location_id)?;
    read.params(&[]).finish()?;
    let settings = read.app.queries.location(&location_id).await?;
    let settings = settings.ok_or_else(|| no_location(&location_id))?;
    read.answer(&LocationView::of(&settings, &viewer_of(&caller, &location_id)))
}

/// Registers a location, or replaces its settings.
///
/// For Managers. A Manager who is bound to locations may change these, and may register none.
#[utoipa::path(
    put,
    operation_id = "put_location",
    path = "/v1/locations/{location_id}",
    tag = "Locations",
    params(("location_id" = String, Path, description = "The location", example = "shop-1")),
    request_body(content = crate::view::LocationSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "Replaced", body = LocationView<'static>),
        (status = 201, description = "Registered", body = LocationView<'static>),
        (status = 400, description = "`invalid_id`, `malformed_json`"),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 409, description = "`location_exists`: another id differs only by its case"),
        (status = 422, description = "`invalid_body`: every fault is named"),
    ),
)]
pub(crate) async fn put_location(
    State(app): Shared,
    caller: Caller,
    InPath(location_id): InPath<String>,
    mut sent: Sent,
) -> Result<Response, Problem> {
    let location_id: LocationId = id("location id", &location_id)?;
    caller.may_manage_location(&location_id, true)?;
    let bytes = sent.body(&app).await?;
    let settings = parse(&members::parse(&bytes)?, location_id, app.clock.now())?;
    drop(bytes);
    let found = app.queries.location(&settings.location_id).await?;
    caller.may_manage_location(&settings.location_id, found.is_some())?;
    if found.is_none() {
        differs_by_more_than_case(&app, &settings.location_id).await?;
    }
    // Another manager may have registered it meanwhile.
    if let LocationPut::Taken(other) = app.queries.put_location(&settings).await? {
        return Err(location_exists(&other, &settings.location_id));
    }
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let viewer = Viewer { settings: true, ..caller.viewer() };
    answer::json(status, &LocationView::of(&settings, &viewer))
}

/// Refuses a new id that people would take for one that is registered. The write itself refuses what another manager
/// registers at the same moment, but on AWS only if that one was put since there are rows for it.
async fn differs_by_more_than_case(app: &App, location_id: &LocationId) -> Result<(), Problem> {
    let wanted = location_id.folded();
    let all = app.queries.locations().await?;
    let other = all.iter().find(|settings| settings.location_id.folded() == wanted);
    other.map_or(Ok(()), |other| Err(location_exists(&other.location_id, location_id)))
}

fn location_exists(other: &LocationId, location_id: &LocationId) -> Problem {
    let detail = format!("{other} is registered, and {location_id} differs from it only by its case");
    Problem::new(codes::LOCATION_EXISTS, detail)
}

fn parse(json: &Json<'_>, location_id: LocationId, now: Timestamp) -> Result<LocationSettings, Problem> {
    let known = ["name", "time_zone", "alert_emails", "closed"];
    let mut members = Members::of(json, String::new(), &known).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let name = members.required("name").and_then(|value| members.text("name", value));
    if name.is_some_and(|name| !LocationSettings::is_name(name)) {
        let detail = format!("must be 1 to {} characters without control characters", LocationSettings::MAX_NAME_CHARS);
        members.fault("name", "invalid_value", detail);
    }
    let time_zone = members.get("time_zone").and_then(|value| members.text("time_zone", value)).unwrap_or("UTC");
    if !Timestamp::knows_zone(time_zone) {
        members.fault("time_zone", "invalid_value", "is not an IANA time zone such as \"Europe/Berlin\"");
    }
    let alert_emails = emails(&mut members);
    let closed = match members.get("closed") {
        None => false,
        Some(Json::Bool(closed)) => *closed,
        Some(other) => {
            members.fault("closed", "wrong_type", format!("must be true or false, not {}", other.kind()));
            false
        }
    };
    if !members.faults.is_empty() {
        return Err(Problem::invalid_body(members.faults));
    }
    let (name, time_zone) = (name.unwrap_or_default().to_owned(), time_zone.to_owned());
    Ok(LocationSettings { location_id, name, time_zone, alert_emails, closed, updated_at: now })
}

fn emails(members: &mut Members<'_>) -> Vec<String> {
    let values = members.get("alert_emails").and_then(|value| members.array("alert_emails", value)).unwrap_or_default();
    if values.len() > LocationSettings::MAX_ALERT_EMAILS {
        members.fault(
            "alert_emails",
            "invalid_value",
            format!("may have at most {} addresses", LocationSettings::MAX_ALERT_EMAILS),
        );
        return Vec::new();
    }
    let mut emails: Vec<String> = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        match value {
            Json::Str(text) if LocationSettings::is_email(text) => {
                if !emails.iter().any(|earlier| earlier == text) {
                    emails.push(text.clone().into_owned());
                }
            }
            _ => members.faults.push(stockline_core::domain::Fault {
                pointer: format!("/alert_emails/{index}"),
                code: "invalid_value",
                detail: "must be a mail address such as \"shop-1@example.com\"".into(),
            }),
        }
    }
    emails
}
