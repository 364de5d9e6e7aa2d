use stockline_core::domain::Timestamp;
use stockline_core::ports::Mail;

use super::text::{escape, foot, page, subject};

/// Returns the mail of `mail test`, which shows that mails arrive. `to` must not be empty.
pub fn test_mail(to: Vec<String>, now: Timestamp, public_url: Option<&str>) -> Mail {
    let title = "Stockline can reach you";
    let message = format!("This is a test, sent at {}. Stock alerts will be sent to this address.", now.in_zone("UTC"));
    let why = "You get this because someone ran Stockline's mail test.";
    let body = format!("<p style=\"margin:0\">{}</p>\n", escape(&message));
    Mail {
        id: format!("test:{}", now.as_millis()),
        to,
        subject: subject(title),
        text: format!("{title}\n\n{message}\n\n{}", foot(why, public_url)),
        html: page(title, &body, why, public_url),
    }
}
