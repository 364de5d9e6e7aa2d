//! A second implementation of the rules, written from the design without code of the fold. Every level is a full list
//! of events, which is replayed from the beginning for each question: slow and plain.

use std::collections::BTreeMap;

use stockline_core::domain::Rules;

use super::spec::{Act, Spec};

/// The documented order of precedence.
const PRECEDENCE: [&str; 16] = [
    "unknown_item",
    "item_exists",
    "item_archived",
    "unknown_location",
    "location_closed",
    "barcode_taken",
    "decimals_in_use",
    "too_many_overrides",
    "unknown_command",
    "not_reversible",
    "fractional_quantity",
    "occurred_at_out_of_range",
    "count_too_late",
    "precondition_failed",
    "insufficient_stock",
    "quantity_overflow",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub at: &'static str,
    pub delta: i128,
    pub after: i128,
    pub late: bool,
    pub ahead: bool,
    pub occurred: i64,
}

/// (location, number, severity 1 low, 2 out, 3 oversold, balance, whether it opened so)
pub type Told = (&'static str, u64, u8, i128, bool);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Applied { moved: Vec<Moved>, told: Vec<Told> },
    Rejected(&'static str),
    Dead,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// The stock from before the test.
    Found(i128),
    By(i128),
    Count(i128),
    /// A threshold was set or the default changed.
    Look,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    what: What,
    occurred: i64,
    explicit: bool,
    /// By this clock nothing earlier in the queue can have a later time.
    latest: i64,
    threshold: Option<i128>,
    archived: bool,
    restores: u32,
}

/// When an event occurred.
#[derive(Debug, Clone, Copy)]
struct When {
    occurred: i64,
    explicit: bool,
    ahead: bool,
    latest: i64,
}

impl When {
    /// For events that no clock judges.
    const UNKNOWN: Self = Self { occurred: 0, explicit: false, ahead: false, latest: i64::MAX };
}

/// The result of an event.
struct Step {
    delta: i128,
    balance: i128,
    late: bool,
    /// The number and severity of the alert, and whether it is an opening.
    told: Option<(u64, u8, bool)>,
}

#[derive(Debug, Clone)]
struct Item {
    decimals: u8,
    threshold: Option<i128>,
    reject: bool,
    archived_at: Option<i64>,
    restores: u32,
}

#[derive(Debug)]
pub struct Model {
    pub max_age: i64,
    pub late_count_max: i64,
    pub skew_max: i64,
    item: Option<Item>,
    events: BTreeMap<&'static str, Vec<Event>>,
    own_threshold: BTreeMap<&'static str, i128>,
    own_multiple: BTreeMap<&'static str, i128>,
    /// By id: the retry of a dead letter, or another decision.
    decided: BTreeMap<u32, (bool, u32)>,
}

fn severity(balance: i128, threshold: Option<i128>) -> u8 {
    match balance {
        b if b < 0 => 3,
        0 => 2,
        b if threshold.is_some_and(|t| b < t) => 1,
        _ => 0,
    }
}

/// The whole history of a level.
fn replay(events: &[Event]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut told_in_episode, mut alerts, mut before) = (Vec::new(), 0, 2);
    for (index, event) in events.iter().enumerate() {
        let earlier = || events[..index].iter().zip(&steps);
        let is_count = |e: &Event, s: &Step| matches!(e.what, What::Count(_)) && !s.late;
        // A later movement whose clock had not reached the count's time shows that the count's time means nothing.
        let last_count = earlier().enumerate().rfind(|(_, (e, s))| is_count(e, s));
        let last_count = last_count.map(|(at, (e, _))| (at, e.occurred));
        let means_something =
            |(at, counted): &(usize, i64)| events[at + 1..=index].iter().all(|e| *counted <= e.latest);
        let last_count = last_count.filter(means_something).map(|(_, counted)| counted);
        let balance = steps.last().map_or(0, |step| step.balance);
        let seen = |bound: i64| event.explicit && last_count.is_some_and(|counted| event.occurred <= counted - bound);
        let (late, after) = match event.what {
            What::Found(there) => (false, there),
            What::Look => (false, balance),
            What::By(_) if seen(0) => (true, balance),
            What::By(quantity) => (false, balance + quantity),
            What::Count(_) if seen(1) => (true, balance),
            What::Count(counted) if event.explicit => {
                let since = |e: &Event| e.occurred > event.occurred && e.occurred <= event.latest;
                let since: i128 = earlier().filter(|(e, _)| since(e)).map(|(_, s)| s.delta).sum();
                (false, counted + since)
            }
            What::Count(counted) => (false, counted),
        };
        let now = severity(after, event.threshold);
        let moves = |event: &Event| matches!(event.what, What::By(_) | What::Count(_));
        let opens = moves(event) && !events[..index].iter().any(moves);
        if opens {
            // Nothing was told of the level before its first movement.
            before = 0;
        }
        if index > 0 && events[index - 1].restores != event.restores || now == 0 {
            told_in_episode.clear();
        }
        let worse = now > before && !event.archived && !told_in_episode.contains(&now);
        let told = worse && !matches!(event.what, What::Found(_)) && (now == 3 || event.threshold.is_some());
        if told {
            told_in_episode.push(now);
            alerts += 1;
        }
        before = now;
        let told = told.then_some((alerts, now, opens && after >= 0));
        steps.push(Step { delta: after - balance, balance: after, late, told });
    }
    steps
}

impl Model {
    pub fn new(rules: &Rules) -> Self {
        let (events, own_threshold, own_multiple, decided) = Default::default();
        let (max_age, late_count_max, skew_max) =
            (rules.max_age_ms, rules.late_count_max_age_ms, rules.clock_skew_max_ms);
        Self { max_age, late_count_max, skew_max, item: None, events, own_threshold, own_multiple, decided }
    }

    /// Returns the stock of a level from before the test.
    pub fn find(&mut self, at: &'static str, balance: i64) {
        let event = self.event(at, What::Found(balance.into()), When { occurred: i64::MIN, ..When::UNKNOWN });
        self.events.insert(at, vec![event]);
    }

    pub fn balance(&self, at: &str) -> i128 {
        self.events.get(at).map_or(0, |events| replay(events).last().map_or(0, |step| step.balance))
    }

    /// Returns how many ledger entries a level has.
    pub fn movements(&self, at: &str) -> usize {
        let moves = |event: &&Event| matches!(event.what, What::By(_) | What::Count(_));
        self.events.get(at).map_or(0, |events| events.iter().filter(moves).count())
    }

    fn event(&self, at: &'static str, what: What, when: When) -> Event {
        let item = self.item.as_ref();
        Event {
            what,
            occurred: when.occurred,
            explicit: when.explicit,
            latest: when.latest,
            threshold: self.own_threshold.get(at).copied().or(item.and_then(|item| item.threshold)),
            archived: item.is_some_and(|item| item.archived_at.is_some()),
            restores: item.map_or(0, |item| item.restores),
        }
    }

    /// Decides a command. Returns `None` if its id was decided before.
    pub fn decide(&mut self, spec: &Spec) -> Option<Verdict> {
        if let Some((dead, tries)) = self.decided.get(&spec.id)
            && (!dead || spec.retry <= *tries)
        {
            return None;
        }
        self.decided.insert(spec.id, (spec.dead, spec.retry));
        if spec.dead {
            return Some(Verdict::Dead);
        }
        let refusals = self.refusals(spec);
        if let Some(first) = PRECEDENCE.into_iter().find(|code| refusals.contains(code)) {
            return Some(Verdict::Rejected(first));
        }
        assert!(refusals.is_empty());
        Some(self.apply(spec))
    }

    fn corrected(&self, spec: &Spec) -> When {
        let latest = if spec.retry > 0 { i64::MAX } else { spec.accepted + self.skew_max };
        let here = When { occurred: spec.accepted, explicit: false, ahead: false, latest };
        let Some(occurred) = spec.occurred else {
            return here;
        };
        let right = occurred + spec.sent.map_or(0, |sent| spec.accepted - sent);
        if right > spec.accepted {
            When { ahead: true, ..here }
        } else {
            When { occurred: right, explicit: true, ..here }
        }
    }

    /// Returns every reason to refuse a command, in no order.
    fn refusals(&self, spec: &Spec) -> Vec<&'static str> {
        let Some(item) = &self.item else {
            return if matches!(spec.act, Act::Register { .. }) {
                self.fraction(spec, None)
            } else {
                vec!["unknown_item"]
            };
        };
        let mut found = self.fraction(spec, Some(item));
        if matches!(spec.act, Act::Register { .. }) {
            found.push("item_exists");
        }
        let legs = legs(&spec.act);
        let places = legs.iter().map(|(at, _)| *at).chain(match spec.act {
            Act::Threshold { at, .. } => at,
            Act::Multiple { at, .. } => Some(at),
            _ => None,
        });
        found.extend(places.filter(|at| *at == "mars").map(|_| "unknown_location"));
        let Some((first, _)) = legs.first() else {
            return found;
        };
        found.extend(legs.iter().filter(|(at, _)| *at == "closed").map(|_| "location_closed"));
        let when = self.corrected(spec);
        let When { occurred, explicit, latest, .. } = when;
        let is_after = |at: &i64| !explicit || occurred > *at || *at > latest;
        found.extend(item.archived_at.filter(is_after).map(|_| "item_archived"));
        let age = spec.accepted - occurred;
        if age > self.max_age {
            found.push("occurred_at_out_of_range");
        }
        if age > self.late_count_max && matches!(spec.act, Act::Count { .. }) {
            found.push("count_too_late");
        }
        if spec.expect.is_some_and(|expected| i128::from(expected) != self.balance(first)) {
            found.push("precondition_failed");
        }
        let policy = match spec.act {
            Act::Sell { reject, .. } => reject.unwrap_or(item.reject),
            Act::Transfer { .. } => item.reject,
            _ => false,
        };
        for (index, (at, what)) in legs.iter().enumerate() {
            let step = self.tried(at, *what, when);
            if policy && index == 0 && !step.late && step.balance < 0 {
                found.push("insufficient_stock");
            }
            if i64::try_from(step.balance).is_err() || i64::try_from(step.delta).is_err() {
                found.push("quantity_overflow");
            }
        }
        found
    }

    fn tried(&self, at: &'static str, what: What, when: When) -> Step {
        let mut events = self.events.get(at).cloned().unwrap_or_default();
        events.push(self.event(at, what, when));
        replay(&events).pop().unwrap()
    }

    /// `fractional_quantity` and `decimals_in_use`.
    fn fraction(&self, spec: &Spec, item: Option<&Item>) -> Vec<&'static str> {
        let needs_more = |quantity: i128, decimals: u8| quantity % 10_i128.pow(3 - u32::from(decimals)) != 0;
        let (quantity, decimals) = match &spec.act {
            Act::Register { decimals, threshold, .. } => (threshold.map(i128::from), *decimals),
            Act::Update { decimals, threshold, .. } => {
                (threshold.flatten().map(i128::from), decimals.unwrap_or(item.map_or(3, |item| item.decimals)))
            }
            Act::Threshold { value, .. } | Act::Multiple { value, .. } => {
                (value.map(i128::from), item.map_or(3, |item| item.decimals))
            }
            other => {
                let quantity = legs(other).first().map(|(_, what)| match what {
                    What::By(quantity) | What::Count(quantity) | What::Found(quantity) => *quantity,
                    What::Look => 0,
                });
                (quantity, item.map_or(3, |item| item.decimals))
            }
        };
        let mut found = Vec::new();
        found.extend(quantity.filter(|q| needs_more(*q, decimals)).map(|_| "fractional_quantity"));
        if let (Act::Update { decimals: Some(fewer), threshold, .. }, Some(item)) = (&spec.act, item)
            && *fewer < item.decimals
        {
            let kept_default = item.threshold.filter(|_| threshold.is_none());
            let balances = self.events.keys().map(|at| self.balance(at));
            let own = self.own_threshold.values().chain(self.own_multiple.values()).copied();
            let mut used = balances.chain(own).chain(kept_default);
            found.extend(used.any(|quantity| needs_more(quantity, *fewer)).then_some("decimals_in_use"));
        }
        found
    }

    fn apply(&mut self, spec: &Spec) -> Verdict {
        let (mut moved, mut told) = (Vec::new(), Vec::new());
        let when = self.corrected(spec);
        let When { occurred, ahead, .. } = when;
        for (at, what) in legs(&spec.act) {
            let event = self.event(at, what, when);
            let step = self.push(at, event, &mut told);
            moved.push(Moved { at, delta: step.delta, after: step.balance, late: step.late, ahead, occurred });
        }
        self.apply_to_item(spec, &mut told);
        Verdict::Applied { moved, told }
    }

    fn push(&mut self, at: &'static str, event: Event, told: &mut Vec<Told>) -> Step {
        let events = self.events.entry(at).or_default();
        events.push(event);
        let step = replay(events).pop().unwrap();
        told.extend(step.told.map(|(number, severity, opening)| (at, number, severity, step.balance, opening)));
        step
    }

    fn apply_to_item(&mut self, spec: &Spec, told: &mut Vec<Told>) {
        let look = |model: &mut Self, at: &'static str, told: &mut Vec<Told>| {
            let event = model.event(at, What::Look, When { occurred: spec.accepted, ..When::UNKNOWN });
            model.push(at, event, told);
        };
        match &spec.act {
            Act::Register { decimals, threshold, reject } => {
                let (decimals, reject, threshold) = (*decimals, *reject, threshold.map(i128::from));
                self.item = Some(Item { decimals, threshold, reject, archived_at: None, restores: 0 });
            }
            Act::Threshold { at: Some(at), value } => {
                match value {
                    Some(value) => self.own_threshold.insert(at, (*value).into()),
                    None => self.own_threshold.remove(at),
                };
                look(self, at, told);
            }
            Act::Multiple { at, value } => {
                match value {
                    Some(value) => self.own_multiple.insert(at, (*value).into()),
                    None => self.own_multiple.remove(at),
                };
            }
            Act::Threshold { at: None, value } => self.set_default(*value, told, look),
            Act::Update { decimals, threshold, reject } => {
                let item = self.item.as_mut().unwrap();
                item.decimals = decimals.unwrap_or(item.decimals);
                item.reject = reject.unwrap_or(item.reject);
                if let Some(value) = threshold {
                    self.set_default(*value, told, look);
                }
            }
            Act::Archive => {
                let item = self.item.as_mut().unwrap();
                item.archived_at = item.archived_at.or(Some(spec.accepted));
            }
            Act::Restore => {
                let item = self.item.as_mut().unwrap();
                item.restores += u32::from(item.archived_at.take().is_some());
            }
            _ => {}
        }
    }

    fn set_default(
        &mut self,
        value: Option<i64>,
        told: &mut Vec<Told>,
        look: impl Fn(&mut Self, &'static str, &mut Vec<Told>),
    ) {
        self.item.as_mut().unwrap().threshold = value.map(i128::from);
        for at in self.events.keys().copied().collect::<Vec<_>>() {
            look(self, at, told);
        }
    }
}

fn legs(act: &Act) -> Vec<(&'static str, What)> {
    match *act {
        Act::Receive { at, quantity } | Act::Return { at, quantity } | Act::Adjust { at, quantity } => {
            vec![(at, What::By(quantity.into()))]
        }
        Act::Sell { at, quantity, .. } => vec![(at, What::By(-i128::from(quantity)))],
        Act::Count { at, counted } => vec![(at, What::Count(counted.into()))],
        Act::Transfer { from, to, quantity } => {
            vec![(from, What::By(-i128::from(quantity))), (to, What::By(quantity.into()))]
        }
        _ => Vec::new(),
    }
}
