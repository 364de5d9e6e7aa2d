//! The shared parts of a run: time, randomness, faults and the trace, and how a call travels.

use std::fmt::Write as _;
use std::future::{Future, pending};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::faults::{Faults, Kind, Step};
use super::options::RunOptions;
use super::rng::Rng;
use super::scenario::Scenario;
use super::table::Key;
use super::tamper::Tamper;

/// The start of every run, in milliseconds since 1970.
pub(crate) const EPOCH_MS: i64 = 1_767_225_600_000;

/// How often a call is tried, as the deployed clients do.
const ATTEMPTS: u32 = 3;

/// The time limit of one attempt; a receive waits for messages.
const fn patience(step: Step) -> Duration {
    Duration::from_millis(match step {
        Step::Send => 900,
        Step::Receive => 25_000,
        Step::Mail => 20_000,
        _ => 2_600,
    })
}

/// The parts that all processes share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) started: Instant,
    pub(crate) tamper: Option<Tamper>,
    pub(crate) visibility: Duration,
    rng: Mutex<Rng>,
    faults: Mutex<Faults>,
    busy: Option<(String, u64, u64)>,
    busy_refused: AtomicU64,
    damaged: Option<(String, u64, u64)>,
    capped: Option<(u64, u64, u64)>,
    /// The second of the last write to a capped table, and the writes in it.
    written: Mutex<(u64, u64)>,
    capped_refused: AtomicU64,
    threshold_refused: AtomicU64,
    refused_until_ms: u64,
    trace: Mutex<Option<String>>,
    /// When the last sent call arrives.
    last_arrival_ms: AtomicU64,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, faults: Faults, options: RunOptions) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            tamper: options.tamper,
            visibility: Duration::from_millis(scenario.visibility_ms),
            rng: Mutex::new(Rng::new(scenario.seed, 2)),
            faults: Mutex::new(faults),
            busy: scenario.busy.clone(),
            busy_refused: AtomicU64::new(0),
            damaged: scenario.damaged.clone(),
            capped: scenario.capped,
            written: Mutex::default(),
            capped_refused: AtomicU64::new(0),
            threshold_refused: AtomicU64::new(0),
            refused_until_ms: scenario.refused_until_ms,
            trace: Mutex::new(options.traced.then(String::new)),
            last_arrival_ms: AtomicU64::new(0),
        })
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap()
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    /// Returns whether the partition of this row is over its rate.
    pub(crate) fn is_busy(&self, pk: &str) -> bool {
        let now_ms = self.now_ms();
        let busy = self.busy.as_ref().is_some_and(|(item, from, until)| {
            (*from..*until).contains(&now_ms) && pk.strip_prefix("ITEM#").is_some_and(|of| of == item)
        });
        self.busy_refused.fetch_add(u64::from(busy), Ordering::SeqCst);
        busy
    }

    /// Returns whether the table has no capacity left in this second for so many writes. The first transaction of a second
    /// always fits.
    pub(crate) fn is_capped(&self, writes: u64) -> bool {
        let now_ms = self.now_ms();
        let Some((_, _, most)) = self.capped.filter(|(from, until, _)| (*from..*until).contains(&now_ms)) else {
            return false;
        };
        let mut written = self.written.lock().unwrap();
        if written.0 != now_ms / 1_000 {
            *written = (now_ms / 1_000, 0);
        }
        if written.1 > 0 && written.1 + writes > most {
            self.capped_refused.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        written.1 += writes;
        false
    }

    pub(crate) fn capped_refused(&self) -> u64 {
        self.capped_refused.load(Ordering::SeqCst)
    }

    /// Returns whether this row can't be read now.
    pub(crate) fn is_damaged(&self, (pk, sk): &Key) -> bool {
        let now_ms = self.now_ms();
        self.damaged.as_ref().is_some_and(|(item, from, until)| {
            sk == "ITEM" && (*from..*until).contains(&now_ms) && pk.strip_prefix("ITEM#").is_some_and(|of| of == item)
        })
    }

    /// Returns whether the store still refuses the noted commands.
    pub(crate) fn refuses(&self) -> bool {
        self.now_ms() < self.refused_until_ms
    }

    pub(crate) fn busy_refused(&self) -> u64 {
        self.busy_refused.load(Ordering::SeqCst)
    }

    /// Counts a new level that was judged by an outdated threshold.
    pub(crate) fn refused_for_threshold(&self) {
        self.threshold_refused.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn threshold_refused(&self) -> u64 {
        self.threshold_refused.load(Ordering::SeqCst)
    }

    pub(crate) fn is(&self, tamper: Tamper) -> bool {
        self.tamper == Some(tamper)
    }

    /// Writes a line to the trace if there is one.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut *self.trace.lock().unwrap() {
            writeln!(trace, "{:>9} {}", self.now_ms(), line()).unwrap();
        }
    }

    pub(crate) fn take_trace(&self) -> String {
        self.trace.lock().unwrap().take().unwrap_or_default()
    }

    /// Returns the travel time of a message: milliseconds, with a heavy tail.
    pub(crate) fn latency(&self) -> Duration {
        let mut rng = self.rng();
        let ms = match rng.below(1_000) {
            0 => rng.between(2_000, 40_000),
            1..=20 => rng.between(50, 1_500),
            _ => rng.between(1, 8),
        };
        Duration::from_millis(ms)
    }

    /// Returns a delay long after a call.
    fn long_after(&self) -> Duration {
        let mut rng = self.rng();
        let ms = if rng.percent(50) { rng.between(9_000, 90_000) } else { rng.between(90_000, 1_200_000) };
        Duration::from_millis(ms)
    }

    fn arrives_after(&self, there: Duration) {
        let at_ms = self.now_ms() + u64::try_from(there.as_millis()).unwrap();
        self.last_arrival_ms.fetch_max(at_ms, Ordering::SeqCst);
    }

    /// Waits until all sent calls have arrived.
    pub(crate) async fn all_arrived(&self) {
        sleep_until(self.started + Duration::from_millis(self.last_arrival_ms.load(Ordering::SeqCst) + 1_000)).await;
    }

    /// Returns milliseconds past the visibility timeout; for the alerter, past the lease of a claim.
    fn long_pause(&self, step: Step) -> u64 {
        if step.is_alerters() {
            return self.rng().between(60_000, 600_000);
        }
        let visibility = u64::try_from(self.visibility.as_millis()).unwrap();
        self.rng().between(visibility, 4 * visibility)
    }
}

/// A process that can be paused and can die.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) world: Arc<World>,
    dead: AtomicBool,
    /// Paused until then, in milliseconds after the start.
    paused_until: AtomicU64,
    /// When its calls met faults, in milliseconds after the start.
    troubles: Mutex<Vec<u64>>,
    pub(crate) died: Notify,
}

impl Process {
    pub(crate) fn new(name: String, world: &Arc<World>) -> Arc<Self> {
        let (dead, paused_until, died) = (AtomicBool::new(false), AtomicU64::new(0), Notify::new());
        Arc::new(Self { name, world: world.clone(), dead, paused_until, troubles: Mutex::default(), died })
    }

    pub(crate) fn kill(&self) {
        self.world.note(|| format!("{} dies", self.name));
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    /// Waits while the process is paused, and for ever if it is dead.
    async fn goes_on(&self) {
        loop {
            if self.dead.load(Ordering::SeqCst) {
                pending::<()>().await;
            }
            let until = self.paused_until.load(Ordering::SeqCst);
            if until <= self.world.now_ms() {
                return;
            }
            sleep_until(self.world.started + Duration::from_millis(until)).await;
        }
    }

    /// Returns whether one of its calls met a fault in this time.
    pub(crate) fn had_trouble(&self, then: RangeInclusive<u64>) -> bool {
        self.troubles.lock().unwrap().iter().any(|at| then.contains(at))
    }

    fn is_in_trouble(&self) {
        self.troubles.lock().unwrap().push(self.world.now_ms());
    }

    async fn pause(&self, step: Step) {
        let until = self.world.now_ms() + self.world.long_pause(step);
        self.world.note(|| format!("{} is paused until {until}", self.name));
        self.paused_until.fetch_max(until, Ordering::SeqCst);
        self.goes_on().await;
    }

    /// Makes a call. The service runs `serve` each time that the call arrives, and completes it even if the caller
    /// dies.
    pub(crate) async fn call<T, F, S>(&self, step: Step, serve: S) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        S: Fn(Option<Kind>) -> F + Send + Sync,
    {
        self.goes_on().await;
        let kind = self.world.faults().meet(step, self.world.now_ms());
        if let Some(kind) = kind {
            self.world.note(|| format!("{} {step:?} meets {kind:?}", self.name));
            self.is_in_trouble();
        }
        let answer = self.travel(step, kind, serve).await;
        if !matches!(answer, Answer::Received(_)) {
            self.is_in_trouble();
        }
        self.goes_on().await;
        answer
    }

    async fn travel<T, F, S>(&self, step: Step, kind: Option<Kind>, serve: S) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        S: Fn(Option<Kind>) -> F + Send + Sync,
    {
        let world = &self.world;
        match kind {
            None | Some(Kind::Partial | Kind::Duplicate) => {}
            Some(Kind::Drop) => {
                sleep(world.latency().max(Duration::from_millis(200))).await;
                return Answer::Lost;
            }
            Some(Kind::Throttle) => {
                sleep(world.latency()).await;
                return Answer::Throttled;
            }
            Some(Kind::Conflict) => {
                sleep(world.latency()).await;
                return Answer::Conflict;
            }
            Some(Kind::LoseAnswer) => {
                self.post(world.latency(), kind, &serve).await.ok();
                return Answer::Lost;
            }
            Some(Kind::Repeat) => {
                self.post(world.latency(), kind, &serve).await.ok();
                sleep(world.latency()).await;
            }
            Some(Kind::Late) => {
                drop(self.post(world.long_after(), kind, &serve));
                sleep(patience(step)).await;
                return Answer::Lost;
            }
            Some(Kind::CrashBefore) => self.kill(),
            Some(Kind::CrashAfter) => {
                self.post(world.latency(), kind, &serve).await.ok();
                self.kill();
            }
            Some(Kind::CrashLate) => {
                drop(self.post(world.long_after(), kind, &serve));
                self.kill();
            }
            Some(Kind::PauseBefore) => self.pause(step).await,
            Some(Kind::PauseAfter) => {
                let answer = self.post(world.latency(), kind, &serve).await;
                self.pause(step).await;
                return answer.map_or(Answer::Lost, |answer| Answer::Received(answer));
            }
        }
        self.goes_on().await;
        for _ in 0..if step.is_repeated() { ATTEMPTS } else { 1 } {
            if let Ok(Ok(answer)) = timeout(patience(step), self.post(world.latency(), kind, &serve)).await {
                return Answer::Received(answer);
            }
        }
        Answer::Lost
    }

    /// Sends the call once. It arrives after `there` and is completed even if nobody waits for it.
    fn post<T, F, S>(&self, there: Duration, kind: Option<Kind>, serve: &S) -> oneshot::Receiver<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        S: Fn(Option<Kind>) -> F,
    {
        let (reply, answer) = oneshot::channel();
        let back = self.world.latency();
        let serving = serve(kind);
        self.world.arrives_after(there);
        tokio::spawn(async move {
            sleep(there).await;
            let done = serving.await;
            sleep(back).await;
            // The caller may have died.
            let _ = reply.send(done);
        });
        answer
    }
}

/// The result of a call, as the caller sees it.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// An answer arrived.
    Received(T),
    /// No answer arrived.
    Lost,
    /// The service was over its rate and did nothing.
    Throttled,
    /// Another transaction held the rows, so nothing was done.
    Conflict,
}

/// The clock of a process. It may be wrong.
#[derive(Debug)]
pub(crate) struct SkewedClock {
    pub(crate) world: Arc<World>,
    pub(crate) skew_ms: Arc<AtomicI64>,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.world.now_ms()).unwrap();
        Timestamp::from_millis(EPOCH_MS + elapsed + self.skew_ms.load(Ordering::SeqCst))
    }
}
