//! Measures how many commands a second the system sustains for one item, and what limits the rate.
//!
//! The queue is a model: ten messages of full packs a cycle, and a fixed time per cycle. The store is the real adapter
//! over the engine, with a delay added to each transaction. In the end the ledger must hold every delivered command, in
//! order.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use stockline_core::domain::{
    CommandId, ItemId, LocationId, LocationSettings, MAIN_LOCATION, MAX_PACK_COMMANDS, encode_message,
};
use stockline_core::ports::{
    AuditReader, CommandReceiver, Delivery, Handle, LedgerFrom, Locations, Queries, QueueDepth, QueueError,
};
use uuid::Uuid;

use crate::rng::Rng;
use crate::slow::SlowStore;
use crate::testbed::{Opening, ReceiveSettings, Testbed, open, sold, start_worker};

/// Options of `hot-item`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HotOptions {
    /// Seconds for which messages are delivered
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Milliseconds that one receive and one delete of SQS take together
    #[arg(long, default_value_t = 28)]
    cycle_ms: u64,
    /// Milliseconds added to each transaction
    #[arg(long, default_value_t = 10)]
    transaction_ms: u64,
    /// Commands per message
    #[arg(long, default_value_t = MAX_PACK_COMMANDS)]
    pack: usize,
    /// Locations that sell the item, in turn
    #[arg(long, default_value_t = 1)]
    locations: usize,
}

/// SQS delivers at most this many messages of a group before they are deleted.
const MESSAGES_PER_CYCLE: usize = 10;
/// Entries per read of the ledger.
const LEDGER_PAGE: usize = 10_000;
/// Write units a second of one partition (DynamoDB developer guide, "Best practices for designing and using partition keys
/// effectively").
const PARTITION_WRU: f64 = 1_000.0;
const VISIBILITY: Duration = Duration::from_secs(120);

/// Models the queue of one hot group.
#[derive(Debug)]
struct HotQueue {
    item_id: ItemId,
    location_ids: Vec<LocationId>,
    pack: usize,
    cycle: Duration,
    until: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    messages: u64,
    out: Vec<Handle>,
    /// A receive is waiting for its messages.
    cycling: bool,
    /// The delivered commands, in order.
    sent: Vec<CommandId>,
    failed: Option<String>,
}

impl HotQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a cycle if time is left and no message is in flight; returns whether it did.
    fn begins_cycle(&self) -> bool {
        let mut state = self.state();
        let due = Instant::now() < self.until && !state.cycling && state.out.is_empty();
        state.cycling |= due;
        due
    }

    /// Returns whether the time is over and no message is in flight.
    fn is_over(&self) -> bool {
        let state = self.state();
        Instant::now() >= self.until && !state.cycling && state.out.is_empty()
    }

    fn next_message(&self, state: &mut State) -> Result<Delivery> {
        let mut commands = Vec::with_capacity(self.pack);
        for _ in 0..self.pack {
            let at = state.sent.len() % self.location_ids.len();
            let location_id = self.location_ids.get(at).context("no location")?;
            let queued = sold(&self.item_id, location_id, &mut state.rng)?;
            state.sent.push(queued.command.command_id);
            commands.push(queued);
        }
        state.messages += 1;
        let name: Arc<str> = state.messages.to_string().into();
        state.out.push(Handle(name.clone()));
        Ok(Delivery {
            handle: Handle(name.clone()),
            message_id: name,
            group: self.item_id.as_str().into(),
            body: encode_message(&self.item_id, &commands).into(),
            receives: 1,
            set_aside: false,
        })
    }
}

#[async_trait]
impl CommandReceiver for HotQueue {
    async fn receive(&self, max: usize, wait: Duration, _: Uuid) -> Result<Vec<Delivery>, QueueError> {
        if !self.begins_cycle() {
            // Only one cycle runs at a time. An empty receive answers soon, and the worker asks again.
            tokio::time::sleep(wait.min(Duration::from_millis(1))).await;
            return Ok(Vec::new());
        }
        // This models the round trip to SQS.
        tokio::time::sleep(self.cycle).await;
        let mut state = self.state();
        let messages =
            (0..max.min(MESSAGES_PER_CYCLE)).map(|_| self.next_message(&mut state)).collect::<Result<Vec<_>>>();
        state.cycling = false;
        messages.map_err(|error| QueueError::Unavailable(error.to_string()))
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        self.state().out.retain(|out| !handles.contains(out));
        vec![Ok(()); handles.len()]
    }

    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        if handles.iter().any(|(_, time)| *time < VISIBILITY) {
            self.state().failed = Some("the worker returned messages to the queue: the measurement is invalid".into());
        }
        vec![Ok(()); handles.len()]
    }

    fn visibility_timeout(&self) -> Duration {
        VISIBILITY
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        Ok(QueueDepth::default())
    }
}

/// Measures, checks that no command was lost or reordered, prints the result, and returns the write units of the item's
/// partition a command.
pub(crate) async fn run(options: &HotOptions) -> Result<f64> {
    let testbed = Testbed::start().await?;
    let item_id: ItemId = "item-0".parse()?;
    let mut location_ids = vec![MAIN_LOCATION.parse::<LocationId>()?];
    for number in 1..options.locations {
        let location_id: LocationId = format!("shop-{number}").parse()?;
        let settings = LocationSettings { location_id: location_id.clone(), ..LocationSettings::main() };
        testbed.store.put_location(&settings).await?;
        location_ids.push(location_id);
    }
    let opening = Opening { item_id: item_id.clone(), locations: location_ids.clone(), sales: 0 };
    open(&*testbed.store, &[opening]).await?;
    testbed.meter.reset();
    let started = Instant::now();
    let queue = Arc::new(HotQueue {
        item_id: item_id.clone(),
        location_ids: location_ids.clone(),
        pack: options.pack.clamp(1, MAX_PACK_COMMANDS),
        cycle: Duration::from_millis(options.cycle_ms),
        until: started + Duration::from_secs(options.seconds),
        state: Mutex::new(State {
            rng: Rng::fresh(),
            messages: 0,
            out: Vec::new(),
            cycling: false,
            sent: Vec::new(),
            failed: None,
        }),
    });
    let transaction = Duration::from_millis(options.transaction_ms);
    let store = Arc::new(SlowStore::new(testbed.store.clone(), Duration::ZERO, transaction));
    let worker = start_worker(ReceiveSettings::one_receiver(1), queue.clone(), store.clone());
    // Polling every few milliseconds costs too little to show in the measurement.
    while !queue.is_over() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let elapsed = started.elapsed();
    worker.stop().await?;
    if let Some(failed) = queue.state().failed.take() {
        anyhow::bail!(failed);
    }
    let sent = std::mem::take(&mut queue.state().sent);
    print_rates(options, &queue, &store, sent.len(), elapsed);
    let written = testbed.meter.reset();
    let of_item = written.by_partition.get(&format!("ITEM#{item_id}")).copied().unwrap_or_default();
    let per_command = print_partition(of_item, sent.len());
    check_ledgers(&testbed, &item_id, &location_ids, &sent).await?;
    Ok(per_command)
}

/// Prints what the item's partition, which holds its record and all its levels, is written, against AWS's limit of one.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn print_partition(units: f64, commands: usize) -> f64 {
    let per_command = units / commands as f64;
    println!(
        "the item's partition: {per_command:.3} write units a command, so {PARTITION_WRU:.0} units a second are {:.0} commands/s",
        PARTITION_WRU / per_command
    );
    per_command
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn print_rates(options: &HotOptions, queue: &HotQueue, store: &SlowStore, commands: usize, elapsed: Duration) {
    let wall_ms = elapsed.as_secs_f64() * 1_000.0;
    println!(
        "one item: {commands} commands in {:.1} s, {:.0} commands/s",
        elapsed.as_secs_f64(),
        commands as f64 / elapsed.as_secs_f64()
    );
    let cycles = queue.state().messages as f64 / MESSAGES_PER_CYCLE as f64;
    let (loads, commits) = (store.loads.calls() as f64, store.commits.calls() as f64);
    let waited = commits * options.transaction_ms as f64;
    let queued = cycles * options.cycle_ms as f64;
    println!("{:.1} commands a transaction, {:.1} transactions a cycle", commands as f64 / commits, commits / cycles);
    println!("where the time goes, per transaction:");
    let rest = wall_ms - queued - waited - store.loads.millis() - store.commits.millis();
    for (what, millis) in [
        ("queue cycle, as modelled", queued),
        ("added to the transaction", waited),
        ("load: adapter, SDK and engine", store.loads.millis()),
        ("commit: adapter, SDK and engine", store.commits.millis()),
        ("worker: decoding, folding, waiting", rest),
    ] {
        println!("  {what:<36} {:>7.2} ms  {:>4.0} %", millis / commits, millis / wall_ms * 100.0);
    }
    println!("  ({loads:.0} loads, {commits:.0} commits)");
}

/// Checks that the ledgers hold every delivered command once, in the order of delivery, and that the audit is clean.
async fn check_ledgers(testbed: &Testbed, item_id: &ItemId, at: &[LocationId], sent: &[CommandId]) -> Result<()> {
    for (number, location_id) in at.iter().enumerate() {
        let of_it: Vec<_> = sent.iter().skip(number).step_by(at.len()).copied().collect();
        check_ledger(testbed, item_id, location_id, &of_it).await?;
    }
    let queries: &dyn Queries = &*testbed.store;
    let report = stockline_worker::audit::audit(&*testbed.store, queries, &mut |_| {}).await?;
    ensure!(report.is_sound(), "the audit found faults: {:?}", report.faults);
    println!("all {} commands are in the ledgers once, in order; the audit finds no fault", sent.len());
    Ok(())
}

async fn check_ledger(testbed: &Testbed, item_id: &ItemId, location_id: &LocationId, sent: &[CommandId]) -> Result<()> {
    // The opening stock is entry 1.
    let (mut next_seq, mut at) = (Some(2), 0);
    while let Some(from_seq) = next_seq {
        let page = testbed.store.audit_ledger(LedgerFrom::new(item_id, location_id, from_seq, LEDGER_PAGE)).await?;
        for entry in &page.entries {
            ensure!(entry.seq == at as u64 + 2, "entry {} was found where entry {} was expected", entry.seq, at + 2);
            ensure!(
                sent.get(at) == Some(&entry.command_id),
                "entry {} belongs to another command than was sent",
                entry.seq
            );
            at += 1;
        }
        next_seq = page.next_seq;
    }
    ensure!(at == sent.len(), "{} commands were sent and {at} are in the ledger", sent.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_hot_item_takes_all_that_is_delivered_in_order_and_its_partition_as_much_as_the_quotas_say() {
        // With one level, a fold of a hundred writes it once. Where each command is for another of 500 locations, each
        // writes its own level, 2 units in a transaction: `deploy/quotas.md` takes 500 commands a second from that.
        for (locations, at_least, at_most) in [(1, 0.01, 0.2), (500, 1.9, 2.1)] {
            let options = HotOptions { seconds: 1, cycle_ms: 1, transaction_ms: 1, pack: 100, locations };
            let per_command = run(&options).await.unwrap();
            assert!((at_least..=at_most).contains(&per_command), "{locations} locations: {per_command}");
        }
    }
}
