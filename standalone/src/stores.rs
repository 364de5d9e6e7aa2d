//! The queue and the stores of one data folder.

use std::sync::Arc;

use stockline_core::ports::Clock as _;
use stockline_service::{GuardedClock, SystemClock};
use stockline_sqlite::{
    DataFolder, OpenOptions, QueueOptions, SqliteAlertQueue, SqliteQueue, SqliteStore, StoreOptions, last_accepted_at,
};
use stockline_worker::operator::Operator;

use crate::exit::Unavailable;
use crate::folder::Folder;
use crate::folder::entry::{self, Entered};

/// What ends the doubt about a clock.
const CLOCK_REMEDY: &str = "set the machine's clock right, or, if it is right, run `stockline clock --confirm`";

/// The adapters of a data folder. The folder stays locked while they live.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) queue: Arc<SqliteQueue>,
    pub(crate) alerts: Arc<SqliteAlertQueue>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<GuardedClock>,
    /// The folder's manifest.
    pub(crate) entered: Entered,
    _lock: DataFolder,
}

impl Stores {
    /// Locks the folder and opens its databases. Creates them at the first start; later, a missing part is an error.
    /// Blocks on the disk.
    pub(crate) fn open(folder: &Folder) -> anyhow::Result<Self> {
        let lock = DataFolder::open(folder.path())?;
        let open = OpenOptions::default();
        let entered = entry::enter(folder, SystemClock.now())?;
        let store = SqliteStore::open(&lock.stock_db(), StoreOptions::default(), &open)?;
        let clock = Arc::new(GuardedClock::new(last_accepted_at(&lock.stock_db(), &open)?, CLOCK_REMEDY));
        let queue = SqliteQueue::open(&lock, QueueOptions::default(), clock.clone())?;
        let (alerts, queue) = (Arc::new(queue.alerts()), Arc::new(queue));
        Ok(Self { queue, alerts, store: Arc::new(store), clock, entered, _lock: lock })
    }

    /// As [`Stores::open`], for a folder that a server has filled before. Fails while a server uses it.
    pub(crate) fn open_existing(folder: &Folder) -> anyhow::Result<Self> {
        require_stock(folder)?;
        Self::open(folder)
    }

    /// Returns the operator who retries and discards dead letters here.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            queries: self.store.clone(),
            store: self.store.clone(),
            sender: self.queue.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// Fails where no server has ever run, so that a wrong `--data` creates nothing.
pub(crate) fn require_stock(folder: &Folder) -> Result<(), Unavailable> {
    let by_earlier_version = folder.stock_db().exists() && folder.queue_db().exists();
    if by_earlier_version || folder.manifest().exists() {
        return Ok(());
    }
    Err(Unavailable(format!("{} holds no stock: name the data folder with --data", folder.path().display())))
}

/// Fails where nothing of a data folder is.
pub(crate) fn require_any(folder: &Folder) -> Result<(), Unavailable> {
    let parts = [folder.stock_db(), folder.queue_db(), folder.keys(), folder.manifest()];
    if parts.iter().any(|part| part.exists()) {
        return Ok(());
    }
    Err(Unavailable(format!("{} holds no stock: name the data folder with --data", folder.path().display())))
}
