//! Finds the metrics that templates name in alarms, in the scaling and in the dashboard, as CloudWatch reads them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::templates;

/// A metric that a template names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The resource that names it, and for a dashboard also the graph.
    pub place: String,
    /// The namespace, such as `AWS/SQS`.
    pub namespace: String,
    /// The name of the metric.
    pub name: String,
    /// Its dimensions. `${A}` stands for `!Ref A`, and `None` for any value in a search.
    pub dimensions: BTreeMap<String, Option<String>>,
}

/// A formula, with the names that it may use: those of the figures beside it.
#[derive(Debug)]
pub struct Formula {
    /// The place, as in [`Reference::place`].
    pub place: String,
    /// The formula, in CloudWatch's metric math.
    pub text: String,
    /// The names of the figures and of the other formulas of the same place.
    pub ids: BTreeSet<String>,
}

/// The metrics and formulas of a template.
#[derive(Debug, Default)]
pub struct Watched {
    /// The metrics, searched ones included.
    pub references: Vec<Reference>,
    /// The formulas that are more than a search.
    pub formulas: Vec<Formula>,
}

/// Returns the body of a template's dashboard. `${A}` stands where `!Sub` inserts a value.
pub fn dashboard(template: &Value) -> Value {
    let found = templates::resources(template, "AWS::CloudWatch::Dashboard");
    let body = found[0].1["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("the dashboard is no JSON: {error}"))
}

/// Returns the metrics and formulas of a template.
///
/// # Errors
/// Names the part that CloudWatch could not read.
pub fn watched(template: &Value) -> Result<Watched, String> {
    let mut watched = Watched::default();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        if resource["Type"] == "AWS::CloudWatch::Dashboard" {
            for widget in dashboard(template)["widgets"].as_array().unwrap() {
                of_graph(name, &widget["properties"], &mut watched)?;
            }
        } else {
            of_resource(name, &resource["Properties"], &mut watched);
        }
    }
    Ok(watched)
}

/// Reads an alarm or a scaling policy. Its metrics can be at any depth, with the formulas beside them.
fn of_resource(place: &str, properties: &Value, watched: &mut Watched) {
    match properties {
        Value::Object(fields) => {
            if let (Some(namespace), Some(name)) = (text(fields.get("Namespace")), text(fields.get("MetricName"))) {
                let dimensions = fields.get("Dimensions").and_then(Value::as_array).into_iter().flatten();
                let dimensions = dimensions
                    .map(|dimension| (text(dimension.get("Name")).unwrap(), text(dimension.get("Value"))))
                    .collect();
                watched.references.push(Reference { place: place.to_owned(), namespace, name, dimensions });
            }
            if let Some(figures) = fields.get("Metrics").and_then(Value::as_array) {
                let ids: BTreeSet<String> = figures.iter().filter_map(|figure| text(figure.get("Id"))).collect();
                for text in figures.iter().filter_map(|figure| text(figure.get("Expression"))) {
                    watched.formulas.push(Formula { place: place.to_owned(), text, ids: ids.clone() });
                }
            }
            fields.values().for_each(|value| of_resource(place, value, watched));
        }
        Value::Array(values) => values.iter().for_each(|value| of_resource(place, value, watched)),
        _ => {}
    }
}

/// Returns a text, with `${A}` for `!Ref` and `!Sub`.
fn text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Object(function)) => function
            .get("Fn::Sub")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| function.get("Ref").and_then(Value::as_str).map(|name| format!("${{{name}}}"))),
        _ => None,
    }
}

/// Reads a graph. Each line is `[namespace, metric, dimension, value, …, {options}]`, or only options with a formula.
fn of_graph(dashboard: &str, properties: &Value, watched: &mut Watched) -> Result<(), String> {
    let place = format!("{dashboard}, {:?}", properties["title"].as_str().unwrap_or_default());
    let lines: Vec<&Value> = properties["metrics"].as_array().into_iter().flatten().collect();
    let options = |line: &Value| line.as_array().and_then(|line| line.last()).filter(|last| last.is_object()).cloned();
    let ids: BTreeSet<String> = lines.iter().filter_map(|line| text(options(line)?.get("id"))).collect();
    for line in lines {
        let fields: Vec<&str> = line.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(formula) = options(line).and_then(|options| text(options.get("expression"))) {
            match search(&place, &formula)? {
                Some(found) => watched.references.push(found),
                None => watched.formulas.push(Formula { place: place.clone(), text: formula, ids: ids.clone() }),
            }
            continue;
        }
        let [namespace, name, dimensions @ ..] = fields.as_slice() else {
            return Err(format!("{place}: {line} names no metric"));
        };
        let (pairs, rest) = dimensions.as_chunks::<2>();
        if !rest.is_empty() || fields.iter().any(|field| field.starts_with('.')) {
            return Err(format!("{place}: {line} is not written out"));
        }
        let dimensions = pairs.iter().map(|[name, value]| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        let (namespace, name) = ((*namespace).to_owned(), (*name).to_owned());
        watched.references.push(Reference { place: place.clone(), namespace, name, dimensions });
    }
    Ok(())
}

/// Reads `SEARCH('{Namespace,Dimension,…} MetricName="…" Dimension="…"', 'Sum', 60)`, also inside another function.
/// Returns `None` for a formula without a search.
fn search(place: &str, formula: &str) -> Result<Option<Reference>, String> {
    let Some((_, rest)) = formula.split_once("SEARCH('") else {
        return Ok(None);
    };
    let unread = || format!("{place}: {formula} is no search that can be read");
    let (query, _) = rest.split_once('\'').ok_or_else(unread)?;
    let (schema, filters) = query.strip_prefix('{').and_then(|query| query.split_once("} ")).ok_or_else(unread)?;
    let mut names = schema.split(',').map(str::to_owned);
    // A namespace with other characters than letters and digits stands in quotes.
    let namespace = names.next().ok_or_else(unread)?.trim_matches('"').to_owned();
    let mut dimensions: BTreeMap<String, Option<String>> = names.map(|name| (name, None)).collect();
    let mut metric = None;
    for filter in filters.split_whitespace() {
        let (name, value) = filter.split_once('=').ok_or_else(unread)?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).ok_or_else(unread)?;
        if name == "MetricName" {
            metric = Some(value.to_owned());
        } else {
            *dimensions.get_mut(name).ok_or_else(unread)? = Some(value.to_owned());
        }
    }
    Ok(Some(Reference { place: place.to_owned(), namespace, name: metric.ok_or_else(unread)?, dimensions }))
}

impl Formula {
    /// Returns the names in the formula that are not known. Functions are in capitals.
    pub fn unknown(&self) -> Vec<String> {
        // `!Sub` inserts a number.
        let mut text = String::new();
        for (index, part) in self.text.split("${").enumerate() {
            text.push_str(if index == 0 { part } else { part.split_once('}').map_or("", |(_, after)| after) });
        }
        let word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        text.split(|char| !word(char))
            .filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()) && !self.ids.contains(*word))
            .map(str::to_owned)
            .collect()
    }
}
