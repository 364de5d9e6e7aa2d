//! CloudWatch's metric math, as far as the templates use it, and the rules of their alarms.
//!
//! It follows the CloudWatch user guide, "Using math expressions with CloudWatch metrics". In arithmetic and
//! comparisons a missing value counts as 0 if the other value exists; if both are missing, the result is missing. A
//! division by 0 has no result, nor has a condition without a value.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// The figures of one period, by id. A figure that is absent is missing.
pub type Figures = HashMap<&'static str, f64>;

/// A number, or a figure of the period that may be missing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Term {
    Number(f64),
    Figure(Option<f64>),
}

/// The rule of an alarm.
#[derive(Debug)]
pub struct Rule {
    /// The formulas with their ids. The alarm judges the last one. Without formulas it judges the only figure, `value`.
    formulas: Vec<(String, String)>,
    figures: Vec<String>,
    comparison: String,
    threshold: f64,
    periods: usize,
    to_alarm: usize,
    missing_breaches: bool,
}

impl Rule {
    /// Returns the rule of an alarm of a template that is deployed with these parameters.
    pub fn of(template: &Value, alarm: &str, parameters: &BTreeMap<&str, f64>) -> Self {
        let properties = &template["Resources"][alarm]["Properties"];
        let metrics: Vec<&Value> = properties["Metrics"].as_array().into_iter().flatten().collect();
        let text =
            |value: &Value| value.as_str().map(str::to_owned).unwrap_or_else(|| filled(&value["Fn::Sub"], parameters));
        let formulas = metrics
            .iter()
            .filter(|metric| !metric["Expression"].is_null())
            .map(|metric| (text(&metric["Id"]), text(&metric["Expression"])))
            .collect();
        let figures =
            metrics.iter().filter(|metric| metric["MetricStat"].is_object()).map(|metric| text(&metric["Id"]));
        let figures: Vec<String> = figures.collect();
        let count = |name: &str| properties[name].as_u64().and_then(|count| usize::try_from(count).ok());
        let periods = count("EvaluationPeriods").unwrap();
        let threshold = &properties["Threshold"];
        let missing = &properties["TreatMissingData"];
        // The only condition of the templates is that workers are kept running.
        let chosen = if parameters["WorkerMin"] > 0.0 { &missing["Fn::If"][1] } else { &missing["Fn::If"][2] };
        Self {
            figures: if figures.is_empty() { vec!["value".to_owned()] } else { figures },
            formulas,
            comparison: text(&properties["ComparisonOperator"]),
            threshold: threshold.as_f64().unwrap_or_else(|| parameters[threshold["Ref"].as_str().unwrap()]),
            periods,
            to_alarm: count("DatapointsToAlarm").unwrap_or(periods),
            missing_breaches: missing.as_str().or_else(|| chosen.as_str()) == Some("breaching"),
        }
    }

    /// Reports whether the alarm goes off after these periods. The last one has just ended, and before the first one
    /// all figures were missing.
    ///
    /// # Panics
    /// If a period has a figure that the rule does not use.
    pub fn goes_off(&self, periods: &[Figures]) -> bool {
        let lacking = self.periods.saturating_sub(periods.len());
        let last = periods.iter().skip(periods.len().saturating_sub(self.periods));
        let breaches =
            last.filter(|figures| self.value(figures).map_or(self.missing_breaches, |value| self.breaches(value)));
        let before = if self.missing_breaches { lacking } else { 0 };
        breaches.count() + before >= self.to_alarm
    }

    /// Returns the judged value of a period, or `None` if it is missing.
    pub fn value(&self, figures: &Figures) -> Option<f64> {
        let unknown: Vec<&&str> =
            figures.keys().filter(|id| !self.figures.iter().any(|figure| figure == *id)).collect();
        assert!(unknown.is_empty(), "the rule looks at {:?}, not at {unknown:?}", self.figures);
        let figure = |id: &String| (id.clone(), Term::Figure(figures.get(id.as_str()).copied()));
        let mut terms: HashMap<String, Term> = self.figures.iter().map(figure).collect();
        let mut value = terms.get("value").copied();
        for (id, formula) in &self.formulas {
            let result = Reader::read(formula, &terms);
            terms.insert(id.clone(), result);
            value = Some(result);
        }
        match value.unwrap() {
            Term::Number(number) => Some(number),
            Term::Figure(figure) => figure,
        }
    }

    fn breaches(&self, value: f64) -> bool {
        match self.comparison.as_str() {
            "GreaterThanThreshold" => value > self.threshold,
            "GreaterThanOrEqualToThreshold" => value >= self.threshold,
            "LessThanThreshold" => value < self.threshold,
            other => panic!("{other} is not known here"),
        }
    }
}

fn filled(text: &Value, parameters: &BTreeMap<&str, f64>) -> String {
    let text = text.as_str().unwrap().to_owned();
    parameters.iter().fold(text, |text, (name, value)| text.replace(&format!("${{{name}}}"), &value.to_string()))
}

/// A parser that evaluates the formula.
#[derive(Debug)]
struct Reader<'a> {
    words: Vec<String>,
    at: usize,
    terms: &'a HashMap<String, Term>,
}

impl Reader<'_> {
    fn read(formula: &str, terms: &HashMap<String, Term>) -> Term {
        let mut reader = Reader { words: words(formula), at: 0, terms };
        let value = reader.comparison();
        assert_eq!(reader.at, reader.words.len(), "{formula} goes on after its end");
        value
    }

    fn comparison(&mut self) -> Term {
        let left = self.sum();
        match self.next_of(&["<", "<=", ">", ">=", "==", "!="]) {
            Some(operator) => {
                let right = self.sum();
                both(left, right, |a, b| {
                    let holds = match operator.as_str() {
                        "<" => a < b,
                        "<=" => a <= b,
                        ">" => a > b,
                        ">=" => a >= b,
                        "==" => a == b,
                        _ => a != b,
                    };
                    Some(f64::from(u8::from(holds)))
                })
            }
            None => left,
        }
    }

    fn sum(&mut self) -> Term {
        let mut value = self.product();
        while let Some(operator) = self.next_of(&["+", "-"]) {
            let right = self.product();
            value = both(value, right, |a, b| Some(if operator == "+" { a + b } else { a - b }));
        }
        value
    }

    fn product(&mut self) -> Term {
        let mut value = self.term();
        while let Some(operator) = self.next_of(&["*", "/"]) {
            let right = self.term();
            value = both(value, right, |a, b| match operator.as_str() {
                "*" => Some(a * b),
                _ if b == 0.0 => None,
                _ => Some(a / b),
            });
        }
        value
    }

    fn term(&mut self) -> Term {
        let word = self.words[self.at].clone();
        self.at += 1;
        match word.as_str() {
            "(" => {
                let value = self.comparison();
                self.expect(")");
                value
            }
            "IF" => {
                let [condition, then, otherwise] = self.arguments();
                let Term::Figure(condition) = condition else { panic!("a condition without a figure") };
                Term::Figure(condition.and_then(|condition| match (condition != 0.0, then, otherwise) {
                    (true, Term::Figure(value), _) => Some(value.unwrap_or(0.0)),
                    (true, Term::Number(value), _) | (false, _, Term::Number(value)) => Some(value),
                    (false, _, Term::Figure(value)) => value,
                }))
            }
            "FILL" => {
                let [figure, Term::Number(filler)] = self.arguments() else { panic!("FILL takes a number here") };
                if let Term::Figure(None) = figure { Term::Figure(Some(filler)) } else { figure }
            }
            word => word.parse().map_or_else(
                |_| *self.terms.get(word).unwrap_or_else(|| panic!("{word} is not known here")),
                Term::Number,
            ),
        }
    }

    fn arguments<const N: usize>(&mut self) -> [Term; N] {
        self.expect("(");
        let values = std::array::from_fn(|index| {
            if index > 0 {
                self.expect(",");
            }
            self.comparison()
        });
        self.expect(")");
        values
    }

    fn next_of(&mut self, words: &[&str]) -> Option<String> {
        let word = self.words.get(self.at).filter(|word| words.contains(&word.as_str())).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    fn expect(&mut self, word: &str) {
        assert!(self.next_of(&[word]).is_some(), "expected {word} at {} of {:?}", self.at, self.words);
    }
}

fn words(formula: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = formula.chars().peekable();
    while let Some(char) = chars.next() {
        if char.is_whitespace() {
            continue;
        }
        let mut word = char.to_string();
        let belongs = |next: &char| {
            if char.is_ascii_alphanumeric() {
                next.is_ascii_alphanumeric() || matches!(next, '_' | '.')
            } else {
                matches!((char, next), ('<' | '>' | '=' | '!', '='))
            }
        };
        while let Some(next) = chars.next_if(belongs) {
            word.push(next);
        }
        words.push(word);
    }
    words
}

/// Combines two terms. Of two figures, a missing one counts as 0. A missing figure and a number have no result.
fn both(left: Term, right: Term, of: impl Fn(f64, f64) -> Option<f64>) -> Term {
    match (left, right) {
        (Term::Number(a), Term::Number(b)) => Term::Number(of(a, b).unwrap()),
        (Term::Figure(a), Term::Number(b)) => Term::Figure(a.and_then(|a| of(a, b))),
        (Term::Number(a), Term::Figure(b)) => Term::Figure(b.and_then(|b| of(a, b))),
        (Term::Figure(None), Term::Figure(None)) => Term::Figure(None),
        (Term::Figure(a), Term::Figure(b)) => Term::Figure(of(a.unwrap_or(0.0), b.unwrap_or(0.0))),
    }
}
