//! The openings of a location are mailed together, a few minutes after the last of them: a load of opening stock is one
//! mail a location.
//!
//! The message of an opening stays in the queue until the opening is mailed, so nothing is lost. Meanwhile it comes again
//! and again, and the history is where the openings of a location are found: whoever receives one of them when the wait
//! is over mails all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stockline_core::domain::{Alert, CLOCK_SKEW_MAX_MS, LocationId, Timestamp};
use stockline_core::ports::{Gathered, Opening};
use tokio_util::sync::CancellationToken;

use super::{Alerts, Form, Notified};
use crate::compose;
use crate::config::{OPENINGS_QUIET as QUIET, OPENINGS_WAIT_MAX as WAIT_MAX};
use crate::contact::Contact;
use crate::failure::{RetryReason, Waiting};

/// Openings that were raised within this time of each other may be one mail.
const RAISED_WITHIN: Duration = Duration::from_secs(3_600);

/// The openings of a location as a list.
const TOGETHER: Form = Form { alerts_max: 1_000, compose: compose::openings_mail };

/// Returns whether an alert waits for others. Without a recipient there is nothing to wait for.
pub(super) fn is_gathered(alert: &Alert, contact: &Contact) -> bool {
    alert.opening && !contact.recipients.is_empty()
}

/// Returns how long the mail of these openings still waits.
fn wait(openings: &[Opening], now: Timestamp) -> Duration {
    // What a clock far ahead has gathered waits for nothing.
    let latest = now.plus_millis(CLOCK_SKEW_MAX_MS);
    let gathered: Vec<_> =
        openings.iter().filter_map(|opening| opening.gathered_at).filter(|at| *at <= latest).collect();
    let (Some(first), Some(last)) = (gathered.iter().min(), gathered.iter().max()) else { return Duration::ZERO };
    let due = after(*(last.min(&now)), QUIET).min(after(*first, WAIT_MAX));
    Duration::from_millis(u64::try_from(due.millis_since(now)).unwrap_or(0))
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    time.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the result of an alert that waits for its mail.
fn gathering(wait: Duration) -> Notified {
    Err(Waiting { reason: RetryReason::Gathering, due_in: Some(wait) })
}

impl Alerts {
    /// Mails the openings of each location together, if their wait is over.
    pub(super) async fn mail_openings(
        &self,
        openings: Vec<(Alert, &Contact)>,
        stop: Option<&CancellationToken>,
        notified: &mut BTreeMap<String, Notified>,
    ) {
        let mut places: BTreeMap<LocationId, (&Contact, Vec<Alert>)> = BTreeMap::new();
        for (alert, contact) in openings {
            places.entry(alert.location_id.clone()).or_insert_with(|| (contact, Vec::new())).1.push(alert);
        }
        for (location_id, (contact, alerts)) in places {
            let waiting = self.gather(alerts, notified).await;
            let in_hand: BTreeSet<String> = waiting.iter().map(Alert::id).collect();
            if let Err(result) = self.mail_location(&location_id, contact, waiting, stop, notified).await {
                for id in in_hand {
                    notified.entry(id).or_insert(Err(result));
                }
            }
        }
    }

    /// Adds openings to the history. Returns those that are not mailed, and adds the results of the others.
    async fn gather(&self, alerts: Vec<Alert>, notified: &mut BTreeMap<String, Notified>) -> Vec<Alert> {
        let gathered = self.adapters.book.gather(&alerts, self.adapters.clock.now()).await;
        let mut waiting = Vec::with_capacity(alerts.len());
        for (alert, gathered) in alerts.into_iter().zip(gathered) {
            match gathered {
                Ok(Gathered::Waiting) => waiting.push(alert),
                Ok(Gathered::Sent) => _ = notified.insert(alert.id(), Ok(())),
                Err(error) => {
                    tracing::warn!(alert = alert.id(), %error, "an opening can't be noted; it waits");
                    notified.insert(alert.id(), Err(RetryReason::Store.into()));
                }
            }
        }
        waiting
    }

    /// Mails the openings of a location: those in hand, and all others that wait. Adds the results of what it mailed.
    ///
    /// # Errors
    /// Returns the result of those in hand that have none.
    async fn mail_location(
        &self,
        location_id: &LocationId,
        contact: &Contact,
        mut in_hand: Vec<Alert>,
        stop: Option<&CancellationToken>,
        notified: &mut BTreeMap<String, Notified>,
    ) -> Result<(), Waiting> {
        let Some(oldest) = in_hand.iter().map(|alert| alert.raised_at).min() else { return Ok(()) };
        let around = i64::try_from(RAISED_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let raised = (oldest.plus_millis(-around), oldest.plus_millis(around));
        let listed = self.adapters.book.openings(location_id, raised, TOGETHER.alerts_max).await.map_err(|error| {
            tracing::warn!(location = %location_id, %error, "the openings of a location can't be read; they wait");
            Waiting::from(RetryReason::Store)
        })?;
        // What is mailed and not marked yet is marked when its own message comes.
        let listed: Vec<_> = {
            let unmarked = self.unmarked();
            listed.into_iter().filter(|opening| !unmarked.contains_key(&opening.alert.id())).collect()
        };
        let wait = wait(&listed, self.adapters.clock.now());
        if !wait.is_zero() {
            return gathering(wait);
        }
        // Those of a later load have a mail of their own.
        for later in in_hand.extract_if(.., |alert| alert.raised_at > raised.1) {
            notified.insert(later.id(), gathering(QUIET));
        }
        let mut together: BTreeMap<(Timestamp, String), Alert> = BTreeMap::new();
        for alert in in_hand.into_iter().chain(listed.into_iter().map(|opening| opening.alert)) {
            if together.len() < TOGETHER.alerts_max {
                together.insert((alert.raised_at, alert.id()), alert);
            }
        }
        let mut alerts = together.into_values().map(|alert| (alert, contact));
        // Several may find the wait over at the same moment. Who claims the first opening claims the others.
        let lease = self.lease();
        let Some((first, _)) = alerts.next() else { return Ok(()) };
        let id = first.id();
        let mut ours = self.claim(vec![(first, contact)], &lease, notified).await;
        if let Some(Err(held)) = notified.get(&id) {
            return Err(*held);
        }
        ours.extend(self.claim(alerts.collect(), &lease, notified).await);
        self.mail_claimed(ours, &TOGETHER, &lease, stop, notified).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;

    fn opening(gathered_at: Option<i64>) -> Opening {
        let alert = serde_json::json!({
            "item_id": "SKU-1", "location_id": "main", "alert_no": 1, "kind": "low", "on_hand": "3", "seq": 1,
            "raised_at": "2026-01-31T08:15:00Z", "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b",
            "item_name": "Milk", "unit": "piece", "opening": true,
        });
        let gathered_at = gathered_at.map(|seconds| Timestamp::from_millis(1_000_000_000 + seconds * SECOND));
        Opening { alert: serde_json::from_value(alert).unwrap(), gathered_at }
    }

    fn wait_s(gathered_s: &[Option<i64>], now_s: i64) -> u64 {
        let openings: Vec<_> = gathered_s.iter().copied().map(opening).collect();
        wait(&openings, Timestamp::from_millis(1_000_000_000 + now_s * SECOND)).as_secs()
    }

    #[test]
    fn the_mail_waits_for_the_last_opening_but_not_for_ever() {
        assert_eq!(wait_s(&[Some(0)], 0), 180);
        assert_eq!(wait_s(&[Some(0), Some(100)], 150), 130, "the last of them counts");
        assert_eq!(wait_s(&[Some(0), Some(100)], 280), 0);
        let every_minute: Vec<_> = (0..10).map(|minute| Some(minute * 60)).collect();
        assert_eq!(wait_s(&every_minute, 540), 60, "ten minutes after the first it is over");
        assert_eq!(wait_s(&every_minute, 600), 0);
        assert_eq!(wait_s(&[None], 0), 0, "what was claimed before has waited");
    }

    #[test]
    fn a_clock_that_was_ahead_holds_no_mail_up() {
        assert_eq!(wait_s(&[Some(60)], 0), 180, "clocks may differ a little");
        assert_eq!(wait_s(&[Some(365 * 86_400)], 0), 0);
        assert_eq!(wait_s(&[Some(365 * 86_400), Some(-60)], 0), 120);
    }
}
