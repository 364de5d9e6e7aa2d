use axum::response::Response;
use stockline_core::domain::Scan;

use super::path::InPath;
use super::read::Read;
use crate::access::Caller;
use crate::problem::{Problem, codes};
use crate::view::ScanView;

/// Returns the item that a scanned code means, and the quantity of the scan.
///
/// The code is what the scanner types, percent-encoded: a GTIN in any of its forms (EAN-8, UPC-E, UPC-A, EAN-13, GTIN-14),
/// any other barcode of an item, a GS1 element string (with its separators, `%1D`, or as printed, with brackets), a GS1
/// digital link, or a label of the shop's own scale if the installation has a rule for it. Of GS1, it reads the identifiers
/// 01, 02, 10, 15, 17, 21, 30, 310n and 37, and skips the others.
///
/// `quantity` is the barcode's quantity times the count of the label; for an item in `kg` or `g`, the weight of the label. It
/// shows every command that is `applied`.
#[utoipa::path(
    get,
    operation_id = "get_barcode",
    path = "/v1/barcodes/{code}",
    tag = "Stock",
    params(("code" = String, Path, description = "The scanned code, percent-encoded", example = "14006381333938")),
    responses(
        (status = 200, description = "What the code means", body = ScanView<'static>),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
        (status = 400, description = "`invalid_barcode`"),
        (status = 404, description = "`barcode_not_found`"),
    ),
)]
pub(crate) async fn barcode(caller: Caller, InPath(code): InPath<String>, read: Read) -> Result<Response, Problem> {
    caller.may_read()?;
    read.params(&[]).finish()?;
    let scan = Scan::read(&code, &read.app.scale_labels, read.app.clock.now());
    let invalid = |why: &dyn std::fmt::Display| Problem::new(codes::INVALID_BARCODE, format!("the code {why}"));
    let scan = scan.map_err(|error| invalid(&error))?;
    let room = read.room_for_item().await?;
    for _ in 0..ATTEMPTS {
        let Some((held, item_id)) = read.app.queries.holder(&scan.codes).await? else { break };
        let found = read.app.queries.item(&item_id).await?;
        let barcode = found.as_ref().and_then(|found| Some((found, found.item.catalogue.barcode(&held)?)));
        if let Some((item, barcode)) = barcode {
            return read.answer_items(room, 1, &ScanView::of(&code, &scan, barcode, item, &caller.viewer()));
        }
    }
    Err(match &scan.fault {
        Some(fault) => invalid(fault),
        None => {
            let sought = sought(&scan);
            let of_a_scale = read.app.scale_labels.is_empty() && is_of_a_shop(sought);
            let label =
                if of_a_scale { "; if it is a label of the shop's scale, the server needs --scale-labels" } else { "" };
            Problem::new(codes::BARCODE_NOT_FOUND, format!("no item has the barcode {sought}{label}"))
        }
    })
}

/// Reports whether a code is of the numbers that GS1 leaves to each shop: 02 and 20 to 29 of an EAN-13.
fn is_of_a_shop(code: &str) -> bool {
    matches!(code.len(), 12 | 13) && code.starts_with('2')
}

/// How often a code is looked for that its item gives up between the read of the claim and that of the item.
const ATTEMPTS: usize = 3;

fn sought(scan: &Scan) -> &str {
    scan.codes.first().map(String::as_str).unwrap_or_default()
}
