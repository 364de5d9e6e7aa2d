//! Shrinks a failing run: leaves out the faults, requests and side events that the failure does not need.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::options::RunOptions;
use super::run::run;
use super::scenario::{Request, Scenario};

/// At most this many runs are tried.
const RUNS_MAX: usize = 600;

/// The side events of a scenario that can be left out.
const SIDE_EVENTS: [&str; 12] = [
    "poisons",
    "outages",
    "busy",
    "damaged",
    "capped",
    "deploys",
    "skews",
    "again",
    "receivers",
    "aside",
    "operations",
    "delays",
];

/// The part of a seed's scenario that is played. Its text form is the arguments of `simulate`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The seed.
    pub seed: u64,
    /// The positions of the kept faults; `None` keeps all.
    pub faults: Option<Vec<usize>>,
    /// The positions of the kept requests; `None` keeps all.
    pub requests: Option<Vec<usize>>,
    /// The side events that are left out.
    pub without: Vec<String>,
}

impl Selection {
    /// Selects the whole scenario of a seed.
    pub fn whole(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Returns the remaining scenario.
    pub fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::of(self.seed);
        if let Some(kept) = &self.faults {
            scenario.faults = kept.iter().filter_map(|index| scenario.faults.get(*index).copied()).collect();
        }
        if let Some(kept) = &self.requests {
            scenario.requests = requests_of(scenario.requests, kept);
        }
        for what in &self.without {
            match what.as_str() {
                "poisons" => scenario.poisons.clear(),
                "outages" => scenario.outages.clear(),
                "deploys" => scenario.deploys.clear(),
                "skews" => scenario.skews.clear(),
                "receivers" => scenario.receivers = 1,
                "busy" => scenario.busy = None,
                "damaged" => scenario.damaged = None,
                "capped" => scenario.capped = None,
                "operations" => scenario.operations.clear(),
                // A fault may hit the first possible call, so no fault is kept only to pass the time.
                "delays" => scenario.faults.iter_mut().for_each(|fault| fault.from_ms = 0),
                "aside" => scenario.receives_max = super::scenario::RECEIVES_MAX,
                _ => {
                    scenario.weeks = false;
                    scenario.requests.iter_mut().for_each(|request| request.again = None);
                }
            }
        }
        scenario
    }
}

/// Returns the kept requests at their original times: a till also waits for the requests that it leaves out.
fn requests_of(all: Vec<Request>, kept: &[usize]) -> Vec<Request> {
    let mut waited: BTreeMap<usize, u64> = BTreeMap::new();
    let mut requests = Vec::new();
    for (index, mut request) in all.into_iter().enumerate() {
        let waited = waited.entry(request.till).or_default();
        *waited += request.after_ms;
        if kept.contains(&index) {
            request.after_ms = std::mem::take(waited);
            requests.push(request);
        }
    }
    requests
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |kept: &[usize]| kept.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        write!(f, "--seed {}", self.seed)?;
        if let Some(kept) = &self.faults {
            write!(f, " --faults {}", if kept.is_empty() { "none".to_owned() } else { list(kept) })?;
        }
        if let Some(kept) = &self.requests {
            write!(f, " --requests {}", list(kept))?;
        }
        if !self.without.is_empty() {
            write!(f, " --without {}", self.without.join(","))?;
        }
        Ok(())
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cut = Self::default();
        let mut words = text.split_whitespace();
        while let (Some(name), value) = (words.next(), words.next().unwrap_or_default()) {
            let list = || -> Result<Vec<usize>, String> {
                let words = value.split(',').filter(|word| *word != "none");
                words.map(|word| word.parse().map_err(|error| format!("{word}: {error}"))).collect()
            };
            match name {
                "--seed" => cut.seed = value.parse().map_err(|error| format!("{value}: {error}"))?,
                "--faults" => cut.faults = Some(list()?),
                "--requests" => cut.requests = Some(list()?),
                "--without" => cut.without = value.split(',').map(str::to_owned).collect(),
                other => return Err(format!("{other} is not an option")),
            }
        }
        Ok(cut)
    }
}

/// Returns a smaller part that still fails.
pub fn shrink(cut: &Selection, options: RunOptions) -> Selection {
    let whole = cut.scenario();
    let mut smallest = Selection {
        faults: Some(cut.faults.clone().unwrap_or_else(|| (0..whole.faults.len()).collect())),
        requests: Some(cut.requests.clone().unwrap_or_else(|| (0..whole.requests.len()).collect())),
        ..cut.clone()
    };
    let mut left = RUNS_MAX;
    let mut fails = |cut: &Selection| {
        let may_run = left > 0;
        left = left.saturating_sub(1);
        may_run && !run(&cut.scenario(), options).faults.is_empty()
    };
    loop {
        let before = smallest.clone();
        smallest = without_side_events(smallest, &mut fails);
        smallest = without_parts(smallest, |cut| cut.requests.as_mut().unwrap(), 1, &mut fails);
        smallest = without_parts(smallest, |cut| cut.faults.as_mut().unwrap(), 0, &mut fails);
        if smallest == before {
            return smallest;
        }
    }
}

fn without_side_events(mut smallest: Selection, fails: &mut impl FnMut(&Selection) -> bool) -> Selection {
    for what in SIDE_EVENTS.map(str::to_owned) {
        let mut tried = smallest.clone();
        tried.without.push(what.clone());
        if !smallest.without.contains(&what) && fails(&tried) {
            smallest = tried;
        }
    }
    smallest
}

/// Leaves out smaller and smaller parts of a list, but never its first `kept` elements.
fn without_parts(
    mut smallest: Selection,
    list: fn(&mut Selection) -> &mut Vec<usize>,
    kept: usize,
    fails: &mut impl FnMut(&Selection) -> bool,
) -> Selection {
    let mut part = list(&mut smallest).len().saturating_sub(kept);
    while part > 0 {
        let mut at = kept;
        while at < list(&mut smallest).len() {
            let mut tried = smallest.clone();
            let end = (at + part).min(list(&mut tried).len());
            list(&mut tried).drain(at..end);
            if fails(&tried) {
                smallest = tried;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    smallest
}
