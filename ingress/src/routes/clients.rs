use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stockline_core::domain::{
    CLIENT_LOCATIONS_MAX, ClientId, ClientRight, ClientSettings, Json, LocationSettings, Timestamp,
};
use stockline_core::ports::Clients;

use super::path::{InPath, id};
use super::read::Read;
use super::sent::Sent;
use crate::access::Caller;
use crate::answer;
use crate::app::{App, Shared};
use crate::members::{self, Members};
use crate::openapi::parameters;
use crate::problem::{Problem, codes};
use crate::view::{ClientPage, ClientView};

/// Lists the registered clients, by id.
///
/// For Managers without a binding. A client is the tills of a shop, or a program; people need none.
#[utoipa::path(
    get,
    operation_id = "list_clients",
    path = "/v1/clients",
    tag = "Clients",
    params(
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = ClientPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 404, description = "`clients_not_kept`"),
    ),
)]
pub(crate) async fn clients(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_manage_clients()?;
    let clients = kept(&read.app)?;
    let paging = read.paging(read.params(&["cursor", "limit"]))?;
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let page = clients.clients(paging.request()).await?;
    let views = page.entries.iter().map(ClientView::of).collect();
    read.answer_in(room, &ClientPage { clients: views, next_cursor: page.next_cursor.as_deref() })
}

/// Returns one registered client.
#[utoipa::path(
    get,
    operation_id = "get_client",
    path = "/v1/clients/{client_id}",
    tag = "Clients",
    params(("client_id" = String, Path, description = "The client", example = "1example23456789")),
    responses(
        (status = 200, description = "The client", body = ClientView<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_id`"),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 404, description = "`client_not_found`, `clients_not_kept`"),
    ),
)]
pub(crate) async fn client(caller: Caller, InPath(client_id): InPath<String>, read: Read) -> Result<Response, Problem> {
    let client_id: ClientId = id("client id", &client_id)?;
    caller.may_manage_clients()?;
    read.params(&[]).finish()?;
    let settings = kept(&read.app)?.client(&client_id).await?;
    let settings = settings
        .ok_or_else(|| Problem::new(codes::CLIENT_NOT_FOUND, format!("no client {client_id} is registered")))?;
    read.answer(&ClientView::of(&settings))
}

/// Registers a client, or replaces its settings: what its tokens may do, and where.
///
/// For Managers without a binding. Within a minute, every ingress follows the new settings: `"disabled": true` cuts off a
/// stolen till. A token never may more than its scopes say.
#[utoipa::path(
    put,
    operation_id = "put_client",
    path = "/v1/clients/{client_id}",
    tag = "Clients",
    params(("client_id" = String, Path, description = "The client", example = "1example23456789")),
    request_body(content = crate::view::ClientSchema, content_type = "application/json"),
    responses(
        (status = 200, description = "Replaced", body = ClientView<'static>),
        (status = 201, description = "Registered", body = ClientView<'static>),
        (status = 400, description = "`invalid_id`, `malformed_json`"),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 404, description = "`clients_not_kept`"),
        (status = 409, description = "`client_configured`: people's client, which is accepted without registration"),
        (status = 422, description = "`invalid_body`: every fault is named"),
    ),
)]
pub(crate) async fn put_client(
    State(app): Shared,
    caller: Caller,
    InPath(client_id): InPath<String>,
    mut sent: Sent,
) -> Result<Response, Problem> {
    let client_id: ClientId = id("client id", &client_id)?;
    caller.may_manage_clients()?;
    let clients = kept(&app)?;
    if app.token_check.is_configured(&client_id) {
        let detail = format!("{client_id} is configured for the whole installation, so it has no settings of its own");
        return Err(Problem::new(codes::CLIENT_CONFIGURED, detail));
    }
    let bytes = sent.body(&app).await?;
    let settings = parse(&members::parse(&bytes)?, client_id, &caller.submitted_by(), app.clock.now())?;
    drop(bytes);
    let found = clients.client(&settings.client_id).await?;
    let put = clients.put_client(&settings).await;
    // Also after a failure: the row may have been put.
    app.token_check.forget_client(&settings.client_id);
    put?;
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    answer::json(status, &ClientView::of(&settings))
}

fn kept(app: &App) -> Result<&Arc<dyn Clients>, Problem> {
    app.clients.as_ref().ok_or_else(|| {
        Problem::new(codes::CLIENTS_NOT_KEPT, "this installation issues its tokens itself and registers no clients")
    })
}

fn parse(json: &Json<'_>, client_id: ClientId, by: &str, now: Timestamp) -> Result<ClientSettings, Problem> {
    let known = ["name", "rights", "locations", "disabled"];
    let mut members = Members::of(json, String::new(), &known).map_err(|fault| Problem::invalid_body(vec![fault]))?;
    let name = members.required("name").and_then(|value| members.text("name", value));
    if name.is_some_and(|name| !LocationSettings::is_name(name)) {
        let most = LocationSettings::MAX_NAME_CHARS;
        let detail = format!("must be 1 to {most} characters without control characters");
        members.fault("name", "invalid_value", detail);
    }
    let rights = members.required("rights");
    let rights: BTreeSet<ClientRight> = rights.map(|value| set(&mut members, "rights", value)).unwrap_or_default();
    if !members.is_given("locations") {
        members.fault("locations", "missing_field", "is required: an array of location ids, or null for everywhere");
    }
    let locations = members.get("locations").map(|value| set(&mut members, "locations", value));
    if locations.as_ref().is_some_and(|ids| ids.len() > CLIENT_LOCATIONS_MAX) {
        members.fault("locations", "invalid_value", format!("may have at most {CLIENT_LOCATIONS_MAX} locations"));
    }
    let disabled = match members.get("disabled") {
        None => false,
        Some(Json::Bool(disabled)) => *disabled,
        Some(other) => {
            members.fault("disabled", "wrong_type", format!("must be true or false, not {}", other.kind()));
            false
        }
    };
    if !members.faults.is_empty() {
        return Err(Problem::invalid_body(members.faults));
    }
    let name = name.unwrap_or_default().to_owned();
    Ok(ClientSettings { client_id, name, rights, locations, disabled, updated_by: by.to_owned(), updated_at: now })
}

/// Reads an array of words. Each that is not one is a fault.
fn set<'a, T: std::str::FromStr + Ord>(members: &mut Members<'a>, field: &str, value: &'a Json<'a>) -> BTreeSet<T>
where
    T::Err: std::fmt::Display,
{
    let mut set = BTreeSet::new();
    for (index, value) in members.array(field, value).unwrap_or_default().iter().enumerate() {
        let read = match value {
            Json::Str(text) => text.parse().map_err(|error: T::Err| ("invalid_value", error.to_string())),
            other => Err(("wrong_type", format!("must be a string, not {}", other.kind()))),
        };
        match read {
            Ok(word) => drop(set.insert(word)),
            Err((code, detail)) => members.faults.push(stockline_core::domain::Fault {
                pointer: format!("/{field}/{index}"),
                code,
                detail,
            }),
        }
    }
    set
}
