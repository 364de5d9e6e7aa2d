use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use stockline_core::domain::{ItemId, LocationId};
use stockline_core::ports::Page;

use crate::access::Caller;
use crate::answer;
use crate::answer_budget::{AnswerBudget, Room};
use crate::app::App;
use crate::exports::Form;
use crate::list_turns::ListTurn;
use crate::params::{Paging, Params};
use crate::problem::{Problem, codes};
use crate::web::link;

/// A `GET` request. Its handler reads the parameters, asks the store, makes a view of the result, and answers it with
/// an entity tag.
pub(crate) struct Read {
    pub(super) app: Arc<App>,
    uri: Uri,
    pub(super) headers: HeaderMap,
}

impl FromRequestParts<Arc<App>> for Read {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self { app: Arc::clone(app), uri: parts.uri.clone(), headers: parts.headers.clone() })
    }
}

impl Read {
    /// Returns the query parameters; all but `known` ones are faults.
    pub(super) fn params(&self, known: &[&str]) -> Params {
        Params::of(&self.uri, known)
    }

    /// Returns the form in which the whole list is asked for, if it is; then it has no `cursor` and no `limit`.
    pub(super) fn export(&self, params: &mut Params) -> Option<Form> {
        let form = Form::asked(&self.headers)?;
        params.unfit(&["cursor", "limit"], "is for pages; an export is the whole list");
        Some(form)
    }

    /// Refuses an export of a location that is not registered.
    ///
    /// # Errors
    /// `location_not_found`.
    pub(super) async fn check_registered(&self, asked: Option<&LocationId>) -> Result<(), Problem> {
        match asked {
            Some(location_id) => {
                let settings = self.app.queries.location(location_id).await?;
                settings.map(drop).ok_or_else(|| no_location(location_id))
            }
            None => Ok(()),
        }
    }

    /// Returns the path of the next page: this one, with another cursor.
    pub(super) fn with_cursor(&self, cursor: &str) -> String {
        let pairs = self.uri.query().unwrap_or_default().split('&');
        let own = pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let pairs: Vec<&str> = own.collect();
        let between = if pairs.is_empty() { "" } else { "&" };
        // The cursor is base64 for URLs.
        format!("{}?{}{between}cursor={cursor}", link(self.uri.path()), pairs.join("&"))
    }

    /// Reads `cursor` and `limit`, the last parameters of a list.
    ///
    /// # Errors
    /// `invalid_parameter` with the faults of all parameters.
    pub(super) fn paging(&self, mut params: Params) -> Result<Paging, Problem> {
        let paging = params.paging(self.app.limits.page);
        params.finish()?;
        Ok(paging)
    }

    /// Waits for the caller's turn to read a list. The list holds it until its answer is made.
    ///
    /// # Errors
    /// `overloaded` if too many lists wait.
    pub(super) async fn list_turn(&self, caller: &Caller) -> Result<ListTurn, Problem> {
        let turn = self.app.list_turns.turn(caller.subject()).await;
        turn.ok_or_else(|| Problem::new(codes::OVERLOADED, "too many lists wait to be read; send the request again"))
    }

    /// Answers with the view, or with `304` if the client has it already.
    pub(super) fn answer(&self, view: &impl Serialize) -> Result<Response, Problem> {
        answer::read(&self.headers, view)
    }

    /// Waits for the memory that a page may need; a handler calls this before it reads the store.
    ///
    /// # Errors
    /// `overloaded` if answers that are not sent yet occupy all of it.
    pub(super) async fn room_for_list(&self, paging: &Paging) -> Result<Room, Problem> {
        self.budget().list(paging.limit).await.ok_or_else(answer::no_room)
    }

    /// As [`Self::room_for_list`], for items with their levels.
    pub(super) async fn room_for_items(&self, paging: &Paging) -> Result<Room, Problem> {
        self.budget().items(paging.limit).await.ok_or_else(answer::no_room)
    }

    /// As [`Self::room_for_list`], for one item with its levels.
    pub(super) async fn room_for_item(&self) -> Result<Room, Problem> {
        self.budget().item().await.ok_or_else(answer::no_room)
    }

    /// As [`Self::answer`], in the room that was made for it.
    pub(super) fn answer_in(&self, room: Room, view: &impl Serialize) -> Result<Response, Problem> {
        answer::read_in(room, &self.headers, view, |_| {})
    }

    /// As [`Self::answer_in`], for so many items with their levels.
    pub(super) fn answer_items(&self, room: Room, items: usize, view: &impl Serialize) -> Result<Response, Problem> {
        answer::read_in(room, &self.headers, view, |bytes| self.budget().learn(items, bytes))
    }

    /// Refuses a list that is empty because nothing is registered under the location that it was asked for.
    ///
    /// # Errors
    /// `location_not_found`.
    pub(super) async fn check_location<T>(
        &self,
        asked: Option<&LocationId>,
        paging: &Paging,
        page: &Page<T>,
    ) -> Result<(), Problem> {
        match asked {
            Some(location_id) if is_empty(paging, page) => {
                let settings = self.app.queries.location(location_id).await?;
                settings.map(drop).ok_or_else(|| no_location(location_id))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a list that is empty because there is no such item.
    ///
    /// # Errors
    /// `item_not_found`.
    pub(super) async fn check_item<T>(&self, item_id: &ItemId, paging: &Paging, page: &Page<T>) -> Result<(), Problem> {
        if is_empty(paging, page) {
            let _room = self.room_for_item().await?;
            self.app.queries.item(item_id).await?.ok_or_else(|| no_item(item_id))?;
        }
        Ok(())
    }

    fn budget(&self) -> &AnswerBudget {
        &self.app.answer_budget
    }
}

/// Returns whether a list has no entry at all.
const fn is_empty<T>(paging: &Paging, page: &Page<T>) -> bool {
    paging.cursor.is_none() && page.next_cursor.is_none() && page.entries.is_empty()
}

pub(super) fn no_location(location_id: &LocationId) -> Problem {
    Problem::new(codes::LOCATION_NOT_FOUND, format!("no location {location_id} is registered"))
}

/// Returns the location that a list is narrowed to: the one that the caller asked for and may see, or the only one that
/// the caller sees.
///
/// # Errors
/// `forbidden_location` if the caller may not see the location.
pub(super) fn narrowed(caller: &Caller, asked: Option<LocationId>) -> Result<Option<LocationId>, Problem> {
    match asked {
        Some(location_id) => {
            caller.may_read_location(&location_id)?;
            Ok(Some(location_id))
        }
        None => Ok(caller.viewer().only_location().cloned()),
    }
}

/// Returns the problem of an item that is not registered.
pub(super) fn no_item(item_id: &ItemId) -> Problem {
    Problem::new(codes::ITEM_NOT_FOUND, format!("no item {item_id} is registered; ids are case-sensitive"))
}
