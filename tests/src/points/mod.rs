//! Every crash point: each call of worker and alerter to what is around them is disturbed in every way, one run each
//! (and some with two), on a paused clock that runs on when nobody has anything to do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faulty::{Call, Edge, Kind};

pub mod alerter;
pub mod homes;
pub mod line;
pub mod script;
pub mod worker;

/// So many runs go on side by side.
const AT_ONCE: usize = 48;

/// Of the paused clock: what never comes fails a test instead of hanging it.
const WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// How often each edge was disturbed in each way.
#[derive(Debug)]
pub struct Table {
    title: String,
    played: BTreeMap<Edge, BTreeMap<Kind, usize>>,
}

impl Table {
    /// Empty.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), played: BTreeMap::new() }
    }

    /// This call was disturbed so.
    pub fn add(&mut self, call: &Call, kind: Kind) {
        for edge in &call.edges {
            *self.played.entry(edge).or_default().entry(kind).or_default() += 1;
        }
    }

    /// How often this edge was disturbed so.
    pub fn count(&self, edge: Edge, kind: Kind) -> usize {
        self.played.get(edge).and_then(|kinds| kinds.get(&kind)).copied().unwrap_or(0)
    }

    /// Asserts that every call of an undisturbed run was disturbed in every way.
    pub fn is_full(&self, calls: &[Call]) {
        let mut expected: BTreeMap<Edge, usize> = BTreeMap::new();
        calls.iter().flat_map(|call| &call.edges).for_each(|edge| *expected.entry(edge).or_default() += 1);
        for (edge, count) in expected {
            for kind in Kind::ALL {
                assert!(self.count(edge, kind) >= count, "{kind:?} at {edge:?} was played too seldom: {self:?}");
            }
        }
    }

    /// Shows it, where the test's output is shown.
    pub fn print(&self) {
        println!("\n{:<28}{}", self.title, Kind::ALL.map(|kind| format!("{:>12}", format!("{kind:?}"))).concat());
        for edge in self.played.keys() {
            let counts = Kind::ALL.map(|kind| format!("{:>12}", self.count(edge, kind)));
            println!("{edge:<28}{}", counts.concat());
        }
    }
}
