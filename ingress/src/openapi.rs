//! The description of the API: OpenAPI 3.1 for programs and pages for people. All are made once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use utoipa::OpenApi;

mod complete;
mod for_generators;
mod guide;
mod html;
mod markdown;
mod page;
pub(crate) mod parameters;
mod schema;
mod served;

use self::complete::{CommonAnswers, ConditionalReads, ExportForms, ParameterValues, RequestBodies, TokenScheme};
use self::served::Served;
use crate::problem::{ProblemBody, ProblemError};
use crate::routes;
use crate::view::words::{ChangeTypeWord, DecidedStatusWord, GroupWord, ImportTypeWord, ListedStateWord, ReportWord};
use crate::web::link;

#[derive(OpenApi)]
#[openapi(
    info(title = "Stockline", description = include_str!("openapi/overview.md"), license(name = "MIT", identifier = "MIT"), contact(name = "The people who run this server")),
    servers((url = "/", description = "This server")),
    paths(
        routes::submit::submit,
        routes::batch::submit_batch,
        routes::status::status,
        routes::status::statuses,
        routes::commands::commands,
        routes::resubmit::resubmit,
        routes::dismiss::dismiss,
        routes::items::items,
        routes::items::item,
        routes::items::movements,
        routes::history::item_changes,
        routes::items::stock_as_of,
        routes::barcodes::barcode,
        routes::stock::levels,
        routes::history::all_movements,
        routes::stock::alerts,
        routes::analytics::days,
        routes::analytics::report,
        routes::locations::locations,
        routes::locations::location,
        routes::locations::put_location,
    routes::imports::create, routes::imports::import_template, routes::imports::import, routes::imports::apply, routes::imports::result, routes::clients::clients, routes::clients::client, routes::clients::put_client,
        routes::about::limits,
        routes::about::login,
        routes::about::healthz,
        routes::about::readyz,
        openapi_json,
        docs,
    ),
    components(schemas(ProblemBody<'static>, ProblemError, ChangeTypeWord, DecidedStatusWord, GroupWord, ImportTypeWord, ListedStateWord, ReportWord)),
    tags(
        (name = "Commands", description = "Submit commands, and see their outcomes"),
        (name = "Stock", description = "Items, levels, movements and alerts"),
        (name = "Analytics", description = "What sells, what runs out, what to order, what is lost"),
        (name = "Locations", description = "The places where stock is kept"),
        (name = "Imports", description = "Spreadsheets: items, opening stock, counts, thresholds, locations"),
        (name = "Clients", description = "The machines whose tokens are accepted, and where they may act"),
        (name = "About", description = "This installation"),
    ),
    security(("token" = [])),
    modifiers(&TokenScheme, &ExportForms, &ConditionalReads, &CommonAnswers, &ParameterValues, &RequestBodies),
)]
struct Description;

/// Returns this description, as OpenAPI 3.1. Needs no token.
#[utoipa::path(
    get,
    operation_id = "get_description",
    path = "/openapi.json",
    tag = "About",
    security(()),
    responses((status = 200, description = "The document", content_type = "application/json")),
)]
pub(crate) async fn openapi_json(headers: HeaderMap) -> Response {
    served().json(&headers)
}

/// Returns this description, for people. Needs no token.
#[utoipa::path(
    get,
    operation_id = "get_documentation",
    path = "/docs",
    tag = "About",
    security(()),
    responses((status = 200, description = "A page that loads nothing from other addresses", content_type = "text/html")),
)]
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    served().reference(&headers)
}

/// Returns the routes of the other pages. They are for people, so no client is generated for them.
pub(crate) fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| served().first(&headers)))
        .route("/docs/till", get(async |headers: HeaderMap| served().till(&headers)))
        .route("/docs/page.js", get(async |headers: HeaderMap| served().script(&headers)))
}

/// The documents, made on first use. A process has one base path.
fn served() -> Arc<Served> {
    static SERVED: Mutex<BTreeMap<String, Arc<Served>>> = Mutex::new(BTreeMap::new());
    let base = link("");
    let mut served = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || {
        let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
        if !base.is_empty() {
            document["servers"][0]["url"] = base.as_str().into();
        }
        Arc::new(Served::of(document))
    };
    Arc::clone(served.entry(base.clone()).or_insert_with(made))
}
