//! Makes a failing run smaller: without the faults, requests and side events that it does not need.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::run::{Watch, run};
use super::scenario::{Request, Scenario};

/// At most so many runs are tried.
const RUNS_MAX: usize = 600;

/// What of a scenario beside faults and requests can be left out.
const SIDE_EVENTS: [&str; 10] =
    ["poisons", "outages", "busy", "deploys", "skews", "again", "receivers", "aside", "operations", "delays"];

/// Which part of a seed's scenario is played; as text, what `simulate` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// Of which seed.
    pub seed: u64,
    /// The faults that are kept, by place; `None`: all.
    pub faults: Option<Vec<usize>>,
    /// The requests that are kept, by place; `None`: all.
    pub requests: Option<Vec<usize>>,
    /// Side events that are left out.
    pub without: Vec<String>,
}

impl Cut {
    /// All of a seed.
    pub fn whole(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The scenario that is left.
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
                "operations" => scenario.operations.clear(),
                // Each fault meets the first call that it can: none is kept only to bring others up to its time.
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

/// Those that are kept, at the time at which they came: a till waits for what it leaves out.
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

impl fmt::Display for Cut {
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

impl FromStr for Cut {
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
                other => return Err(format!("{other} is no option")),
            }
        }
        Ok(cut)
    }
}

/// A smaller part that fails still.
pub fn shrink(cut: &Cut, watch: Watch) -> Cut {
    let whole = cut.scenario();
    let mut smallest = Cut {
        faults: Some(cut.faults.clone().unwrap_or_else(|| (0..whole.faults.len()).collect())),
        requests: Some(cut.requests.clone().unwrap_or_else(|| (0..whole.requests.len()).collect())),
        ..cut.clone()
    };
    let mut left = RUNS_MAX;
    let mut fails = |cut: &Cut| {
        let may_run = left > 0;
        left = left.saturating_sub(1);
        may_run && !run(&cut.scenario(), watch).faults.is_empty()
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

fn without_side_events(mut smallest: Cut, fails: &mut impl FnMut(&Cut) -> bool) -> Cut {
    for what in SIDE_EVENTS.map(str::to_owned) {
        let mut tried = smallest.clone();
        tried.without.push(what.clone());
        if !smallest.without.contains(&what) && fails(&tried) {
            smallest = tried;
        }
    }
    smallest
}

/// Leaves out ever smaller parts of a list, except its first `kept`.
fn without_parts(
    mut smallest: Cut,
    list: fn(&mut Cut) -> &mut Vec<usize>,
    kept: usize,
    fails: &mut impl FnMut(&Cut) -> bool,
) -> Cut {
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
