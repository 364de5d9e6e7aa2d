use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, watch};

/// A call of a port, or of the service behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// The worker's `receive`.
    Receive,
    /// The store's `load`; after it comes the fold.
    Load,
    /// The store's `commit`.
    Commit,
    /// The alert topic's `publish`.
    Publish,
    /// The worker's `ack`.
    Ack,
    /// The worker's `change_visibility`.
    Visibility,
    /// The alerter's `receive`, `ack` and `release`; on AWS the answer of the batch.
    Alerts,
    /// One location's settings.
    Location,
    /// The claim on alerts.
    Claim,
    /// The mail provider's `send`.
    Mail,
    /// The mark of alerts that were mailed.
    Mark,
    /// What a daily notice reads: all locations, how far was told, the refused commands.
    Notice,
    /// The claim on a daily notice.
    ClaimNotice,
    /// The mark of a daily notice that was mailed.
    MarkNotice,
    /// A call of DynamoDB's API, by its name.
    Api(&'static str),
}

impl Point {
    /// Among the points that are numbered: every call of the API.
    pub const ANY_API: Self = Self::Api("");

    /// What it calls below the ports; empty where it calls a port.
    pub const fn api(self) -> &'static str {
        match self {
            Self::Api(name) => name,
            _ => "",
        }
    }

    fn is_among(self, points: &[Self]) -> bool {
        points.contains(&self) || (matches!(self, Self::Api(_)) && points.contains(&Self::ANY_API))
    }
}

/// What a call is for, in words: a row of the tables.
pub type Edge = &'static str;

/// What goes wrong at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing is done, and an error answered.
    Fail,
    /// It is done, and an error answered.
    LoseAnswer,
    /// The process ends before it is done.
    DieBefore,
    /// The process ends after it is done.
    DieAfter,
    /// The process is paused before it is done.
    PauseBefore,
    /// The process is paused after it is done.
    PauseAfter,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Fail, Self::LoseAnswer, Self::DieBefore, Self::DieAfter, Self::PauseBefore, Self::PauseAfter];

    /// Does the process end?
    pub const fn is_death(self) -> bool {
        matches!(self, Self::DieBefore | Self::DieAfter)
    }

    /// Does the process sleep?
    pub const fn is_pause(self) -> bool {
        matches!(self, Self::PauseBefore | Self::PauseAfter)
    }
}

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Of what.
    pub point: Point,
    /// What it was for.
    pub edges: Vec<Edge>,
}

#[derive(Debug, Default)]
struct State {
    down: Vec<Point>,
    calls: Vec<Call>,
    met: usize,
}

/// What goes wrong for one process, and when.
#[derive(Debug)]
pub struct Plan {
    /// Calls by number, from 1, in order.
    faults: Vec<(usize, Kind)>,
    /// Only these are numbered; the others go well.
    numbered: &'static [Point],
    state: Mutex<State>,
    awake: watch::Sender<bool>,
    /// A permit for every fault that came about.
    faults_met: Semaphore,
}

impl Plan {
    /// These happen at calls of `numbered` points; each call by its number, counted from 1.
    pub fn with(numbered: &'static [Point], faults: &[(usize, Kind)]) -> Arc<Self> {
        Arc::new(Self {
            faults: faults.to_vec(),
            numbered,
            state: Mutex::default(),
            awake: watch::Sender::new(true),
            faults_met: Semaphore::new(0),
        })
    }

    /// Nothing goes wrong.
    pub fn none() -> Arc<Self> {
        Self::with(&[], &[])
    }

    /// From now on every such call fails, until it is put up again.
    pub fn set_down(&self, point: Point, down: bool) {
        let points = &mut self.state.lock().unwrap().down;
        points.retain(|other| *other != point);
        points.extend(down.then_some(point));
    }

    /// All calls that were made, in order; where points are numbered, those.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// How many such calls there were.
    pub fn count(&self, point: Point) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| call.point == point).count()
    }

    /// How many of the faults came about.
    pub fn met(&self) -> usize {
        self.state.lock().unwrap().met
    }

    /// Waits until one more of the faults comes about.
    pub async fn next_fault(&self) {
        self.faults_met.acquire().await.unwrap().forget();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.awake.send_replace(true);
    }

    /// Says more about the latest call of this point, which only its answer tells.
    pub(super) fn tell(&self, point: Point, edge: Edge) {
        let calls = &mut self.state.lock().unwrap().calls;
        if let Some(call) = calls.iter_mut().rfind(|call| call.point == point) {
            call.edges.push(edge);
        }
    }

    fn next(&self, point: Point, edges: Vec<Edge>) -> Option<Kind> {
        let mut state = self.state.lock().unwrap();
        let down = state.down.contains(&point).then_some(Kind::Fail);
        if !self.numbered.is_empty() && !point.is_among(self.numbered) {
            return down;
        }
        state.calls.push(Call { point, edges });
        let n = state.calls.len();
        let planned = self.faults.iter().find(|fault| fault.0 == n).map(|fault| fault.1);
        state.met += usize::from(planned.is_some());
        planned.or(down)
    }

    /// Does `work` as planned; `Err` where an error is to be answered, and why. A process that is paused or dead calls
    /// nothing and hears nothing, whichever of its tasks it is.
    pub(super) async fn around<T>(
        &self,
        point: Point,
        edges: Vec<Edge>,
        work: impl Future<Output = T>,
    ) -> Result<T, Kind> {
        self.awake().await;
        let fault = self.next(point, edges);
        match fault {
            Some(Kind::Fail) => {
                self.faults_met.add_permits(1);
                return Err(Kind::Fail);
            }
            Some(Kind::DieBefore | Kind::PauseBefore) => self.sleep().await,
            _ => {}
        }
        let done = work.await;
        match fault {
            Some(Kind::LoseAnswer) => {
                self.faults_met.add_permits(1);
                return Err(Kind::LoseAnswer);
            }
            Some(Kind::DieAfter | Kind::PauseAfter) => self.sleep().await,
            _ => self.awake().await,
        }
        Ok(done)
    }

    async fn awake(&self) {
        // The sender is ours: it is not gone.
        let _ = self.awake.subscribe().wait_for(|awake| *awake).await;
    }

    /// Until [`Plan::resume`], or, where the process is dead, until it is taken away.
    async fn sleep(&self) {
        self.awake.send_replace(false);
        self.faults_met.add_permits(1);
        self.awake().await;
    }
}
