//! The alerter's metrics. Every metric starts at zero, so that the first failure shows.

use std::fmt;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Alerts that the mail provider accepted, or that are durable as files.
pub const ALERTS_MAILED: &str = "stockline_alerts_mailed_total";
/// Mails accepted by the provider, alerts and notices together.
pub const MAILS_SENT: &str = "stockline_mails_sent_total";
/// Mails not accepted; label `kind`: `refused`, `deferred` or `unavailable`.
pub const MAIL_FAILURES: &str = "stockline_mail_failures_total";
/// 1 while the mail provider can't be used, else 0.
pub const PROVIDER_DOWN: &str = "stockline_mail_down";
/// Recipients whose last mail was not accepted, while the provider takes the mails of others.
pub const FAILING_RECIPIENTS: &str = "stockline_mail_failing_recipients";
/// Messages that are no alerts.
pub const UNDECODABLE: &str = "stockline_alerts_undecodable_total";
/// Alerts and notices without a configured recipient.
pub const WITHOUT_RECIPIENT: &str = "stockline_alerts_without_recipient_total";
/// Seconds from the crossing to the mail.
pub const ALERT_AGE_SECONDS: &str = "stockline_alert_age_seconds";
/// Daily notices of refused commands mailed.
pub const NOTICES_MAILED: &str = "stockline_refused_notices_mailed_total";

/// The label of [`MAIL_FAILURES`].
const KIND: &str = "kind";

/// The metric handles, looked up once.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) alerts_mailed: Counter,
    pub(crate) mails_sent: Counter,
    pub(crate) mails_refused: Counter,
    pub(crate) mails_deferred: Counter,
    pub(crate) mails_unavailable: Counter,
    pub(crate) provider_down: Gauge,
    pub(crate) failing_recipients: Gauge,
    pub(crate) undecodable: Counter,
    pub(crate) without_recipient: Counter,
    pub(crate) alert_age_seconds: Histogram,
    pub(crate) notices_mailed: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe_counter!(ALERTS_MAILED, "Alerts mailed");
        describe_counter!(MAILS_SENT, "Mails accepted by the provider, alerts and notices");
        describe_counter!(MAIL_FAILURES, "Mails not accepted, by kind");
        describe_gauge!(PROVIDER_DOWN, "1 while the mail provider can't be used");
        describe_gauge!(FAILING_RECIPIENTS, "Recipients whose last mail was not accepted");
        describe_counter!(UNDECODABLE, "Messages that are no alerts");
        describe_counter!(WITHOUT_RECIPIENT, "Alerts and notices without a configured recipient");
        describe_counter!(NOTICES_MAILED, "Daily notices of refused commands mailed");
        describe_histogram!(ALERT_AGE_SECONDS, metrics::Unit::Seconds, "From the crossing to the mail");
        Self {
            alerts_mailed: zero(counter!(ALERTS_MAILED)),
            mails_sent: zero(counter!(MAILS_SENT)),
            mails_refused: zero(counter!(MAIL_FAILURES, KIND => "refused")),
            mails_deferred: zero(counter!(MAIL_FAILURES, KIND => "deferred")),
            mails_unavailable: zero(counter!(MAIL_FAILURES, KIND => "unavailable")),
            provider_down: none(gauge!(PROVIDER_DOWN)),
            failing_recipients: none(gauge!(FAILING_RECIPIENTS)),
            undecodable: zero(counter!(UNDECODABLE)),
            without_recipient: zero(counter!(WITHOUT_RECIPIENT)),
            alert_age_seconds: histogram!(ALERT_AGE_SECONDS),
            notices_mailed: zero(counter!(NOTICES_MAILED)),
        }
    }
}

/// Registers a counter, so that it shows before its first event.
fn zero(counter: Counter) -> Counter {
    counter.absolute(0);
    counter
}

fn none(gauge: Gauge) -> Gauge {
    gauge.set(0.0);
    gauge
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}
