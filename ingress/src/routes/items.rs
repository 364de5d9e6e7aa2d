use axum::response::Response;
use stockline_core::domain::{ItemId, Timestamp};
use stockline_core::ports::{ItemFilter, Since};

use super::history::movement_filter;
use super::path::{InPath, id};
use super::read::{Read, narrowed, no_item};
use crate::access::Caller;
use crate::exports::{self, Pages};
use crate::openapi::parameters;
use crate::problem::Problem;
use crate::view::{ItemPage, ItemView, MovementPage, MovementView, PointInTimeView};

/// Lists items with their levels, by name.
///
/// A page may be short or empty and still have a `next_cursor`, because it ends once it has examined enough rows or has
/// many levels; only a page without `next_cursor` is the last. The list may lag a little, but with `updated_since` no change
/// is ever missed: begin with a time, and go on with the `next_updated_since` of the last page. `400 cursor_invalid` says that
/// the server was restored from a backup: begin anew. If a token is bound to
/// locations, every item shows only its levels there, and `on_hand` is their sum.
#[utoipa::path(
    get,
    operation_id = "list_items",
    path = "/v1/items",
    tag = "Stock",
    params(
        ("barcode" = Option<String>, Query, description = "The item with this barcode", example = "4006381333931"),
        ("name_prefix" = Option<String>, Query, description = "Items whose name begins with this text; case does not matter", example = "cola"),
        ("name" = Option<String>, Query, description = "Items whose name contains this text; case does not matter", example = "cola"),
        ("category" = Option<String>, Query, description = "Items of this category", example = "drinks"),
        ("supplier" = Option<String>, Query, description = "Items whose own supplier this is", example = "Drinks Ltd"),
        ("archived" = Option<bool>, Query, description = "`true`: archived items instead of active ones"),
        ("updated_since" = Option<String>, Query, description = "Items whose catalogue record has changed since then, in the order of the changes, archived ones too. A time (RFC 3339), or the `next_updated_since` of the reading before"),
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = ItemPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
    ),
)]
pub(crate) async fn items(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    let known =
        ["barcode", "name_prefix", "name", "category", "supplier", "archived", "updated_since", "cursor", "limit"];
    let mut params = read.params(&known);
    let filter = ItemFilter {
        barcode: params.text("barcode"),
        name_prefix: params.text("name_prefix"),
        name_part: params.text("name"),
        category: params.text("category"),
        supplier: params.text("supplier"),
        archived: params.flag("archived"),
        ..ItemFilter::default()
    };
    let since: Option<Since> = params.parsed("updated_since");
    let export = read.export(&mut params);
    let paging = read.paging(params)?;
    if let Some(form) = export {
        let filter = ItemFilter { updated_since: exports::since(since)?, ..filter };
        let pages: Pages<_> = Box::new(move |lists, cursor| {
            let filter = filter.clone();
            Box::pin(async move { lists.items(&filter, exports::page(cursor.as_ref())).await })
        });
        return exports::answer(&read.app, caller.viewer(), form, pages).await;
    }
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_items(&paging).await?;
    let queries = &read.app.queries;
    let (page, next) = match since {
        None => (queries.items(&filter, paging.request()).await?, None),
        Some(since) => {
            let changed = queries.changed_items(&filter, &since, read.app.clock.now(), paging.request()).await?;
            (changed.page, Some(changed.next_updated_since))
        }
    };
    let viewer = caller.viewer();
    let items = page.entries.iter().map(|item| ItemView::of(item, &viewer)).collect();
    let next_cursor = page.next_cursor.as_deref();
    let view = ItemPage { items, next_cursor, next_updated_since: next.as_deref() };
    read.answer_items(room, page.entries.len(), &view)
}

/// Returns one item with all its levels, read in one transaction.
///
/// It shows every command that is `applied`. If a token is bound to locations, the item shows only its levels there, and
/// `on_hand` is their sum.
#[utoipa::path(
    get,
    operation_id = "get_item",
    path = "/v1/items/{item_id}",
    tag = "Stock",
    params(parameters::ItemInPath),
    responses(
        (status = 200, description = "The item", body = ItemView<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_id`"),
        (status = 404, description = "`item_not_found`"),
    ),
)]
pub(crate) async fn item(caller: Caller, InPath(item_id): InPath<String>, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    read.params(&[]).finish()?;
    let item_id: ItemId = id("item id", &item_id)?;
    let room = read.room_for_item().await?;
    let item = read.app.queries.item(&item_id).await?;
    let item = item.ok_or_else(|| no_item(&item_id))?;
    read.answer_items(room, 1, &ItemView::of(&item, &caller.viewer()))
}

/// Lists the movements of an item, newest first.
///
/// A page may be short or empty and still have a `next_cursor`, because it ends once it has examined enough movements;
/// only a page without `next_cursor` is the last.
#[utoipa::path(
    get,
    operation_id = "list_item_movements",
    path = "/v1/items/{item_id}/movements",
    tag = "Stock",
    params(
        parameters::ItemInPath,
        parameters::Movements,
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = MovementPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_id`, `invalid_parameter`, `cursor_invalid`"),
        (status = 403, description = "`forbidden_location`"),
        (status = 404, description = "`item_not_found`, `location_not_found`"),
    ),
)]
pub(crate) async fn movements(
    caller: Caller,
    InPath(item_id): InPath<String>,
    read: Read,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let item_id: ItemId = id("item id", &item_id)?;
    let params = read.params(&["location_id", "from", "to", "type", "operator", "cursor", "limit"]);
    let (mut filter, paging) = movement_filter(&read, params)?;
    let viewer = caller.viewer();
    let asked = filter.location_id.clone();
    filter.location_id = narrowed(&caller, filter.location_id)?;
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let page = read.app.queries.movements(&item_id, &filter, paging.request()).await?;
    read.check_item(&item_id, &paging, &page).await?;
    read.check_location(asked.as_ref(), &paging, &page).await?;
    let seen = page.entries.into_iter().filter(|movement| viewer.sees(&movement.location_id));
    let movements = seen.map(|movement| MovementView::of(movement, &viewer)).collect();
    read.answer_in(room, &MovementPage { movements, next_cursor: page.next_cursor.as_deref() })
}

/// Returns the stock of an item at a point in time: after the last movement that was recorded at or before it.
#[utoipa::path(
    get,
    operation_id = "get_item_stock",
    path = "/v1/items/{item_id}/stock",
    tag = "Stock",
    params(
        parameters::ItemInPath,
        ("as_of" = Option<String>, Query, description = "The time; now by default, and now or later is the present stock", format = DateTime, example = "2026-01-31T08:15:00Z"),
    ),
    responses(
        (status = 200, description = "The balances at that time", body = PointInTimeView<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_id`, `invalid_parameter`"),
        (status = 404, description = "`item_not_found`"),
    ),
)]
pub(crate) async fn stock_as_of(
    caller: Caller,
    InPath(item_id): InPath<String>,
    read: Read,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let item_id: ItemId = id("item id", &item_id)?;
    let mut params = read.params(&["as_of"]);
    let now = read.app.clock.now();
    let as_of = params.parsed("as_of").unwrap_or(now);
    params.finish()?;
    // Now and later is the present stock, even if a clock that was ahead recorded its last entries.
    let last_recorded_at = if as_of >= now { Timestamp::from_millis(i64::MAX) } else { as_of };
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_item().await?;
    let balances = read.app.queries.stock_as_of(&item_id, last_recorded_at).await?;
    let balances = balances.ok_or_else(|| no_item(&item_id))?;
    read.answer_in(room, &PointInTimeView::of(&item_id, as_of, &balances, &caller.viewer()))
}
