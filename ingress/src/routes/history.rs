use axum::response::Response;
use stockline_core::domain::{CommandKind, ItemId, LocationId};
use stockline_core::ports::{ChangeFilter, MovementFilter, Page, PageRequest};

use super::path::{InPath, id};
use super::read::{Read, narrowed};
use crate::access::Caller;
use crate::exports::{self, Form, Pages};
use crate::openapi::parameters;
use crate::params::{Paging, Params};
use crate::problem::{Problem, codes};
use crate::view::{CommandPage, MovementPage, MovementView, StatusView, Viewer};

/// Returns the types of commands that move stock, or of those that do not.
pub(super) fn kinds(moves_stock: bool) -> Vec<(&'static str, CommandKind)> {
    let kinds = CommandKind::ALL.into_iter().filter(|kind| kind.is_movement() == moves_stock);
    kinds.map(|kind| (kind.as_str(), kind)).collect()
}

/// Lists movements of all items, newest first.
///
/// A page may be short or empty and still have a `next_cursor`, because it ends once it has examined enough rows; only a
/// page without `next_cursor` is the last. The list may lag a little. Only the standalone home keeps this list: on AWS, where
/// every movement would pay for it, list the movements of one item.
#[utoipa::path(
    get,
    operation_id = "list_movements",
    path = "/v1/movements",
    tag = "Stock",
    params(
        parameters::Movements,
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = MovementPage<'static>),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
        (status = 403, description = "`forbidden_location`"),
        (status = 404, description = "`location_not_found`; `list_not_kept`: this installation lists movements by item only"),
    ),
)]
pub(crate) async fn all_movements(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    let mut params = read.params(&["location_id", "from", "to", "type", "operator", "cursor", "limit"]);
    let export = read.export(&mut params);
    let (mut filter, paging) = movement_filter(&read, params)?;
    let viewer = caller.viewer();
    let asked = filter.location_id.clone();
    filter.location_id = narrowed(&caller, filter.location_id)?;
    if let Some(form) = export {
        return export_movements(&read, viewer, form, filter, asked).await;
    }
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let page = read.app.queries.all_movements(&filter, paging.request()).await?;
    let page = page.ok_or_else(not_kept)?;
    read.check_location(asked.as_ref(), &paging, &page).await?;
    let seen = page.entries.into_iter().filter(|movement| viewer.sees(&movement.location_id));
    let movements = seen.map(|movement| MovementView::of(movement, &viewer)).collect();
    read.answer_in(room, &MovementPage { movements, next_cursor: page.next_cursor.as_deref() })
}

async fn export_movements(
    read: &Read,
    viewer: Viewer,
    form: Form,
    filter: MovementFilter,
    asked: Option<LocationId>,
) -> Result<Response, Problem> {
    read.check_registered(asked.as_ref()).await?;
    // A store keeps this list or does not; one entry tells.
    let one = PageRequest { cursor: None, limit: 1 };
    read.app.queries.all_movements(&filter, one).await?.ok_or_else(not_kept)?;
    let pages: Pages<_> = Box::new(move |lists, cursor| {
        let filter = filter.clone();
        Box::pin(async move {
            let page = lists.all_movements(&filter, exports::page(cursor.as_ref())).await?;
            Ok(page.unwrap_or(Page { entries: Vec::new(), next_cursor: None }))
        })
    });
    exports::answer(&read.app, viewer, form, pages).await
}

fn not_kept() -> Problem {
    let detail =
        "this installation keeps no list of all movements; list those of one item with /v1/items/{item_id}/movements";
    Problem::new(codes::LIST_NOT_KEPT, detail)
}

/// Reads the parameters of a list of movements. The location is the one that was asked for, whatever the caller sees.
pub(super) fn movement_filter(read: &Read, mut params: Params) -> Result<(MovementFilter, Paging), Problem> {
    let mut filter = MovementFilter {
        location_id: params.parsed("location_id"),
        from: params.parsed("from"),
        to: params.parsed("to"),
        kind: params.word("type", &kinds(true)),
        operator: params.text("operator"),
    };
    let paging = read.paging(params)?;
    // Entries may lie ahead of this clock, if they were recorded by a clock that was ahead: an end that is not past hides
    // none. A later page begins where the one before ended, which is before the end, if there is one.
    filter.to = filter.to.filter(|to| paging.cursor.is_none() && *to < read.app.clock.now());
    Ok((filter, paging))
}

/// Lists the changes of an item, newest first: who registered, changed, archived or restored it, or set a threshold.
///
/// A page may be short or empty and still have a `next_cursor`; only a page without `next_cursor` is the last. The list may
/// lag a little. `GET /v1/commands?status=applied` lists the changes of all items. An installation on AWS lists the changes
/// since it has this list: an earlier one is found only by its item and id.
#[utoipa::path(
    get,
    operation_id = "list_item_changes",
    path = "/v1/items/{item_id}/changes",
    tag = "Stock",
    params(
        parameters::ItemInPath,
        ("type" = Option<String>, Query, description = "Only changes of this type", example = "update_item"),
        ("since" = Option<String>, Query, description = "Only changes settled at or after this time", format = DateTime),
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = CommandPage<'static>),
        (status = 400, description = "`invalid_id`, `invalid_parameter`, `cursor_invalid`"),
        (status = 404, description = "`item_not_found`"),
    ),
)]
pub(crate) async fn item_changes(
    caller: Caller,
    InPath(item_id): InPath<String>,
    read: Read,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let item_id: ItemId = id("item id", &item_id)?;
    let mut params = read.params(&["type", "since", "cursor", "limit"]);
    let filter = ChangeFilter {
        item_id: Some(item_id),
        kind: params.word("type", &kinds(false)),
        location_id: None,
        since: params.parsed("since"),
    };
    let paging = read.paging(params)?;
    changes(&caller, &read, &filter, &paging).await
}

/// Answers a page of changes. A command without a location is visible to everyone who reads.
pub(super) async fn changes(
    caller: &Caller,
    read: &Read,
    filter: &ChangeFilter,
    paging: &Paging,
) -> Result<Response, Problem> {
    let viewer = caller.viewer();
    let _turn = read.list_turn(caller).await?;
    let room = read.room_for_list(paging).await?;
    let page = read.app.queries.changes(filter, paging.request()).await?;
    if let Some(item_id) = &filter.item_id {
        read.check_item(item_id, paging, &page).await?;
    }
    let seen = page.entries.iter().filter(|record| viewer.sees_record(record));
    let commands = seen.map(|record| StatusView::of(record, &viewer)).collect();
    read.answer_in(room, &CommandPage { commands, next_cursor: page.next_cursor.as_deref() })
}
