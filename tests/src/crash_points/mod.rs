//! Every crash point: each call of worker and alerter to what is around them is disturbed in every way, one run each
//! (and some with two), on a paused clock that runs on when nobody has anything to do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faulty::{Call, Edge, Kind};

pub mod alerter;
pub mod homes;
pub mod line;
pub mod pairs;
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
    /// By the call of an API, where it is below a port, and what it is for.
    played: BTreeMap<(&'static str, Edge), BTreeMap<Kind, usize>>,
}

impl Table {
    /// Empty.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), played: BTreeMap::new() }
    }

    /// This call was disturbed so.
    pub fn add(&mut self, call: &Call, kind: Kind) {
        for edge in &call.edges {
            *self.played.entry((call.point.api(), edge)).or_default().entry(kind).or_default() += 1;
        }
    }

    /// How often this edge was disturbed so, by whatever call.
    pub fn count(&self, edge: Edge, kind: Kind) -> usize {
        let of_edge = self.played.iter().filter(|((_, other), _)| *other == edge);
        of_edge.filter_map(|(_, kinds)| kinds.get(&kind)).sum()
    }

    /// Asserts that every call of an undisturbed run was disturbed in every way.
    pub fn is_full(&self, calls: &[Call]) {
        let mut expected: BTreeMap<_, usize> = BTreeMap::new();
        let rows = calls.iter().flat_map(|call| call.edges.iter().map(|edge| (call.point.api(), *edge)));
        rows.for_each(|row| *expected.entry(row).or_default() += 1);
        for (row, count) in expected {
            let kinds = self.played.get(&row);
            for kind in Kind::ALL {
                let played = kinds.and_then(|kinds| kinds.get(&kind)).copied().unwrap_or(0);
                assert!(played >= count, "{kind:?} at {row:?} was played too seldom: {self:?}");
            }
        }
    }

    /// Shows it, where the test's output is shown.
    pub fn print(&self) {
        println!("\n{:<46}{}", self.title, Kind::ALL.map(|kind| format!("{:>12}", format!("{kind:?}"))).concat());
        for ((api, edge), kinds) in &self.played {
            let counts = Kind::ALL.map(|kind| format!("{:>12}", kinds.get(&kind).unwrap_or(&0)));
            let row = if api.is_empty() { (*edge).to_owned() } else { format!("{api}: {edge}") };
            println!("{row:<46}{}", counts.concat());
        }
    }
}
