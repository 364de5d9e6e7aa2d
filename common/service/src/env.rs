use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Reads `STOCKLINE_*` variables, once. It remembers which were asked for, so that it can refuse the unknown ones by
/// name.
#[derive(Debug)]
pub struct Env {
    values: BTreeMap<String, String>,
    stand_ins: Vec<String>,
    lambda: Vec<&'static str>,
    asked: Vec<&'static str>,
    faults: Vec<String>,
}

/// All faults of the environment at once.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has faults:\n  {}", faults.join("\n  "))]
pub struct EnvError {
    faults: Vec<String>,
}

/// A variable and its line in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// The meaning, for people.
    pub what: &'static str,
    absent: Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    IsAFault,
    IsNone,
    Means(&'static str),
}

impl Variable {
    /// Makes a variable that must be set.
    pub const fn required(name: &'static str, what: &'static str) -> Self {
        Self { name, what, absent: Absent::IsAFault }
    }

    /// Makes a variable that may be absent.
    pub const fn optional(name: &'static str, what: &'static str) -> Self {
        Self { name, what, absent: Absent::IsNone }
    }

    /// Makes a variable with a default.
    pub const fn with_default(name: &'static str, default: &'static str, what: &'static str) -> Self {
        Self { name, what, absent: Absent::Means(default) }
    }

    /// Returns the variables of a program as the list for its `--help`.
    pub fn describe(variables: &[Self]) -> String {
        let width = variables.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
        let line = |variable: &Self| {
            let note = match variable.absent {
                Absent::IsAFault => " (required)".to_owned(),
                Absent::IsNone => String::new(),
                Absent::Means(default) => format!(" [default: {default}]"),
            };
            format!("  {:width$}  {}{note}\n", variable.name, variable.what)
        };
        variables.iter().map(line).collect()
    }
}

/// The prefix of all our variables.
const PREFIX: &str = "STOCKLINE_";
/// The prefix of the variables that tests are chosen by. A shell that has set one may start a program too.
const OF_TESTS: &str = "STOCKLINE_TEST_";

/// The variables that send the AWS SDK to another address, for all services or for one.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// The variables that AWS Lambda sets for every function and that its runtime library needs.
const LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

impl Env {
    /// Takes the variables of the process.
    pub fn of_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        Self::from_pairs(std::env::vars())
    }

    /// Takes the given pairs. Of variables with other prefixes it notes only whether they name a stand-in for AWS, and
    /// whether AWS Lambda runs this program.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut values, mut stand_ins, mut lambda) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, value) in pairs {
            if name.starts_with(OF_TESTS) {
                continue;
            }
            if name.starts_with(PREFIX) {
                values.insert(name, value);
            } else if name.starts_with(ENDPOINT) && !value.is_empty() {
                stand_ins.push(name);
            } else {
                lambda.extend(LAMBDA.into_iter().filter(|of_lambda| *of_lambda == name));
            }
        }
        stand_ins.sort_unstable();
        Self { values, stand_ins, lambda, asked: Vec::new(), faults: Vec::new() }
    }

    /// Returns the names of the set variables that send the AWS SDK to another address.
    pub fn stand_ins(&self) -> &[String] {
        &self.stand_ins
    }

    /// Adds a fault if AWS Lambda does not run this program.
    pub fn require_lambda(&mut self) {
        let missing: Vec<_> = LAMBDA.into_iter().filter(|name| !self.lambda.contains(name)).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            self.faults
                .push(format!("{missing} must be set, as AWS Lambda does: this program is a function that it runs"));
        }
    }

    /// Returns the parsed value of a variable. A bad value becomes a fault that names the variable and not its value.
    pub fn optional<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: Display,
    {
        self.asked.push(name);
        let parsed = self.values.get(name)?.parse();
        parsed.map_err(|error: T::Err| self.faults.push(format!("{name} {error}"))).ok()
    }

    /// Returns the value of a variable as `parse` reads it. An empty value counts as absent, because templates set such.
    /// It is `None` if the variable is absent, or if a fault was added. `parse` describes a fault in words that follow the
    /// name, and must not repeat a secret.
    pub fn read<T, E: Display>(&mut self, variable: &Variable, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let name = variable.name;
        self.asked.push(name);
        let set = self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let text = match (set, variable.absent) {
            (Some(text), _) | (None, Absent::Means(text)) => text,
            (None, Absent::IsNone) => return None,
            (None, Absent::IsAFault) => {
                self.faults.push(format!("{name} is required: {}", variable.what));
                return None;
            }
        };
        let parsed = parse(text);
        parsed.map_err(|error| self.faults.push(format!("{name} {error}"))).ok()
    }

    /// Returns the value of a variable whose type parses itself.
    pub fn value<T: FromStr>(&mut self, variable: &Variable) -> Option<T>
    where
        T::Err: Display,
    {
        self.read(variable, T::from_str)
    }

    /// Returns a text.
    pub fn text(&mut self, variable: &Variable) -> Option<String> {
        self.value(variable)
    }

    /// Returns a whole number within bounds.
    pub fn number(&mut self, variable: &Variable, within: RangeInclusive<u32>) -> Option<u32> {
        let fault = format!("must be a whole number from {} to {}", within.start(), within.end());
        self.read(variable, |text| text.parse().ok().filter(|number| within.contains(number)).ok_or(fault))
    }

    /// Returns `true` or `false`.
    pub fn switch(&mut self, variable: &Variable) -> Option<bool> {
        self.read(variable, |text| text.parse().map_err(|_| "must be true or false"))
    }

    /// Returns an address to listen at.
    pub fn address(&mut self, variable: &Variable) -> Option<std::net::SocketAddr> {
        self.read(variable, |text| text.parse().map_err(|_| "must be an address and a port, such as 0.0.0.0:8080"))
    }

    /// Returns the parts of a list with commas, each as `parse` reads it; empty if the variable is absent.
    pub fn list<T, E: Display>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Result<T, E>) -> Option<Vec<T>> {
        self.read(variable, |text| text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse).collect())
    }

    /// Returns the caller's `settings`, or all faults, unknown variables included. `settings` may be `None` only if a fault
    /// was added.
    ///
    /// # Errors
    /// If there is any fault.
    pub fn finish_with<T>(self, settings: Option<T>) -> Result<T, EnvError> {
        self.finish()?;
        settings.ok_or_else(|| EnvError { faults: vec!["a value is missing: a defect, please report it".into()] })
    }

    /// Adds a fault that the caller found.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Returns the caller's `settings`, or all faults found in them. It is for a program that reads only some of the
    /// variables and leaves the others to the program that they are meant for.
    ///
    /// # Errors
    /// If there is any fault.
    pub fn finish_some<T>(mut self, settings: Option<T>) -> Result<T, EnvError> {
        self.values.clear();
        self.finish_with(settings)
    }

    /// Returns all faults, unknown variables included, or nothing.
    ///
    /// # Errors
    /// If there is any fault.
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

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn every_fault_is_named_and_no_value_is_shown() {
        let mut env = env(&[("STOCKLINE_A", "x1"), ("STOCKLINE_TYPO", "secret"), ("HOME", "/")]);
        assert_eq!(env.number(&Variable::optional("STOCKLINE_A", "a number"), 1..=9), None);
        assert_eq!(env.text(&Variable::required("STOCKLINE_B", "the number of things")), None);
        let text = env.finish().unwrap_err().to_string();
        assert!(text.contains("STOCKLINE_A must be a whole number from 1 to 9"), "{text}");
        assert!(text.contains("STOCKLINE_B is required: the number of things"), "{text}");
        assert!(text.contains("STOCKLINE_TYPO is not a variable"), "{text}");
        assert!(!text.contains("secret") && !text.contains("HOME"), "{text}");
    }

    #[test]
    fn variables_of_the_tests_are_of_no_program() {
        assert!(env(&[("STOCKLINE_TEST_IMAGES", "0")]).finish().is_ok());
    }

    #[test]
    fn what_reads_some_of_the_variables_leaves_the_others_alone() {
        const PORT: Variable = Variable::with_default("STOCKLINE_LISTEN", "0.0.0.0:1", "where");
        let pairs = [("STOCKLINE_TYPO", "x"), ("STOCKLINE_LISTEN", "127.0.0.1:2")];
        let read = |pairs: &[(&str, &str)]| {
            let mut env = env(pairs);
            let address = env.address(&PORT);
            env.finish_some(address)
        };
        assert_eq!(read(&pairs).unwrap().port(), 2);
        assert_eq!(read(&pairs[..1]).unwrap().port(), 1);
        let text = read(&[("STOCKLINE_LISTEN", "s3cret")]).unwrap_err().to_string();
        assert!(text.contains("STOCKLINE_LISTEN must be an address") && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn what_is_set_to_nothing_counts_as_not_set() {
        let mut env = env(&[("STOCKLINE_A", " "), ("STOCKLINE_B", ""), ("STOCKLINE_C", " a, b ,,c ")]);
        assert_eq!(env.number(&Variable::with_default("STOCKLINE_A", "7", "a number"), 1..=9), Some(7));
        assert_eq!(env.switch(&Variable::optional("STOCKLINE_B", "a switch")), None);
        let list = env.list(&Variable::optional("STOCKLINE_C", "a list"), |part| part.parse::<char>());
        assert_eq!(list, Some(vec!['a', 'b', 'c']));
        env.finish().unwrap();
    }

    #[test]
    fn what_stands_in_for_aws_is_named() {
        let pairs = [("AWS_ENDPOINT_URL_SQS", "http://x"), ("AWS_ENDPOINT_URL", ""), ("AWS_REGION", "eu-central-1")];
        assert_eq!(env(&pairs).stand_ins(), ["AWS_ENDPOINT_URL_SQS"]);
    }

    #[test]
    fn help_says_what_is_required_and_what_is_meant_without() {
        let variables =
            [Variable::required("STOCKLINE_A", "this"), Variable::with_default("STOCKLINE_LONG", "7", "that")];
        let text = "  STOCKLINE_A     this (required)\n  STOCKLINE_LONG  that [default: 7]\n";
        assert_eq!(Variable::describe(&variables), text);
    }
}
