//! Metrics as lines of CloudWatch's embedded metric format, made from the recorder's own Prometheus text, so that
//! both show the same names (CloudWatch Logs user guide, "Specification: Embedded metric format").
//!
//! Counters and histograms are written as what was added since the last time. A line is of one set of labels, which
//! are its dimensions beside `Service`. CloudWatch adds nothing up over dimensions, so that what a counter with labels
//! counted in all stands with what has no labels.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::prometheus::{Key, Labels, Sample, Series, parse};
use stockline_core::domain::Timestamp;

/// Under which the metrics stand in CloudWatch.
pub const NAMESPACE: &str = "Stockline";

/// The most metrics of one line, a limit of the format.
const LINE_METRICS_MAX: usize = 100;

/// The most values of one metric in a line, a limit of the format; a histogram has one for each bucket.
pub(super) const METRIC_VALUES_MAX: usize = 100;

/// The dimension that names the program.
const SERVICE: &str = "Service";

/// Makes lines; remembers what earlier ones told.
#[derive(Debug)]
pub struct Emf {
    service: &'static str,
    /// By series: what its parts stood at.
    told: BTreeMap<Key, Vec<f64>>,
}

/// A metric's unit and its value in a line.
type Told = (&'static str, Value);

impl Emf {
    /// For the program of this name.
    pub const fn new(service: &'static str) -> Self {
        Self { service, told: BTreeMap::new() }
    }

    /// The lines that tell what happened since the last call, each one JSON object without its line break. `text` is
    /// what the recorder renders.
    ///
    /// What a counter counted in all is told also when nothing was added, so that an alarm has data; what it counted
    /// under labels only when something was, since each set of labels is a metric that is paid for.
    pub fn lines(&mut self, text: &str, now: Timestamp) -> Vec<String> {
        let mut by_labels: BTreeMap<Labels, BTreeMap<String, Told>> = BTreeMap::new();
        let mut counted: BTreeMap<String, f64> = BTreeMap::new();
        for series in parse(text) {
            if let Sample::Counter(value) = series.sample {
                let added = self.added(&series, vec![value]).first().copied().unwrap_or(0.0);
                *counted.entry(series.name.clone()).or_default() += added;
                if added > 0.0 && !series.labels.is_empty() {
                    by_labels.entry(series.labels).or_default().insert(series.name, ("Count", number(added)));
                }
            } else if let Some(told) = self.told(&series) {
                by_labels.entry(series.labels).or_default().insert(series.name, told);
            }
        }
        let counted = counted.into_iter().map(|(name, added)| (name, ("Count", number(added))));
        by_labels.entry(Labels::new()).or_default().extend(counted);
        let mut lines = Vec::new();
        for (labels, metrics) in by_labels {
            let metrics: Vec<_> = metrics.into_iter().collect();
            lines.extend(metrics.chunks(LINE_METRICS_MAX).map(|metrics| self.line(&labels, metrics, now)));
        }
        lines
    }

    fn told(&mut self, series: &Series) -> Option<Told> {
        match &series.sample {
            Sample::Gauge(value) => value.is_finite().then(|| ("None", number(*value))),
            Sample::Counter(_) => None,
            Sample::Histogram { sum, buckets } => {
                let mut parts = vec![*sum];
                parts.extend(buckets.iter().map(|(_, count)| *count));
                let added = self.added(series, parts);
                let unit = if series.name.ends_with("_seconds") { "Seconds" } else { "Count" };
                distribution(buckets, &added).map(|value| (unit, value))
            }
        }
    }

    /// How much each part of a series grew.
    fn added(&mut self, series: &Series, parts: Vec<f64>) -> Vec<f64> {
        let key = (series.name.clone(), series.labels.clone());
        let before = self.told.get(&key).map(Vec::as_slice).unwrap_or_default();
        let added =
            parts.iter().enumerate().map(|(index, part)| part - before.get(index).copied().unwrap_or(0.0)).collect();
        self.told.insert(key, parts);
        added
    }

    fn line(&self, labels: &[(String, String)], metrics: &[(String, Told)], now: Timestamp) -> String {
        let mut line = Map::new();
        let mut dimensions = vec![SERVICE];
        dimensions.extend(labels.iter().map(|(name, _)| name.as_str()));
        let names: Vec<Value> = metrics.iter().map(|(name, (unit, _))| json!({"Name": name, "Unit": unit})).collect();
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": names});
        line.insert("_aws".into(), json!({"Timestamp": now.as_millis(), "CloudWatchMetrics": [directive]}));
        line.insert(SERVICE.into(), self.service.into());
        line.extend(labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        line.extend(metrics.iter().map(|(name, (_, value))| (name.clone(), value.clone())));
        Value::Object(line).to_string()
    }
}

/// What came into a histogram's buckets; each counts with its upper bound, and what is above all of them with the
/// highest. The sum is exact. The specification knows numbers and arrays of numbers only; values with their counts are
/// what OpenTelemetry's exporter for CloudWatch writes for its histograms (`awsemf`, `cWMetricHistogram`).
fn distribution(buckets: &[(f64, f64)], added: &[f64]) -> Option<Value> {
    let (sum, counts) = added.split_first()?;
    let highest = buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).fold(0.0, f64::max);
    let mut filled: Vec<(f64, f64)> = Vec::new();
    for ((bound, _), count) in buckets.iter().zip(counts).filter(|(_, count)| **count > 0.0) {
        let value = if bound.is_finite() { *bound } else { highest };
        match filled.last_mut() {
            Some(last) if last.0 == value => last.1 += count,
            _ => filled.push((value, *count)),
        }
    }
    let (first, last) = (filled.first()?.0, filled.last()?.0);
    let total: f64 = filled.iter().map(|(_, count)| count).sum();
    let (values, counts): (Vec<_>, Vec<_>) = filled.iter().map(|(v, c)| (number(*v), number(*c))).unzip();
    Some(json!({
        "Values": values, "Counts": counts, "Min": number(first), "Max": number(last), "Count": number(total),
        "Sum": number(*sum),
    }))
}

/// Whole numbers without a decimal point.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it was just checked to be whole and in range")]
        return Value::from(value as i64);
    }
    Value::from(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP sold_total Sold
# TYPE sold_total counter
sold_total 3

# TYPE problems_total counter
problems_total{code="no_role"} 0
problems_total{code="overloaded"} 2

# TYPE waiters gauge
waiters 1.5

# TYPE took_seconds histogram
took_seconds_bucket{route="/v1/items/{item}",le="0.1"} 1
took_seconds_bucket{route="/v1/items/{item}",le="60"} 4
took_seconds_bucket{route="/v1/items/{item}",le="+Inf"} 5
took_seconds_sum{route="/v1/items/{item}"} 100.25
took_seconds_count{route="/v1/items/{item}"} 5
"#;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn told(lines: &[String], metric: &str) -> f64 {
        let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed.filter_map(|line| line.get(metric)?.as_f64()).sum()
    }

    #[test]
    fn a_line_is_as_the_format_wants_it() {
        let lines = Emf::new("ingress").lines(TEXT, now());
        let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let aws = |dimensions: &[&str], name: &[(&str, &str)]| {
            let metrics: Vec<_> = name.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
            let directive = json!({"Namespace": "Stockline", "Dimensions": [dimensions], "Metrics": metrics});
            json!({"Timestamp": 1_700_000_000_000_i64, "CloudWatchMetrics": [directive]})
        };
        assert_eq!(
            parsed,
            [
                json!({"_aws": aws(&["Service"], &[("problems_total", "Count"), ("sold_total", "Count"), ("waiters", "None")]),
                "Service": "ingress", "problems_total": 2, "sold_total": 3, "waiters": 1.5}),
                json!({"_aws": aws(&["Service", "code"], &[("problems_total", "Count")]), "Service": "ingress",
                "code": "overloaded", "problems_total": 2}),
                json!({"_aws": aws(&["Service", "route"], &[("took_seconds", "Seconds")]), "Service": "ingress",
                "route": "/v1/items/{item}",
                "took_seconds": {"Values": [0.1, 60], "Counts": [1, 4], "Min": 0.1, "Max": 60, "Count": 5, "Sum": 100.25}}),
            ]
        );
        assert!(lines.iter().all(|line| !line.contains('\n')));
    }

    #[test]
    fn a_counters_deltas_sum_to_its_total() {
        let mut emf = Emf::new("worker");
        let totals = [0, 3, 3, 10, 11];
        let mut sum = 0.0;
        for total in totals {
            let lines = emf.lines(&format!("# TYPE sold_total counter\nsold_total {total}\n"), now());
            assert_eq!(lines.len(), 1, "a counter without labels is told also when it stands still");
            sum += told(&lines, "sold_total");
        }
        assert_eq!(sum, 11.0);
    }

    #[test]
    fn a_counter_with_labels_is_told_in_all_under_the_service_alone_and_from_zero_on() {
        let text = |a: u32, b: u32| {
            format!("# TYPE refused_total counter\nrefused_total{{code=\"a\"}} {a}\nrefused_total{{code=\"b\"}} {b}\n")
        };
        let mut emf = Emf::new("worker");
        let mut in_all = Vec::new();
        for (a, b) in [(0, 0), (2, 3), (2, 3), (4, 3)] {
            let lines = emf.lines(&text(a, b), now());
            let line: Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Service"]]));
            in_all.push((line["refused_total"].clone(), lines.len() - 1));
        }
        assert_eq!(in_all, [(json!(0), 0), (json!(5), 2), (json!(0), 0), (json!(2), 1)]);
    }

    #[test]
    fn what_stands_still_under_a_label_is_not_told_again() {
        let mut emf = Emf::new("ingress");
        emf.lines(TEXT, now());
        let again = emf.lines(TEXT, now());
        assert_eq!(again.len(), 1);
        assert_eq!((told(&again, "sold_total"), told(&again, "waiters")), (0.0, 1.5));
    }

    #[test]
    fn many_metrics_take_several_lines() {
        let text: String = (0..250).map(|n| format!("# TYPE m{n} gauge\nm{n} 1\n")).collect();
        let lines = Emf::new("worker").lines(&text, now());
        let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let counts =
            parsed.iter().map(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len());
        assert_eq!(counts.collect::<Vec<_>>(), [100, 100, 50]);
    }

    #[test]
    fn the_recorders_own_text_is_understood() {
        let recorder = crate::telemetry::recorder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("sold_total", "code" => "a \"b\"").increment(2);
            metrics::histogram!("took_seconds").record(0.003);
            metrics::histogram!("fold_commands").record(7.0);
            metrics::histogram!("fold_commands").record(5_000_000.0);
        });
        handle.run_upkeep();
        let lines = Emf::new("worker").lines(&handle.render(), now());
        let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed[0]["took_seconds"]["Values"], json!([0.005]));
        assert_eq!(parsed[0]["fold_commands"]["Values"], json!([10, 100_000]));
        assert_eq!(parsed[0]["fold_commands"]["Sum"], json!(5_000_007));
        assert_eq!((&parsed[1]["code"], &parsed[1]["sold_total"]), (&json!("a \"b\""), &json!(2)));
    }
}
