use std::collections::BTreeMap;
use std::str::FromStr;

/// `STOCKLINE_*` variables, read once. Everything that is asked for is remembered, so that what nobody asked for can
/// be refused by name.
#[derive(Debug)]
pub struct Env {
    values: BTreeMap<String, String>,
    asked: Vec<&'static str>,
    faults: Vec<String>,
}

/// Every fault of the environment at once.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has faults:\n  {}", faults.join("\n  "))]
pub struct EnvError {
    faults: Vec<String>,
}

/// What every variable of ours begins with.
const PREFIX: &str = "STOCKLINE_";

impl Env {
    /// The process's variables.
    pub fn of_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        Self::from_pairs(std::env::vars())
    }

    /// From given pairs; others than `STOCKLINE_*` are left out.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = pairs.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        Self { values, asked: Vec::new(), faults: Vec::new() }
    }

    /// The value of a variable, parsed; a bad one is remembered as a fault naming the variable, not its value.
    pub fn optional<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.asked.push(name);
        let text = self.values.get(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.faults.push(format!("{name} {error}"));
                None
            }
        }
    }

    /// As [`Env::optional`], with a fault where the variable is missing.
    pub fn required<T: FromStr>(&mut self, name: &'static str, what: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if !self.values.contains_key(name) {
            self.asked.push(name);
            self.faults.push(format!("{name} is required: {what}"));
            return None;
        }
        self.optional(name)
    }

    /// Adds a fault found by the caller.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// All faults, unknown variables among them, or nothing.
    pub fn finish(mut self) -> Result<(), EnvError> {
        for name in self.values.keys() {
            if !self.asked.contains(&name.as_str()) {
                self.faults.push(format!("{name} is not a variable of this program"));
            }
        }
        if self.faults.is_empty() { Ok(()) } else { Err(EnvError { faults: self.faults }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_and_no_value_is_shown() {
        let pairs = [("STOCKLINE_A", "x1"), ("STOCKLINE_TYPO", "secret"), ("HOME", "/")];
        let mut env = Env::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(env.optional::<u32>("STOCKLINE_A"), None);
        assert_eq!(env.required::<u32>("STOCKLINE_B", "the number of things"), None);
        let text = env.finish().unwrap_err().to_string();
        assert!(text.contains("STOCKLINE_A invalid digit"), "{text}");
        assert!(text.contains("STOCKLINE_B is required: the number of things"), "{text}");
        assert!(text.contains("STOCKLINE_TYPO is not a variable"), "{text}");
        assert!(!text.contains("secret") && !text.contains("HOME"), "{text}");
    }
}
