use axum::response::Response;
use stockline_core::domain::{LocationId, StockState};
use stockline_core::ports::{LevelFilter, Since};

use super::read::{Read, narrowed};
use crate::access::Caller;
use crate::exports::{self, Pages};
use crate::openapi::parameters;
use crate::problem::Problem;
use crate::view::{AlertPage, AlertView, LevelPage, LevelView};

/// Lists levels, by item and location.
///
/// A location carries an item, and the list has its level, from its first movement there on, or once it has a threshold
/// of its own there. A level without any movement is `out`.
///
/// A page may be short or empty and still have a `next_cursor`, because it ends once it has examined enough rows; only a
/// page without `next_cursor` is the last. The list may lag a little, but with `updated_since` no change is ever missed: begin
/// with a time, and go on with the `next_updated_since` of the last page. `400 cursor_invalid` says that the server was
/// restored from a backup: begin anew.
#[utoipa::path(
    get,
    operation_id = "list_levels",
    path = "/v1/stock",
    tag = "Stock",
    params(
        ("location_id" = Option<String>, Query, description = "Only levels at this location", example = "shop-1"),
        ("state" = Option<Vec<String>>, Query, description = "Only levels in one of these states; repeat the parameter, or put commas between", example = json!(["low", "out"])),
        ("archived" = Option<bool>, Query, description = "`true`: also levels of archived items"),
        ("updated_since" = Option<String>, Query, description = "Levels that have changed since then, or whose item has, in the order of the changes, of archived items too. A time (RFC 3339), or the `next_updated_since` of the reading before"),
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = LevelPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
        (status = 403, description = "`forbidden_location`"),
        (status = 404, description = "`location_not_found`"),
    ),
)]
pub(crate) async fn levels(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    let mut params = read.params(&["location_id", "state", "archived", "updated_since", "cursor", "limit"]);
    let states = [StockState::Low, StockState::Out, StockState::Oversold].map(|state| (state.as_str(), state));
    let mut filter = LevelFilter {
        location_id: params.parsed("location_id"),
        states: params.words("state", &states),
        archived: params.flag("archived"),
        updated_since: None,
    };
    let since: Option<Since> = params.parsed("updated_since");
    let export = read.export(&mut params);
    let paging = read.paging(params)?;
    let viewer = caller.viewer();
    let asked = filter.location_id.clone();
    filter.location_id = narrowed(&caller, filter.location_id)?;
    if let Some(form) = export {
        read.check_registered(asked.as_ref()).await?;
        let filter = LevelFilter { updated_since: exports::since(since)?, ..filter };
        let pages: Pages<_> = Box::new(move |lists, cursor| {
            let filter = filter.clone();
            Box::pin(async move { lists.levels(&filter, exports::page(cursor.as_ref())).await })
        });
        return exports::answer(&read.app, viewer, form, pages).await;
    }
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let queries = &read.app.queries;
    let (page, next) = match since {
        None => (queries.levels(&filter, paging.request()).await?, None),
        Some(since) => {
            let changed = queries.changed_levels(&filter, &since, read.app.clock.now(), paging.request()).await?;
            (changed.page, Some(changed.next_updated_since))
        }
    };
    read.check_location(asked.as_ref(), &paging, &page).await?;
    let seen = page.entries.iter().filter(|view| viewer.sees(&view.level.location_id));
    let levels = seen.map(|view| LevelView::named(&view.item, &view.level, &viewer)).collect();
    let next_cursor = page.next_cursor.as_deref();
    read.answer_in(room, &LevelPage { levels, next_cursor, next_updated_since: next.as_deref() })
}

/// Lists alerts, newest first.
///
/// A page may be short or empty and still have a `next_cursor`; only a page without `next_cursor` is the last.
#[utoipa::path(
    get,
    operation_id = "list_alerts",
    path = "/v1/alerts",
    tag = "Stock",
    params(
        ("location_id" = Option<String>, Query, description = "Only alerts of this location", example = "shop-1"),
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = AlertPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
        (status = 403, description = "`forbidden_location`"),
        (status = 404, description = "`location_not_found`"),
    ),
)]
pub(crate) async fn alerts(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    let mut params = read.params(&["location_id", "cursor", "limit"]);
    let asked = params.parsed::<LocationId>("location_id");
    let export = read.export(&mut params);
    let paging = read.paging(params)?;
    let viewer = caller.viewer();
    let location_id = narrowed(&caller, asked.clone())?;
    if let Some(form) = export {
        read.check_registered(asked.as_ref()).await?;
        let pages: Pages<_> = Box::new(move |lists, cursor| {
            let location_id = location_id.clone();
            Box::pin(async move { lists.alerts(location_id.as_ref(), exports::page(cursor.as_ref())).await })
        });
        return exports::answer(&read.app, viewer, form, pages).await;
    }
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let mut page = read.app.queries.alerts(location_id.as_ref(), paging.request()).await?;
    read.check_location(asked.as_ref(), &paging, &page).await?;
    // The trace is for the alerter's spans; the command's id leads to the rest.
    page.entries.iter_mut().for_each(|record| record.alert.trace = None);
    let alerts =
        page.entries.iter().filter(|record| viewer.sees(&record.alert.location_id)).map(AlertView::of).collect();
    read.answer_in(room, &AlertPage { alerts, next_cursor: page.next_cursor.as_deref() })
}
