use serde::Serialize;
use stockline_core::domain::{Alert, Timestamp};
use stockline_core::ports::AlertRecord;
use utoipa::ToSchema;

use super::words::{AlertKindWord, MailStatusWord};

/// An alert, as it is recorded, with what became of its mail.
#[derive(Debug, Serialize)]
pub(crate) struct AlertView<'a> {
    alert_id: &'a str,
    #[serde(flatten)]
    alert: &'a Alert,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Timestamp>,
    mail: AlertMail,
}

/// Whom an alert's mail has reached. Addresses are not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertMail {
    /// `waiting`: nobody has it yet, and it is tried again. `partly_sent`: some have it, and it is tried again for the others.
    /// `sent`: all have it. `partly_refused`: some have it, and the others' servers refuse it for good. `no_recipient`: neither
    /// the location nor the installation had an address.
    #[schema(value_type = MailStatusWord)]
    status: &'static str,
    /// The recipients who have it; absent before the first has, and for mails of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    delivered: Option<u32>,
    /// The recipients for whom it is tried again; absent while all of them wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    waiting: Option<u32>,
    /// The recipients whose server refused it for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refused: Option<u32>,
}

impl<'a> AlertView<'a> {
    pub(crate) fn of(record: &'a AlertRecord) -> Self {
        let AlertRecord { alert_id, alert, sent_at, mail } = record;
        let mail = AlertMail {
            status: record.mail_status().as_str(),
            delivered: mail.tally.map(|tally| tally.delivered),
            waiting: sent_at.map(|_| mail.waiting),
            refused: mail.tally.map(|tally| tally.refused),
        };
        Self { alert_id, alert, sent_at: *sent_at, mail }
    }
}

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
    "sent_at": "2026-01-31T08:15:03.007Z",
    "mail": {"status": "partly_sent", "delivered": 1, "waiting": 1, "refused": 0}
}))]
#[expect(dead_code, reason = "describes what AlertView writes")]
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
    /// When the mail provider first accepted the mail; absent before that.
    #[schema(format = DateTime, nullable = false)]
    sent_at: Option<String>,
    /// Whom the mail has reached.
    mail: AlertMail,
}
