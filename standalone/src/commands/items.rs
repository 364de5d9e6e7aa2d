//! `items`: lists and searches the catalogue.

use serde_json::Value;
use stockline_core::domain::canonical_barcode;

use crate::args::ItemsArgs;
use crate::client::lists::{self, text};
use crate::client::{Client, Request};
use crate::problem::Problem;
use crate::table::{Align, Table};

/// Runs `stockline items`.
pub(crate) async fn items(args: &ItemsArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get("/v1/items")
        .query("name", args.text.as_ref())
        .query("barcode", args.barcode.as_ref())
        .query("category", args.category.as_ref())
        .query("supplier", args.supplier.as_ref())
        .query("archived", args.archived.then_some(true));
    let limit = args.list.limit as usize;
    let mut items = lists::read(&client, request, "items", limit).await?;
    if let Some(item) = item_of_id(&client, args).await?
        && items.iter().all(|other| other["item_id"] != item["item_id"])
    {
        items.insert(0, item);
        items.truncate(limit);
    }
    lists::print(&items, &args.list, "no such items", table)
}

/// Returns the item whose id is the text that is searched for, unless another condition excludes it.
async fn item_of_id(client: &Client, args: &ItemsArgs) -> anyhow::Result<Option<Value>> {
    let Some(item_id) = args.text.as_ref().and_then(|text| text.parse::<stockline_core::domain::ItemId>().ok()) else {
        return Ok(None);
    };
    let item = match client.send(&Request::get(format!("/v1/items/{}", item_id.in_path()))).await {
        Ok(answer) => answer.body,
        Err(error) if error.downcast_ref().is_some_and(|problem: &Problem| problem.code == "item_not_found") => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let has_barcode = |code: &String| {
        let mut codes = item["barcodes"].as_array().into_iter().flatten().filter_map(|held| held["code"].as_str());
        codes.any(|held| canonical_barcode(held) == canonical_barcode(code))
    };
    let is_wanted = item["archived"] == args.archived
        && args.barcode.as_ref().is_none_or(has_barcode)
        && args.category.as_ref().is_none_or(|category| item["category"] == category.as_str())
        && args.supplier.as_ref().is_none_or(|supplier| item["supplier"] == supplier.as_str());
    Ok(is_wanted.then_some(item))
}

/// Returns a barcode, with its quantity if that is not 1: `14006381333938×12`.
pub(crate) fn shown(barcode: &Value) -> String {
    let code = text(barcode, "code");
    match text(barcode, "quantity").as_str() {
        "1" => code,
        quantity => format!("{code}×{quantity}"),
    }
}

fn table(items: &[Value]) -> Table {
    let columns = [
        ("ITEM", Align::Id),
        ("NAME", Align::Flexible(10)),
        ("ON HAND", Align::Right),
        ("UNIT", Align::Flexible(6)),
        ("THRESHOLD", Align::Right),
        ("CATEGORY", Align::Flexible(8)),
        ("BARCODES", Align::Flexible(13)),
    ];
    let mut table = Table::new(&columns).sparse(&["THRESHOLD", "CATEGORY", "BARCODES"]);
    for item in items {
        let names = ["item_id", "name", "on_hand", "unit", "low_stock_threshold", "category"];
        let barcodes: Vec<_> = item["barcodes"].as_array().into_iter().flatten().map(shown).collect();
        table.row(names.map(|name| text(item, name)).into_iter().chain([barcodes.join(" ")]));
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_fits_its_line() {
        let item = json!({"item_id": "cola-033", "name": "Cola 0.33 l, returnable bottle, case of twenty-four", "on_hand": "12.5",
            "unit": "bottle", "low_stock_threshold": "6", "category": "soft drinks", "barcodes": [{"code": "4006381333931", "quantity": "1"}, {"code": "14006381333938", "quantity": "12"}]});
        let text = table(&[item]).render(false);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("cola-033") && text.contains("4006381333931"), "{text}");
        assert_eq!(shown(&json!({"code": "14006381333938", "quantity": "12"})), "14006381333938×12");
    }
}
