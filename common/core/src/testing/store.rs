use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::stock::{Stock, StoredClaim};
use crate::domain::{
    Alert, CommandKey, Commit, Dismissal, ItemId, LoadRequest, Loaded, LocationId, LocationSettings, Record, Timestamp,
};
use crate::ports::{
    AlertBook, AuditReader, Claimed, CommitOutcome, Gathered, ItemWithLevels, Lease, LedgerFrom, LedgerPage,
    LocationPut, Locations, MailTally, Opening, PAGE_LEVELS_MAX, Page, PageRequest, PartSent, Refusals, RefusedNotice,
    Rest, Store, StoreError, cursor, latest_lease_end,
};

/// The number of entries that a late count looks back over, unless a test sets another.
const LATE_COUNT_ENTRIES_MAX: usize = 10_000;

/// The stock store in memory. Clones share their rows.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    stock: Arc<Mutex<Stock>>,
    late_count_entries_max: usize,
    pub(super) page_levels_max: usize,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { stock: Arc::default(), late_count_entries_max: LATE_COUNT_ENTRIES_MAX, page_levels_max: PAGE_LEVELS_MAX }
    }
}

impl MemoryStore {
    /// Returns a store over the same rows with other limits: the entries that a late count looks back over, and the
    /// levels in a page of items.
    #[must_use]
    pub fn bounded(&self, late_count_entries_max: usize, page_levels_max: usize) -> Self {
        Self { stock: Arc::clone(&self.stock), late_count_entries_max, page_levels_max }
    }

    /// Locks the rows and returns them.
    pub fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let stock = self.stock();
        requests.iter().map(|request| Ok(stock.load(request, self.late_count_entries_max))).collect()
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        let mut stock = self.stock();
        commits.iter().map(|commit| Ok(stock.commit(commit))).collect()
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.stock().discard(command, at))
    }
}

#[async_trait]
impl Refusals for MemoryStore {
    async fn dismiss(&self, command: &CommandKey, dismissal: &Dismissal) -> Result<bool, StoreError> {
        Ok(self.stock().records.get_mut(command).is_some_and(|record| record.dismiss(dismissal.clone())))
    }
}

#[async_trait]
impl Locations for MemoryStore {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        Ok(self.stock().location(location_id))
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        let mut locations = self.stock().locations.clone();
        let main = LocationSettings::main();
        locations.entry(main.location_id.clone()).or_insert(main);
        Ok(locations.into_values().collect())
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError> {
        let (mut stock, id) = (self.stock(), &settings.location_id);
        let main = LocationSettings::main().location_id;
        let twin = |other: &&LocationId| *other != id && other.folded() == id.folded();
        if let Some(other) =
            stock.locations.keys().chain([&main]).find(twin).filter(|_| !stock.locations.contains_key(id))
        {
            return Ok(LocationPut::Taken(other.clone()));
        }
        stock.locations.insert(id.clone(), settings.clone());
        Ok(LocationPut::Done)
    }
}

impl StoredClaim {
    /// Takes the claim if nobody else holds it and somebody still waits for the mail.
    fn take(&mut self, lease: &Lease) -> Claimed {
        if self.is_sent() {
            return Claimed::Sent;
        }
        let live = |held: &Lease| held.until > lease.from && held.until <= latest_lease_end(lease.until);
        if self.lease.as_ref().is_some_and(|held| held.holder != lease.holder && live(held)) {
            return Claimed::Held;
        }
        self.lease = Some(lease.clone());
        if self.missing.is_empty() {
            return Claimed::Ours;
        }
        Claimed::OursFor(Rest { missing: self.missing.clone(), tally: self.tally.unwrap_or_default() })
    }

    /// Returns whether all recipients have the mail.
    const fn is_sent(&self) -> bool {
        self.sent_at.is_some() && self.missing.is_empty()
    }

    fn give_up(&mut self, lease: &Lease) {
        self.lease.take_if(|held| held == lease);
    }
}

fn notice_key(notice: &RefusedNotice) -> (LocationId, String) {
    (notice.location_id.clone(), notice.day.clone())
}

#[async_trait]
impl AlertBook for MemoryStore {
    async fn gather(&self, alerts: &[Alert], at: Timestamp) -> Vec<Result<Gathered, StoreError>> {
        let mut stock = self.stock();
        let mut gather = |alert: &Alert| {
            let new = || (alert.clone(), StoredClaim { gathered_at: Some(at), ..StoredClaim::default() });
            let (_, claim) = stock.alerts.entry(alert.id()).or_insert_with(new);
            Ok(if claim.is_sent() { Gathered::Sent } else { Gathered::Waiting })
        };
        alerts.iter().map(&mut gather).collect()
    }

    async fn openings(
        &self,
        location_id: &LocationId,
        raised: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Opening>, StoreError> {
        let stock = self.stock();
        let is_wanted = |(alert, claim): &&(Alert, StoredClaim)| {
            let is_in_time = (raised.0..=raised.1).contains(&alert.raised_at);
            alert.opening && alert.location_id == *location_id && is_in_time && !claim.is_sent()
        };
        let opening =
            |(alert, claim): &(Alert, StoredClaim)| Opening { alert: alert.clone(), gathered_at: claim.gathered_at };
        let mut found: Vec<_> = stock.alerts.values().filter(is_wanted).map(opening).collect();
        found.sort_by_key(|opening| (opening.alert.raised_at, opening.alert.id()));
        found.truncate(limit);
        Ok(found)
    }

    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>> {
        let mut stock = self.stock();
        let mut claim = |alert: &Alert| {
            let (_, claim) = stock.alerts.entry(alert.id()).or_insert_with(|| (alert.clone(), StoredClaim::default()));
            Ok(claim.take(lease))
        };
        alerts.iter().map(&mut claim).collect()
    }

    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError> {
        let mut stock = self.stock();
        for alert in alerts {
            if let Some((_, claim)) = stock.alerts.get_mut(&alert.id()) {
                claim.give_up(lease);
            }
        }
        Ok(())
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError> {
        let mut stock = self.stock();
        for alert in alerts {
            let (_, claim) = stock.alerts.entry(alert.id()).or_insert_with(|| (alert.clone(), StoredClaim::default()));
            if !claim.is_sent() {
                claim.sent_at.get_or_insert(sent_at);
                claim.missing.clear();
                claim.tally = Some(tally);
            }
        }
        Ok(())
    }

    async fn mark_part_sent(&self, alerts: &[Alert], part: PartSent<'_>) -> Result<(), StoreError> {
        let PartSent { lease, sent_at, rest } = part;
        let mut stock = self.stock();
        for alert in alerts {
            if let Some((_, claim)) = stock.alerts.get_mut(&alert.id())
                && claim.lease.as_ref() == Some(lease)
            {
                claim.sent_at.get_or_insert(sent_at);
                (claim.lease, claim.missing, claim.tally) = (None, rest.missing.clone(), Some(rest.tally));
            }
        }
        Ok(())
    }

    async fn mark_unaddressed(&self, alerts: &[Alert]) -> Result<(), StoreError> {
        let mut stock = self.stock();
        for alert in alerts {
            if let Some((_, claim)) = stock.alerts.get_mut(&alert.id()) {
                claim.no_recipient = claim.sent_at.is_none();
            }
        }
        Ok(())
    }

    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError> {
        let mut stock = self.stock();
        let claim = stock.notices.entry(notice_key(notice)).or_default();
        // A sent notice that covers what is far ahead is void.
        claim.sent_at = claim.sent_at.filter(|until| *until <= latest_lease_end(lease.until));
        Ok(claim.take(lease))
    }

    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError> {
        if let Some(claim) = self.stock().notices.get_mut(&notice_key(notice)) {
            claim.give_up(lease);
        }
        Ok(())
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let claim = StoredClaim { sent_at: Some(until), ..StoredClaim::default() };
        self.stock().notices.insert(notice_key(notice), claim);
        Ok(())
    }

    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let stock = self.stock();
        let of_location = stock.notices.iter().filter(|((of, _), _)| of == location_id);
        Ok(of_location.filter_map(|(_, claim)| claim.sent_at).filter(|until| *until <= now).max())
    }
}

const AUDIT_ITEMS: &str = "audit_items";
const AUDIT_RECORDS: &str = "audit_records";

#[async_trait]
impl AuditReader for MemoryStore {
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let stock = self.stock();
        let after: Option<ItemId> = cursor::decode(AUDIT_ITEMS, cursor)?;
        let wanted = stock.items.values().filter(|item| after.as_ref().is_none_or(|after| item.item_id > *after));
        let views = wanted.map(|item| stock.view(item));
        Ok(super::queries::page_of_items(AUDIT_ITEMS, views, limit, self.page_levels_max, |item| item.item_id.clone()))
    }

    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError> {
        let ledger = self.stock().ledger(from.item_id, from.location_id);
        let mut entries: Vec<_> = ledger.into_iter().filter(|entry| entry.seq >= from.seq).collect();
        let next_seq = entries.get(from.limit).map(|entry| entry.seq);
        entries.truncate(from.limit);
        Ok(LedgerPage { entries, next_seq })
    }

    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let stock = self.stock();
        let (limit, after) = (cursor::clamp(limit), cursor::decode::<CommandKey>(AUDIT_RECORDS, cursor)?);
        let wanted = stock.records.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
        let found: Vec<_> = wanted.take(limit + 1).map(|(key, record)| (key.clone(), record.clone())).collect();
        let page = cursor::page(AUDIT_RECORDS, found, limit, |(key, _)| key.clone());
        Ok(Page {
            entries: page.entries.into_iter().map(|(_, record)| record).collect(),
            next_cursor: page.next_cursor,
        })
    }
}
