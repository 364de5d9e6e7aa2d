use std::collections::BTreeMap;

use serde_json::Value;

use super::Policy;
use crate::ministack::REGION;
use crate::wiring::Wiring;

/// The account of the stand-in.
pub const ACCOUNT: &str = "000000000000";

/// The programs with roles.
pub const PROGRAMS: [&str; 3] = ["ingress", "worker", "alerter"];

/// Returns the ARN of a resource in the account.
pub fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

/// The policies of the programs, with the names of one installation.
#[derive(Debug)]
pub struct Roles {
    of_programs: BTreeMap<&'static str, Policy>,
}

impl Roles {
    /// Reads the templates. `names` are the values of their `${…}`, as [`Wiring::origin`] writes them.
    pub fn new(templates: &Wiring, names: &[(&str, String)]) -> Self {
        let names = Names { templates, names };
        let of_programs = PROGRAMS.into_iter().map(|program| (program, names.policy(program))).collect();
        Self { of_programs }
    }

    /// Returns the policy of a program, or `None` for an unknown program.
    pub fn of(&self, program: &str) -> Option<&Policy> {
        self.of_programs.get(program)
    }
}

struct Names<'a> {
    templates: &'a Wiring,
    names: &'a [(&'a str, String)],
}

impl Names<'_> {
    fn policy(&self, program: &str) -> Policy {
        let (file, role, document) = match program {
            "ingress" => ("services.yaml", "IngressRole", "PolicyDocument"),
            "worker" => ("services.yaml", "WorkerRole", "PolicyDocument"),
            // SAM also allows the function's service to read the queue and to write logs. The program does neither.
            _ => ("alerter.yaml", "Alerter", ""),
        };
        let properties = &self.templates.resource(file, role)["Properties"];
        assert!(properties.get("ManagedPolicyArns").is_none(), "{role} has a managed policy, which AWS can change");
        let policies = properties["Policies"].as_array().unwrap().iter();
        let statements = policies.flat_map(|policy| {
            let policy = if document.is_empty() { policy } else { &policy[document] };
            policy["Statement"].as_array().unwrap_or_else(|| panic!("{role} has a named policy: {policy}"))
        });
        let statements: Vec<&Value> = statements.filter_map(|statement| self.chosen(file, statement)).collect();
        Policy::new(statements, |value| self.texts(file, value))
    }

    /// Returns a text, or a list of texts, as a list.
    fn texts(&self, file: &str, value: &Value) -> Vec<String> {
        match value {
            Value::Array(values) => values.iter().flat_map(|value| self.texts(file, value)).collect(),
            value => self.chosen(file, value).map(|value| self.text(file, value)).into_iter().collect(),
        }
    }

    /// Returns the chosen value of an `!If`, or `None` for no value.
    fn chosen<'v>(&self, file: &str, value: &'v Value) -> Option<&'v Value> {
        let chosen = match value["Fn::If"].as_array().map(Vec::as_slice) {
            Some([Value::String(condition), yes, no]) => {
                let condition = &self.templates.of(file)["Conditions"][condition];
                if self.holds(file, condition) { yes } else { no }
            }
            _ => value,
        };
        (chosen["Ref"] != "AWS::NoValue").then_some(chosen)
    }

    fn holds(&self, file: &str, condition: &Value) -> bool {
        if let Some([negated]) = condition["Fn::Not"].as_array().map(Vec::as_slice) {
            return !self.holds(file, negated);
        }
        let Some([one, other]) = condition["Fn::Equals"].as_array().map(Vec::as_slice) else {
            panic!("unknown condition: {condition}")
        };
        self.text(file, one) == self.text(file, other)
    }

    fn text(&self, file: &str, value: &Value) -> String {
        let mut text = self.templates.origin(file, value);
        for (name, stands_for) in self.names {
            text = text.replace(&format!("${{{name}}}"), stands_for);
        }
        assert!(!text.contains("${") && !text.contains("\"Fn::"), "not resolved: {text}");
        text
    }
}
