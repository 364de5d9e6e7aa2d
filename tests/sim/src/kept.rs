//! Runs that are kept as files: a failure that was found once, made smaller, whatever later becomes of the generator.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::run::{Report, Watch, run};
use super::scenario::Scenario;
use super::tamper::Tamper;

/// A run that is kept. What tills send and what goes wrong is fixed; how long each call takes is drawn in the order of
/// the calls, so a change of the product can move it past what it was kept for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// What was found by it.
    pub found: String,
    /// The rule without which it fails; `None`: it failed by a defect of the product.
    pub without: Option<Tamper>,
    /// What is played.
    pub scenario: Scenario,
}

impl Kept {
    /// Reads one.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes one.
    pub fn write(&self, path: &Path) {
        fs::write(path, serde_json::to_string(self).unwrap() + "\n").unwrap();
    }

    /// Plays it with all rules, or without the one that it was kept for.
    pub fn play(&self, with_all_rules: bool, traced: bool) -> Report {
        let tamper = self.without.filter(|_| !with_all_rules);
        run(&self.scenario, Watch { tamper, traced })
    }
}
