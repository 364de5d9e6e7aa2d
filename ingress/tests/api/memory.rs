//! The tests' queue and store in memory, with a worker that applies queued commands, and with switches for outages.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::domain::{
    ClientId, ClientSettings, CommandKey, DeadLetter, FoldLimits, LoadRequest, Record, Rules, Slot, Timestamp,
    decode_message, fold,
};
use stockline_core::ports::{
    Clients, Clock, CommandSender, CommitOutcome, FixedClock, Pack, Page, PageRequest, Queries, QueueError, StoreError,
};
use stockline_core::testing::{Gate, MemoryStore, Read, Stock, StoredClaim};

/// The queue and the store in one.
#[derive(Debug)]
pub struct Memory {
    pub store: MemoryStore,
    queued: Mutex<Vec<Pack>>,
    clock: Arc<FixedClock>,
    /// Whether commands are applied as soon as they are queued, as by an idle worker.
    pub applies: AtomicBool,
    pub queue_down: AtomicBool,
    pub store_down: AtomicBool,
    pub panics: AtomicBool,
    /// How often outcomes were looked for.
    pub lookups: AtomicUsize,
}

impl Memory {
    pub fn new(clock: Arc<FixedClock>) -> Arc<Self> {
        let off = || AtomicBool::new(false);
        Arc::new(Self {
            store: MemoryStore::default(),
            queued: Mutex::default(),
            clock,
            applies: AtomicBool::new(true),
            queue_down: off(),
            store_down: off(),
            panics: off(),
            lookups: AtomicUsize::new(0),
        })
    }

    /// Returns the bodies that are queued and not applied.
    pub fn waiting(&self) -> Vec<String> {
        self.queued.lock().unwrap().iter().map(|pack| pack.body.to_string()).collect()
    }

    fn take_queued(&self) -> Vec<Pack> {
        std::mem::take(&mut self.queued.lock().unwrap())
    }

    /// Applies everything that is queued.
    pub fn apply(&self) {
        for pack in self.take_queued() {
            apply(&mut self.store.stock(), &pack, self.clock.now());
        }
    }

    /// Sets all queued commands aside, as a worker does with commands that it can't decide.
    pub fn set_aside(&self) {
        let now = self.clock.now();
        for pack in self.take_queued() {
            for slot in decode_message(&pack.item_id, "message", &pack.body, now).unwrap() {
                let Slot::Command(queued) = slot else { panic!("{slot:?}") };
                let (item_id, command_id) = (pack.item_id.clone(), queued.command.command_id);
                let letter = DeadLetter::of("judging it panicked".into(), pack.body.to_string());
                let record = Record::dead_letter(Some(&queued), letter, (item_id.clone(), command_id), now);
                self.store.stock().records.insert(CommandKey { item_id, command_id }, record);
            }
        }
    }

    /// Discards everything that was set aside, as an operator does.
    pub fn discard(&self) {
        let now = self.clock.now();
        let mut stock = self.store.stock();
        let letters = stock.records.values_mut().filter_map(|record| record.outcome.dead_letter.as_mut());
        letters.for_each(|letter| letter.discarded_at = Some(now));
    }

    /// Changes the submitter in the record of the n-th command.
    pub fn rename_submitter(&self, n: u32, by: &str) {
        let id = crate::server::command_id(n);
        let mut stock = self.store.stock();
        let record = stock.records.iter_mut().find(|(key, _)| key.command_id == id).unwrap().1;
        record.outcome.submitted_by = by.into();
    }

    fn up(&self) -> Result<(), StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "told to panic");
        if self.store_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to be down".into()));
        }
        Ok(())
    }
}

/// Decides a message's commands as a worker does. Their alerts enter the history at once.
fn apply(stock: &mut Stock, pack: &Pack, now: Timestamp) {
    let item_id = &pack.item_id;
    let slots = decode_message(item_id, "message", &pack.body, now).unwrap();
    let (mut rest, rules) = (&slots[..], Rules::default());
    while !rest.is_empty() {
        let loaded = stock.load(&LoadRequest::for_slots(item_id.clone(), rest, &rules), usize::MAX);
        let decided = stock.records.iter().filter(|(key, _)| key.item_id == *item_id);
        let decided = decided.map(|(key, record)| (key.command_id, record.clone())).collect();
        let folded = fold(&loaded, item_id, rest, &decided, now, &rules, &FoldLimits::default());
        rest = &rest[folded.taken..];
        if !folded.commit.is_empty() {
            assert_eq!(stock.commit(&folded.commit), CommitOutcome::Committed);
        }
        for alert in folded.commit.records.iter().flat_map(|record| &record.alerts) {
            stock.alerts.insert(alert.id(), (alert.clone(), StoredClaim::default()));
        }
    }
}

#[async_trait]
impl CommandSender for Memory {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        if self.queue_down.load(Ordering::SeqCst) {
            return vec![Err(QueueError::Unavailable("told to be down".into())); packs.len()];
        }
        let results = vec![Ok(()); packs.len()];
        self.queued.lock().unwrap().extend(packs);
        if self.applies.load(Ordering::SeqCst) {
            self.apply();
        }
        results
    }

    fn max_batch(&self) -> usize {
        10
    }
}

impl Gate for Memory {
    fn behind(&self) -> &dyn Queries {
        &self.store
    }

    async fn pass<T: Send>(
        &self,
        read: Read<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.lookups.fetch_add(usize::from(read == Read::Records), Ordering::SeqCst);
        self.up()?;
        work.await
    }
}

#[async_trait]
impl Clients for Memory {
    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientSettings>, StoreError> {
        self.up()?;
        self.store.client(client_id).await
    }

    async fn clients(&self, asked: PageRequest<'_>) -> Result<Page<ClientSettings>, StoreError> {
        self.up()?;
        self.store.clients(asked).await
    }

    async fn put_client(&self, settings: &ClientSettings) -> Result<(), StoreError> {
        self.up()?;
        self.store.put_client(settings).await
    }
}
