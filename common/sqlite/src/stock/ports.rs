//! The ports of what reads the stock and of the alerter: each call is one read of a lane, or one job of the writer.

use std::sync::Arc;

use async_trait::async_trait;

use super::SqliteStore;
use super::item_list::PageOf;
use super::readers::View;
use super::snapshot::OpenSnapshot;
use super::{
    alert_book, audit, change_list, command_lists, day_list, id_key, item_list, level_list, load, movements, queries,
    rows, write,
};
use stockline_core::domain::{
    Alert, Claim, CommandKey, Dismissal, ItemId, LocationId, LocationSettings, Quantity, Record, Timestamp, seal,
};
use stockline_core::ports::{
    AlertBook, AlertRecord, AuditReader, ChangeFilter, Changed, Claimed, CommandFilter, DaysFilter, DaysPage, Gathered,
    ItemFilter, ItemWithLevels, Lease, LedgerFrom, LedgerPage, LevelFilter, LevelWithItem, LocationPut, Locations,
    MailTally, Movement, MovementFilter, Opening, Page, PageRequest, PartSent, Queries, Refusals, RefusedNotice, Since,
    Snapshot, StoreError, StoreFault,
};

#[async_trait]
impl Locations for SqliteStore {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        let location_id = location_id.clone();
        self.lanes.points.read(move |view| rows::settings(view, &location_id)).await
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        self.lanes.lists.read(|view| queries::locations(view)).await
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError> {
        let text = serde_json::to_string(settings).map(seal).map_err(|error| {
            StoreError::Unreadable(format!("the settings of a location can't be written as JSON: {error}"))
        })?;
        let location_id = settings.location_id.clone();
        self.write(move |connection, state| {
            if let Some(other) = rows::twin_of(connection, &location_id)? {
                return Ok(LocationPut::Taken(other));
            }
            let location_no = state.locations.no_or_new(connection, &location_id)?;
            connection
                .prepare_cached("UPDATE location SET settings = ?2 WHERE location_no = ?1")?
                .execute((location_no, &text))?;
            state.rows_changed = true;
            Ok(LocationPut::Done)
        })
        .await
    }
}

#[async_trait]
impl Refusals for SqliteStore {
    async fn dismiss(&self, command: &CommandKey, dismissal: &Dismissal) -> Result<bool, StoreError> {
        let (CommandKey { item_id, command_id }, dismissal) = (command.clone(), dismissal.clone());
        self.write(move |connection, state| {
            let key = id_key::id_key(&item_id, command_id);
            let Some((record_no, mut record)) = state.find_record(connection, &item_id, command_id, key)? else {
                return Ok(false);
            };
            let dismissed = record.dismiss(dismissal.clone());
            if dismissed {
                write::rewrite_record(connection, record_no, &record)?;
            }
            Ok(dismissed)
        })
        .await
    }
}

#[async_trait]
impl Queries for SqliteStore {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        let read = || {
            let commands = commands.to_vec();
            let points = &self.lanes.points;
            points.read(move |view| view.records_first(commands.into_iter().map(|c| (c.item_id, c.command_id))))
        };
        match read().await {
            Err(_) if self.heal_index().await => read().await,
            records => records,
        }
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let item_id = item_id.clone();
        self.lanes.points.read(move |view| item_list::item(view, &item_id)).await
    }

    async fn items_by_id(&self, item_ids: &[ItemId]) -> Result<Vec<Option<ItemWithLevels>>, StoreError> {
        let item_ids = item_ids.to_vec();
        let read = move |view: &mut View<'_>| item_ids.iter().map(|item_id| item_list::item(view, item_id)).collect();
        self.lanes.lists.read(read).await
    }

    async fn holders(&self, claims: &[Claim]) -> Result<Vec<Option<ItemId>>, StoreError> {
        let claims = claims.to_vec();
        let read = move |view: &mut View<'_>| claims.iter().map(|claim| load::holder(view, claim)).collect();
        self.lanes.lists.read(read).await
    }

    async fn holder(&self, codes: &[String]) -> Result<Option<(String, ItemId)>, StoreError> {
        let codes = codes.to_vec();
        self.lanes.points.read(move |view| item_list::holder(view, codes)).await
    }

    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        let most = PageOf { entries: limit, levels: self.options.page_levels_max };
        self.lanes.lists.read(move |view| item_list::items(view, &filter, cursor.as_deref(), most)).await
    }

    async fn changed_items(
        &self,
        filter: &ItemFilter,
        since: &Since,
        _now: Timestamp,
        asked: PageRequest<'_>,
    ) -> Result<Changed<ItemWithLevels>, StoreError> {
        let (filter, since, cursor) = (filter.clone(), since.clone(), asked.cursor.map(str::to_owned));
        let most = PageOf { entries: asked.limit, levels: self.options.page_levels_max };
        let read = move |view: &mut View<'_>| change_list::items(view, &filter, &since, cursor.as_deref(), most);
        self.lanes.lists.read(read).await
    }

    async fn changed_levels(
        &self,
        filter: &LevelFilter,
        since: &Since,
        _now: Timestamp,
        asked: PageRequest<'_>,
    ) -> Result<Changed<LevelWithItem>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (filter, since, cursor) = (filter.clone(), since.clone(), cursor.map(str::to_owned));
        let read = move |view: &mut View<'_>| change_list::levels(view, &filter, &since, cursor.as_deref(), limit);
        self.lanes.lists.read(read).await
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (item_id, filter, cursor) = (item_id.clone(), filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| movements::movements(view, &item_id, &filter, cursor.as_deref(), limit)).await
    }

    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        let read = move |view: &mut View<'_>| command_lists::movements(view, &filter, cursor.as_deref(), limit);
        self.lanes.lists.read(read).await.map(Some)
    }

    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        let item_id = item_id.clone();
        self.lanes.lists.read(move |view| queries::stock_as_of(view, &item_id, at)).await
    }

    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| level_list::levels(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn level_days(&self, filter: &DaysFilter, asked: PageRequest<'_>) -> Result<Option<DaysPage>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (cache, filter, cursor) = (Arc::clone(&self.days), filter.clone(), cursor.map(str::to_owned));
        let read = move |view: &mut View<'_>| day_list::level_days(view, &cache, &filter, cursor.as_deref(), limit);
        self.lanes.lists.read(read).await.map(Some)
    }

    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| queries::commands(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| command_lists::changes(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let (location_id, cursor) = (location_id.cloned(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| queries::alerts(view, location_id.as_ref(), cursor.as_deref(), limit)).await
    }

    async fn snapshot(&self) -> Result<Option<Arc<dyn Snapshot>>, StoreError> {
        let opened = OpenSnapshot::open(&self.lanes.exports, self.options.page_levels_max).await?;
        Ok(Some(Arc::new(opened)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let read = |view: &mut View<'_>| Ok(view.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))?);
        self.lanes.points.read(read).await
    }
}

#[async_trait]
impl AuditReader for SqliteStore {
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let cursor = cursor.map(str::to_owned);
        let most = PageOf { entries: limit, levels: self.options.page_levels_max };
        self.lanes.lists.read(move |view| item_list::audit_items(view, cursor.as_deref(), most)).await
    }

    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError> {
        let LedgerFrom { seq, limit, .. } = from;
        let (item_id, location_id) = (from.item_id.clone(), from.location_id.clone());
        self.lanes.lists.read(move |view| audit::ledger(view, &item_id, &location_id, seq, limit)).await
    }

    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let cursor = cursor.map(str::to_owned);
        self.lanes.lists.read(move |view| queries::audit_records(view, cursor.as_deref(), limit)).await
    }

    async fn audit_rows(&self) -> Result<Vec<StoreFault>, StoreError> {
        self.lanes.lists.read(|view| view.check()).await
    }
}

/// Returns the answers of one write, or its error for each.
fn each<T: Clone>(count: usize, answers: Result<Vec<T>, StoreError>) -> Vec<Result<T, StoreError>> {
    match answers {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); count],
    }
}

#[async_trait]
impl AlertBook for SqliteStore {
    async fn gather(&self, alerts: &[Alert], at: Timestamp) -> Vec<Result<Gathered, StoreError>> {
        let (count, alerts) = (alerts.len(), alerts.to_vec());
        let gathered = self
            .write(move |connection, _| alerts.iter().map(|alert| alert_book::gather(connection, alert, at)).collect());
        each(count, gathered.await)
    }

    async fn openings(
        &self,
        location_id: &LocationId,
        raised: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Opening>, StoreError> {
        let location_id = location_id.clone();
        self.lanes.points.read(move |view| alert_book::openings(view, &location_id, raised, limit)).await
    }

    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>> {
        let (count, alerts, lease) = (alerts.len(), alerts.to_vec(), lease.clone());
        let claimed = self.write(move |connection, state| {
            let claims = &mut state.claims;
            alerts.iter().map(|alert| alert_book::claim(connection, claims, alert, &lease)).collect()
        });
        each(count, claimed.await)
    }

    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError> {
        let (names, lease) = (alerts.iter().map(Alert::id).collect::<Vec<_>>(), lease.clone());
        self.write(move |_, state| {
            names.iter().for_each(|name| state.claims.give_up(name, &lease));
            Ok(())
        })
        .await
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError> {
        let alerts = alerts.to_vec();
        self.write(move |connection, _| {
            alerts.iter().try_for_each(|alert| alert_book::mark_sent(connection, alert, sent_at, tally))
        })
        .await
    }

    async fn mark_unaddressed(&self, alerts: &[Alert]) -> Result<(), StoreError> {
        let alerts = alerts.to_vec();
        self.write(move |connection, _| {
            alerts.iter().try_for_each(|alert| alert_book::mark_unaddressed(connection, alert))
        })
        .await
    }

    async fn mark_part_sent(&self, alerts: &[Alert], part: PartSent<'_>) -> Result<(), StoreError> {
        let (alerts, lease, sent_at, rest) = (alerts.to_vec(), part.lease.clone(), part.sent_at, part.rest.clone());
        self.write(move |connection, state| {
            let claims = &mut state.claims;
            alerts
                .iter()
                .try_for_each(|alert| alert_book::mark_part_sent(connection, claims, alert, &lease, sent_at, &rest))
        })
        .await
    }

    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError> {
        let (notice, lease) = (notice.clone(), lease.clone());
        self.write(move |connection, state| alert_book::claim_notice(connection, &mut state.claims, &notice, &lease))
            .await
    }

    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError> {
        let (name, lease) = (alert_book::notice_name(notice), lease.clone());
        self.write(move |_, state| {
            state.claims.give_up(&name, &lease);
            Ok(())
        })
        .await
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let notice = notice.clone();
        self.write(move |connection, _| alert_book::mark_notice_sent(connection, &notice, until)).await
    }

    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let location_id = location_id.clone();
        self.lanes.points.read(move |view| alert_book::notified_until(view, &location_id, now)).await
    }
}
