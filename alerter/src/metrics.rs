//! The alerter's metrics: names as constants, all at zero from the start so that the first failure shows.

use metrics::{counter, describe_counter, describe_histogram, histogram};

/// Alerts that a mail provider has taken (or that are durable as files).
pub const ALERTS_MAILED: &str = "stockline_alerts_mailed_total";
/// Mails taken, alerts and notices together.
pub const MAILS_SENT: &str = "stockline_mails_sent_total";
/// Mails not taken; label `kind`: `refused` or `unavailable`.
pub const MAIL_FAILURES: &str = "stockline_mail_failures_total";
/// Messages that are no alerts.
pub const UNDECODABLE: &str = "stockline_alerts_undecodable_total";
/// Alerts and notices that nobody is configured to get.
pub const WITHOUT_RECIPIENT: &str = "stockline_alerts_without_recipient_total";
/// From the crossing to the mail, in seconds.
pub const ALERT_AGE_SECONDS: &str = "stockline_alert_age_seconds";
/// Daily notices of refused commands mailed.
pub const NOTICES_MAILED: &str = "stockline_refused_notices_mailed_total";

/// The label of [`MAIL_FAILURES`].
pub(crate) const KIND: &str = "kind";
/// Value of [`KIND`]: the provider refuses this mail.
pub(crate) const REFUSED: &str = "refused";
/// Value of [`KIND`]: it may pass.
pub(crate) const UNAVAILABLE: &str = "unavailable";

pub(crate) fn start_at_zero() {
    describe_counter!(ALERTS_MAILED, "Alerts mailed");
    describe_counter!(MAILS_SENT, "Mails taken by the provider, alerts and notices");
    describe_counter!(MAIL_FAILURES, "Mails not taken, by kind");
    describe_counter!(UNDECODABLE, "Messages that are no alerts");
    describe_counter!(WITHOUT_RECIPIENT, "Alerts and notices that nobody is configured to get");
    describe_counter!(NOTICES_MAILED, "Daily notices of refused commands mailed");
    describe_histogram!(ALERT_AGE_SECONDS, metrics::Unit::Seconds, "From the crossing to the mail");
    for name in [ALERTS_MAILED, MAILS_SENT, UNDECODABLE, WITHOUT_RECIPIENT, NOTICES_MAILED] {
        counter!(name).absolute(0);
    }
    for kind in [REFUSED, UNAVAILABLE] {
        counter!(MAIL_FAILURES, KIND => kind).absolute(0);
    }
    let _registered = histogram!(ALERT_AGE_SECONDS);
}
