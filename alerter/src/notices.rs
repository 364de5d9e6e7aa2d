use std::collections::{BTreeMap, BTreeSet};

use metrics::counter;
use stockline_core::domain::{LocationId, LocationSettings, Record, Status, Timestamp};
use stockline_core::ports::{Claimed, CommandFilter, RefusedNotice, StoreError};
use stockline_service::Shutdown;

use crate::alerter::{Alerter, lock};
use crate::compose::{NOTICE_LINES_MAX, Refused, notice_mail};
use crate::deliver::Term;
use crate::metrics::{NOTICES_MAILED, WITHOUT_RECIPIENT};
use crate::place::Place;

/// A day's notice is due from this hour on, by the location's wall clock.
const DUE_FROM_HOUR: i8 = 6;

/// Commands settled within this time may not show in lists yet: they are told next time, in milliseconds.
const LIST_LAG_MS: i64 = 60_000;

/// Refused commands of one page.
const PAGE_LIMIT: usize = 1_000;

/// The most pages that are read to count the refused commands of one kind.
const PAGES_MAX: usize = 10;

/// What is known of notices without asking the store.
#[derive(Debug, Default)]
pub(crate) struct NoticeMemory {
    /// The day each location needs no further look: told, or nobody to tell.
    done: BTreeMap<LocationId, String>,
    /// Up to when each location was found to have nothing to tell: the next look begins there.
    nothing_until: BTreeMap<LocationId, Timestamp>,
    /// Mailed notices whose mark failed, with how far they reached: only to be marked.
    unmarked: Vec<(RefusedNotice, Timestamp)>,
}

/// Which refused commands a listing keeps.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    /// Those of one location.
    Of(&'a LocationId),
    /// Those that name no registered location (catalogue commands, misspelt locations, unreadable ones): nobody
    /// else would tell them.
    Elsewhere(&'a BTreeSet<LocationId>),
}

impl Scope<'_> {
    fn keeps(self, record: &Record) -> bool {
        match self {
            Self::Of(_) => true,
            Self::Elsewhere(registered) => record
                .outcome
                .command
                .as_ref()
                .and_then(|command| command.action.locations().next())
                .is_none_or(|location| !registered.contains(location)),
        }
    }
}

impl Alerter {
    /// Mails the notices of refused commands that are due: once a day per location, from 06:00 of its wall clock on,
    /// when something was refused since the last notice. Refused commands that name no registered location are told
    /// with `main`. Answers how many notices were mailed; failures are logged, and tried again by the next call.
    pub async fn daily_notices(&self, now: Timestamp) -> usize {
        self.daily_notices_until(now, None).await
    }

    /// As [`Alerter::daily_notices`]; once `stop` is requested no further mail begins.
    pub async fn daily_notices_until(&self, now: Timestamp, stop: Option<&Shutdown>) -> usize {
        self.mark_mailed_notices().await;
        let mut locations = match self.adapters.locations.locations().await {
            Ok(locations) => locations,
            Err(error) => {
                tracing::warn!(%error, "locations can't be read; notices of refused commands wait");
                return 0;
            }
        };
        let main = LocationSettings::main();
        if !locations.iter().any(|location| location.location_id == main.location_id) {
            locations.push(main.clone());
        }
        let registered: BTreeSet<LocationId> = locations.iter().map(|l| l.location_id.clone()).collect();
        let mut mailed = 0;
        for settings in &locations {
            if stop.is_some_and(Shutdown::is_requested) {
                break;
            }
            let elsewhere = (settings.location_id == main.location_id).then_some(&registered);
            match self.daily_notice(settings, elsewhere, now, stop).await {
                Ok(sent) => mailed += usize::from(sent),
                Err(error) => tracing::warn!(
                    location = %settings.location_id, %error,
                    "the notice of refused commands waits"
                ),
            }
        }
        mailed
    }

    /// One location's notice; was it mailed?
    async fn daily_notice(
        &self,
        settings: &LocationSettings,
        elsewhere: Option<&BTreeSet<LocationId>>,
        now: Timestamp,
        stop: Option<&Shutdown>,
    ) -> Result<bool, StoreError> {
        let notice =
            RefusedNotice { location_id: settings.location_id.clone(), day: now.day_in_zone(&settings.time_zone) };
        if hour_in_zone(now, &settings.time_zone) < DUE_FROM_HOUR || self.is_done(&notice) {
            return Ok(false);
        }
        let notified_until = self.adapters.book.notified_until(&settings.location_id).await?;
        let since = notified_until.max(lock(&self.notices).nothing_until.get(&settings.location_id).copied());
        let until = now.plus_millis(-LIST_LAG_MS);
        let refused = self.refused(&settings.location_id, elsewhere, since, until).await?;
        if refused.count == 0 {
            if !refused.more {
                lock(&self.notices).nothing_until.insert(notice.location_id, until);
            }
            return Ok(false);
        }
        let place = Place::new(&settings.location_id, Some(settings), &self.config.recipients);
        if place.recipients.is_empty() {
            counter!(WITHOUT_RECIPIENT).increment(1);
            tracing::warn!(
                location = %settings.location_id, refused = refused.count,
                "commands were refused and nobody gets the notice: set the location's alert_emails or the configured recipients"
            );
            self.set_done(notice);
            return Ok(false);
        }
        let claimed_at = self.adapters.clock.now();
        let lease_until = self.lease_from(claimed_at);
        match self.adapters.book.claim_notice(&notice, claimed_at, lease_until).await? {
            Claimed::Ours => {}
            Claimed::Held => return Ok(false),
            Claimed::Sent => {
                self.set_done(notice);
                return Ok(false);
            }
        }
        let mail = notice_mail(&notice, &refused, &place, self.config.public_url.as_deref());
        if self.deliver(&mail, Term { lease_until, stop }).await.is_err() {
            return Ok(false);
        }
        counter!(NOTICES_MAILED).increment(1);
        tracing::info!(location = %notice.location_id, day = notice.day, refused = refused.count, "notice mailed");
        lock(&self.notices).unmarked.push((notice, until));
        self.mark_mailed_notices().await;
        Ok(true)
    }

    /// Marks notices that were mailed; those that can't be marked are kept for the next time.
    async fn mark_mailed_notices(&self) {
        let unmarked = lock(&self.notices).unmarked.clone();
        for (notice, until) in unmarked {
            match self.adapters.book.mark_notice_sent(&notice, until).await {
                Ok(()) => {
                    lock(&self.notices).unmarked.retain(|(mailed, _)| *mailed != notice);
                    self.set_done(notice);
                }
                Err(error) => tracing::warn!(
                    location = %notice.location_id, day = notice.day, %error,
                    "a mailed notice can't be marked; tried again"
                ),
            }
        }
    }

    fn is_done(&self, notice: &RefusedNotice) -> bool {
        let memory = lock(&self.notices);
        memory.done.get(&notice.location_id) == Some(&notice.day)
            || memory.unmarked.iter().any(|(mailed, _)| mailed.location_id == notice.location_id)
    }

    fn set_done(&self, notice: RefusedNotice) {
        lock(&self.notices).done.insert(notice.location_id, notice.day);
    }

    /// What was refused at a location from `since` to before `until`.
    async fn refused(
        &self,
        location_id: &LocationId,
        elsewhere: Option<&BTreeSet<LocationId>>,
        since: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<Refused, StoreError> {
        let mut refused = Refused::default();
        for status in [Status::Rejected, Status::DeadLettered] {
            self.list(Scope::Of(location_id), status, since, until, &mut refused).await?;
            if let Some(registered) = elsewhere {
                self.list(Scope::Elsewhere(registered), status, since, until, &mut refused).await?;
            }
        }
        Ok(refused)
    }

    async fn list(
        &self,
        scope: Scope<'_>,
        status: Status,
        since: Option<Timestamp>,
        until: Timestamp,
        refused: &mut Refused,
    ) -> Result<(), StoreError> {
        let location_id = match scope {
            Scope::Of(location_id) => Some(location_id.clone()),
            Scope::Elsewhere(_) => None,
        };
        let filter = CommandFilter { status, code: None, location_id, since, settled_otherwise: false };
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page = self.adapters.queries.commands(&filter, cursor.as_deref(), PAGE_LIMIT).await?;
            let kept = page.entries.into_iter().filter(|r| r.outcome.settled_at < until && scope.keeps(r));
            for record in kept {
                refused.count += 1;
                refused.newest.push(record);
            }
            refused.newest.sort_by_key(|record| std::cmp::Reverse(record.outcome.settled_at));
            refused.newest.truncate(NOTICE_LINES_MAX);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
        refused.more = true;
        Ok(())
    }
}

/// The hour of the wall clock at a place, 0 to 23; in UTC where the zone is not known.
fn hour_in_zone(now: Timestamp, time_zone: &str) -> i8 {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let time = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_zoned(zone).hour()
}
