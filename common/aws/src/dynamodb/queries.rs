//! The read side. Lists may lag; single records, items and the stock as of a time are read consistently.

use async_trait::async_trait;

use super::DynamoStore;
use super::audit::PARTS;
use super::key::Key;
use super::ledger::Balance;
use stockline_core::domain::{CommandKey, ItemId, LocationId, MAIN_LOCATION, Record, Timestamp};
use stockline_core::ports::{
    AlertRecord, AuditReader, ChangeFilter, CommandFilter, DaysFilter, DaysPage, ItemFilter, ItemWithLevels,
    LedgerFrom, LedgerPage, LevelFilter, LevelWithItem, Movement, MovementFilter, Page, PageRequest, Part, Queries,
    StoreError,
};

#[async_trait]
impl Queries for DynamoStore {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        self.find_records(commands).await
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        self.item_view(item_id).await
    }

    async fn holder(&self, codes: &[String]) -> Result<Option<(String, ItemId)>, StoreError> {
        self.holder_of(codes, true).await
    }

    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        self.list_items(filter, asked).await
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError> {
        self.list_movements(item_id, filter, asked).await
    }

    /// Such a list would need an index that every movement pays for.
    async fn all_movements(
        &self,
        _: &MovementFilter,
        _: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        Ok(None)
    }

    async fn level_days(&self, filter: &DaysFilter, asked: PageRequest<'_>) -> Result<Option<DaysPage>, StoreError> {
        self.list_level_days(filter, asked).await.map(Some)
    }

    fn pays_for_days(&self) -> bool {
        true
    }

    async fn stock_as_of(&self, item_id: &ItemId, at: Timestamp) -> Result<Option<Vec<Balance>>, StoreError> {
        match self.item_view(item_id).await? {
            Some(view) => self.balances(item_id, view.levels, at).await.map(Some),
            None => Ok(None),
        }
    }

    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        self.list_levels(filter, asked).await
    }

    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.list_commands(filter, asked).await
    }

    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.list_changes(filter, asked).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        self.list_alerts(location_id, asked).await
    }

    /// Reads one small row, which may be missing.
    async fn ping(&self) -> Result<(), StoreError> {
        let main = Key { pk: super::key::LOCATION_PK.into(), sk: MAIN_LOCATION.into() };
        self.get(&main, false).await.map(|_| ())
    }
}

#[async_trait]
impl AuditReader for DynamoStore {
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        self.all_items(asked).await
    }

    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError> {
        self.ledger_page(from).await
    }

    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.records_of(Part { number: 0, of: 1 }, asked).await
    }

    fn audit_parts(&self) -> u32 {
        PARTS
    }

    async fn audit_part(&self, part: Part, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.records_of(part, asked).await
    }
}
