//! Messages that Stockline did not write, sent through the real worker. The worker sets each one aside in its place,
//! counts it and logs it without its body, and the group goes on (design.md §6). The claim reads the log and the
//! metrics of the process, so no other worker may run in it.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use metrics_exporter_prometheus::PrometheusHandle;
use stockline_core::domain::{CommandKey, DEAD_BODY_MAX_BYTES, ItemId, Record, Status, encode_message};
use stockline_core::ports::{
    AlertPublisher, CommandFilter, CommandReceiver, CommandSender, FixedClock, Pack, PageRequest,
};
use stockline_service::install_metrics;
use stockline_worker::{Adapters, metrics};
use uuid::Uuid;

use super::store::{Ports, at, id, item_id, queued};
use crate::in_process::{PATIENCE, RunningWorker, worker_config};

/// Each hostile body contains this text, and no line of the log may contain it.
const SECRET: &str = "marker-4f1d-of-a-body";

/// The size of the padding in the largest bodies.
const LARGE_BYTES: usize = 100 * 1024;

/// The captured log.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }

    /// Captures everything that this process logs from now on.
    fn watch(&self) {
        let writer = self.clone();
        tracing_subscriber::fmt()
            .with_env_filter("stockline=trace")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().clone()).unwrap()
    }
}

/// The log and the metrics of this process.
#[derive(Debug)]
struct Observed {
    log: Log,
    metrics: PrometheusHandle,
}

impl Observed {
    fn of_process() -> &'static Self {
        static OBSERVED: OnceLock<Observed> = OnceLock::new();
        OBSERVED.get_or_init(|| {
            let log = Log::default();
            log.watch();
            Self { log, metrics: install_metrics().unwrap() }
        })
    }

    /// Returns how many messages the worker could not decode.
    fn undecodable(&self) -> usize {
        let rendered = self.metrics.render();
        let value = rendered.lines().find_map(|line| line.strip_prefix(metrics::UNDECODABLE));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns the bodies that are sent between the good messages.
fn hostile_bodies() -> Vec<String> {
    let deep = format!("{}\"{SECRET}\"{}", "[".repeat(5_000), "]".repeat(5_000));
    let sale =
        |item: &str, n| encode_message(&item_id(item), [&queued(id(n), "sell", item, r#","quantity":1"#, at(0))]);
    vec![
        SECRET.to_owned(),
        format!(r#"{{"v":1,"commands":[{{"{SECRET}""#),
        format!(r#"{{"{SECRET}":[1,2,3]}}"#),
        format!(r#"{{"v":0,"item_id":"cola","commands":["{SECRET}"]}}"#),
        format!(r#"{{"v":"1","item_id":"cola","commands":["{SECRET}"]}}"#),
        format!("<xml>{SECRET}</xml>"),
        deep,
        format!("{SECRET}{}", "x".repeat(LARGE_BYTES)),
        format!(r#"{{"v":1,"item_id":"cola","commands":["{SECRET}{}"]}}"#, "y".repeat(LARGE_BYTES)),
        // A good command, but for another item than its group's, and a command of an unknown type.
        sale("fanta", 501).replace(r#""by":"till-1""#, &format!(r#""by":"{SECRET}""#)),
        sale("cola", 502).replace(r#""type":"sell""#, &format!(r#""type":"{SECRET}""#)),
    ]
}

async fn send(sender: &dyn CommandSender, item: &str, body: String) {
    let pack = Pack { item_id: item_id(item), dedup_id: fresh(), body: body.into() };
    sender.send(vec![pack]).await.remove(0).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "it names one send")]
fn fresh() -> Uuid {
    Uuid::new_v4()
}

async fn dead_letters(ports: &Ports, item: &ItemId) -> Vec<Record> {
    let status = Status::DeadLettered;
    let filter = CommandFilter { status, code: None, location_id: None, since: None, settled_otherwise: false };
    let listed = ports.queries.commands(&filter, PageRequest::first(100)).await.unwrap();
    assert!(listed.next_cursor.is_none());
    listed.entries.into_iter().filter(|record| record.outcome.item_id == *item).collect()
}

/// The queue and the store must be empty at the start.
pub async fn a_message_no_one_wrote_harms_only_itself(
    sender: Arc<dyn CommandSender>,
    receiver: Arc<dyn CommandReceiver>,
    alerts: Arc<dyn AlertPublisher>,
    ports: Ports,
) {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let observed = Observed::of_process();
    observed.log.bytes().clear();
    let undecodable_before = observed.undecodable();
    let good = |n: u128, kind: &str, fields: &str| {
        encode_message(&item_id("cola"), [&queued(id(n), kind, "cola", fields, at(0))])
    };
    send(&*sender, "cola", good(1, "register_item", r#","name":"Cola""#)).await;
    let hostile = hostile_bodies();
    for (n, body) in hostile.iter().enumerate() {
        send(&*sender, "cola", body.clone()).await;
        send(&*sender, "cola", good(n as u128 + 2, "receive", r#","quantity":1"#)).await;
    }
    let clock = Arc::new(FixedClock::at(at(1_000)));
    let adapters = Adapters { queue: receiver.clone(), store: ports.store.clone(), alerts, clock };
    let worker = RunningWorker::start(worker_config(), adapters);
    let last = CommandKey { item_id: item_id("cola"), command_id: id(hostile.len() as u128 + 1) };
    let decided = async {
        while ports.queries.records(std::slice::from_ref(&last)).await.unwrap()[0].is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, decided).await.expect("the group flows on");
    assert!(worker.health.is_ready());
    worker.stop().await;

    let view = ports.queries.item(&item_id("cola")).await.unwrap().unwrap();
    assert_eq!(view.levels[0].on_hand.raw() / 1_000, hostile.len() as i64, "the good ones took effect");
    assert!(ports.queries.item(&item_id("fanta")).await.unwrap().is_none());
    let dead = dead_letters(&ports, &item_id("cola")).await;
    assert_eq!(dead.len(), hostile.len(), "each is set aside, under the item of its group");
    for record in &dead {
        let letter = record.outcome.dead_letter.as_ref().unwrap();
        assert!(letter.body.contains(SECRET) && !letter.reason.is_empty(), "{}", letter.reason);
    }
    let largest = dead.iter().map(|record| record.outcome.dead_letter.as_ref().unwrap().body.len()).max();
    assert_eq!(largest, Some(DEAD_BODY_MAX_BYTES), "a body is kept up to its bound");
    let depth = receiver.depth().await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (0, 0), "all are acknowledged");

    assert_eq!(observed.undecodable() - undecodable_before, hostile.len(), "each is counted");
    let log = observed.log.text();
    assert!(log.contains("undecodable commands are dead-lettered"), "{log}");
    assert!(!log.contains(SECRET), "a body is in the log");
}
