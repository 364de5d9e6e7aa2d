//! Runs that are kept as files: failures that were found once and shrunk. They do not depend on the generator.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::options::RunOptions;
use super::run::{Report, run};
use super::scenario::Scenario;
use super::tamper::Tamper;

/// A kept run. Its requests and faults are fixed. The duration of each call is drawn in the order of the calls, so a
/// change of the product can move the run past the failure that it was kept for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// The failure that it found.
    pub found: String,
    /// The rule without which it fails; `None` if it failed because of a defect of the product.
    pub without: Option<Tamper>,
    /// The scenario.
    pub scenario: Scenario,
}

impl Kept {
    /// Reads a kept run from a file.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes it to a file.
    pub fn write(&self, path: &Path) {
        fs::write(path, serde_json::to_string(self).unwrap() + "\n").unwrap();
    }

    /// Plays it with all rules, or without the rule that it was kept for.
    pub fn play(&self, with_all_rules: bool, traced: bool) -> Report {
        let tamper = self.without.filter(|_| !with_all_rules);
        run(&self.scenario, RunOptions { tamper, traced })
    }
}
