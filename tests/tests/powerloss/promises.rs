//! P1, P2, P4 across a power cut: everything that was answered as durable is still there, and the ledger explains the
//! stock.
//!
//! The whole pipeline runs on files that lose unsynced writes. With syncs off the same test must fail; otherwise it
//! would prove nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stockline_core::domain::{
    Action, Catalogue, Command, CommandId, CommandKey, FoldLimits, ItemId, MAIN_LOCATION, MovementDetails, Planning,
    Quantity, Queued, Rules, ShortagePolicy, Status, encode_message,
};
use stockline_core::ports::{Clock, CommandReceiver, CommandSender, Pack, Queries, QueueDepth};
use stockline_service::SystemClock;
use stockline_sqlite::{OpenOptions, QueueOptions, SqliteQueue, SqliteStore, StoreOptions};
use stockline_tests::powerloss;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ITEMS: usize = 4;
const PACKS: usize = 60;
const COMMANDS_PER_PACK: usize = 3;

struct Home {
    queue: Arc<SqliteQueue>,
    store: Arc<SqliteStore>,
}

fn open(folder: &Path, options: &OpenOptions) -> Home {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let queue = SqliteQueue::open_with(folder, QueueOptions::default(), clock, options).unwrap();
    let store = SqliteStore::open(&folder.join("stock.db"), StoreOptions::default(), options).unwrap();
    Home { queue: Arc::new(queue), store: Arc::new(store) }
}

/// Starts a worker on a home. It stops when `shutdown` is cancelled.
fn work(home: &Home, shutdown: CancellationToken) -> tokio::task::JoinHandle<()> {
    let config = stockline_worker::Config {
        permits: 2,
        receivers: 1,
        receive_max: 16,
        receive_wait: Duration::from_millis(50),
        receive_pause: Duration::ZERO,
        parking: None,
        rules: Rules::default(),
        fold_limits: FoldLimits::default(),
        retention_ms: 1_000_000,
        drain: Duration::from_secs(5),
    };
    let adapters = stockline_worker::Adapters {
        queue: home.queue.clone(),
        store: home.store.clone(),
        alerts: Arc::new(home.queue.alerts()),
        clock: Arc::new(SystemClock),
    };
    tokio::spawn(stockline_worker::run(config, adapters, shutdown))
}

fn item(number: usize) -> ItemId {
    format!("item-{number}").parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a client makes its own ids")]
fn queued(item_id: &ItemId, action: Action) -> Queued {
    let command = Command {
        command_id: CommandId(Uuid::new_v4()),
        item_id: item_id.clone(),
        action,
        details: MovementDetails::default(),
    };
    Queued {
        command,
        accepted_at: SystemClock.now(),
        submitted_by: "till".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "a sender makes its own ids")]
fn pack(commands: &[Queued]) -> Pack {
    let item_id = commands[0].command.item_id.clone();
    Pack { body: encode_message(&item_id, commands).into(), item_id, dedup_id: Uuid::new_v4() }
}

fn register(item_id: &ItemId) -> Queued {
    let catalogue = Catalogue {
        name: item_id.to_string(),
        unit: "piece".into(),
        decimals: 0,
        barcodes: Vec::new(),
        category: None,
        low_stock_threshold: None,
        shortage_policy: ShortagePolicy::Allow,
        unit_cost: None,
        planning: Planning::default(),
    };
    queued(item_id, Action::RegisterItem(catalogue))
}

fn sale(item_id: &ItemId) -> Queued {
    let action = Action::Sell {
        location_id: MAIN_LOCATION.parse().unwrap(),
        quantity: Quantity::from_units(1).unwrap(),
        on_shortage: None,
        amount: None,
    };
    queued(item_id, action)
}

/// Sends packs while a worker applies them, cuts the power after some of them, and restores it. Returns how many
/// accepted commands were lost. Panics if the remaining data contradict each other.
async fn lost_in_a_cut(seed: u64, options: OpenOptions) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let home = open(folder.path(), &options);
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let worker = work(&home, shutdown);
    let mut accepted: Vec<CommandKey> = Vec::new();
    let cut_after = 5 + (seed as usize * 7) % (PACKS - 10);
    let sent = AtomicUsize::new(0);
    for number in 0..PACKS {
        let item_id = item(number % ITEMS);
        let mut commands = if number < ITEMS { vec![register(&item_id)] } else { Vec::new() };
        commands.extend((0..COMMANDS_PER_PACK).map(|_| sale(&item_id)));
        let answered = home.queue.send(vec![pack(&commands)]).await.remove(0);
        if answered.is_ok() {
            let state = |q: &Queued| CommandKey { item_id: item_id.clone(), command_id: q.command.command_id };
            accepted.extend(commands.iter().map(state));
        }
        if sent.fetch_add(1, Ordering::SeqCst) == cut_after {
            powerloss::cut(seed);
        }
    }
    trigger.cancel();
    worker.await.unwrap();
    drop(home);
    powerloss::restore();

    // The machine restarts: the worker empties the queue, and then every accepted command must be applied.
    let home = open(folder.path(), &OpenOptions::default());
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let worker = work(&home, shutdown);
    let empty = |depth: QueueDepth| depth.visible == 0 && depth.in_flight == 0;
    tokio::time::timeout(Duration::from_secs(60), async {
        while !empty(home.queue.depth().await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let records = home.store.records(&accepted).await.unwrap();
    let applied = |record: &Option<stockline_core::domain::Record>| {
        record.as_ref().is_some_and(|record| record.outcome.status == Status::Applied)
    };
    let lost = records.iter().filter(|record| !applied(record)).count();
    let report = stockline_worker::audit::audit(&*home.store, &*home.store, &mut |_| {}).await.unwrap();
    assert!(report.faults.is_empty(), "seed {seed}: {:?}", report.faults);
    trigger.cancel();
    worker.await.unwrap();
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_command_survives_a_power_cut_and_without_syncs_it_does_not() {
    let _power = crate::POWER.lock().await;
    powerloss::register();
    let vfs = Some(powerloss::VFS.to_owned());
    for seed in 1..=20 {
        let lost = lost_in_a_cut(seed, OpenOptions { vfs: vfs.clone(), synchronous_off: false }).await;
        assert_eq!(lost, 0, "seed {seed} lost accepted commands");
    }
    let mut lossy = 0;
    for seed in 1..=5 {
        let options = OpenOptions { vfs: vfs.clone(), synchronous_off: true };
        // Without syncs even the files may contradict each other. That panics, which also counts as a noticed loss.
        let lost = tokio::spawn(lost_in_a_cut(seed, options)).await;
        lossy += usize::from(lost.map_or(true, |lost| lost > 0));
        powerloss::restore();
    }
    assert!(lossy >= 4, "only {lossy} of 5 cuts without syncs were noticed");
}
