//! What a seed stands for: plain data, so that a failing run can be made smaller.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::{Fault, Kind, Step};
use super::operations::{Act, Operation};
use super::rng::Rng;
use super::writer::Writer;

/// At least so many commands a run.
pub const COMMANDS_MIN: usize = 200;
/// At least so many faults a run.
pub const FAULTS_MIN: usize = 7;

/// A command that a till means to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) item: String,
    pub(crate) id: Uuid,
    /// All but the times.
    pub(crate) body: Value,
    /// It happened so long before it is sent, by the till's clock; negative: after.
    pub(crate) occurred_ago_ms: Option<i64>,
    /// It says what the till's clock shows.
    pub(crate) says_sent: bool,
}

/// Lines that are sent together, and again until they are accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub(crate) till: usize,
    /// After the till's last request.
    pub(crate) after_ms: u64,
    pub(crate) lines: Vec<Line>,
    /// Sent again later, though it was accepted.
    pub(crate) again: Option<Again>,
}

/// A request that comes once more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) after_ms: u64,
    /// With another body under the same ids.
    pub(crate) changed: bool,
    /// Not soon, but when weeks have passed.
    pub(crate) weeks_later: bool,
}

/// A message that no ingress wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Poison {
    pub(crate) at_ms: u64,
    pub(crate) item: String,
    pub(crate) body: String,
}

/// All of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    pub(crate) workers: usize,
    pub(crate) ingresses: usize,
    pub(crate) receivers: usize,
    pub(crate) tills: usize,
    pub(crate) tail_bytes: usize,
    pub(crate) visibility_ms: u64,
    /// What tills send.
    pub requests: Vec<Request>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    pub(crate) poisons: Vec<Poison>,
    /// Steps that fail, from when, until when.
    pub(crate) outages: Vec<(Vec<Step>, u64, u64)>,
    /// A worker is replaced by a deployment: when, which.
    pub(crate) deploys: Vec<(u64, usize)>,
    /// A clock jumps: when, whose (workers, then ingresses), to which error.
    pub(crate) skews: Vec<(u64, usize, i64)>,
    /// When the location `late` is registered.
    pub(crate) late_location_ms: u64,
    /// Weeks pass, and old commands come again.
    pub(crate) weeks: bool,
    /// Received more often than this, a message is moved to the dead letter queue.
    pub(crate) receives_max: u32,
    /// An item of which the store takes nothing, from when, until when: its partition is over its rate of writes.
    pub(crate) busy: Option<(String, u64, u64)>,
    /// What people do with commands that took no effect.
    #[serde(default)]
    pub(crate) operations: Vec<Operation>,
    /// Until then the store refuses outcomes of commands with the note.
    #[serde(default = "for_ever")]
    pub(crate) refused_until_ms: u64,
}

const fn for_ever() -> u64 {
    u64::MAX
}

/// As it is deployed: no fault may use it up.
pub(crate) const RECEIVES_MAX: u32 = 1_000;

/// So that the queue sets messages aside.
const RECEIVES_FEW: u32 = 2;

/// No other till knows it.
const NEW_ITEM: &str = "salt";

/// The store takes no outcome of a command with this note, unless it is set aside.
pub(crate) const REFUSED_NOTE: &str = "what no store takes";

/// The fold panics when it judges a command with this note.
pub(crate) const PANIC_NOTE: &str = "what no fold can judge";

/// The fold panics when it judges a command with this note; whoever tries it again has mended the fold before.
pub(crate) const MENDED_NOTE: &str = "what the next fold can judge";

impl Scenario {
    /// Commands with this note.
    pub(crate) fn noted(&self, note: &str) -> u64 {
        let lines = self.requests.iter().flat_map(|request| &request.lines);
        lines.filter(|line| line.body["note"] == note).count() as u64
    }

    /// Of this seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let items: Vec<String> = ["cola", "tea", "oil-2", "Rice", "cola-x"][..3 + rng.below(3) as usize]
            .iter()
            .map(|item| (*item).to_owned())
            .collect();
        let tills = rng.between(4, 8) as usize;
        let mut writer = Writer::new(rng, seed, items, 0);
        let requests = writer.requests(tills);
        let Writer { mut rng, items, .. } = writer;
        let faults = (0..rng.between(FAULTS_MIN as u64, 20)).map(|_| fault(&mut rng)).collect();
        let workers = rng.between(2, 3) as usize;
        let busy = busy(&mut rng, &items);
        let mut operations = operations(&mut rng);
        operations.extend(corrections(&mut Rng::new(seed, 3), &items));
        let weeks = requests.iter().any(|request| request.again.is_some_and(|again| again.weeks_later));
        let mut scenario = Self {
            seed,
            workers,
            ingresses: 2,
            receivers: rng.between(1, 2) as usize,
            tills,
            tail_bytes: *rng.pick(&[150, 300, 640]),
            visibility_ms: *rng.pick(&[5_000, 30_000]),
            requests,
            faults,
            poisons: (0..rng.between(0, 2)).map(|n| poison(&mut rng, &items, seed, n)).collect(),
            outages: outages(&mut rng),
            deploys: (0..rng.below(3)).map(|_| (rng.between(2_000, 40_000), rng.below(2) as usize)).collect(),
            skews: skews(&mut rng, workers + 2),
            late_location_ms: rng.between(3_000, 30_000),
            weeks,
            receives_max: if rng.percent(40) { RECEIVES_FEW } else { RECEIVES_MAX },
            busy,
            operations,
            refused_until_ms: rng.between(8_000, 60_000),
        };
        scenario.add_first_movements(Rng::new(seed, 4));
        scenario
    }

    /// Where the queue sets messages aside: a new item's partition is over its rate for about as long as it takes until
    /// its first movements are set aside, so that they are decided beside the changes of its threshold behind them.
    fn add_first_movements(&mut self, mut rng: Rng) {
        if self.receives_max != RECEIVES_FEW || self.busy.is_some() {
            return;
        }
        let from_ms = rng.between(2_000, 20_000);
        let until_ms = from_ms + rng.between(1_200, 2_400);
        self.busy = Some((NEW_ITEM.to_owned(), from_ms, until_ms));
        let mut writer = Writer::new(rng, self.seed, vec![NEW_ITEM.to_owned()], 500_000);
        self.requests.extend(writer.first_movements(self.tills, from_ms));
        self.tills += 1;
    }
}

fn fault(rng: &mut Rng) -> Fault {
    const STEPS: [Step; 33] = [
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Send,
        Step::Send,
        Step::Receive,
        Step::Receive,
        Step::LoadLevels,
        Step::LoadLevels,
        Step::LoadItem,
        Step::LoadItem,
        Step::History,
        Step::LoadAll,
        Step::Rejudge,
        Step::Rejudge,
        Step::Publish,
        Step::Publish,
        Step::Publish,
        Step::Ack,
        Step::Visibility,
        Step::Find,
        Step::Discard,
        Step::Location,
        Step::Claim,
        Step::Claim,
        Step::Mail,
        Step::Mail,
        Step::Mark,
        Step::Mark,
        Step::Reply,
    ];
    loop {
        let (step, kind) = (*rng.pick(&STEPS), *rng.pick(&Kind::ALL));
        if kind.can_meet(step) {
            return Fault { from_ms: rng.below(30_000), step, kind };
        }
    }
}

fn outages(rng: &mut Rng) -> Vec<(Vec<Step>, u64, u64)> {
    if !rng.percent(8) {
        return Vec::new();
    }
    let mut store = vec![Step::LoadLevels, Step::LoadItem, Step::History, Step::LoadAll, Step::Commit, Step::Rejudge];
    store.extend([Step::Find, Step::Discard, Step::Location, Step::Claim, Step::Mark]);
    let topic = vec![Step::Publish];
    let steps = match rng.below(5) {
        0 => topic,
        1 => vec![Step::Commit, Step::Rejudge],
        2 => [store, topic].concat(),
        3 => vec![Step::Mail],
        _ => store,
    };
    let from = rng.between(2_000, 15_000);
    vec![(steps, from, from + rng.between(20 * 60_000, 3 * 3_600_000))]
}

fn operations(rng: &mut Rng) -> Vec<Operation> {
    let mut one = |_| {
        let act = *rng.pick(&[Act::Retry, Act::Discard, Act::Resubmit, Act::Retry, Act::Resubmit]);
        Operation { at_ms: rng.between(4_000, 90_000), act, nth: rng.below(1_000) as usize, item: None, location: None }
    };
    (0..6).map(&mut one).collect()
}

/// In two of three runs, commands that name a wrong item are resubmitted under another, some also at another location: by
/// two people at once, who mostly mean two.
fn corrections(rng: &mut Rng, items: &[String]) -> Vec<Operation> {
    let mut operations = Vec::new();
    if rng.percent(35) {
        return operations;
    }
    for _ in 0..3 {
        let (at_ms, nth) = (rng.between(4_000, 60_000), rng.below(1_000) as usize);
        let mut one = || {
            // Registered by none but a resubmission.
            let item = if rng.percent(8) { "mint".to_owned() } else { rng.pick(items).clone() };
            let location = rng.percent(40).then(|| (*rng.pick(&["main", "a", "b", "late", "shut"])).to_owned());
            Operation { at_ms, act: Act::Resubmit, nth, item: Some(item), location }
        };
        operations.extend([one(), one()]);
    }
    operations
}

fn busy(rng: &mut Rng, items: &[String]) -> Option<(String, u64, u64)> {
    let from = rng.between(1_000, 15_000);
    rng.percent(8).then(|| (rng.pick(items).clone(), from, from + rng.between(60_000, 20 * 60_000)))
}

fn skews(rng: &mut Rng, clocks: usize) -> Vec<(u64, usize, i64)> {
    let mut skew = |_| {
        let error = i64::try_from(rng.below(240_000)).unwrap() - 120_000;
        (rng.below(30_000), rng.below(clocks as u64) as usize, error)
    };
    (0..4).map(&mut skew).collect()
}

fn poison(rng: &mut Rng, items: &[String], seed: u64, n: u64) -> Poison {
    let item = rng.pick(items).clone();
    let id = Uuid::from_u128(u128::from(seed) << 64 | u128::from(900_000 + n));
    let body = match rng.below(3) {
        0 => "no message at all".to_owned(),
        1 => json!({"v": 1, "item_id": item, "commands": [{"nothing": "known"}, {"command": {"command_id": id}}]})
            .to_string(),
        _ => json!({"v": 1, "item_id": item, "commands": [17]}).to_string(),
    };
    Poison { at_ms: rng.between(1_000, 25_000), item, body }
}
