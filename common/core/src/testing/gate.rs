use async_trait::async_trait;

use crate::domain::{CommandKey, Dismissal, ItemId, LocationId, LocationSettings, Quantity, Record, Timestamp};
use crate::ports::{
    AlertRecord, ChangeFilter, CommandFilter, DaysFilter, DaysPage, ItemFilter, ItemWithLevels, LevelFilter,
    LevelWithItem, LocationPut, Locations, Movement, MovementFilter, Page, PageRequest, Queries, Refusals, StoreError,
};

/// A read of a store that stands behind a [`Gate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read<'a> {
    /// [`Locations::location`]
    Location(&'a LocationId),
    /// [`Locations::locations`]
    Locations,
    /// [`Queries::records`]
    Records,
    /// [`Queries::commands`]
    Commands,
    /// Any other call.
    Other,
}

/// A store in front of another one. It is a [`Queries`] whose calls may fail, wait or be counted on their way.
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Returns the store behind the gate.
    fn behind(&self) -> &dyn Queries;

    /// Awaits `work`, which makes the call, or fails instead.
    fn pass<T: Send>(
        &self,
        read: Read<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

#[async_trait]
impl<G: Gate> Locations for G {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        self.pass(Read::Location(location_id), self.behind().location(location_id)).await
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        self.pass(Read::Locations, self.behind().locations()).await
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError> {
        self.pass(Read::Other, self.behind().put_location(settings)).await
    }
}

#[async_trait]
impl<G: Gate> Refusals for G {
    async fn dismiss(&self, command: &CommandKey, dismissal: &Dismissal) -> Result<bool, StoreError> {
        self.pass(Read::Other, self.behind().dismiss(command, dismissal)).await
    }
}

#[async_trait]
impl<G: Gate> Queries for G {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        self.pass(Read::Records, self.behind().records(commands)).await
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        self.pass(Read::Other, self.behind().item(item_id)).await
    }

    async fn holder(&self, codes: &[String]) -> Result<Option<(String, ItemId)>, StoreError> {
        self.pass(Read::Other, self.behind().holder(codes)).await
    }

    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        self.pass(Read::Other, self.behind().items(filter, asked)).await
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError> {
        self.pass(Read::Other, self.behind().movements(item_id, filter, asked)).await
    }

    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        self.pass(Read::Other, self.behind().all_movements(filter, asked)).await
    }

    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        self.pass(Read::Other, self.behind().stock_as_of(item_id, at)).await
    }

    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        self.pass(Read::Other, self.behind().levels(filter, asked)).await
    }

    async fn level_days(&self, filter: &DaysFilter, asked: PageRequest<'_>) -> Result<Option<DaysPage>, StoreError> {
        self.pass(Read::Other, self.behind().level_days(filter, asked)).await
    }

    fn pays_for_days(&self) -> bool {
        self.behind().pays_for_days()
    }

    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.pass(Read::Commands, self.behind().commands(filter, asked)).await
    }

    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.pass(Read::Other, self.behind().changes(filter, asked)).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        self.pass(Read::Other, self.behind().alerts(location_id, asked)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.pass(Read::Other, self.behind().ping()).await
    }
}
