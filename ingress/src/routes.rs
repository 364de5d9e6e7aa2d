//! The handlers, one file a subject.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use stockline_core::domain::LocationId;
use stockline_core::ports::StoreError;

use crate::access::Caller;
use crate::app::App;
use crate::problem::{Problem, codes};
use crate::view::Viewer;

pub(crate) mod batch;
pub(crate) mod items;
pub(crate) mod locations;
pub(crate) mod meta;
pub(crate) mod refused;
pub(crate) mod resubmit;
pub(crate) mod status;
pub(crate) mod stock;
pub(crate) mod submit;

/// Every route; `openapi` documents the same ones, which a test compares.
pub(crate) fn all() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/commands", post(submit::submit).get(refused::commands))
        .route("/v1/commands/batch", post(batch::submit_batch))
        .route("/v1/commands/status", post(status::statuses))
        .route("/v1/items", get(items::items))
        .route("/v1/items/{item_id}", get(items::item))
        .route("/v1/items/{item_id}/movements", get(items::movements))
        .route("/v1/items/{item_id}/stock", get(items::stock_as_of))
        .route("/v1/items/{item_id}/commands/{command_id}", get(status::status))
        .route("/v1/items/{item_id}/commands/{command_id}/resubmit", post(resubmit::resubmit))
        .route("/v1/stock", get(stock::levels))
        .route("/v1/alerts", get(stock::alerts))
        .route("/v1/locations", get(locations::locations))
        .route("/v1/locations/{location_id}", get(locations::location).put(locations::put_location))
        .route("/v1/limits", get(meta::limits))
        .route("/v1/login", get(meta::login))
        .route("/healthz", get(meta::healthz))
        .route("/readyz", get(meta::readyz))
        .route("/openapi.json", get(meta::openapi_json))
        .route("/docs", get(meta::docs))
}

/// The ids of the path as text; what is not UTF-8 is refused like any other that is none.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, app).await;
        let Path(ids) = path.map_err(|_| Problem::new(codes::INVALID_ID, "an id in the path is not UTF-8"))?;
        Ok(Self(ids))
    }
}

/// An id from the path.
fn id<T: FromStr>(name: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::new(codes::INVALID_ID, format!("the {name} in the path {error}")))
}

/// A read of the store that failed.
fn store(error: &StoreError) -> Problem {
    tracing::warn!(%error, "a read failed");
    Problem::store(error)
}

/// Which location a list is narrowed to: the one asked for, where the caller sees it, or the only one it sees.
fn narrowed(caller: &Caller, viewer: &Viewer, asked: Option<LocationId>) -> Result<Option<LocationId>, Problem> {
    match asked {
        Some(location_id) => {
            caller.may_read_location(&location_id)?;
            Ok(Some(location_id))
        }
        None => Ok(viewer.only_location().cloned()),
    }
}
