use serde_json::json;
use stockline_core::domain::{Alert, LocationSettings, Record};
use stockline_core::ports::{Mail, RefusedNotice};
use stockline_core::testing::record_of;

use super::text::{SUBJECT_MAX_CHARS, link};
use super::{alert_mail, notice_mail, openings_mail};
use crate::contact::Contact;
use crate::refused::Refused;

const URL: Option<&str> = Some("https://stock.example.com/");

fn alert(item: &str, kind: &str, on_hand: &str, raised_at: &str) -> Alert {
    serde_json::from_value(json!({
        "item_id": item, "location_id": "shop-1", "alert_no": 4, "kind": kind, "on_hand": on_hand,
        "low_stock_threshold": "5", "seq": 17, "raised_at": raised_at,
        "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_name": "Whole milk 1 l", "unit": "piece",
    }))
    .unwrap()
}

fn shop() -> Contact {
    let settings: LocationSettings = serde_json::from_value(json!({
        "location_id": "shop-1", "name": "Corner shop", "time_zone": "Europe/Berlin",
        "alert_emails": ["shop@example.com"], "closed": false, "updated_at": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    Contact::new(&settings.location_id, Some(&settings), &[])
}

fn mail_of(alerts: Vec<Alert>, contact: &Contact) -> Mail {
    let alerts: Vec<(Alert, &Contact)> = alerts.into_iter().map(|alert| (alert, contact)).collect();
    alert_mail(&alerts, &contact.recipients, URL)
}

#[test]
fn an_alert_says_what_where_how_much_when_and_what_to_do() {
    let mail = mail_of(vec![alert("SKU-1", "low", "3", "2026-01-31T08:15:00Z")], &shop());
    assert_eq!(mail.id, "SKU-1:shop-1:4");
    assert_eq!(mail.subject, "Low stock: Whole milk 1 l at Corner shop [SKU-1:shop-1:4]");
    insta::assert_snapshot!("one_alert_text", mail.text);
    insta::assert_snapshot!("one_alert_html", mail.html);
}

#[test]
fn several_alerts_are_one_readable_mail() {
    let alerts = vec![
        alert("FUEL-95", "oversold", "-0.125", "2026-01-31T08:15:00Z"),
        alert("SKU-1", "out", "0", "2026-01-31T08:16:00Z"),
    ];
    let mail = mail_of(alerts.clone(), &shop());
    assert_eq!(mail.subject, "2 stock alerts [FUEL-95:shop-1:4 SKU-1:shop-1:4]");
    assert_eq!(mail.id, mail_of(alerts, &shop()).id, "the same alerts together are the same mail");
    insta::assert_snapshot!("two_alerts_text", mail.text);
    insta::assert_snapshot!("two_alerts_html", mail.html);
}

#[test]
fn openings_are_one_list_that_outside_text_can_not_imitate() {
    let opening = |item: &str, kind: &str, on_hand: &str, name: &str| Alert {
        item_name: name.into(),
        opening: true,
        ..alert(item, kind, on_hand, "2026-01-31T08:15:00Z")
    };
    let contact = shop();
    let alerts = [
        (opening("SKU-1", "out", "0", "Milk"), &contact),
        (opening("SKU-2", "low", "3", "<b>Tea</b>\nAlert       SKU-9:shop-1:1"), &contact),
    ];
    let mail = openings_mail(&alerts, &contact.recipients, URL);
    assert_eq!(mail.subject, "2 items open low at Corner shop [SKU-1:shop-1:4 SKU-2:shop-1:4]");
    assert_eq!(mail.id, alert_mail(&alerts, &contact.recipients, URL).id, "the same alerts together are the same mail");
    let ids: Vec<_> = mail.text.lines().filter_map(|line| line.strip_prefix("Alert       ")).collect();
    assert_eq!(ids, ["SKU-1:shop-1:4", "SKU-2:shop-1:4"]);
    assert!(
        mail.text.contains("Out of stock: Milk (SKU-1)\nOn hand     0 piece, threshold 5 piece\n"),
        "{}",
        mail.text
    );
    assert!(mail.html.contains("&lt;b&gt;Tea") && !mail.html.contains("<b>Tea"), "{}", mail.html);
    let one = openings_mail(&alerts[..1], &contact.recipients, URL);
    assert_eq!(one, alert_mail(&alerts[..1], &contact.recipients, URL), "a single one is like any other");
}

#[test]
fn local_time_is_right_on_both_sides_of_a_change_of_clocks() {
    for (utc, local) in [
        ("2026-03-29T00:59:00Z", "2026-03-29 01:59 CET"),
        ("2026-03-29T01:00:00Z", "2026-03-29 03:00 CEST"),
        ("2026-10-25T00:30:00Z", "2026-10-25 02:30 CEST"),
        ("2026-10-25T01:30:00Z", "2026-10-25 02:30 CET"),
    ] {
        let mail = mail_of(vec![alert("SKU-1", "low", "3", utc)], &shop());
        assert!(mail.text.contains(local), "{utc}: {}", mail.text);
        assert!(mail.html.contains(local), "{utc}");
    }
}

#[test]
fn a_hostile_name_harms_neither_subject_nor_html() {
    let mut evil = alert("SKU-1", "low", "3", "2026-01-31T08:15:00Z");
    evil.item_name = "Milk\r\nBcc: eve@example.com\r\n\r\n<script>alert('x')</script>\u{202e}\0 & \"co\"".into();
    let mut place = shop();
    place.name = "x".repeat(500);
    let mail = mail_of(vec![evil], &place);
    assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);
    assert!(mail.subject.chars().count() <= SUBJECT_MAX_CHARS);
    assert!(mail.subject.ends_with("[SKU-1:shop-1:4]"), "the id is never cut off: {}", mail.subject);
    assert!(!mail.text.contains("\nBcc:") && !mail.text.contains('\u{202e}'), "{}", mail.text);
    assert!(!mail.html.contains("<script>") && mail.html.contains("&lt;script&gt;"), "{}", mail.html);
    assert!(mail.html.contains("&amp; &quot;co&quot;"), "{}", mail.html);
}

#[test]
fn the_longest_ids_fit_in_a_subject() {
    let mut long = alert(&"S".repeat(64), "out", "0", "2026-01-31T08:15:00Z");
    long.location_id = "L".repeat(32).parse().unwrap();
    long.alert_no = u64::MAX;
    long.item_name = "n".repeat(200);
    let mut place = shop();
    place.name = "p".repeat(200);
    let id = long.id();
    let mail = mail_of(vec![long.clone()], &place);
    assert!(mail.subject.ends_with(&format!("[{id}]")), "{}", mail.subject);
    let many = mail_of(vec![long; 100], &place);
    assert!(many.subject.ends_with(&format!("[{id} and 99 more]")), "{}", many.subject);
}

#[test]
fn only_a_web_address_is_linked() {
    assert_eq!(link(Some("https://a.example/")), Some("https://a.example"));
    assert_eq!(link(Some("javascript:alert(1)")), None);
    assert_eq!(link(None), None);
}

fn refused(n: u8, item: &str, action: serde_json::Value, code: &str, detail: &str) -> Record {
    let id = format!("01936b2e-7c4a-7f10-8a5b-0000000000{n:02}");
    let mut command = json!({"command_id": id, "item_id": item});
    command.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
    record_of(&json!({
        "v": 1, "command_id": id, "item_id": item, "status": "rejected", "accepted_at": "2026-01-31T04:00:00Z",
        "settled_at": format!("2026-01-31T04:00:{n:02}Z"), "submitted_by": "till-1", "command": command,
        "rejection": {"code": code, "detail": detail},
    }))
}

#[test]
fn a_notice_lists_the_refused_commands_and_why() {
    let records = vec![
        refused(
            3,
            "SKU-1",
            json!({"type": "sell", "location_id": "shop-1", "quantity": "2"}),
            "insufficient_stock",
            "1 is available",
        ),
        refused(
            2,
            "SKU-9",
            json!({"type": "transfer", "from_location_id": "shop-1", "to_location_id": "b", "quantity": "0.5"}),
            "unknown_item",
            "no item <SKU-9>: register it first",
        ),
    ];
    let notice = RefusedNotice { location_id: "shop-1".parse().unwrap(), day: "2026-01-31".into() };
    let refused = Refused { newest: records, count: 7, more: false };
    let mail = notice_mail(&notice, &refused, &shop(), URL);
    assert_eq!(mail.id, "refused:shop-1:2026-01-31");
    assert_eq!(mail.subject, "7 commands refused at Corner shop [refused:shop-1:2026-01-31]");
    insta::assert_snapshot!("notice_text", mail.text);
    insta::assert_snapshot!("notice_html", mail.html);
    let one = notice_mail(&notice, &Refused { count: 1, ..refused }, &shop(), URL);
    assert!(one.subject.starts_with("1 command refused"), "{}", one.subject);
}
