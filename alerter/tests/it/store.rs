//! Alert book, locations and refused commands in memory, as the ports' contracts say.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use stockline_core::domain::{Alert, CommandKey, ItemId, LocationId, LocationSettings, Quantity, Record, Timestamp};
use stockline_core::ports::{
    AlertBook, AlertRecord, Claimed, CommandFilter, ItemFilter, ItemWithLevels, LevelFilter, LevelWithItem, Locations,
    Movement, MovementFilter, Page, Queries, RefusedNotice, StoreError,
};
use tokio::sync::Semaphore;

#[derive(Debug, Default)]
struct Claim {
    lease_until_ms: i64,
    sent_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    alerts: BTreeMap<String, Claim>,
    notices: BTreeMap<(LocationId, String), Claim>,
    notified_until: BTreeMap<LocationId, Timestamp>,
    pub(crate) locations: BTreeMap<LocationId, LocationSettings>,
    pub(crate) refused: Vec<Record>,
    /// Every call fails.
    pub(crate) down: bool,
    /// So many marks fail.
    pub(crate) failing_marks: usize,
}

#[derive(Debug)]
pub(crate) struct MemoryStore {
    state: Mutex<State>,
    /// A mark waits for a permit: closed, the alerter stands between mail and mark.
    pub(crate) marks: Semaphore,
    /// Permits appear as marks begin.
    pub(crate) marks_begun: Semaphore,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Mutex::default(), marks: Semaphore::new(Semaphore::MAX_PERMITS), marks_begun: Semaphore::new(0) }
    }
}

impl Claim {
    fn take(&mut self, now: Timestamp, lease_until: Timestamp) -> Claimed {
        if self.sent_at.is_some() {
            Claimed::Sent
        } else if now.as_millis() < self.lease_until_ms {
            Claimed::Held
        } else {
            self.lease_until_ms = lease_until.as_millis();
            Claimed::Ours
        }
    }
}

impl MemoryStore {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn sent_at(&self, alert: &Alert) -> Option<Timestamp> {
        self.state().alerts.get(&alert.id())?.sent_at
    }

    pub(crate) fn is_claimed(&self, alert: &Alert) -> bool {
        self.state().alerts.contains_key(&alert.id())
    }

    fn up(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.down { Err(StoreError::Unavailable("down".into())) } else { Ok(state) }
    }

    async fn may_mark(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        self.marks_begun.add_permits(1);
        drop(self.marks.acquire().await.unwrap());
        let mut state = self.up()?;
        if state.failing_marks > 0 {
            state.failing_marks -= 1;
            return Err(StoreError::Unavailable("the mark failed".into()));
        }
        Ok(state)
    }
}

#[async_trait]
impl AlertBook for MemoryStore {
    async fn claim(
        &self,
        alerts: &[Alert],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Vec<Result<Claimed, StoreError>> {
        let claim = |alert: &Alert| Ok(self.up()?.alerts.entry(alert.id()).or_default().take(now, lease_until));
        alerts.iter().map(claim).collect()
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp) -> Result<(), StoreError> {
        let mut state = self.may_mark().await?;
        for alert in alerts {
            state.alerts.entry(alert.id()).or_default().sent_at.get_or_insert(sent_at);
        }
        Ok(())
    }

    async fn claim_notice(
        &self,
        notice: &RefusedNotice,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let key = (notice.location_id.clone(), notice.day.clone());
        Ok(self.up()?.notices.entry(key).or_default().take(now, lease_until))
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let mut state = self.may_mark().await?;
        let key = (notice.location_id.clone(), notice.day.clone());
        state.notices.entry(key).or_default().sent_at = Some(until);
        state.notified_until.insert(notice.location_id.clone(), until);
        Ok(())
    }

    async fn notified_until(&self, location_id: &LocationId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.up()?.notified_until.get(location_id).copied())
    }
}

#[async_trait]
impl Locations for MemoryStore {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        Ok(self.up()?.locations.get(location_id).cloned())
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        Ok(self.up()?.locations.values().cloned().collect())
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<(), StoreError> {
        self.up()?.locations.insert(settings.location_id.clone(), settings.clone());
        Ok(())
    }
}

fn nothing<T>() -> Page<T> {
    Page { entries: Vec::new(), next_cursor: None }
}

#[async_trait]
impl Queries for MemoryStore {
    /// Newest first, page by page; a cursor is how many came before.
    async fn commands(
        &self,
        filter: &CommandFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let state = self.up()?;
        let mut all: Vec<&Record> = state
            .refused
            .iter()
            .filter(|record| record.outcome.status == filter.status)
            .filter(|record| filter.since.is_none_or(|since| record.outcome.settled_at >= since))
            .filter(|record| {
                let named = record.outcome.command.as_ref().and_then(|command| command.action.locations().next());
                filter.location_id.is_none() || named == filter.location_id.as_ref()
            })
            .collect();
        all.sort_by_key(|record| std::cmp::Reverse(record.outcome.settled_at));
        let from = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let entries: Vec<Record> = all.iter().skip(from).take(limit).copied().cloned().collect();
        let seen = from + entries.len();
        Ok(Page { entries, next_cursor: (seen < all.len()).then(|| seen.to_string()) })
    }

    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        Ok(vec![None; commands.len()])
    }

    async fn item(&self, _: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        Ok(None)
    }

    async fn items(&self, _: &ItemFilter, _: Option<&str>, _: usize) -> Result<Page<ItemWithLevels>, StoreError> {
        Ok(nothing())
    }

    async fn movements(
        &self,
        _: &ItemId,
        _: &MovementFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<Page<Movement>, StoreError> {
        Ok(nothing())
    }

    async fn stock_as_of(
        &self,
        _: &ItemId,
        _: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        Ok(None)
    }

    async fn levels(&self, _: &LevelFilter, _: Option<&str>, _: usize) -> Result<Page<LevelWithItem>, StoreError> {
        Ok(nothing())
    }

    async fn alerts(&self, _: Option<&LocationId>, _: Option<&str>, _: usize) -> Result<Page<AlertRecord>, StoreError> {
        Ok(nothing())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.up().map(drop)
    }
}
