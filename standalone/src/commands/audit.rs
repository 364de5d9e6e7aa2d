//! `audit`: proves, level by level, that the ledger explains the stock (P4). It works while the server runs.

use std::sync::Arc;

use indicatif::ProgressBar;
use stockline_service::output;
use stockline_sqlite::{OpenOptions, SqliteStore, StoreOptions};
use stockline_worker::audit::{self, Progress};

use crate::args::AuditArgs;
use crate::exit::{self, Unavailable};
use crate::folder::Folder;
use crate::snapshot::Snapshot;
use crate::stores::Stores;

/// The store to audit.
#[derive(Debug)]
enum Audited {
    /// The original, if no server uses it.
    Folder(Stores),
    /// A copy in the same folder, if a server writes the original.
    Copy { store: Arc<SqliteStore>, _snapshot: Snapshot },
}

impl Audited {
    fn open(folder: &Folder, bar: &ProgressBar) -> anyhow::Result<Self> {
        match Stores::open_existing(folder) {
            Ok(stores) => Ok(Self::Folder(stores)),
            Err(error) if exit::is_folder_in_use(&error) => {
                let snapshot = Snapshot::of(&folder.stock_db(), &folder.stock_db(), "audit", bar)?;
                let store = SqliteStore::open(snapshot.path(), StoreOptions::default(), &OpenOptions::default())?;
                Ok(Self::Copy { store: Arc::new(store), _snapshot: snapshot })
            }
            Err(error) => Err(error),
        }
    }

    fn store(&self) -> &SqliteStore {
        match self {
            Self::Folder(stores) => &stores.store,
            Self::Copy { store, .. } => store,
        }
    }
}

/// Runs `stockline audit`.
pub(crate) async fn audit(args: &AuditArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    let bar = ProgressBar::new_spinner();
    if args.repair {
        for done in Stores::open_existing(&folder)?.store.repair().await? {
            output::note(done);
        }
    }
    let audited = Audited::open(&folder, &bar)?;
    let store = audited.store();
    let mut progress = |read: &Progress| {
        bar.set_message(format!("{} items, {} ledger entries, {} outcomes", read.items, read.entries, read.records));
        bar.tick();
    };
    let report = audit::audit(store, store, &mut progress).await.map_err(|error| Unavailable(error.to_string()))?;
    bar.finish_and_clear();
    if args.json {
        output::json(&report.to_json())?;
    } else {
        output::print(report.to_text("keep this folder as it is, take a backup, and report it"))?;
    }
    Ok(if report.is_sound() { exit::OK } else { exit::FOUND })
}
