//! The text of mails: pure functions from an event to a [`Mail`](stockline_core::ports::Mail). Outside text is put on one
//! line, bounded, and escaped in HTML.

mod alerts;
mod notice;
mod openings;
mod test_mail;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use alerts::alert_mail;
pub(crate) use notice::notice_mail;
pub(crate) use openings::openings_mail;
pub use test_mail::test_mail;
