//! Who sent movements, kept over a restart: a till that fell silent is not forgotten, however much others have sold since.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;
use stockline_core::ports::{LastSent, Lately, Movement, MovementFilter, PageRequest, Queries};

use crate::files::{SECRET, read_if_exists, write_atomic};
use crate::folder::Folder;

/// How often the file is written, if somebody has sent something.
pub(super) const SAVE_INTERVAL: Duration = Duration::from_secs(30);
/// The movements that one page of the start's reading has.
const PAGE: usize = 1_000;
/// The pages that a start reads, back to the file's time. A process that was killed had written its file lately.
const PAGES_MAX: usize = 10;

/// Keeps [`Lately`] in a file. Without the file, a till that fell silent long ago is not told; nothing else is lost.
#[derive(Debug)]
pub(crate) struct SenderLog {
    path: PathBuf,
    lately: Arc<Lately>,
    /// What the file has. One thread writes it at a time.
    saved: Mutex<Vec<LastSent>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    saved_at: Timestamp,
    senders: Vec<LastSent>,
}

impl SenderLog {
    /// Keeps this in the folder.
    pub(super) fn of(folder: &Folder, lately: Arc<Lately>) -> Self {
        Self { path: folder.senders(), lately, saved: Mutex::default() }
    }

    /// Makes a beginning of what was accepted lately: by the file, and by what was recorded since. Without it, the pages that
    /// show it fill up with the next sales.
    pub(super) async fn recall(&self, store: &dyn Queries, now: Timestamp) {
        let read = || Ok(read_if_exists(&self.path)?.map(|text| serde_json::from_str(&text)).transpose()?);
        let saved: Option<Saved> = read().unwrap_or_else(|error: anyhow::Error| {
            tracing::warn!(path = %self.path.display(), "who sent movements before can't be read: {error:#}");
            None
        });
        let saved_at = saved.as_ref().map(|saved| saved.saved_at);
        self.lately.resume(saved.map(|saved| saved.senders).unwrap_or_default(), now);
        match recorded_since(store, saved_at).await {
            Ok(movements) => self.lately.recall(movements),
            Err(error) => tracing::warn!(%error, "the latest movements can't be read"),
        }
    }

    /// Writes the file if it has changed; blocks.
    pub(super) fn save(&self, now: Timestamp) -> anyhow::Result<()> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = self.lately.last_sent(now);
        if *saved != senders {
            let file = Saved { saved_at: now, senders };
            write_atomic(&self.path, &serde_json::to_vec(&file)?, SECRET)?;
            *saved = file.senders;
        }
        Ok(())
    }
}

/// Reads movements, newest first: at least a page of them, and as many pages as it takes back to this time.
async fn recorded_since(
    store: &dyn Queries,
    since: Option<Timestamp>,
) -> Result<Vec<Movement>, stockline_core::ports::StoreError> {
    let (mut movements, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let asked = PageRequest { cursor: cursor.as_deref(), limit: PAGE };
        let Some(page) = store.all_movements(&MovementFilter::default(), asked).await? else { break };
        movements.extend(page.entries);
        let is_enough = |last: &Movement| since.is_none_or(|since| last.entry.recorded_at < since);
        cursor = page.next_cursor;
        if cursor.is_none() || movements.last().is_some_and(is_enough) {
            break;
        }
    }
    Ok(movements)
}

#[cfg(test)]
mod tests {
    use stockline_core::domain::LocationId;
    use stockline_core::ports::Sender;
    use stockline_core::testing::{MemoryStore, Shop, at, place};

    use super::*;

    fn till(name: &str) -> Sender {
        Sender::Device(name.to_owned())
    }

    fn sends(lately: &Lately, name: &str, now: Timestamp) {
        lately.resume(vec![LastSent { by: till(name), location_id: place("main"), at: now }], now);
    }

    fn all(_: &LocationId) -> bool {
        true
    }

    /// A store in which one till sent a movement, and another one 2,500 after it.
    async fn busy_shop() -> Shop<MemoryStore> {
        let mut shop = Shop::over(MemoryStore::default());
        shop.register("cola", "").await;
        for n in 0..=2_500 {
            let device = if n == 0 { "till-2" } else { "till-3" };
            let fields = format!(r#","location_id":"main","quantity":"1","device_id":"{device}""#);
            shop.run("receive", "cola", &fields, at(100 + n)).await;
        }
        shop
    }

    #[tokio::test]
    async fn a_till_that_fell_silent_is_remembered_over_a_restart_however_much_others_sent_since() {
        let data = tempfile::tempdir().unwrap();
        let open = || SenderLog::of(&Folder::at(data.path()), Arc::default());
        let log = open();
        sends(&log.lately, "till-1", at(7));
        log.save(at(99)).unwrap();
        let (shop, log) = (busy_shop().await, open());
        log.recall(&shop.store, at(5_000)).await;
        let senders = log.lately.senders(all);
        let last = ["till-1", "till-2", "till-3"].map(|name| senders[&till(name)]);
        assert_eq!(
            last,
            [at(7), at(100), at(2_600)],
            "what was sent since the file was written is read from the store"
        );
        std::fs::write(&log.path, "{ half").unwrap();
        let log = open();
        log.recall(&shop.store, at(5_000)).await;
        let senders = log.lately.senders(all);
        assert_eq!(senders.keys().collect::<Vec<_>>(), [&till("till-3")], "a damaged file stops nothing");
    }

    #[test]
    fn the_file_is_written_when_somebody_has_sent_something() {
        let data = tempfile::tempdir().unwrap();
        let log = SenderLog::of(&Folder::at(data.path()), Arc::default());
        let is_written = |now| {
            log.save(now).unwrap();
            std::fs::remove_file(&log.path).is_ok()
        };
        assert!(!is_written(at(1)), "nobody has");
        sends(&log.lately, "till-1", at(2));
        assert!(is_written(at(3)));
        assert!(!is_written(at(4)), "nobody has since");
        sends(&log.lately, "till-1", at(5));
        assert!(is_written(at(6)));
    }
}
