use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_core::domain::{LocationId, LocationSettings, Timestamp};
use stockline_core::ports::{Claimed, Lease, RefusedNotice, StoreError};
use tokio_util::sync::CancellationToken;

use crate::compose::notice_mail;
use crate::config::{Adapters, Config};
use crate::contact::Contact;
use crate::deliveries::{Deliveries, SendWindow};
use crate::metrics::Meters;
use crate::refused::refused_commands;

/// A day's notice is due from this hour of the location's local time.
const DUE_FROM_HOUR: i8 = 6;

/// Commands settled within this time, in milliseconds, may not be in lists yet. They wait for the next notice.
const LIST_LAG_MS: i64 = 60_000;

/// Mails the daily notices of refused commands, one per location and day.
#[derive(Debug)]
pub(crate) struct Notices {
    config: Config,
    adapters: Adapters,
    deliveries: Deliveries,
    meters: Meters,
    /// Names this alerter in its claims.
    holder: Arc<str>,
    /// Claims of this alerter never block it, so it looks once at a time.
    one_look: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

/// The result of a look at all locations.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// How many notices were mailed.
    pub(crate) mailed: usize,
    /// When a notice whose mail failed is due again.
    pub(crate) due_in: Option<Duration>,
}

/// The result of a look at one location.
enum Looked {
    Nothing,
    Mailed,
    Failed(Duration),
}

/// What is known about notices without asking the store.
#[derive(Debug, Default)]
struct Memory {
    /// The day on which each location needs no further look, because its notice is mailed or it has no recipient, and
    /// when this was learned.
    done: BTreeMap<LocationId, (String, Timestamp)>,
    /// The time up to which each location had no refused commands. The next look begins there.
    none_until: BTreeMap<LocationId, Timestamp>,
    /// Mailed notices that could not be marked, with the time they reach to. They only need their mark.
    unmarked: Vec<(RefusedNotice, Timestamp)>,
}

impl Notices {
    pub(crate) fn new(
        config: Config,
        adapters: Adapters,
        deliveries: Deliveries,
        meters: Meters,
        holder: Arc<str>,
    ) -> Self {
        let (one_look, memory) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { config, adapters, deliveries, meters, holder, one_look, memory }
    }

    /// Mails the notices that are due. See [`Alerter::daily_notices`](crate::Alerter::daily_notices).
    pub(crate) async fn mail_due(&self, now: Timestamp, stop: Option<&CancellationToken>) -> Look {
        let _one_look = self.one_look.lock().await;
        self.mark_mailed().await;
        let mut locations = match self.adapters.locations.locations().await {
            Ok(locations) => locations,
            Err(error) => {
                tracing::warn!(%error, "locations can't be read; notices of refused commands wait");
                return Look::default();
            }
        };
        let main = LocationSettings::main();
        if !locations.iter().any(|location| location.location_id == main.location_id) {
            locations.push(main.clone());
        }
        let registered: BTreeSet<LocationId> = locations.iter().map(|l| l.location_id.clone()).collect();
        let mut look = Look::default();
        for settings in &locations {
            if stop.is_some_and(CancellationToken::is_cancelled) {
                break;
            }
            let registered = (settings.location_id == main.location_id).then_some(&registered);
            match self.mail_location(settings, registered, now, stop).await {
                Ok(Looked::Nothing) => {}
                Ok(Looked::Mailed) => look.mailed += 1,
                Ok(Looked::Failed(due_in)) => {
                    look.due_in = Some(look.due_in.map_or(due_in, |earlier| earlier.min(due_in)));
                }
                Err(error) => tracing::warn!(
                    location = %settings.location_id, %error,
                    "the notice of refused commands waits"
                ),
            }
        }
        look
    }

    /// Mails one location's notice if it is due.
    async fn mail_location(
        &self,
        settings: &LocationSettings,
        registered: Option<&BTreeSet<LocationId>>,
        now: Timestamp,
        stop: Option<&CancellationToken>,
    ) -> Result<Looked, StoreError> {
        let notice =
            RefusedNotice { location_id: settings.location_id.clone(), day: now.day_in_zone(&settings.time_zone) };
        if hour_in_zone(now, &settings.time_zone) < DUE_FROM_HOUR || self.is_done(&notice, now) {
            return Ok(Looked::Nothing);
        }
        let notified_until = self.adapters.book.notified_until(&settings.location_id, now).await?;
        let none_until = self.memory().none_until.get(&settings.location_id).copied();
        let since = notified_until.max(none_until.filter(|until| *until <= now));
        let until = now.plus_millis(-LIST_LAG_MS);
        let queries = self.adapters.queries.as_ref();
        let refused = refused_commands(queries, &settings.location_id, registered, since, until).await?;
        if refused.count == 0 {
            if !refused.more {
                self.memory().none_until.insert(notice.location_id, until);
            }
            return Ok(Looked::Nothing);
        }
        let contact = Contact::new(&settings.location_id, Some(settings), &self.config.recipients);
        if contact.recipients.is_empty() {
            self.meters.without_recipient.increment(1);
            tracing::warn!(
                location = %settings.location_id, refused = refused.count,
                "a notice of refused commands has no recipient: set the location's alert_emails or the configured recipients"
            );
            self.set_done(notice);
            return Ok(Looked::Nothing);
        }
        if !self.deliveries.is_due(&contact.recipients) {
            return Ok(Looked::Failed(self.deliveries.due_in(&contact.recipients)));
        }
        let from = self.adapters.clock.now();
        let lease = Lease { holder: self.holder.clone(), from, until: self.config.lease_from(from) };
        match self.adapters.book.claim_notice(&notice, &lease).await? {
            Claimed::Ours | Claimed::OursFor(_) => {}
            Claimed::Held => return Ok(Looked::Nothing),
            Claimed::Sent => {
                self.set_done(notice);
                return Ok(Looked::Nothing);
            }
        }
        let mail = notice_mail(&notice, &refused, &contact, self.config.public_url.as_deref());
        let window = SendWindow { lease_until: lease.until, stop };
        let delivered = self.deliveries.deliver(&mail, false, window).await;
        if delivered.accepted == 0 {
            if let Err(error) = self.adapters.book.give_up_notice(&notice, &lease).await {
                tracing::warn!(location = %notice.location_id, %error, "the claim of a notice can't be given up");
            }
            return Ok(Looked::Failed(self.deliveries.due_in(&delivered.missing)));
        }
        if !delivered.missing.is_empty() {
            tracing::warn!(
                mail = mail.id,
                recipients = delivered.missing.len(),
                "some recipients do not get this notice"
            );
        }
        self.meters.notices_mailed.increment(1);
        tracing::info!(location = %notice.location_id, day = notice.day, refused = refused.count, "notice mailed");
        self.memory().unmarked.push((notice, until));
        self.mark_mailed().await;
        Ok(Looked::Mailed)
    }

    /// Marks mailed notices. Notices that can't be marked are kept for the next call.
    async fn mark_mailed(&self) {
        let unmarked = self.memory().unmarked.clone();
        for (notice, until) in unmarked {
            match self.adapters.book.mark_notice_sent(&notice, until).await {
                Ok(()) => {
                    self.memory().unmarked.retain(|(mailed, _)| *mailed != notice);
                    self.set_done(notice);
                }
                Err(error) => tracing::warn!(
                    location = %notice.location_id, day = notice.day, %error,
                    "a mailed notice can't be marked; this is retried later"
                ),
            }
        }
    }

    /// Returns whether the day's notice needs no further look. What was learned after `now` was learned by a clock that
    /// was ahead.
    fn is_done(&self, notice: &RefusedNotice, now: Timestamp) -> bool {
        let memory = self.memory();
        let done = memory.done.get(&notice.location_id);
        done.is_some_and(|(day, learned_at)| *day == notice.day && *learned_at <= now)
            || memory.unmarked.iter().any(|(mailed, _)| mailed.location_id == notice.location_id)
    }

    fn set_done(&self, notice: RefusedNotice) {
        let learned_at = self.adapters.clock.now();
        self.memory().done.insert(notice.location_id, (notice.day, learned_at));
    }

    /// No thread can leave the memory half changed when it panics.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the hour of the local time, 0 to 23. An unknown zone counts as UTC.
fn hour_in_zone(now: Timestamp, time_zone: &str) -> i8 {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let time = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_zoned(zone).hour()
}
