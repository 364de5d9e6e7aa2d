//! The store in memory with faults: outages, marks that fail, and an alerter that is held between mail and mark.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use stockline_core::domain::{Alert, CommandKey, LocationId, Record, Timestamp};
use stockline_core::ports::{
    AlertBook, Claimed, Gathered, Lease, MailState, MailStatus, MailTally, Opening, PageRequest, PartSent, Queries,
    RefusedNotice, StoreError,
};
use stockline_core::testing::{Gate, MemoryStore, Read, Stock};
use tokio::sync::Semaphore;

/// The faults that a test asks for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Every call fails.
    pub(crate) down: bool,
    /// Claims can't be given up.
    pub(crate) lost_give_ups: bool,
    /// This many marks fail.
    pub(crate) failing_marks: usize,
}

#[derive(Debug)]
pub(crate) struct FaultyStore {
    memory: MemoryStore,
    faults: Mutex<Faults>,
    /// A mark waits for a permit. Without permits the alerter stays between mail and mark.
    pub(crate) marks: Semaphore,
    /// Permits appear as marks begin.
    pub(crate) marks_begun: Semaphore,
}

impl Default for FaultyStore {
    fn default() -> Self {
        Self {
            memory: MemoryStore::default(),
            faults: Mutex::default(),
            marks: Semaphore::new(Semaphore::MAX_PERMITS),
            marks_begun: Semaphore::new(0),
        }
    }
}

impl FaultyStore {
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    pub(crate) fn stock(&self) -> MutexGuard<'_, Stock> {
        self.memory.stock()
    }

    /// Adds refused commands to the list.
    pub(crate) fn refuse(&self, records: impl IntoIterator<Item = Record>) {
        let mut stock = self.stock();
        for record in records {
            let (item_id, command_id) = (record.outcome.item_id.clone(), record.outcome.command_id);
            stock.records.insert(CommandKey { item_id, command_id }, record);
        }
    }

    pub(crate) fn sent_at(&self, alert: &Alert) -> Option<Timestamp> {
        self.stock().alerts.get(&alert.id())?.1.sent_at
    }

    /// Returns what the list of alerts says of an alert's mail.
    pub(crate) async fn mail_of(&self, alert: &Alert) -> (MailStatus, MailState) {
        let listed = self.memory.alerts(None, PageRequest::first(1_000)).await.unwrap().entries;
        let record = listed.iter().find(|record| record.alert_id == alert.id()).expect("it is not listed");
        (record.mail_status(), record.mail)
    }

    pub(crate) fn is_claimed(&self, alert: &Alert) -> bool {
        self.stock().alerts.contains_key(&alert.id())
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.faults().down { Err(StoreError::Unavailable("down".into())) } else { Ok(&self.memory) }
    }

    async fn may_mark(&self) -> Result<&MemoryStore, StoreError> {
        self.marks_begun.add_permits(1);
        drop(self.marks.acquire().await.unwrap());
        let store = self.up()?;
        let mut faults = self.faults();
        if faults.failing_marks > 0 {
            faults.failing_marks -= 1;
            return Err(StoreError::Unavailable("the mark failed".into()));
        }
        Ok(store)
    }
}

#[async_trait]
impl AlertBook for FaultyStore {
    async fn gather(&self, openings: &[Alert], at: Timestamp) -> Vec<Result<Gathered, StoreError>> {
        match self.up() {
            Ok(store) => store.gather(openings, at).await,
            Err(error) => openings.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn openings(
        &self,
        location_id: &LocationId,
        raised: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Opening>, StoreError> {
        self.up()?.openings(location_id, raised, limit).await
    }

    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>> {
        match self.up() {
            Ok(store) => store.claim(alerts, lease).await,
            Err(error) => alerts.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError> {
        let lost = self.faults().lost_give_ups;
        if lost {
            return Err(StoreError::Unavailable("the claim stays".into()));
        }
        self.up()?.give_up(alerts, lease).await
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError> {
        self.may_mark().await?.mark_sent(alerts, sent_at, tally).await
    }

    async fn mark_part_sent(&self, alerts: &[Alert], part: PartSent<'_>) -> Result<(), StoreError> {
        self.may_mark().await?.mark_part_sent(alerts, part).await
    }

    async fn mark_unaddressed(&self, alerts: &[Alert]) -> Result<(), StoreError> {
        self.may_mark().await?.mark_unaddressed(alerts).await
    }

    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError> {
        self.up()?.claim_notice(notice, lease).await
    }

    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError> {
        self.up()?.give_up_notice(notice, lease).await
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        self.may_mark().await?.mark_notice_sent(notice, until).await
    }

    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.up()?.notified_until(location_id, now).await
    }
}

impl Gate for FaultyStore {
    fn behind(&self) -> &dyn Queries {
        &self.memory
    }

    async fn pass<T: Send>(
        &self,
        _read: Read<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.up()?;
        work.await
    }
}
