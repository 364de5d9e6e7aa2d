use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use stockline_deploy_checks::programs::binary;
use stockline_deploy_checks::wiring::Wiring;

/// The deployed programs.
pub(crate) const PROGRAMS: [&str; 3] = ["ingress", "worker", "alerter"];

/// The template of the fleets.
pub(crate) const SERVICES: &str = "services.yaml";
/// The template of the table, the queues and the alert topic.
pub(crate) const DATA: &str = "data.yaml";
/// The template of the network.
pub(crate) const NETWORK: &str = "network.yaml";
/// The template of the alerter.
pub(crate) const ALERTER: &str = "alerter.yaml";
/// The alarms.
pub(crate) const WATCH: &str = "watch.yaml";

/// The templates, and the variables as the programs themselves report them.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) templates: Wiring,
    read: BTreeMap<&'static str, Vec<Variable>>,
}

/// A variable as its program reports it.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) name: String,
    /// The value that the program uses if the variable is not set; empty if there is none.
    pub(crate) default: String,
    pub(crate) required: bool,
    /// The minimum and the maximum of a number.
    pub(crate) bounds: Option<(u64, u64)>,
}

impl Deployment {
    pub(crate) fn read() -> Self {
        let read = PROGRAMS.into_iter().map(|program| (program, variables_of(program))).collect();
        Self { templates: Wiring::read(), read }
    }

    /// Returns the variables that a program reads.
    pub(crate) fn variables(&self, program: &str) -> &[Variable] {
        &self.read[program]
    }

    /// Returns the template's file, and the names and values of all variables that it sets for a program, including
    /// secrets.
    pub(crate) fn set(&self, program: &str) -> (&'static str, Vec<(String, &Value)>) {
        if program == "alerter" {
            let variables =
                self.templates.resource(ALERTER, "Alerter")["Properties"]["Environment"]["Variables"].as_object();
            return (ALERTER, variables.into_iter().flatten().map(|(name, value)| (name.clone(), value)).collect());
        }
        let container = self.container(program);
        let named = |list: &'static str, value: &'static str| {
            let entries = container[list].as_array().into_iter().flatten();
            entries.map(move |entry| (entry["Name"].as_str().unwrap_or_default().to_owned(), &entry[value]))
        };
        (SERVICES, named("Environment", "Value").chain(named("Secrets", "ValueFrom")).collect())
    }

    /// Returns the value of a program's variable, or an empty text if it is not set.
    pub(crate) fn value(&self, program: &str, variable: &str) -> String {
        let (file, set) = self.set(program);
        let found = set.iter().find(|(name, _)| name == variable);
        found.map(|(_, value)| self.templates.origin(file, value)).unwrap_or_default()
    }

    /// Returns the port in a variable that holds an address, or 0 if there is none.
    pub(crate) fn port(&self, program: &str, variable: &str) -> u64 {
        let address = self.value(program, variable);
        address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }

    /// Returns the only container of a program's tasks.
    pub(crate) fn container(&self, program: &str) -> &Value {
        let task = if program == "ingress" { "IngressTask" } else { "WorkerTask" };
        &self.templates.resource(SERVICES, task)["Properties"]["ContainerDefinitions"][0]
    }
}

/// Reads a program's variables from `--help`, and their bounds from its errors about absurd values.
fn variables_of(program: &str) -> Vec<Variable> {
    let help = Command::new(binary(program)).arg("--help").env_clear().output().unwrap();
    assert!(help.status.success(), "{program} --help: {}", String::from_utf8_lossy(&help.stderr));
    let help = String::from_utf8(help.stdout).unwrap();
    let lines = help.lines().filter_map(|line| line.trim_start().split_once(' '));
    let mut variables: Vec<Variable> = lines
        .filter(|(name, _)| name.starts_with("STOCKLINE_"))
        .map(|(name, what)| Variable {
            name: name.to_owned(),
            default: what.rsplit_once("[default: ").map_or("", |(_, rest)| rest.trim_end_matches(']')).to_owned(),
            required: what.ends_with("(required)"),
            bounds: None,
        })
        .collect();
    assert!(variables.len() > 5, "{program} --help tells of no variables:\n{help}");

    let absurd = variables.iter().map(|variable| (variable.name.clone(), "§"));
    let refused = Command::new(binary(program)).env_clear().envs(absurd).output().unwrap();
    let refused = String::from_utf8(refused.stderr).unwrap();
    for variable in &mut variables {
        let says = format!("{} must be a whole number from ", variable.name);
        let bounds = refused.lines().find_map(|line| line.trim().strip_prefix(&says)?.split_once(" to "));
        variable.bounds = bounds.map(|(least, most)| (least.parse().unwrap(), most.parse().unwrap()));
    }
    variables
}
