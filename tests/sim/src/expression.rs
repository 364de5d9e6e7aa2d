//! DynamoDB expressions, as far as Stockline uses them: conditions of comparisons, BETWEEN and three functions under AND
//! and OR, and updates with SET and REMOVE.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// A row.
pub(crate) type Row = HashMap<String, AttributeValue>;

/// The `#names` and `:values` of an expression.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) names: Option<&'a HashMap<String, String>>,
    pub(crate) values: Option<&'a Row>,
}

impl<'a> Bound<'a> {
    fn name(&self, token: &str) -> &'a str {
        self.names.and_then(|names| names.get(token)).unwrap_or_else(|| panic!("no name {token}"))
    }

    pub(crate) fn value(&self, token: &str) -> &'a AttributeValue {
        self.values.and_then(|values| values.get(token)).unwrap_or_else(|| panic!("no value {token}"))
    }
}

fn tokens(expression: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            b'(' | b')' | b',' | b'=' => 1,
            b'<' | b'>' => 1 + usize::from(rest[1..].starts_with('=')),
            _ => rest.find(|c: char| c.is_whitespace() || "(),=<>".contains(c)).unwrap_or(rest.len()),
        };
        tokens.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    tokens
}

/// Returns whether the condition holds for this row.
pub(crate) fn holds(condition: &str, bound: Bound<'_>, row: Option<&Row>) -> bool {
    let tokens = tokens(condition);
    let mut reader = Reader { tokens: &tokens, at: 0, bound, row };
    let holds = reader.any();
    assert_eq!(reader.at, tokens.len(), "not understood: {condition}");
    holds
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    at: usize,
    bound: Bound<'a>,
    row: Option<&'a Row>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> &'a str {
        self.at += 1;
        self.tokens[self.at - 1]
    }

    fn skip(&mut self, token: &str) -> bool {
        let there = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.skip("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.skip("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.skip("(") {
            let holds = self.any();
            assert!(self.skip(")"));
            return holds;
        }
        match self.next() {
            function @ ("attribute_exists" | "attribute_not_exists") => {
                assert!(self.skip("("));
                let found = self.attribute().is_some();
                assert!(self.skip(")"));
                found == (function == "attribute_exists")
            }
            "begins_with" => {
                assert!(self.skip("("));
                let found = self.attribute();
                assert!(self.skip(","));
                let prefix = self.next();
                let prefix = self.bound.value(prefix);
                assert!(self.skip(")"));
                found.is_some_and(|found| found.as_s().unwrap().starts_with(prefix.as_s().unwrap()))
            }
            name => {
                let found = self.row.and_then(|row| row.get(self.bound.name(name)));
                let comparison = self.next();
                let value = self.value();
                if comparison != "BETWEEN" {
                    return found.is_some_and(|found| compare(found, comparison, value));
                }
                assert!(self.skip("AND"));
                let to = self.value();
                found.is_some_and(|found| compare(found, ">=", value) && compare(found, "<=", to))
            }
        }
    }

    fn value(&mut self) -> &'a AttributeValue {
        let token = self.next();
        self.bound.value(token)
    }

    fn attribute(&mut self) -> Option<&'a AttributeValue> {
        let name = self.next();
        let name = self.bound.name(name);
        self.row.and_then(|row| row.get(name))
    }
}

fn compare(found: &AttributeValue, comparison: &str, value: &AttributeValue) -> bool {
    let order = match (found, value) {
        (AttributeValue::N(found), AttributeValue::N(value)) => {
            found.parse::<i64>().unwrap().cmp(&value.parse::<i64>().unwrap())
        }
        (AttributeValue::S(found), AttributeValue::S(value)) => found.cmp(value),
        _ => return false,
    };
    match comparison {
        "=" => order.is_eq(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        other => panic!("unsupported expression: {other}"),
    }
}

/// Updates a row: `SET #a = :b, #c = if_not_exists(#c, :d) REMOVE #e`.
pub(crate) fn update(expression: &str, bound: Bound<'_>, row: &mut Row) {
    let tokens = tokens(expression);
    let mut at = 0;
    let mut removing = false;
    while at < tokens.len() {
        match tokens[at] {
            "SET" | "REMOVE" | "," => {
                removing = tokens[at] == "REMOVE" || (removing && tokens[at] == ",");
                at += 1;
            }
            name if removing => {
                row.remove(bound.name(name));
                at += 1;
            }
            name if tokens[at + 2] == "if_not_exists" => {
                let value = bound.value(tokens[at + 6]).clone();
                row.entry(bound.name(name).to_owned()).or_insert(value);
                at += 8;
            }
            name => {
                row.insert(bound.name(name).to_owned(), bound.value(tokens[at + 2]).clone());
                at += 3;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, AttributeValue)]) -> Row {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn conditions_are_judged_as_dynamodb_judges_them() {
        let names = ["pk", "dead", "a", "b"].map(|name| (format!("#{name}"), name.to_owned())).into();
        let number = |number: &str| AttributeValue::N(number.into());
        let text = |text: &str| AttributeValue::S(text.into());
        let values = row(&[(":one", number("1")), (":two", number("2")), (":k", text("k")), (":x", text("x"))]);
        let bound = Bound { names: Some(&names), values: Some(&values) };
        let judge = |condition, row: Option<&Row>| holds(condition, bound, row);
        let ten = row(&[("pk", AttributeValue::S("k".into())), ("dead", AttributeValue::N("10".into()))]);
        let one = row(&[("pk", AttributeValue::S("k".into())), ("dead", AttributeValue::N("1".into()))]);
        let undecided = "attribute_not_exists(#pk) OR #dead < :two";
        assert!(judge(undecided, None));
        assert!(!judge(undecided, Some(&ten)), "numbers are no texts");
        assert!(judge(undecided, Some(&one)));
        let nested = "attribute_exists(#pk) AND attribute_not_exists(#a) AND (attribute_not_exists(#b) OR #b = :x)";
        assert!(judge(nested, Some(&one)));
        assert!(!judge(nested, None));
        assert!(!judge("#a = :two", Some(&one)), "an absent attribute equals nothing");
        assert!(judge("#dead BETWEEN :one AND :two AND #pk = :k", Some(&one)));
        assert!(!judge("#dead BETWEEN :one AND :two AND #pk = :k", Some(&ten)));
    }

    #[test]
    fn updates_set_keep_and_remove() {
        let names = ["a", "b", "c"].map(|name| (format!("#{name}"), name.to_owned())).into();
        let one = AttributeValue::N("1".into());
        let values = row(&[(":one", one.clone())]);
        let bound = Bound { names: Some(&names), values: Some(&values) };
        let mut stored = row(&[("b", AttributeValue::S("old".into())), ("c", AttributeValue::S("gone".into()))]);
        update("SET #a = :one, #b = if_not_exists(#b, :one) REMOVE #c", bound, &mut stored);
        assert_eq!(stored, row(&[("a", one), ("b", AttributeValue::S("old".into()))]));
    }
}
