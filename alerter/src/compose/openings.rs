use std::fmt::Write as _;

use stockline_core::domain::{Alert, Quantity};
use stockline_core::ports::Mail;

use super::alerts::{SMALL_PRINT, alert_mail, colours, heading, ids, mail_id};
use super::text::{SUBJECT_NAME_MAX_CHARS, escape, foot, name, one_line, page, subject};
use crate::contact::Contact;

const INTRODUCTION: &str = "Their first stock here, a delivery, a count or a return, is below their threshold. \
    Reorder, or correct the threshold. If there is more on the shelf, submit a count.";

/// Returns one mail for the openings of a location. `alerts` must not be empty. A single opening is like any other alert.
pub(crate) fn openings_mail(alerts: &[(Alert, &Contact)], to: &[String], public_url: Option<&str>) -> Mail {
    let [(_, contact), _, ..] = alerts else {
        return alert_mail(alerts, to, public_url);
    };
    let title = |location: &str| format!("{} items open low at {location}", alerts.len());
    let headline = title(&name(&contact.name));
    let mut text = format!("{headline}\n\n{INTRODUCTION}\n\n");
    let mut rows = String::new();
    for (alert, _) in alerts {
        text.push_str(&paragraph(alert));
        rows.push_str(&row(alert));
    }
    text.push_str(&foot(SMALL_PRINT, public_url));
    let subject_title = title(&one_line(&contact.name, SUBJECT_NAME_MAX_CHARS));
    Mail {
        id: mail_id(alerts),
        to: to.to_vec(),
        subject: subject(&format!("{subject_title} [{}]", ids(alerts))),
        text,
        html: page(&headline, &table(&rows), SMALL_PRINT, public_url),
    }
}

/// Returns a quantity with the item's unit.
fn amount(alert: &Alert, quantity: Quantity) -> String {
    format!("{quantity} {}", one_line(&alert.unit, 16))
}

fn threshold(alert: &Alert) -> String {
    alert.low_stock_threshold.map_or_else(|| "none".to_owned(), |threshold| amount(alert, threshold))
}

fn item(alert: &Alert) -> String {
    format!("{} ({})", name(&alert.item_name), alert.item_id)
}

fn paragraph(alert: &Alert) -> String {
    let label = |label: &str, value: &str| format!("{label:<12}{value}\n");
    let lines = [
        format!("{}: {}\n", heading(alert.kind), item(alert)),
        label("On hand", &format!("{}, threshold {}", amount(alert, alert.on_hand), threshold(alert))),
        label("Alert", &alert.id()),
        "\n".to_owned(),
    ];
    lines.concat()
}

fn row(alert: &Alert) -> String {
    const CELL: &str = "padding:6px 12px 6px 0;border-top:1px solid #e5e7eb;vertical-align:top";
    let (accent, tint) = colours(alert.kind);
    let mut out = format!(
        "<tr><td style=\"{CELL}\"><span style=\"background:{tint};color:{accent};border-radius:4px;padding:2px 8px\">\
         {}</span></td>",
        alert.kind.as_str()
    );
    for value in [item(alert), amount(alert, alert.on_hand), threshold(alert), alert.id()] {
        let _ = write!(out, "<td style=\"{CELL}\">{}</td>", escape(&value));
    }
    out.push_str("</tr>\n");
    out
}

fn table(rows: &str) -> String {
    let mut out = format!(
        "<p style=\"margin:0 0 16px\">{INTRODUCTION}</p>\n\
         <table style=\"border-collapse:collapse;font-size:14px;background:#ffffff;width:100%\">\n<tr>"
    );
    for column in ["State", "Item", "On hand", "Threshold", "Alert"] {
        let _ = write!(out, "<th style=\"padding:6px 12px 6px 0;text-align:left;color:#6b7280\">{column}</th>");
    }
    let _ = write!(out, "</tr>\n{rows}</table>\n");
    out
}
