use serde::Serialize;
use stockline_core::domain::{Barcode, Cost, Mass, Quantity, Scan, ScanKind};
use stockline_core::ports::ItemWithLevels;
use utoipa::ToSchema;

use super::levels::{BarcodeView, ItemView};
use super::viewer::Viewer;
use super::words::ScanKindWord;

/// What a scanned code means.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scan)]
pub(crate) struct ScanView<'a> {
    /// The scanned text.
    #[schema(example = "14006381333938")]
    scanned: &'a str,
    /// The kind of text.
    #[schema(value_type = ScanKindWord)]
    kind: ScanKind,
    /// The barcode of the item that it is.
    barcode: BarcodeView<'a>,
    /// The quantity of the scan, in the item's unit; `null` if it has to be entered, because the code does not say it or
    /// the item's decimals can't write it.
    #[schema(value_type = Option<String>, required = true, example = "12")]
    quantity: Option<Quantity>,
    /// The GTIN that it names, in its shortest standard form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "14006381333938")]
    gtin: Option<&'a str>,
    /// The batch or lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "AB/12")]
    batch: Option<&'a str>,
    /// The serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    serial: Option<&'a str>,
    /// The last day of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date, nullable = false, example = "2026-12-31")]
    expires_on: Option<&'a str>,
    /// The last day of best quality.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date, nullable = false)]
    best_before: Option<&'a str>,
    /// The net weight in kilograms, a decimal string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "1.5")]
    net_weight_kg: Option<Mass>,
    /// The number of pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 12)]
    count: Option<u32>,
    /// The price of the whole label, a decimal string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "3.99")]
    price: Option<Cost>,
    /// The item.
    item: ItemView<'a>,
}

impl<'a> ScanView<'a> {
    pub(crate) fn of(
        scanned: &'a str,
        scan: &'a Scan,
        held: &'a Barcode,
        view: &'a ItemWithLevels,
        viewer: &Viewer,
    ) -> Self {
        let (facts, catalogue) = (&scan.facts, &view.item.catalogue);
        Self {
            scanned,
            kind: scan.kind,
            barcode: BarcodeView::of(held),
            quantity: scan.quantity(held, &catalogue.unit, catalogue.decimals),
            gtin: facts.gtin.as_deref(),
            batch: facts.batch.as_deref(),
            serial: facts.serial.as_deref(),
            expires_on: facts.expires_on.as_deref(),
            best_before: facts.best_before.as_deref(),
            net_weight_kg: facts.net_weight_kg,
            count: facts.count,
            price: facts.price,
            item: ItemView::of(view, viewer),
        }
    }
}
