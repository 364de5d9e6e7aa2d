use axum::response::Response;
use stockline_core::domain::{RejectionCode, Status};
use stockline_core::ports::{ChangeFilter, CommandFilter};

use super::history::{changes, kinds};
use super::read::{Read, narrowed};
use crate::access::Caller;
use crate::exports::{self, Pages};
use crate::openapi::parameters;
use crate::problem::Problem;
use crate::view::{CommandPage, StatusView};

/// Lists commands that were refused or set aside, or that changed the catalogue, newest first.
///
/// No refused sale is lost: a Manager can resubmit the commands of this list. With `status=applied` it says who changed what
/// of the catalogue and of thresholds; applied movements are listed as movements. A page may be short or empty and still have a
/// `next_cursor`, because it ends once it has examined enough rows; only a page without `next_cursor` is the last. The list
/// may lag a little. A command whose record is damaged is listed with the reason in `dead_letter`, and hides none of the
/// others.
#[utoipa::path(
    get,
    operation_id = "list_commands",
    path = "/v1/commands",
    tag = "Commands",
    params(
        ("status" = Option<String>, Query, description = "`rejected` (the default), `dead_lettered`, or `applied` for changes of the catalogue", example = "rejected"),
        ("type" = Option<String>, Query, description = "With `status=applied`: only changes of this type", example = "update_item"),
        ("code" = Option<String>, Query, description = "Only rejections with this code", example = "insufficient_stock"),
        ("location_id" = Option<String>, Query, description = "Only commands that name this location (the giving side of a transfer)", example = "shop-1"),
        ("since" = Option<String>, Query, description = "Only commands settled at or after this time", format = DateTime),
        ("all" = Option<bool>, Query, description = "`true`: also commands that were resubmitted, dismissed or discarded"),
        parameters::Page,
    ),
    responses(
        (status = 200, description = "A page", body = CommandPage<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`"),
        (status = 404, description = "`location_not_found`"),
    ),
)]
pub(crate) async fn commands(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    let known = ["status", "type", "code", "location_id", "since", "all", "cursor", "limit"];
    let mut params = read.params(&known);
    let statuses = [Status::Applied, Status::Rejected, Status::DeadLettered].map(|status| (status.as_str(), status));
    let status = params.word("status", &statuses).unwrap_or(Status::Rejected);
    if status == Status::Applied {
        params.unfit(&["code", "all"], "is for refused commands, not for status=applied");
        let filter = ChangeFilter {
            item_id: None,
            kind: params.word("type", &kinds(false)),
            location_id: params.parsed("location_id"),
            since: params.parsed("since"),
        };
        let export = read.export(&mut params);
        let paging = read.paging(params)?;
        if let Some(location_id) = &filter.location_id {
            caller.may_read_location(location_id)?;
        }
        if let Some(form) = export {
            let pages: Pages<_> = Box::new(move |lists, cursor| {
                let filter = filter.clone();
                Box::pin(async move { lists.changes(&filter, exports::page(cursor.as_ref())).await })
            });
            return exports::answer(&read.app, caller.viewer(), form, pages).await;
        }
        return changes(&caller, &read, &filter, &paging).await;
    }
    params.unfit(&["type"], "is for status=applied");
    let mut filter = CommandFilter {
        status,
        code: params.word("code", &RejectionCode::ALL.map(|code| (code.as_str(), code))),
        location_id: params.parsed("location_id"),
        since: params.parsed("since"),
        settled_otherwise: params.flag("all"),
    };
    let export = read.export(&mut params);
    let paging = read.paging(params)?;
    let viewer = caller.viewer();
    let asked = filter.location_id.clone();
    filter.location_id = narrowed(&caller, filter.location_id)?;
    if let Some(form) = export {
        read.check_registered(asked.as_ref()).await?;
        let pages: Pages<_> = Box::new(move |lists, cursor| {
            let filter = filter.clone();
            Box::pin(async move { lists.commands(&filter, exports::page(cursor.as_ref())).await })
        });
        return exports::answer(&read.app, viewer, form, pages).await;
    }
    let _turn = read.list_turn(&caller).await?;
    let room = read.room_for_list(&paging).await?;
    let page = read.app.queries.commands(&filter, paging.request()).await?;
    read.check_location(asked.as_ref(), &paging, &page).await?;
    let seen = page.entries.iter().filter(|record| viewer.sees_record(record));
    let commands = seen.map(|record| StatusView::of(record, &viewer)).collect();
    read.answer_in(room, &CommandPage { commands, next_cursor: page.next_cursor.as_deref() })
}
