use async_trait::async_trait;

use super::StoreError;
use crate::domain::{LocationId, LocationSettings};

/// Location settings. `main` exists before anyone writes it.
#[async_trait]
pub trait Locations: Send + Sync + std::fmt::Debug {
    /// Returns one location.
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError>;

    /// Returns all locations, by id.
    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError>;

    /// Creates or replaces a location, unless its id differs from a registered one only by its case: this is decided in
    /// the write itself. It is the only setting that the ingress writes.
    async fn put_location(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError>;
}

/// The result of putting a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationPut {
    /// The settings are stored.
    Done,
    /// Nothing is stored: this other location has the id in another case.
    Taken(LocationId),
}
