use std::fmt::Write as _;

use stockline_core::domain::{Alert, AlertKind, Quantity, carried};
use stockline_core::ports::Mail;
use uuid::Uuid;

use super::text::{SUBJECT_NAME_MAX_CHARS, escape, foot, name, one_line, page, subject};
use crate::contact::Contact;

/// The most characters of alert ids in the subject of several alerts. The rest are counted.
const SUBJECT_IDS_MAX_CHARS: usize = 150;

pub(super) const SMALL_PRINT: &str = "You get each kind of alert once until the stock is back to normal. \
    Recipients are the location's alert_emails, or else the addresses configured for all locations.";

/// Returns one mail for alerts to the same recipients. `alerts` must not be empty.
pub(crate) fn alert_mail(alerts: &[(Alert, &Contact)], to: &[String], public_url: Option<&str>) -> Mail {
    let title = match alerts {
        [(alert, _)] => format!("{}: {}", heading(alert.kind), name(&alert.item_name)),
        _ => format!("{} stock alerts", alerts.len()),
    };
    let mut text = format!("{title}\n\n");
    let mut html = String::new();
    for (alert, contact) in alerts {
        let rows = rows(alert, contact);
        if alerts.len() > 1 {
            let _ = writeln!(text, "{}: {}", heading(alert.kind), name(&alert.item_name));
        }
        for (label, value) in &rows {
            let _ = writeln!(text, "{label:<12}{value}");
        }
        text.push('\n');
        html.push_str(&card(alert, &rows));
    }
    text.push_str(&foot(SMALL_PRINT, public_url));
    Mail {
        id: mail_id(alerts),
        to: to.to_vec(),
        subject: subject_of(alerts),
        text,
        html: page(&title, &html, SMALL_PRINT, public_url),
    }
}

/// Returns the alert's id as mails carry it, or one made from all ids, so that the same alerts together are the same mail.
pub(super) fn mail_id(alerts: &[(Alert, &Contact)]) -> String {
    let ids: Vec<String> = alerts.iter().map(|(alert, _)| alert.id()).collect();
    match ids.as_slice() {
        [id] => carried(id).into_owned(),
        _ => format!("alerts:{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, ids.join("\n").as_bytes())),
    }
}

fn subject_of(alerts: &[(Alert, &Contact)]) -> String {
    if let [(alert, contact)] = alerts {
        // The names are bounded, so that the id (at most 118 characters) is never cut off.
        let item = one_line(&alert.item_name, SUBJECT_NAME_MAX_CHARS);
        let location = one_line(&contact.name, SUBJECT_NAME_MAX_CHARS / 2);
        return subject(&format!("{}: {item} at {location} [{}]", heading(alert.kind), alert.id()));
    }
    subject(&format!("{} stock alerts [{}]", alerts.len(), ids(alerts)))
}

/// Returns the ids of several alerts, as far as there is room, and how many more there are.
pub(super) fn ids(alerts: &[(Alert, &Contact)]) -> String {
    let mut ids = String::new();
    let mut named = 0;
    for (alert, _) in alerts {
        let id = alert.id();
        if named > 0 && ids.len() + id.len() > SUBJECT_IDS_MAX_CHARS {
            break;
        }
        named += 1;
        if !ids.is_empty() {
            ids.push(' ');
        }
        ids.push_str(&id);
    }
    let more = alerts.len() - named;
    if more > 0 {
        let _ = write!(ids, " and {more} more");
    }
    ids
}

pub(super) const fn heading(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Low => "Low stock",
        AlertKind::Out => "Out of stock",
        AlertKind::Oversold => "Oversold",
    }
}

/// Returns the accent and the tint of a card.
pub(super) const fn colours(kind: AlertKind) -> (&'static str, &'static str) {
    match kind {
        AlertKind::Low => ("#b45309", "#fef3c7"),
        AlertKind::Out => ("#b91c1c", "#fee2e2"),
        AlertKind::Oversold => ("#7e22ce", "#f3e8ff"),
    }
}

fn rows(alert: &Alert, contact: &Contact) -> [(&'static str, String); 8] {
    let unit = one_line(&alert.unit, 16);
    let threshold = alert.low_stock_threshold.map_or_else(|| "none".to_owned(), |t| format!("{t} {unit}"));
    let entry = if alert.seq == 0 { "none yet".to_owned() } else { format!("seq {}", alert.seq) };
    [
        ("Item", format!("{} ({})", name(&alert.item_name), alert.item_id)),
        ("Location", format!("{} ({})", name(&contact.name), alert.location_id)),
        ("On hand", format!("{} {unit}", alert.on_hand)),
        ("Threshold", threshold),
        ("When", alert.raised_at.in_zone(&contact.time_zone)),
        ("Entry", entry),
        ("What to do", what_to_do(alert, &unit)),
        ("Alert", alert.id()),
    ]
}

fn what_to_do(alert: &Alert, unit: &str) -> String {
    match alert.kind {
        AlertKind::Low => "Reorder. If there is more on the shelf than this, submit a count.".to_owned(),
        AlertKind::Out => "Reorder now. If there is still some on the shelf, submit a count.".to_owned(),
        AlertKind::Oversold => {
            let short = alert.on_hand.checked_neg().unwrap_or(Quantity::ZERO);
            format!(
                "{short} {unit} more went out than the recorded stock. \
                 Look for a delivery that was not received in Stockline, then count the shelf and submit the count."
            )
        }
    }
}

fn card(alert: &Alert, rows: &[(&'static str, String)]) -> String {
    let (accent, tint) = colours(alert.kind);
    let mut out = format!(
        "<div style=\"margin:0 0 16px;background:#ffffff;border:1px solid #e5e7eb;border-left:5px solid {accent};\
         border-radius:6px;padding:14px 16px\">\n\
         <div style=\"margin:0 0 8px\"><span style=\"background:{tint};color:{accent};border-radius:4px;\
         padding:2px 8px;font-size:13px;font-weight:600\">{}</span> \
         <strong style=\"font-size:16px\">{}</strong></div>\n\
         <table role=\"presentation\" style=\"border-collapse:collapse;font-size:14px\">\n",
        heading(alert.kind),
        escape(&name(&alert.item_name)),
    );
    for (label, value) in rows {
        let _ = writeln!(
            out,
            "<tr><td style=\"padding:2px 16px 2px 0;color:#6b7280;vertical-align:top;white-space:nowrap\">{label}</td>\
             <td style=\"padding:2px 0;vertical-align:top\">{}</td></tr>",
            escape(value)
        );
    }
    out.push_str("</table>\n</div>\n");
    out
}
