//! The columns of each list.

use stockline_core::domain::{Barcode, Quantity, Record, Status};
use stockline_core::ports::{AlertRecord, ItemWithLevels, LevelWithItem, Movement};

use super::{Line, Row};
use crate::view::{AlertView, ItemView, LevelView, MovementView, StatusView, Viewer};

/// Writes barcodes as an import reads them: the code, and behind `*` the quantity of one scan if it is not 1.
fn barcodes(barcodes: &[Barcode]) -> String {
    let one = Quantity::from_units(1);
    let written = barcodes.iter().map(|barcode| match Some(barcode.quantity) == one {
        true => barcode.code.clone(),
        false => format!("{}*{}", barcode.code, barcode.quantity),
    });
    written.collect::<Vec<_>>().join(";")
}

impl Row for ItemWithLevels {
    const LIST: &'static str = "items";
    const HEADINGS: &'static [&'static str] = &[
        "item_id",
        "name",
        "unit",
        "decimals",
        "barcodes",
        "category",
        "low_stock_threshold",
        "shortage_policy",
        "unit_cost",
        "supplier",
        "lead_time_days",
        "order_multiple",
        "order_minimum",
        "service_level",
        "archived",
        "version",
        "updated_at",
    ];

    fn is_seen(&self, _: &Viewer) -> bool {
        true
    }

    fn cells(&self, viewer: &Viewer, line: &mut Line<'_>) {
        let (item, catalogue) = (&self.item, &self.item.catalogue);
        line.text(item.item_id.as_str());
        line.text(&catalogue.name);
        line.text(&catalogue.unit);
        line.plain(catalogue.decimals);
        line.text(&barcodes(&catalogue.barcodes));
        line.optional_text(catalogue.category.as_deref());
        line.option(catalogue.low_stock_threshold);
        line.plain(catalogue.shortage_policy.as_str());
        if viewer.costs {
            line.option(catalogue.unit_cost);
        }
        let planning = &catalogue.planning;
        line.optional_text(planning.supplier.as_deref());
        line.option(planning.lead_time_days);
        line.option(planning.order_multiple);
        line.option(planning.order_minimum);
        line.option(planning.service_level);
        line.plain(item.is_archived());
        line.plain(item.version);
        line.plain(item.updated_at);
    }

    fn json(&self, viewer: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &ItemView::of(self, viewer))
    }
}

impl Row for LevelWithItem {
    const LIST: &'static str = "stock";
    const HEADINGS: &'static [&'static str] = &[
        "item_id",
        "item_name",
        "location_id",
        "on_hand",
        "low_stock_threshold",
        "location_threshold",
        "state",
        "average_cost",
        "seq",
        "version",
        "counted_at",
        "updated_at",
    ];

    fn is_seen(&self, viewer: &Viewer) -> bool {
        viewer.sees(&self.level.location_id)
    }

    fn cells(&self, viewer: &Viewer, line: &mut Line<'_>) {
        let (item, level) = (&self.item, &self.level);
        line.text(item.item_id.as_str());
        line.text(&item.catalogue.name);
        line.text(level.location_id.as_str());
        line.plain(level.on_hand);
        line.option(level.threshold(item));
        line.option(level.low_stock_threshold);
        line.plain(self.state().as_str());
        if viewer.costs {
            line.option(level.average_cost);
        }
        line.plain(level.seq);
        line.plain(level.version);
        line.option(level.counted_at);
        line.plain(level.updated_at);
    }

    fn json(&self, viewer: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &LevelView::named(&self.item, &self.level, viewer))
    }
}

impl Row for Movement {
    const LIST: &'static str = "movements";
    const HEADINGS: &'static [&'static str] = &[
        "recorded_at",
        "item_id",
        "location_id",
        "counterpart_location_id",
        "seq",
        "type",
        "command_id",
        "quantity",
        "delta",
        "before",
        "after",
        "amount",
        "unit_cost",
        "cost",
        "occurred_at",
        "late",
        "clock_ahead",
        "submitted_by",
        "device_id",
        "operator",
        "reason",
        "note",
        "reference",
    ];

    fn is_seen(&self, viewer: &Viewer) -> bool {
        viewer.sees(&self.location_id)
    }

    fn cells(&self, viewer: &Viewer, line: &mut Line<'_>) {
        let entry = &self.entry;
        line.plain(entry.recorded_at);
        line.text(self.item_id.as_str());
        line.text(self.location_id.as_str());
        line.optional_text(entry.counterpart.as_ref().map(|place| place.as_str()));
        line.plain(entry.seq);
        line.plain(entry.kind.command_kind().as_str());
        line.plain(entry.command_id);
        line.plain(entry.quantity);
        line.plain(entry.delta);
        line.plain(entry.before());
        line.plain(entry.after);
        line.option(entry.amount);
        if viewer.costs {
            line.option(entry.unit_cost);
            line.option(entry.cost);
        }
        line.plain(entry.occurred_at);
        line.plain(entry.late);
        line.plain(entry.clock_ahead);
        line.text(&entry.submitted_by);
        line.optional_text(entry.device_id.as_deref());
        line.optional_text(entry.operator.as_deref());
        line.option(entry.reason.map(|reason| reason.as_str()));
        line.optional_text(entry.note.as_deref());
        line.optional_text(entry.reference.as_deref());
    }

    fn json(&self, viewer: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &MovementView::of(self.clone(), viewer))
    }
}

impl Row for Record {
    const LIST: &'static str = "commands";
    const HEADINGS: &'static [&'static str] = &[
        "settled_at",
        "item_id",
        "command_id",
        "type",
        "location_id",
        "status",
        "code",
        "detail",
        "accepted_at",
        "submitted_by",
        "resubmitted_as",
    ];

    fn is_seen(&self, viewer: &Viewer) -> bool {
        viewer.sees_record(self)
    }

    fn cells(&self, _: &Viewer, line: &mut Line<'_>) {
        let outcome = &self.outcome;
        let command = outcome.command.as_ref();
        line.plain(outcome.settled_at);
        line.text(outcome.item_id.as_str());
        line.plain(outcome.command_id);
        line.option(command.map(|command| command.kind().as_str()));
        line.optional_text(command.and_then(|command| command.action.locations().next()).map(|place| place.as_str()));
        line.plain(outcome.status.as_str());
        let rejection = outcome.rejection.as_ref();
        let dead = (outcome.status == Status::DeadLettered).then_some("dead_lettered");
        line.option(rejection.map(|rejection| rejection.code.as_str()).or(dead));
        line.optional_text(rejection.map(|rejection| rejection.detail.as_str()));
        line.plain(outcome.accepted_at);
        line.text(&outcome.submitted_by);
        line.option(self.resubmitted_as.as_ref().map(|by| by.command_id));
    }

    fn json(&self, viewer: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &StatusView::of(self, viewer))
    }
}

impl Row for AlertRecord {
    const LIST: &'static str = "alerts";
    const HEADINGS: &'static [&'static str] = &[
        "raised_at",
        "alert_id",
        "kind",
        "item_id",
        "item_name",
        "location_id",
        "on_hand",
        "low_stock_threshold",
        "seq",
        "opening",
        "command_id",
        "sent_at",
    ];

    fn is_seen(&self, viewer: &Viewer) -> bool {
        viewer.sees(&self.alert.location_id)
    }

    fn cells(&self, _: &Viewer, line: &mut Line<'_>) {
        let alert = &self.alert;
        line.plain(alert.raised_at);
        line.text(&self.alert_id);
        line.plain(alert.kind.as_str());
        line.text(alert.item_id.as_str());
        line.text(&alert.item_name);
        line.text(alert.location_id.as_str());
        line.plain(alert.on_hand);
        line.option(alert.low_stock_threshold);
        line.plain(alert.seq);
        line.plain(alert.opening);
        line.plain(alert.command_id);
        line.option(self.sent_at);
    }

    fn json(&self, _: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut shown = self.clone();
        // The trace is for the alerter's spans.
        shown.alert.trace = None;
        serde_json::to_writer(out, &AlertView::of(&shown))
    }
}
