//! Tills and ingresses. A till repeats each request until it is accepted. An ingress parses it and packs it with the
//! real packer.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stockline_core::domain::{ItemId, Json, ParseContext, Queued, encode_command, parse_command};
use stockline_core::ports::Clock;
use stockline_ingress::packer::{Line as PackLine, Packer, PackerTask, Submitted};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::queue::{Queue, QueueClient};
use super::scenario::{Line, Request};
use super::world::{EPOCH_MS, Process, SkewedClock, World};

/// The time that a till waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A limit that no run reaches.
const BUFFERED_MAX: usize = 10_000;

/// A running ingress.
#[derive(Debug)]
struct Live {
    packer: Packer,
    clock: SkewedClock,
    _task: PackerTask,
}

/// The slot of an ingress behind the load balancer.
#[derive(Debug)]
pub(crate) struct Ingress {
    live: Mutex<Option<Arc<Live>>>,
}

impl Ingress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { live: Mutex::new(None) })
    }

    /// Runs the ingress, and restarts it when it has died.
    pub(crate) async fn keep(
        self: Arc<Self>,
        name: String,
        world: Arc<World>,
        queue: Arc<Queue>,
        skew: Arc<AtomicI64>,
    ) {
        loop {
            let process = Process::new(name.clone(), &world);
            let end = QueueClient { process: process.clone(), queue: queue.clone() };
            let (packer, task) = Packer::start(Arc::new(end), BUFFERED_MAX);
            let clock = SkewedClock { world: world.clone(), skew_ms: skew.clone() };
            *self.live.lock().unwrap() = Some(Arc::new(Live { packer, clock, _task: task }));
            process.died.notified().await;
            *self.live.lock().unwrap() = None;
            let down = world.rng().between(500, 8_000);
            sleep(Duration::from_millis(down)).await;
        }
    }

    /// Returns which lines are queued, or `None` if no answer arrived.
    async fn submit(&self, lines: &[String], by: &str) -> Option<Vec<bool>> {
        let live = self.live.lock().unwrap().clone()?;
        let read = |body: &String| {
            let json: Json<'_> = serde_json::from_str(body).unwrap();
            let command = parse_command(&json, &ParseContext::stored()).unwrap();
            let accepted_at = live.clock.now();
            Queued {
                command,
                accepted_at,
                submitted_by: by.into(),
                retry: 0,
                resubmits: None,
                first_accepted_at: None,
                reach: None,
                trace: None,
            }
        };
        self.queue(lines.iter().map(read).collect()).await
    }

    /// Returns which commands are queued, or `None` if no answer arrived.
    pub(crate) async fn queue(&self, commands: Vec<Queued>) -> Option<Vec<bool>> {
        let live = self.live.lock().unwrap().clone()?;
        let line = |queued: &Queued| {
            let item_id: ItemId = queued.command.item_id.clone();
            PackLine { item_id, envelope: encode_command(queued) }
        };
        let lines = commands.iter().map(line).collect();
        match timeout(PATIENCE, live.packer.submit(lines)).await {
            Ok(Submitted::Lines(queued)) => Some(queued),
            Ok(Submitted::Overloaded) | Err(_) => None,
        }
    }
}

/// The records of the tills and operators at the end.
#[derive(Debug, Default)]
pub(crate) struct TillLog {
    /// The item and id of every accepted line, whatever its body.
    pub(crate) accepted: Vec<(String, uuid::Uuid)>,
    /// Lines that were sent again, and how many of them with another body.
    pub(crate) resent: u64,
    pub(crate) changed: u64,
    pub(crate) weeks_later: u64,
    pub(crate) retried: u64,
    pub(crate) discarded: u64,
    pub(crate) resubmitted: u64,
    /// Resubmissions under another item.
    pub(crate) corrected: u64,
    /// Resubmissions more than a month after the first submission.
    pub(crate) months_later: u64,
}

/// The environment of a till.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub(crate) world: Arc<World>,
    pub(crate) ingresses: Vec<Arc<Ingress>>,
    pub(crate) log: Arc<Mutex<TillLog>>,
    /// The bodies as first sent.
    pub(crate) bodies: Arc<Mutex<BTreeMap<uuid::Uuid, String>>>,
}

impl Shop {
    /// Sends a till's requests one after the other.
    pub(crate) async fn till(self, till: usize, requests: Vec<Request>) {
        let by = format!("till-{till}");
        let mut later = JoinSet::new();
        for request in requests {
            sleep(Duration::from_millis(request.after_ms)).await;
            self.send(&request, &by, false).await;
            if let Some(again) = request.again.filter(|again| !again.weeks_later) {
                let (shop, by) = (self.clone(), by.clone());
                later.spawn(async move {
                    sleep(Duration::from_millis(again.after_ms)).await;
                    shop.send(&request, &by, again.changed).await;
                });
            }
        }
        while later.join_next().await.is_some() {}
    }

    /// Sends a request until all of it is accepted.
    pub(crate) async fn send(&self, request: &Request, by: &str, changed: bool) {
        let mut left: Vec<&Line> = request.lines.iter().collect();
        let mut first = true;
        while !left.is_empty() {
            if !first {
                let pause = self.world.rng().between(200, 4_000);
                sleep(Duration::from_millis(pause)).await;
                self.log.lock().unwrap().resent += left.len() as u64;
            }
            let changed = changed || (!first && self.world.rng().percent(10));
            first = false;
            let bodies: Vec<String> = left.iter().map(|line| self.body(line, changed)).collect();
            let index = self.world.rng().below(self.ingresses.len() as u64) as usize;
            let Some(queued) = self.ingresses[index].submit(&bodies, by).await else {
                continue;
            };
            let accepted = left.iter().zip(&queued).filter(|(_, queued)| **queued);
            self.log.lock().unwrap().accepted.extend(accepted.map(|(line, _)| (line.item.clone(), line.id)));
            // The answer may be lost on its way to the till.
            if !self.world.rng().percent(3) {
                left = left.into_iter().zip(queued).filter(|(_, queued)| !queued).map(|(line, _)| line).collect();
            }
        }
    }

    /// Returns the command as first sent, or with another quantity.
    fn body(&self, line: &Line, changed: bool) -> String {
        let now_ms = EPOCH_MS + i64::try_from(self.world.now_ms()).unwrap();
        let mut bodies = self.bodies.lock().unwrap();
        let kept = bodies.entry(line.id).or_insert_with(|| {
            let mut body = line.body.clone();
            if let Some(ago) = line.occurred_ago_ms {
                body["occurred_at"] = time(now_ms - ago);
            }
            if line.says_sent {
                body["sent_at"] = time(now_ms - 1_500);
            }
            body.to_string()
        });
        if !changed {
            return kept.clone();
        }
        self.log.lock().unwrap().changed += 1;
        let mut body: Value = serde_json::from_str(kept).unwrap();
        if body.get("quantity").is_some() {
            body["quantity"] = json!("7");
        }
        body.to_string()
    }
}

fn time(ms: i64) -> Value {
    json!(stockline_core::domain::Timestamp::from_millis(ms))
}
