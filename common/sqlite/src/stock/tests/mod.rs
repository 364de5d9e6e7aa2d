use std::ops::{Deref, DerefMut};

use tempfile::TempDir;

use super::readers::View;
use super::*;
use stockline_core::domain::{Level, Rules, seal};
use stockline_core::ports::{
    AlertBook, AuditReader, ChangeFilter, Claimed, CommandFilter, ItemFilter, ItemWithLevels, Lease, LevelFilter,
    Locations, MailState, MailTally, MovementFilter, Queries, RefusedNotice, Rest,
};
use stockline_core::testing::{self, at, item_id, place};

mod alerts;
mod changes;
mod commits;
mod durability;
mod hot;
mod migration;
mod older;
mod reads;

/// A shop over a store in a folder of its own.
struct Shop {
    folder: TempDir,
    shop: testing::Shop<SqliteStore>,
}

fn open(folder: &TempDir, options: StoreOptions) -> SqliteStore {
    SqliteStore::open(&folder.path().join("stock.db"), options, &OpenOptions::default()).unwrap()
}

impl Shop {
    fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    fn with(options: StoreOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = testing::Shop::over(open(&folder, options));
        Self { folder, shop }
    }

    fn reopened(self) -> Self {
        self.reopened_after(|_| {})
    }

    fn reopened_with(self, options: StoreOptions) -> Self {
        let Self { folder, shop } = self;
        let shop = shop.reopened(|| open(&folder, options));
        Self { folder, shop }
    }

    /// Opens the store again after a change to the closed folder.
    fn reopened_after(self, change: impl FnOnce(&TempDir)) -> Self {
        let Self { folder, shop } = self;
        let shop = shop.reopened(|| {
            change(&folder);
            open(&folder, StoreOptions::default())
        });
        Self { folder, shop }
    }
}

impl Deref for Shop {
    type Target = testing::Shop<SqliteStore>;

    fn deref(&self) -> &Self::Target {
        &self.shop
    }
}

impl DerefMut for Shop {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.shop
    }
}
