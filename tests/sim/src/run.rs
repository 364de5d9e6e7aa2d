//! One run: starts everything, lets tills send and faults happen, and waits until all work is done.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stockline_alerter::{Alerter, MIN_LEASE};
use stockline_aws::dynamodb::{DynamoOptions, DynamoStore};
use stockline_core::domain::{CLOCK_SKEW_MAX_MS, FoldLimits, LocationSettings, Rules, carried};
use stockline_core::ports::{Clock, Locations};
use stockline_worker::{Adapters, Config, Parking};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::auditor;
use super::connection::{SimWire, TABLE};
use super::evidence::Evidence;
use super::faults::{FaultCounts, Faults};
use super::judge::judge;
use super::mail::{AlertQueue, MailClient, Provider, invoke_for_ever};
use super::operations::{self, Operators};
use super::options::RunOptions;
use super::queue::{Queue, QueueClient};
use super::scenario::{Act, MENDED_NOTE, PANIC_NOTE, REFUSED_NOTE, Scenario};
use super::submit::{Ingress, Shop};
use super::table::Table;
use super::tamper::Tamper;
use super::topic::{Topic, TopicClient};
use super::world::{Process, SkewedClock, World};

/// All work must be done within this time after the last fault.
const REST: Duration = Duration::from_secs(4 * 3_600);

/// The commands of an item that can't be read are set aside after so many receives.
const PARKED_AFTER: u32 = 6;

/// The number of alerter functions that run in parallel.
const ALERTERS: usize = 2;

/// Weeks during which nothing runs: alerts are still kept after the first, movements are too old after the second.
const WEEKS: [Duration; 2] = [Duration::from_secs(20 * 86_400), Duration::from_secs(40 * 86_400)];

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// The faults; none if every promise was kept.
    pub faults: Vec<String>,
    /// The injected faults that hit a call.
    pub met: FaultCounts,
    /// Other counts by name.
    pub counts: Vec<(&'static str, u64)>,
    /// Every call, if the run was traced.
    pub trace: String,
}

/// Plays a scenario in this thread and judges it.
pub fn run(scenario: &Scenario, options: RunOptions) -> Report {
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (evidence, world) = runtime.block_on(play(scenario, options));
    drop(runtime);
    let trace = world.take_trace();
    let faults = auditor::judge(&evidence);
    let met = world.faults().met.clone();
    let counts = vec![
        ("messages", evidence.sent.len() as u64),
        (
            "most receives of a message in any run",
            evidence.sent.iter().map(|sent| u64::from(sent.receives)).max().unwrap_or_default(),
        ),
        ("redeliveries", evidence.sent.iter().map(|sent| u64::from(sent.receives.saturating_sub(1))).sum()),
        ("lines sent again", evidence.till_log.resent),
        ("lines sent with another body", evidence.till_log.changed),
        ("lines sent weeks later", evidence.till_log.weeks_later),
        ("calls refused by an outage", world.faults().refused_by_outage),
        ("runs with an outage", u64::from(!scenario.outages.is_empty())),
        ("messages that the queue set aside", evidence.sent.iter().filter(|sent| sent.set_aside).count() as u64),
        ("transactions refused to a busy item", world.busy_refused()),
        ("transactions refused by a capped table", world.capped_refused()),
        ("new levels refused for a threshold that had changed", world.threshold_refused()),
        ("commands of an item that could not be read, set aside", auditor::parked(&evidence)),
        ("alerts published", evidence.topic.len() as u64),
        ("alerts of opening stock", evidence.topic.iter().filter(|alert| alert["opening"] == true).count() as u64),
        ("mails of several openings", auditor::opened_together(&evidence)),
        ("alerts that the alert queue delivered twice", evidence.alerts_doubled),
        ("mails", evidence.mails.iter().filter(|mail| mail.taken_ms.is_some()).count() as u64),
        ("alerts mailed twice, as allowed", auditor::mailed_twice(&evidence)),
        ("messages that are not commands", scenario.poisons.len() as u64),
        ("commands that the store refuses", scenario.noted(REFUSED_NOTE)),
        ("commands on which the fold panics", scenario.noted(PANIC_NOTE)),
        ("commands on which the fold panics until it is mended", scenario.noted(MENDED_NOTE)),
        ("commands on which the mended fold did not panic", auditor::mended(&evidence)),
        ("dead letters that were tried again", evidence.till_log.retried),
        ("dead letters that were discarded", evidence.till_log.discarded),
        ("commands that were resubmitted", evidence.till_log.resubmitted),
        ("commands that were resubmitted under another item", evidence.till_log.corrected),
        ("commands that were resubmitted more than a month later", evidence.till_log.months_later),
        ("commands of which two resubmissions were decided", auditor::resubmitted_twice(&evidence)),
        ("movements taken back", auditor::reversals(&evidence, "applied")),
        ("reversals that were refused", auditor::reversals(&evidence, "rejected")),
        ("clocks that jumped", scenario.skews.len() as u64),
        ("clocks that stepped further than right clocks differ", scenario.clock_steps()),
        ("locations registered meanwhile", 1),
        ("workers replaced", scenario.deploys.len() as u64),
        ("processes that died", evidence.crashes),
    ];
    Report { faults, met, counts, trace }
}

struct Installation {
    world: Arc<World>,
    table: Arc<Mutex<Table>>,
    queue: Arc<Queue>,
    topic: Topic,
    alerts: Arc<AlertQueue>,
    provider: Provider,
    skews: Vec<Arc<AtomicI64>>,
    crashes: Arc<AtomicI64>,
}

async fn play(scenario: &Scenario, options: RunOptions) -> (Evidence, Arc<World>) {
    let faults = Faults::new(scenario.faults.clone(), scenario.outages.clone());
    let world = World::new(scenario, faults, options);
    let queue = Queue::new(&world, scenario.receives_max);
    let skews = (0..scenario.workers + scenario.ingresses).map(|_| Arc::default()).collect();
    let crashes = Arc::default();
    let (alerts, provider) = (AlertQueue::new(&world), Provider::default());
    let (table, topic) = (Arc::default(), Arc::default());
    let all = Arc::new(Installation { world, table, queue, topic, alerts, provider, skews, crashes });
    for place in ["a", "b", "shut"] {
        all.register(place, place == "shut").await;
    }
    let mut running = JoinSet::new();
    let shop = all.clone().start_ingresses(scenario, &mut running);
    all.clone().start_side_events(scenario, &mut running);
    let mut workers = all.clone().start_workers(scenario, true);
    for index in 0..ALERTERS {
        running.spawn(all.clone().keep_alerter(index));
    }
    let mut tills = JoinSet::new();
    for till in 0..scenario.tills {
        let requests = scenario.requests.iter().filter(|request| request.till == till).cloned().collect();
        tills.spawn(shop.clone().till(till, requests));
    }
    let Installation { world, table, queue, .. } = &*all;
    let operators = Operators { world: world.clone(), table: table.clone(), queue: queue.clone(), shop: shop.clone() };
    for operation in &scenario.operations {
        tills.spawn(operators.clone().perform(operation.clone()));
    }
    let over = all.over(scenario).max(operations::over(&scenario.operations, all.world.started));
    let mut tills_done = timeout(REST, async { while tills.join_next().await.is_some() {} }).await.is_ok();
    sleep_until(over).await;
    let mut drained = all.rest().await;
    if scenario.weeks && drained {
        workers.shutdown().await;
        sleep(WEEKS[usize::from(scenario.seed.is_multiple_of(2))]).await;
        all.world.note(|| "weeks have passed".to_owned());
        let _workers = all.clone().start_workers(scenario, false);
        let late = scenario.requests.iter().filter_map(|request| Some((request, request.again?)));
        for (request, again) in late.filter(|(_, again)| again.weeks_later) {
            shop.log.lock().unwrap().weeks_later += request.lines.len() as u64;
            tills_done &= timeout(REST, shop.send(request, "till-late", again.changed)).await.is_ok();
        }
        for operation in scenario.operations.iter().filter(|operation| operation.act == Act::Resubmit) {
            tills_done &= timeout(REST, operators.clone().perform(operation.clone())).await.is_ok();
        }
        drained = all.rest().await;
    }
    let mut alerts_drained = all.alerts.drained(Instant::now() + REST).await;
    all.world.all_arrived().await;
    alerts_drained &= all.alerts.drained(Instant::now() + REST).await;
    let evidence = Evidence {
        sent: all.queue.sent(),
        table: std::mem::take(&mut *all.table.lock().unwrap()),
        topic: all.topic.lock().unwrap().clone(),
        till_log: std::mem::take(&mut *shop.log.lock().unwrap()),
        requests: scenario.requests.clone(),
        tills_done,
        refused_until_ms: scenario.refused_until_ms,
        damaged: scenario.damaged.clone(),
        drained,
        mails: all.provider.lock().unwrap().clone(),
        alerts_drained,
        alerts_doubled: all.alerts.doubled(),
        crashes: u64::try_from(all.crashes.load(Ordering::SeqCst)).unwrap(),
    };
    (evidence, all.world.clone())
}

impl Installation {
    /// Returns when all planned faults are over and all repeated requests are sent.
    fn over(&self, scenario: &Scenario) -> Instant {
        let outages = scenario.outages.iter().map(|outage| outage.2);
        let stuck = [&scenario.busy, &scenario.damaged].into_iter().flatten().map(|stuck| stuck.2);
        let last = outages.chain(stuck).chain(scenario.capped.map(|capped| capped.1)).max().unwrap_or_default();
        self.world.started + Duration::from_millis(last.max(60_000))
    }

    /// Waits until the queue is empty and nothing can fill it again; returns false if that does not happen in time.
    async fn rest(&self) -> bool {
        self.world.all_arrived().await;
        let drained = self.queue.drained(Instant::now() + REST).await;
        self.world.all_arrived().await;
        drained && self.queue.drained(Instant::now() + REST).await
    }

    async fn register(&self, place: &str, closed: bool) {
        let manager = Process::new("manager".into(), &self.world);
        let store = self.store(&manager, Arc::default());
        let location_id = place.parse().unwrap();
        let alert_emails = if place == "a" { vec!["a@example.com".to_owned()] } else { Vec::new() };
        let settings = LocationSettings { location_id, closed, alert_emails, ..LocationSettings::main() };
        store.put_location(&settings).await.unwrap();
    }

    fn store(&self, process: &Arc<Process>, skew_ms: Arc<AtomicI64>) -> DynamoStore {
        let wire = SimWire::new(process.clone(), self.table.clone());
        let clock = SkewedClock { world: self.world.clone(), skew_ms };
        DynamoStore::over(Arc::new(wire), TABLE.into(), DynamoOptions::default(), Arc::new(clock))
    }

    fn start_ingresses(self: Arc<Self>, scenario: &Scenario, running: &mut JoinSet<()>) -> Shop {
        let ingresses: Vec<_> = (0..scenario.ingresses).map(|_| Ingress::new()).collect();
        for (index, ingress) in ingresses.iter().enumerate() {
            let skew = self.skews[scenario.workers + index].clone();
            let name = format!("ingress-{index}");
            running.spawn(ingress.clone().keep(name, self.world.clone(), self.queue.clone(), skew));
        }
        Shop { world: self.world.clone(), ingresses, log: Arc::default(), bodies: Arc::default() }
    }

    fn start_side_events(self: Arc<Self>, scenario: &Scenario, running: &mut JoinSet<()>) {
        let at = |ms: u64| self.world.started + Duration::from_millis(ms);
        for (ms, whose, error) in &scenario.skews {
            let (at, clock, error) = (at(*ms), self.skews[*whose].clone(), *error);
            running.spawn(async move {
                sleep_until(at).await;
                clock.store(error, Ordering::SeqCst);
            });
        }
        for poison in scenario.poisons.clone() {
            let (at, queue) = (at(poison.at_ms), self.queue.clone());
            running.spawn(async move {
                sleep_until(at).await;
                queue.put(&carried(&poison.item), &poison.body, None);
            });
        }
        let (at, all) = (at(scenario.late_location_ms), self.clone());
        running.spawn(async move {
            sleep_until(at).await;
            all.register("late", false).await;
        });
    }

    fn start_workers(self: Arc<Self>, scenario: &Scenario, with_deploys: bool) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        for index in 0..scenario.workers {
            let deploys = scenario.deploys.iter().filter(|(_, whose)| with_deploys && *whose == index);
            let deploys = deploys.map(|(ms, _)| self.world.started + Duration::from_millis(*ms)).collect();
            workers.spawn(self.clone().keep_worker(index, config(scenario, self.world.tamper), deploys));
        }
        workers
    }

    /// Runs a worker, and restarts it when it has died or was stopped.
    async fn keep_worker(self: Arc<Self>, index: usize, config: Config, mut deploys: Vec<Instant>) {
        deploys.sort_unstable_by(|a, b| b.cmp(a));
        for generation in 1.. {
            let skew = self.skews[index].clone();
            let process = Process::new(format!("worker-{index}.{generation}"), &self.world);
            let queue = Arc::new(QueueClient { process: process.clone(), queue: self.queue.clone() });
            let store = Arc::new(self.store(&process, skew.clone()));
            let (topic, alerts) = (self.topic.clone(), self.alerts.clone());
            let alerts = Arc::new(TopicClient { process: process.clone(), topic, queue: alerts });
            let clock: Arc<dyn Clock> = Arc::new(SkewedClock { world: self.world.clone(), skew_ms: skew });
            let shutdown = CancellationToken::new();
            let trigger = shutdown.clone();
            let mut task = JoinSet::new();
            let adapters = Adapters { queue, store, alerts, clock };
            let judge = judge(self.world.tamper);
            task.spawn(stockline_worker::run_judged_by(judge, config.clone(), adapters, shutdown));
            let deploy = deploys.last().copied();
            tokio::select! {
                biased;
                () = process.died.notified() => drop(self.crashes.fetch_add(1, Ordering::SeqCst)),
                () = sleep_until(deploy.unwrap_or_else(Instant::now)), if deploy.is_some() => {
                    deploys.pop();
                    self.world.note(|| format!("{} is stopped", process.name));
                    trigger.cancel();
                    // It may hang if its process has died meanwhile.
                    let _ = timeout(Duration::from_secs(120), task.join_next()).await;
                }
            }
            task.shutdown().await;
            let down = self.world.rng().between(200, 10_000);
            sleep(Duration::from_millis(down)).await;
        }
    }
}

impl Installation {
    /// Runs the alerter's function, and restarts it when it has died.
    async fn keep_alerter(self: Arc<Self>, index: usize) {
        for generation in 1.. {
            let process = Process::new(format!("alerter-{index}.{generation}"), &self.world);
            let store = Arc::new(self.store(&process, Arc::default()));
            let mailer = Arc::new(MailClient { process: process.clone(), provider: self.provider.clone() });
            let clock = Arc::new(SkewedClock { world: self.world.clone(), skew_ms: Arc::default() });
            let recipients = ["day@example.com", "night@example.com"].map(str::to_owned).to_vec();
            let config = stockline_alerter::Config { recipients, lease: MIN_LEASE, public_url: None };
            let (book, locations, queries) = (store.clone(), store.clone(), store);
            let adapters = stockline_alerter::Adapters { book, locations, queries, mailer, clock };
            let mut task = JoinSet::new();
            task.spawn(invoke_for_ever(self.alerts.clone(), process.clone(), Alerter::new(config, adapters)));
            process.died.notified().await;
            self.crashes.fetch_add(1, Ordering::SeqCst);
            task.shutdown().await;
            let down = self.world.rng().between(200, 10_000);
            sleep(Duration::from_millis(down)).await;
        }
    }
}

fn config(scenario: &Scenario, tamper: Option<Tamper>) -> Config {
    let clock_skew_max_ms = if tamper == Some(Tamper::ClockBeforeQueue) { i64::MAX } else { CLOCK_SKEW_MAX_MS };
    Config {
        permits: 3,
        receivers: scenario.receivers,
        receive_max: 10,
        receive_wait: Duration::from_secs(20),
        receive_pause: Duration::ZERO,
        parking: Some(Parking { receives: PARKED_AFTER, ..Parking::default() }),
        rules: Rules { clock_skew_max_ms, ..Rules::default() },
        fold_limits: FoldLimits { max_tail_bytes: scenario.tail_bytes, ..FoldLimits::default() },
        retention_ms: stockline_core::ports::RETENTION_MS,
        drain: Duration::from_secs(20),
    }
}
