use std::fmt::Write as _;

use stockline_core::domain::{Action, Command, LocationId, MAIN_LOCATION, Quantity, Record, carried};
use stockline_core::ports::{Mail, RefusedNotice};

use super::text::{escape, foot, link, name, one_line, page, subject};
use crate::contact::Contact;
use crate::refused::Refused;

/// The longest reason shown, in characters.
const DETAIL_MAX_CHARS: usize = 240;

const SMALL_PRINT: &str = "You get this mail at most once a day per location, and only if a command was refused.";

/// Returns the notice of a location's refused commands. There must be at least one.
pub(crate) fn notice_mail(
    notice: &RefusedNotice,
    refused: &Refused,
    contact: &Contact,
    public_url: Option<&str>,
) -> Mail {
    let at_least = if refused.more { "at least " } else { "" };
    let commands = if refused.count == 1 { "command" } else { "commands" };
    let title = format!("{at_least}{} {commands} refused at {}", refused.count, name(&contact.name));
    let lines: Vec<[String; 5]> = refused.newest.iter().map(|record| line(record, contact)).collect();
    let unlisted = refused.count.saturating_sub(lines.len());
    let to_do = what_to_do(&notice.location_id, public_url);

    let mut text = format!("{title}\n\nThey had no effect on the stock.\n\n");
    for [when, item, what, why, id] in &lines {
        let _ = writeln!(text, "{when}  {item}  {what}\n    {why}\n    {id}");
    }
    let unlisted = if unlisted > 0 || refused.more {
        format!("These are the newest {}; {at_least}{unlisted} older ones are not listed.", lines.len())
    } else {
        String::new()
    };
    if !unlisted.is_empty() {
        let _ = writeln!(text, "\n{unlisted}");
    }
    let _ = write!(text, "\n{to_do}\n\n{}", foot(SMALL_PRINT, public_url));

    let mut html = String::from("<p style=\"margin:0 0 12px\">They had no effect on the stock.</p>\n");
    html.push_str(&table(&lines));
    for paragraph in [&unlisted, &to_do].into_iter().filter(|text| !text.is_empty()) {
        let _ = writeln!(html, "<p style=\"margin:12px 0 0\">{}</p>", escape(paragraph));
    }
    Mail {
        id: carried(&format!("refused:{}:{}", notice.location_id.in_key(), notice.day)).into_owned(),
        to: contact.recipients.clone(),
        subject: subject(&format!("{title} [refused:{}:{}]", notice.location_id, notice.day)),
        text,
        html: page(&title, &html, SMALL_PRINT, public_url),
    }
}

fn what_to_do(location_id: &LocationId, public_url: Option<&str>) -> String {
    let base = link(public_url).unwrap_or_default();
    // The notice of `main` also lists commands that name no registered location. A filter would hide them.
    let only = if location_id.as_str() == MAIN_LOCATION {
        String::new()
    } else {
        format!("&location_id={}", location_id.in_path())
    };
    format!(
        "What to do: correct the cause, then resubmit the commands with `stockline refused --resubmit`. \
         The whole list: GET {base}/v1/commands?status=rejected{only} (and status=dead_lettered)."
    )
}

/// Returns time, item, command, reason and id.
fn line(record: &Record, contact: &Contact) -> [String; 5] {
    let outcome = &record.outcome;
    let what = outcome.command.as_ref().map_or_else(|| "unreadable".to_owned(), what);
    let why = match (&outcome.rejection, &outcome.dead_letter) {
        (Some(rejection), _) => format!("{}: {}", rejection.code.as_str(), rejection.detail),
        (None, Some(letter)) => format!("dead-lettered: {}", letter.reason),
        (None, None) => outcome.status.as_str().to_owned(),
    };
    [
        outcome.settled_at.in_zone(&contact.time_zone),
        outcome.item_id.to_string(),
        what,
        one_line(&why, DETAIL_MAX_CHARS),
        outcome.command_id.to_string(),
    ]
}

/// Returns the command in a few words, e.g. `sell 2 at shop-1` or `transfer 3 from shop-1 to shop-2`.
fn what(command: &Command) -> String {
    let kind = command.kind().as_str();
    let quantity: Option<Quantity> = match &command.action {
        Action::Receive { quantity, .. }
        | Action::Sell { quantity, .. }
        | Action::Return { quantity, .. }
        | Action::Adjust { quantity, .. }
        | Action::Transfer { quantity, .. } => Some(*quantity),
        Action::Count { counted, .. } => Some(*counted),
        _ => None,
    };
    let mut words = kind.to_owned();
    if let Some(reversed) = command.action.reverses() {
        let _ = write!(words, " {reversed}");
    }
    if let Some(quantity) = quantity {
        let _ = write!(words, " {quantity}");
    }
    let locations: Vec<&str> = command.action.locations().map(LocationId::as_str).collect();
    if !locations.is_empty() {
        let _ = write!(words, " {} {}", if locations.len() > 1 { "from" } else { "at" }, locations.join(" to "));
    }
    words
}

fn table(lines: &[[String; 5]]) -> String {
    const CELL: &str = "padding:6px 8px;border-bottom:1px solid #e5e7eb;vertical-align:top;text-align:left";
    let mut out = format!(
        "<table style=\"border-collapse:collapse;width:100%;background:#ffffff;font-size:13px\">\n\
         <tr style=\"background:#e5e7eb\"><th style=\"{CELL}\">When</th><th style=\"{CELL}\">Item</th>\
         <th style=\"{CELL}\">Command</th><th style=\"{CELL}\">Why</th></tr>\n"
    );
    for [when, item, what, why, id] in lines {
        let _ = writeln!(
            out,
            "<tr><td style=\"{CELL}\">{}</td><td style=\"{CELL}\">{}</td>\
             <td style=\"{CELL}\">{}<br><span style=\"color:#6b7280;font-size:11px\">{}</span></td>\
             <td style=\"{CELL}\">{}</td></tr>",
            escape(when),
            escape(item),
            escape(what),
            escape(id),
            escape(why)
        );
    }
    out.push_str("</table>\n");
    out
}
