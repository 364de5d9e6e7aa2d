use serde::Serialize;
use stockline_core::ports::AlertRecord;
use utoipa::ToSchema;

use super::words::AlertKindWord;

/// An alert, as it is recorded.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct AlertView<'a>(pub(crate) &'a AlertRecord);

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertPage<'a> {
    /// The alerts, newest first.
    #[schema(value_type = Vec<AlertSchema>)]
    pub(crate) alerts: Vec<AlertView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
}

/// An alert: a level became `low`, `out` or `oversold`.
#[derive(ToSchema)]
#[schema(as = Alert, example = json!({
    "alert_id": "cola-033:shop-1:1", "item_id": "cola-033", "location_id": "shop-1", "alert_no": 1, "kind": "low",
    "on_hand": "5", "low_stock_threshold": "6", "seq": 9, "raised_at": "2026-01-31T08:15:02.120Z",
    "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_name": "Cola 0.33 l", "unit": "bottle",
    "sent_at": "2026-01-31T08:15:03.007Z"
}))]
#[expect(dead_code, reason = "describes what ports::AlertRecord writes")]
pub(crate) struct AlertSchema {
    /// `{item}:{location}:{alert_no}`
    alert_id: String,
    /// The item.
    item_id: String,
    /// The location.
    location_id: String,
    /// The number of the level's alert, from 1.
    alert_no: u64,
    /// What the level became.
    #[schema(value_type = AlertKindWord)]
    kind: String,
    /// The balance after the ledger entry that caused it.
    on_hand: String,
    /// The threshold that was crossed.
    #[schema(nullable = false)]
    low_stock_threshold: Option<String>,
    /// The ledger entry that caused it.
    seq: u64,
    /// `true` if the level opened so: its first entry, a delivery, a count or a return, is below the threshold. Absent
    /// otherwise. The openings of a location are mailed together, a few minutes after the last of them.
    #[schema(required = false)]
    opening: bool,
    /// When that entry was committed.
    #[schema(format = DateTime)]
    raised_at: String,
    /// The command that caused it.
    #[schema(format = "uuid")]
    command_id: String,
    /// The item's name at that time.
    item_name: String,
    /// The item's unit at that time.
    unit: String,
    /// When the mail provider accepted the mail; absent before that.
    #[schema(format = DateTime, nullable = false)]
    sent_at: Option<String>,
}
