use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use stockline_core::domain::CommandKey;

use crate::app::App;
use crate::problem::{Problem, codes};

/// The ids in the path as text. If one is not UTF-8, it is refused like any other text that is not an id.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, app).await;
        let Path(ids) = path.map_err(|_| Problem::new(codes::INVALID_ID, "an id in the path is not UTF-8"))?;
        Ok(Self(ids))
    }
}

/// Parses an id of the path; `name` is what the caller knows it by.
pub(super) fn id<T: FromStr>(name: &str, text: &str) -> Result<T, Problem>
where
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| Problem::new(codes::INVALID_ID, format!("the {name} in the path {error}")))
}

/// Parses the item id and the command id of the path.
pub(super) fn command_key((item_id, command_id): &(String, String)) -> Result<CommandKey, Problem> {
    Ok(CommandKey { item_id: id("item id", item_id)?, command_id: id("command id", command_id)? })
}
