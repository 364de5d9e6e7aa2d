//! Counts which fault hit which step, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::faults::{FaultCounts, Kind, Step};
use super::run::Report;

/// The counts of many runs.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Faults by kind and step.
    pub met: FaultCounts,
    /// Other counts by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// The number of runs.
    pub runs: u64,
}

impl Coverage {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        for (cell, count) in &report.met {
            *self.met.entry(*cell).or_default() += count;
        }
        for (name, count) in &report.counts {
            self.count(name, *count);
        }
    }

    fn count(&mut self, name: &'static str, count: u64) {
        let counted = self.counts.entry(name).or_default();
        *counted = if name.starts_with("most") { count.max(*counted) } else { *counted + count };
    }

    /// Adds the runs of another coverage.
    pub fn join(&mut self, other: Self) {
        self.runs += other.runs;
        for (cell, count) in other.met {
            *self.met.entry(cell).or_default() += count;
        }
        for (name, count) in other.counts {
            self.count(name, count);
        }
    }

    /// Returns the possible events that never happened.
    pub fn empty(&self) -> Vec<String> {
        let mut empty = Vec::new();
        for kind in Kind::ALL {
            let steps = Step::ALL.into_iter().filter(|step| kind.can_meet(*step));
            let never = steps.filter(|step| !self.met.contains_key(&(kind, *step)));
            empty.extend(never.map(|step| format!("{kind:?} × {step:?}")));
        }
        empty.extend(self.counts.iter().filter(|(_, count)| **count == 0).map(|(name, _)| (*name).to_owned()));
        empty
    }

    /// Returns the table of faults by step.
    pub fn table(&self) -> String {
        let mut table = String::from("| fault |");
        for step in Step::ALL {
            write!(table, " {step:?} |").unwrap();
        }
        table.push_str("\n|---|");
        table.push_str(&"--:|".repeat(Step::ALL.len()));
        for kind in Kind::ALL {
            write!(table, "\n| {kind:?} |").unwrap();
            for step in Step::ALL {
                match self.met.get(&(kind, step)) {
                    _ if !kind.can_meet(step) => table.push_str(" – |"),
                    count => write!(table, " {} |", count.copied().unwrap_or_default()).unwrap(),
                }
            }
        }
        writeln!(table, "\n\n{} runs.", self.runs).unwrap();
        for (name, count) in &self.counts {
            writeln!(table, "- {name}: {count}").unwrap();
        }
        table
    }
}
