//! `scan`: what a scanned code means.

use serde_json::Value;
use stockline_core::domain::path_segment;
use stockline_service::output;

use crate::args::ScanArgs;
use crate::client::lists::text;
use crate::client::{Client, Request};
use crate::commands::items;
use crate::exit;

/// Runs `stockline scan`.
pub(crate) async fn scan(args: &ScanArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let scan = client.send(&Request::get(format!("/v1/barcodes/{}", path_segment(&args.code)))).await?.body;
    if args.json {
        output::json(&scan)?;
        return Ok(exit::OK);
    }
    for (label, value) in lines(&scan) {
        output::line(format_args!("{label:<12}{value}"))?;
    }
    Ok(exit::OK)
}

fn lines(scan: &Value) -> Vec<(&'static str, String)> {
    let item = &scan["item"];
    let unit = text(item, "unit");
    let quantity = match text(scan, "quantity") {
        quantity if quantity.is_empty() => format!("to be entered, in {unit}"),
        quantity => format!("{quantity} {unit}"),
    };
    let archived = if item["archived"] == true { " (archived)" } else { "" };
    let mut lines = vec![
        ("item", format!("{}  {}{archived}", text(item, "item_id"), text(item, "name"))),
        ("quantity", quantity),
        ("barcode", items::shown(&scan["barcode"])),
    ];
    let facts = [
        ("batch", "batch"),
        ("serial", "serial"),
        ("expires", "expires_on"),
        ("best before", "best_before"),
        ("weight, kg", "net_weight_kg"),
        ("count", "count"),
        ("price", "price"),
    ];
    lines.extend(
        facts.map(|(label, name)| (label, text(scan, name))).into_iter().filter(|(_, value)| !value.is_empty()),
    );
    lines.push(("on hand", format!("{} {unit}", text(item, "on_hand"))));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scan_is_told_with_all_that_its_label_says() {
        let item = json!({"item_id": "ham", "name": "Ham", "unit": "kg", "on_hand": "7.5", "archived": true});
        let scan = json!({"item": item, "quantity": null, "barcode": {"code": "12345", "quantity": "1"}, "price": "3.99", "count": 2});
        let lines = lines(&scan).into_iter().map(|(label, value)| format!("{label}: {value}")).collect::<Vec<_>>();
        assert_eq!(
            lines,
            [
                "item: ham  Ham (archived)",
                "quantity: to be entered, in kg",
                "barcode: 12345",
                "count: 2",
                "price: 3.99",
                "on hand: 7.5 kg"
            ]
        );
    }
}
