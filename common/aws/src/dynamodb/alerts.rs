//! Lists the alert history, newest first and month by month.

use super::key::{Key, MONTHS_PK};
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, TABLE, Walk};
use super::merge::Merge;
use super::{DynamoStore, row};
use stockline_core::domain::LocationId;
use stockline_core::ports::{AlertRecord, Page, PageRequest, StoreError};

const LIST: &str = "alerts";

/// The most alerts of one read. They are whole rows of about 500 bytes.
const ALERTS_PER_READ_MAX: usize = 500;

struct Alerts<'a> {
    location_id: Option<&'a LocationId>,
}

impl Listing for Alerts<'_> {
    const LIST: &'static str = LIST;
    type Entry = AlertRecord;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<AlertRecord>, StoreError> {
        let (rows, mut kept) = (spots.len(), Vec::new());
        for Spot { place, row } in spots {
            let record = row::alert(&row)?;
            if self.location_id.is_none_or(|location_id| record.alert.location_id == *location_id) {
                kept.push((place, record));
            }
        }
        Ok(Looked { found: kept, rows })
    }
}

impl DynamoStore {
    /// Lists alerts, newest first.
    pub(super) async fn list_alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let after = Place::of_cursor(LIST, cursor)?;
        let after = after.as_ref();
        let scope = Scope::new(self, TABLE, Range::default(), Order::Descending, after, limit);
        let months = self.pages(self.query_partition(MONTHS_PK, None).scan_index_forward(false)).await?;
        let months = months.iter().filter_map(Key::of).map(|month| Key::alerts_pk(&month.sk));
        let months = months.skip_while(|month| after.is_some_and(|after| *month > after.partition));
        let per_read = (scope.limit + 1).min(ALERTS_PER_READ_MAX);
        let mut spots = Merge::new(vec![Walk::along(self, &scope, months, per_read)]);
        lists::page(&Alerts { location_id }, &mut spots, &scope, after).await
    }
}
