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
    /// The alerter's `receive`, `ack` and `release`. On AWS it is the answer of the batch.
    Alerts,
    /// The read of one location's settings.
    Location,
    /// The claim on alerts.
    Claim,
    /// The mail provider's `send`.
    Mail,
    /// The mark of mailed alerts.
    Mark,
    /// A read for the daily notice: all locations, the end of the last notice, or the refused commands.
    Notice,
    /// The claim on a daily notice.
    ClaimNotice,
    /// The mark of a mailed daily notice.
    MarkNotice,
    /// A call of DynamoDB's API of this name.
    Api(&'static str),
}

impl Point {
    /// Stands for every call of the API in a list of numbered points.
    pub const ANY_API: Self = Self::Api("");

    /// Returns the name of the API call, or an empty name for a call of a port.
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

/// The purpose of a call, in words. It is a row of the tables of the crash points.
pub type Edge = &'static str;

/// The fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing is done, and the answer is an error.
    Fail,
    /// The call takes effect, and the answer is an error.
    LoseAnswer,
    /// The process ends before the call takes effect.
    DieBefore,
    /// The process ends after the call took effect.
    DieAfter,
    /// The process pauses before the call takes effect.
    PauseBefore,
    /// The process pauses after the call took effect.
    PauseAfter,
}

impl Kind {
    /// All faults.
    pub const ALL: [Self; 6] =
        [Self::Fail, Self::LoseAnswer, Self::DieBefore, Self::DieAfter, Self::PauseBefore, Self::PauseAfter];

    /// Reports whether the process ends.
    pub const fn is_death(self) -> bool {
        matches!(self, Self::DieBefore | Self::DieAfter)
    }

    /// Reports whether the process pauses.
    pub const fn is_pause(self) -> bool {
        matches!(self, Self::PauseBefore | Self::PauseAfter)
    }
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The point of the call.
    pub point: Point,
    /// The purposes of the call.
    pub edges: Vec<Edge>,
}

#[derive(Debug, Default)]
struct State {
    down: Vec<Point>,
    calls: Vec<Call>,
    met: usize,
}

/// The faults of one process.
#[derive(Debug)]
pub struct Plan {
    /// The faults by the number of the call, from 1, in order.
    faults: Vec<(usize, Kind)>,
    /// Only calls of these points are numbered. The others have no fault.
    numbered: &'static [Point],
    state: Mutex<State>,
    awake: watch::Sender<bool>,
    /// Has a permit for every fault that occurred.
    faults_met: Semaphore,
}

impl Plan {
    /// Returns a plan with these faults. A fault is at the n-th call of the `numbered` points, counted from 1.
    pub fn with(numbered: &'static [Point], faults: &[(usize, Kind)]) -> Arc<Self> {
        Arc::new(Self {
            faults: faults.to_vec(),
            numbered,
            state: Mutex::default(),
            awake: watch::Sender::new(true),
            faults_met: Semaphore::new(0),
        })
    }

    /// Returns a plan without faults.
    pub fn none() -> Arc<Self> {
        Self::with(&[], &[])
    }

    /// Makes every call of this point fail from now on, or work again.
    pub fn set_down(&self, point: Point, down: bool) {
        let points = &mut self.state.lock().unwrap().down;
        points.retain(|other| *other != point);
        points.extend(down.then_some(point));
    }

    /// Returns all calls in order. If the plan has numbered points, it returns only their calls.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Returns how many calls of this point were made.
    pub fn count(&self, point: Point) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| call.point == point).count()
    }

    /// Returns how many faults occurred.
    pub fn met(&self) -> usize {
        self.state.lock().unwrap().met
    }

    /// Waits until one more fault occurs.
    pub async fn next_fault(&self) {
        self.faults_met.acquire().await.unwrap().forget();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.awake.send_replace(true);
    }

    /// Adds a purpose to the latest call of this point, which is known only from the answer.
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

    /// Does `work` as planned. Returns the fault if the answer must be an error. While the process is paused or dead,
    /// none of its tasks makes a call or gets an answer.
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
        // The plan owns the sender, so the channel is open.
        let _ = self.awake.subscribe().wait_for(|awake| *awake).await;
    }

    /// Waits until [`Plan::resume`]. A dead process waits until it is dropped.
    async fn sleep(&self) {
        self.awake.send_replace(false);
        self.faults_met.add_permits(1);
        self.awake().await;
    }
}
