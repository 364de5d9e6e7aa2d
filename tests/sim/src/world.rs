//! What all parts of a run share: time, chance, faults, the trace; and how a call travels.

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
use super::rng::Rng;
use super::run::Watch;
use super::scenario::Scenario;
use super::tamper::Tamper;

/// When every run begins, in milliseconds since 1970.
pub(crate) const EPOCH_MS: i64 = 1_767_225_600_000;

/// How often a call is tried, as by the deployed clients.
const ATTEMPTS: u32 = 3;

/// How long one attempt may take; a receive waits for messages.
const fn patience(step: Step) -> Duration {
    Duration::from_millis(match step {
        Step::Send => 900,
        Step::Receive => 25_000,
        Step::Mail => 20_000,
        _ => 2_600,
    })
}

/// Shared by all.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) started: Instant,
    pub(crate) tamper: Option<Tamper>,
    pub(crate) visibility: Duration,
    rng: Mutex<Rng>,
    faults: Mutex<Faults>,
    busy: Option<(String, u64, u64)>,
    busy_refused: AtomicU64,
    threshold_refused: AtomicU64,
    refused_until_ms: u64,
    trace: Mutex<Option<String>>,
    /// When the last call that was sent arrives.
    last_arrival_ms: AtomicU64,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, faults: Faults, watch: Watch) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            tamper: watch.tamper,
            visibility: Duration::from_millis(scenario.visibility_ms),
            rng: Mutex::new(Rng::new(scenario.seed, 2)),
            faults: Mutex::new(faults),
            busy: scenario.busy.clone(),
            busy_refused: AtomicU64::new(0),
            threshold_refused: AtomicU64::new(0),
            refused_until_ms: scenario.refused_until_ms,
            trace: Mutex::new(watch.traced.then(String::new)),
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

    /// Is the partition of this row over its rate?
    pub(crate) fn is_busy(&self, pk: &str) -> bool {
        let now_ms = self.now_ms();
        let busy = self.busy.as_ref().is_some_and(|(item, from, until)| {
            (*from..*until).contains(&now_ms) && pk.strip_prefix("ITEM#").is_some_and(|of| of == item)
        });
        self.busy_refused.fetch_add(u64::from(busy), Ordering::SeqCst);
        busy
    }

    /// Does the store still refuse what it is to refuse?
    pub(crate) fn refuses(&self) -> bool {
        self.now_ms() < self.refused_until_ms
    }

    pub(crate) fn busy_refused(&self) -> u64 {
        self.busy_refused.load(Ordering::SeqCst)
    }

    /// A new level was judged by a threshold that was the item's no more.
    pub(crate) fn refused_for_threshold(&self) {
        self.threshold_refused.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn threshold_refused(&self) -> u64 {
        self.threshold_refused.load(Ordering::SeqCst)
    }

    pub(crate) fn is(&self, tamper: Tamper) -> bool {
        self.tamper == Some(tamper)
    }

    /// Writes a line, where somebody reads it.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut *self.trace.lock().unwrap() {
            writeln!(trace, "{:>9} {}", self.now_ms(), line()).unwrap();
        }
    }

    pub(crate) fn take_trace(&self) -> String {
        self.trace.lock().unwrap().take().unwrap_or_default()
    }

    /// How long a message travels: milliseconds, with a heavy tail.
    pub(crate) fn latency(&self) -> Duration {
        let mut rng = self.rng();
        let ms = match rng.below(1_000) {
            0 => rng.between(2_000, 40_000),
            1..=20 => rng.between(50, 1_500),
            _ => rng.between(1, 8),
        };
        Duration::from_millis(ms)
    }

    /// A moment long after a call.
    fn long_after(&self) -> Duration {
        let mut rng = self.rng();
        let ms = if rng.percent(50) { rng.between(9_000, 90_000) } else { rng.between(90_000, 1_200_000) };
        Duration::from_millis(ms)
    }

    fn arrives_after(&self, there: Duration) {
        let at_ms = self.now_ms() + u64::try_from(there.as_millis()).unwrap();
        self.last_arrival_ms.fetch_max(at_ms, Ordering::SeqCst);
    }

    /// Waits until everything that was sent has arrived.
    pub(crate) async fn all_arrived(&self) {
        sleep_until(self.started + Duration::from_millis(self.last_arrival_ms.load(Ordering::SeqCst) + 1_000)).await;
    }

    /// Milliseconds past the visibility of commands; of the alerter, past the lease of a claim.
    fn long_pause(&self, step: Step) -> u64 {
        if step.is_alerters() {
            return self.rng().between(60_000, 600_000);
        }
        let visibility = u64::try_from(self.visibility.as_millis()).unwrap();
        self.rng().between(visibility, 4 * visibility)
    }
}

/// One process: it can be paused, and die.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) world: Arc<World>,
    dead: AtomicBool,
    /// Milliseconds after the start.
    paused_until: AtomicU64,
    /// When something went wrong with one of its calls, in milliseconds after the start.
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

    /// Its code goes on here only while it lives and is not paused.
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

    /// Did something go wrong with one of its calls then?
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

    /// Makes a call. `serve` is what the service does, each time that the call arrives; it goes on whatever becomes of
    /// the caller. `None` where no answer came.
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
        if !matches!(answer, Answer::Came(_)) {
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
                return answer.map_or(Answer::Lost, |answer| Answer::Came(answer));
            }
        }
        self.goes_on().await;
        for _ in 0..if step.is_repeated() { ATTEMPTS } else { 1 } {
            if let Ok(Ok(answer)) = timeout(patience(step), self.post(world.latency(), kind, &serve)).await {
                return Answer::Came(answer);
            }
        }
        Answer::Lost
    }

    /// Sends the call once; it arrives after `there`, and is done although nobody waits.
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
            // The caller may be gone.
            let _ = reply.send(done);
        });
        answer
    }
}

/// What a caller sees.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// This.
    Came(T),
    /// None came.
    Lost,
    /// It was over its rate: nothing was done.
    Throttled,
    /// The rows are in another transaction: nothing was done.
    Conflict,
}

/// The clock of a process, which may be wrong.
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
