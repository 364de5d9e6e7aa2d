use std::collections::BTreeMap;

use serde_json::Value;

use super::Policy;
use crate::ministack::REGION;
use crate::wiring::Wiring;

/// The stand-in's account.
pub const ACCOUNT: &str = "000000000000";

/// The programs that have roles.
pub const PROGRAMS: [&str; 3] = ["ingress", "worker", "alerter"];

/// The ARN of something in the account.
pub fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

/// What the templates allow each program, with the names that things have in one installation.
#[derive(Debug)]
pub struct Roles {
    of_programs: BTreeMap<&'static str, Policy>,
}

impl Roles {
    /// From the templates; `names` are what their `${…}` stand for, as [`Wiring::origin`] writes them.
    pub fn new(templates: &Wiring, names: &[(&str, String)]) -> Self {
        let names = Names { templates, names };
        let of_programs = PROGRAMS.into_iter().map(|program| (program, names.policy(program))).collect();
        Self { of_programs }
    }

    /// A program's; `None` for what is none of ours.
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
            // Besides, SAM lets the function's service read the queue and write logs, which the program does not do.
            _ => ("alerter.yaml", "Alerter", ""),
        };
        let properties = &self.templates.resource(file, role)["Properties"];
        assert!(properties.get("ManagedPolicyArns").is_none(), "{role} may do what AWS thinks of");
        let policies = properties["Policies"].as_array().unwrap().iter();
        let statements = policies.flat_map(|policy| {
            let policy = if document.is_empty() { policy } else { &policy[document] };
            policy["Statement"].as_array().unwrap_or_else(|| panic!("{role} has a policy by name: {policy}"))
        });
        let statements: Vec<&Value> = statements.filter_map(|statement| self.chosen(file, statement)).collect();
        Policy::new(statements, |value| self.texts(file, value))
    }

    /// One text, or a list of them.
    fn texts(&self, file: &str, value: &Value) -> Vec<String> {
        match value {
            Value::Array(values) => values.iter().flat_map(|value| self.texts(file, value)).collect(),
            value => self.chosen(file, value).map(|value| self.text(file, value)).into_iter().collect(),
        }
    }

    /// What an `!If` chooses; nothing, where that is no value.
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
            panic!("when does {condition} hold?")
        };
        self.text(file, one) == self.text(file, other)
    }

    fn text(&self, file: &str, value: &Value) -> String {
        let mut text = self.templates.origin(file, value);
        for (name, stands_for) in self.names {
            text = text.replace(&format!("${{{name}}}"), stands_for);
        }
        assert!(!text.contains("${") && !text.contains("\"Fn::"), "what is {text}?");
        text
    }
}
