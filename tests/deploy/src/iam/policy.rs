use serde_json::Value;

use super::Access;

/// The policy of a role. All its statements are `Allow`.
#[derive(Debug, Clone)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    sid: String,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    StringEquals,
    /// Also holds if the call has no keys. In DynamoDB only `Scan` and `DescribeTable` have none.
    AllEqual,
    AllLike,
}

/// The smallest permission of a policy: one action on one resource, under one value of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    statement: usize,
    /// The name of the statement.
    pub sid: String,
    /// One of its actions.
    pub action: String,
    /// One of its resources.
    pub resource: String,
    /// A condition's key, and one of its values.
    pub condition: Option<(String, String)>,
}

impl Policy {
    /// Reads the statements of a template. `resolve` returns the text of a value.
    ///
    /// # Panics
    /// On anything unknown, because a policy must not be ignored.
    pub fn new<'a>(statements: impl IntoIterator<Item = &'a Value>, resolve: impl Fn(&Value) -> Vec<String>) -> Self {
        let statement = |statement: &Value| {
            const KNOWN: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];
            let unknown = statement.as_object().unwrap().keys().find(|key| !KNOWN.contains(&key.as_str()));
            assert!(unknown.is_none() && statement["Effect"] == "Allow", "unknown statement: {statement}");
            let conditions = statement["Condition"].as_object().into_iter().flatten().flat_map(|(operator, keys)| {
                let operator = operator_named(operator);
                let of_key = |(key, values): (&String, &Value)| Condition {
                    operator,
                    key: key.clone(),
                    values: resolve(values),
                };
                keys.as_object().unwrap().iter().map(of_key).collect::<Vec<_>>()
            });
            Statement {
                sid: statement["Sid"].as_str().unwrap_or("without a name").to_owned(),
                actions: resolve(&statement["Action"]),
                resources: resolve(&statement["Resource"]),
                conditions: conditions.collect(),
            }
        };
        Self { statements: statements.into_iter().map(statement).collect() }
    }

    /// Reports whether the policy allows this access.
    pub fn allows(&self, access: &Access) -> bool {
        self.allows_without(access, None)
    }

    /// Reports whether the policy allows this access without that grant.
    pub fn allows_without(&self, access: &Access, without: Option<&Grant>) -> bool {
        self.statements.iter().enumerate().any(|(number, statement)| {
            let without = without.filter(|grant| grant.statement == number);
            statement.actions.iter().filter(|action| is_like(action, &access.action)).any(|action| {
                statement.resources.iter().filter(|resource| is_like(resource, &access.resource)).any(|resource| {
                    let without = without.filter(|grant| grant.action == *action && grant.resource == *resource);
                    statement.holds(access, without)
                })
            })
        })
    }

    /// Returns all grants one by one.
    pub fn grants(&self) -> Vec<Grant> {
        let mut grants = Vec::new();
        for (number, statement) in self.statements.iter().enumerate() {
            let values = statement.conditions.iter().flat_map(|condition| {
                condition.values.iter().map(|value| Some((condition.key.clone(), value.clone())))
            });
            let mut values: Vec<_> = values.collect();
            if values.is_empty() {
                values.push(None);
            }
            for action in &statement.actions {
                for resource in &statement.resources {
                    grants.extend(values.iter().map(|condition| Grant {
                        statement: number,
                        sid: statement.sid.clone(),
                        action: action.clone(),
                        resource: resource.clone(),
                        condition: condition.clone(),
                    }));
                }
            }
        }
        grants
    }

    /// Returns the policies that have one more action in one statement, one for each statement without this action.
    pub fn each_with(&self, action: &str) -> Vec<Self> {
        let lacks = |statement: &Statement| !statement.actions.iter().any(|known| known == action);
        let numbers = (0..self.statements.len()).filter(|number| lacks(&self.statements[*number]));
        numbers
            .map(|number| {
                let mut wider = self.clone();
                wider.statements[number].actions.push(action.to_owned());
                wider
            })
            .collect()
    }
}

impl Statement {
    /// Reports whether all conditions hold without this value of theirs.
    fn holds(&self, access: &Access, without: Option<&Grant>) -> bool {
        let left_out = without.map(|grant| grant.condition.as_ref());
        if left_out == Some(None) {
            return false;
        }
        let left_out = left_out.flatten();
        self.conditions.iter().all(|condition| {
            let is_left = |value: &str| left_out.is_some_and(|(key, out)| *key == condition.key && out == value);
            let values: Vec<&str> =
                condition.values.iter().map(String::as_str).filter(|value| !is_left(value)).collect();
            let found = access.context.get(condition.key.as_str());
            match condition.operator {
                Operator::StringEquals => found
                    .is_some_and(|found| found.len() == 1 && found.iter().all(|one| values.contains(&one.as_str()))),
                Operator::AllEqual => found.is_none_or(|found| found.iter().all(|one| values.contains(&one.as_str()))),
                Operator::AllLike => {
                    found.is_none_or(|found| found.iter().all(|one| values.iter().any(|value| is_like(value, one))))
                }
            }
        })
    }
}

fn operator_named(name: &str) -> Operator {
    match name {
        "StringEquals" => Operator::StringEquals,
        "ForAllValues:StringEquals" => Operator::AllEqual,
        "ForAllValues:StringLike" => Operator::AllLike,
        _ => panic!("unknown operator in a condition: {name}"),
    }
}

/// Matches a pattern: `*` stands for any text, `?` for one character. Case matters, as in ARNs and keys. Actions are
/// spelled as AWS spells them.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern_rest.as_str();
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| is_like(rest, &text[at..]))
        }
        Some(wanted) => {
            let mut text_rest = text.chars();
            text_rest.next().is_some_and(|found| wanted == '?' || wanted == found)
                && is_like(pattern_rest.as_str(), text_rest.as_str())
        }
    }
}

impl Grant {
    /// Writes the grant in words.
    pub fn text(&self) -> String {
        let condition =
            self.condition.as_ref().map(|(key, value)| format!(" where {key} is {value}")).unwrap_or_default();
        format!("{}: {} on {}{condition}", self.sid, self.action, self.resource)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use super::*;

    fn policy(statement: &Value) -> Policy {
        Policy::new([statement], |value| match value {
            Value::Array(values) => values.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
            value => vec![value.as_str().unwrap().to_owned()],
        })
    }

    fn access(action: &str, resource: &str, keys: &[&str]) -> Access {
        let mut context = BTreeMap::new();
        if !keys.is_empty() {
            context.insert("dynamodb:LeadingKeys", keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>());
        }
        Access { action: action.to_owned(), resource: resource.to_owned(), context }
    }

    #[test]
    fn a_statement_allows_its_actions_on_its_resources_and_nothing_else() {
        let policy = policy(&json!({"Effect": "Allow", "Action": ["a:Get"], "Resource": ["t", "t/index/*"]}));
        assert!(policy.allows(&access("a:Get", "t", &[])) && policy.allows(&access("a:Get", "t/index/x", &[])));
        for (action, resource) in [("a:GetItem", "t"), ("a:Put", "t"), ("a:Get", "t/other"), ("a:Get", "u")] {
            assert!(!policy.allows(&access(action, resource, &[])), "{action} {resource}");
        }
    }

    #[test]
    fn all_keys_must_be_among_the_values() {
        let policy = policy(&json!({
            "Effect": "Allow", "Action": "a:Put", "Resource": "t",
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ITEM#*", "LOCATION"]}},
        }));
        assert!(policy.allows(&access("a:Put", "t", &["ITEM#1", "LOCATION"])));
        assert!(!policy.allows(&access("a:Put", "t", &["ITEM#1", "ALERT"])));
        assert!(policy.allows(&access("a:Put", "t", &[])), "as AWS judges an empty set");
    }

    #[test]
    fn a_single_value_must_be_there_and_equal() {
        let policy = policy(&json!({
            "Effect": "Allow", "Action": "a:Put", "Resource": "t",
            "Condition": {"StringEquals": {"dynamodb:LeadingKeys": "LOCATION"}},
        }));
        assert!(policy.allows(&access("a:Put", "t", &["LOCATION"])));
        assert!(!policy.allows(&access("a:Put", "t", &["LOCATIONS"])) && !policy.allows(&access("a:Put", "t", &[])));
    }

    #[test]
    fn without_a_grant_only_its_accesses_are_refused() {
        let policy = policy(&json!({
            "Effect": "Allow", "Action": ["a:Put", "a:Cut"], "Resource": "t",
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ITEM#*", "CMD#*"]}},
        }));
        let grants = policy.grants();
        assert_eq!(grants.len(), 4);
        let cut = grants.iter().find(|grant| grant.text().contains("a:Cut") && grant.text().contains("CMD")).unwrap();
        assert!(!policy.allows_without(&access("a:Cut", "t", &["CMD#1"]), Some(cut)));
        assert!(policy.allows_without(&access("a:Cut", "t", &["ITEM#1"]), Some(cut)));
        assert!(policy.allows_without(&access("a:Put", "t", &["CMD#1"]), Some(cut)));
    }

    #[test]
    #[should_panic(expected = "unknown operator in a condition: StringNotEquals")]
    fn an_operator_that_is_not_known_is_not_passed_over() {
        policy(&json!({
            "Effect": "Allow", "Action": "a:Put", "Resource": "t", "Condition": {"StringNotEquals": {"k": "v"}},
        }));
    }
}
