//! Metrics as lines of CloudWatch's embedded metric format
//! ([specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html)).
//!
//! Counters and histograms are written as what was added since the last line. A line has one set of labels, which are its
//! dimensions beside `Service`. CloudWatch adds nothing up over dimensions, so the total of a counter with labels is
//! written beside the metrics without labels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{AtomicStorage, Registry};
use serde_json::{Map, Value, json};
use stockline_core::domain::Timestamp;

use crate::buckets::{COUNT_BUCKETS, SECONDS_BUCKETS, buckets};

/// The namespace of the metrics in CloudWatch, unless another is set. Two installations in one region need two.
pub const NAMESPACE: &str = "Stockline";

/// The most metrics of one line, a limit of the format.
const LINE_METRICS_MAX: usize = 100;

/// The most values of one metric in a line, a limit of the format; a histogram has one for each bucket.
const METRIC_VALUES_MAX: usize = 100;

const _: () = assert!(SECONDS_BUCKETS.len() <= METRIC_VALUES_MAX && COUNT_BUCKETS.len() <= METRIC_VALUES_MAX);

/// The dimension that names the program.
const SERVICE: &str = "Service";

/// Names and values, sorted by name.
type Labels = Vec<(String, String)>;

/// A metric's unit and its value in a line.
type Written = (&'static str, Value);

/// Records the metrics of a process and writes them as lines. A clone shares them.
///
/// A counter is set to zero when it is written, so [`Counter::absolute`] may be called with 0 only.
#[derive(Clone)]
pub struct Emf {
    registry: Arc<Registry<Key, AtomicStorage>>,
    namespace: Arc<str>,
}

impl std::fmt::Debug for Emf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Emf")
    }
}

impl Default for Emf {
    fn default() -> Self {
        Self { registry: Arc::new(Registry::atomic()), namespace: NAMESPACE.into() }
    }
}

impl Recorder for Emf {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.registry.get_or_create_counter(key, |counter| Counter::from_arc(Arc::clone(counter)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.registry.get_or_create_gauge(key, |gauge| Gauge::from_arc(Arc::clone(gauge)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.registry.get_or_create_histogram(key, |histogram| Histogram::from_arc(Arc::clone(histogram)))
    }
}

impl Emf {
    /// Returns the same metrics, to be written in this namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// Counts the metrics with their sets of labels, each of which is paid for; a histogram is one, whatever its buckets.
    pub fn series(&self, is_its: impl Fn(&str) -> bool) -> usize {
        let mut series = 0;
        let mut count = |key: &Key| series += usize::from(is_its(key.name()));
        self.registry.visit_counters(|key, _| count(key));
        self.registry.visit_gauges(|key, _| count(key));
        self.registry.visit_histograms(|key, _| count(key));
        series
    }

    /// Writes what was recorded since the last call, each line one JSON object without its line break. `service` names the
    /// program; of several in one process, `is_its` says which metrics are its own.
    ///
    /// The total of a counter is written also when nothing was added, so that an alarm has data. What was counted under
    /// labels is written only when something was, because each set of labels is a metric that is paid for.
    pub fn lines(&self, service: &str, now: Timestamp, is_its: impl Fn(&str) -> bool) -> Vec<String> {
        let mut by_labels: BTreeMap<Labels, BTreeMap<String, Written>> = BTreeMap::new();
        let mut write = |key: &Key, written: Written| {
            by_labels.entry(labels(key)).or_default().insert(key.name().to_owned(), written);
        };
        let mut totals: BTreeMap<String, u64> = BTreeMap::new();
        self.registry.visit_counters(|key, counter| {
            if !is_its(key.name()) {
                return;
            }
            let added = counter.swap(0, Ordering::AcqRel);
            *totals.entry(key.name().to_owned()).or_default() += added;
            if added > 0 && key.labels().len() > 0 {
                write(key, ("Count", added.into()));
            }
        });
        self.registry.visit_gauges(|key, gauge| {
            let value = f64::from_bits(gauge.load(Ordering::Acquire));
            if is_its(key.name()) && value.is_finite() {
                write(key, ("None", number(value)));
            }
        });
        self.registry.visit_histograms(|key, histogram| {
            if !is_its(key.name()) {
                return;
            }
            let mut values = Vec::new();
            histogram.clear_with(|block| values.extend_from_slice(block));
            if let Some(written) = distribution(buckets(key.name()), &values) {
                write(key, (if key.name().ends_with("_seconds") { "Seconds" } else { "Count" }, written));
            }
        });
        let totals = totals.into_iter().map(|(name, added)| (name, ("Count", added.into())));
        by_labels.entry(Labels::new()).or_default().extend(totals);
        let mut lines = Vec::new();
        for (labels, metrics) in by_labels {
            let metrics: Vec<_> = metrics.into_iter().collect();
            let line = |metrics: &[_]| line(&self.namespace, service, &labels, metrics, now);
            lines.extend(metrics.chunks(LINE_METRICS_MAX).map(line));
        }
        lines
    }
}

fn labels(key: &Key) -> Labels {
    let mut labels: Labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
    labels.sort_unstable();
    labels
}

fn line(
    namespace: &str,
    service: &str,
    labels: &[(String, String)],
    metrics: &[(String, Written)],
    now: Timestamp,
) -> String {
    let mut line = Map::new();
    let mut dimensions = vec![SERVICE];
    dimensions.extend(labels.iter().map(|(name, _)| name.as_str()));
    let names: Vec<Value> = metrics.iter().map(|(name, (unit, _))| json!({"Name": name, "Unit": unit})).collect();
    let directive = json!({"Namespace": namespace, "Dimensions": [dimensions], "Metrics": names});
    line.insert("_aws".into(), json!({"Timestamp": now.as_millis(), "CloudWatchMetrics": [directive]}));
    line.insert(SERVICE.into(), service.into());
    line.extend(labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    line.extend(metrics.iter().map(|(name, (_, value))| (name.clone(), value.clone())));
    Value::Object(line).to_string()
}

/// The values of a histogram, counted by bucket: each bucket stands for its upper bound, and what is above all of them for
/// the highest. The sum is exact. The specification knows numbers and arrays of numbers only; values with their counts are
/// what OpenTelemetry's exporter for CloudWatch writes for its histograms (`awsemf`, `cWMetricHistogram`).
fn distribution(bounds: &[f64], values: &[f64]) -> Option<Value> {
    let mut counts = vec![0_u64; bounds.len()];
    for value in values {
        let bucket = bounds.partition_point(|bound| bound < value).min(bounds.len().checked_sub(1)?);
        counts[bucket] += 1;
    }
    let filled: Vec<(f64, u64)> = bounds.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect();
    let (first, last) = (filled.first()?.0, filled.last()?.0);
    let (bounds, counts): (Vec<_>, Vec<_>) = filled.iter().map(|(bound, count)| (number(*bound), *count)).unzip();
    Some(json!({
        "Values": bounds, "Counts": counts, "Min": number(first), "Max": number(last), "Count": values.len(),
        "Sum": number(values.iter().sum()),
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

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn lines(emf: &Emf) -> Vec<Value> {
        let lines = emf.lines("worker", now(), |_| true);
        assert!(lines.iter().all(|line| !line.contains('\n')));
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_as_the_format_wants_it() {
        let emf = Emf::default();
        metrics::with_local_recorder(&emf, || {
            metrics::counter!("sold_total").increment(3);
            metrics::counter!("problems_total", "code" => "no_role").absolute(0);
            metrics::counter!("problems_total", "code" => "overloaded").increment(2);
            metrics::gauge!("waiters").set(1.5);
            for seconds in [0.1, 60.0, 60.0, 59.5, 90_000.0] {
                metrics::histogram!("took_seconds", "route" => "/v1/items/{item}").record(seconds);
            }
        });
        let aws = |dimensions: &[&str], name: &[(&str, &str)]| {
            let metrics: Vec<_> = name.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
            let directive = json!({"Namespace": "Stockline", "Dimensions": [dimensions], "Metrics": metrics});
            json!({"Timestamp": 1_700_000_000_000_i64, "CloudWatchMetrics": [directive]})
        };
        assert_eq!(
            lines(&emf),
            [
                json!({"_aws": aws(&["Service"], &[("problems_total", "Count"), ("sold_total", "Count"), ("waiters", "None")]),
                "Service": "worker", "problems_total": 2, "sold_total": 3, "waiters": 1.5}),
                json!({"_aws": aws(&["Service", "code"], &[("problems_total", "Count")]), "Service": "worker",
                "code": "overloaded", "problems_total": 2}),
                json!({"_aws": aws(&["Service", "route"], &[("took_seconds", "Seconds")]), "Service": "worker",
                "route": "/v1/items/{item}",
                "took_seconds": {"Values": [0.1, 60, 86_400], "Counts": [1, 3, 1], "Min": 0.1, "Max": 86_400, "Count": 5,
                "Sum": 90_179.6}}),
            ]
        );
    }

    #[test]
    fn what_a_counter_adds_is_written_once_and_its_total_also_when_it_stands_still() {
        let emf = Emf::default();
        let mut written = Vec::new();
        metrics::with_local_recorder(&emf, || {
            for (a, b) in [(0, 0), (2, 3), (0, 0), (2, 0)] {
                metrics::counter!("refused_total", "code" => "a").increment(a);
                metrics::counter!("refused_total", "code" => "b").increment(b);
                let lines = lines(&emf);
                assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Service"]]));
                written.push((lines[0]["refused_total"].as_u64().unwrap(), lines.len() - 1));
            }
        });
        assert_eq!(written, [(0, 0), (5, 2), (0, 0), (2, 1)]);
    }

    #[test]
    fn what_stands_still_under_a_label_is_not_written_again() {
        let emf = Emf::default();
        metrics::with_local_recorder(&emf, || {
            metrics::counter!("sold_total").increment(3);
            metrics::gauge!("waiters").set(1.5);
            metrics::histogram!("took_seconds", "route" => "/").record(1.0);
        });
        assert_eq!(lines(&emf).len(), 2);
        let again = lines(&emf);
        assert_eq!(again.len(), 1);
        assert_eq!((&again[0]["sold_total"], &again[0]["waiters"]), (&json!(0), &json!(1.5)));
    }

    #[test]
    fn of_several_programs_in_one_process_each_writes_its_own() {
        let emf = Emf::default();
        metrics::with_local_recorder(&emf, || {
            metrics::counter!("worker_total").increment(1);
            metrics::counter!("ingress_total").increment(2);
        });
        let of = |program: &str| emf.lines(program, now(), |name| name.starts_with(program)).concat();
        assert!(of("worker").contains(r#""worker_total":1"#) && !of("worker").contains("ingress_total"));
        assert!(of("ingress").contains(r#""ingress_total":2"#));
    }

    #[test]
    fn two_installations_write_into_two_namespaces() {
        let emf = Emf::default().in_namespace("Stockline/second");
        metrics::with_local_recorder(&emf, || metrics::counter!("sold_total").increment(1));
        assert_eq!(lines(&emf)[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Stockline/second");
    }

    #[test]
    fn many_metrics_take_several_lines() {
        let emf = Emf::default();
        metrics::with_local_recorder(&emf, || {
            for n in 0..250 {
                metrics::gauge!(format!("m{n}")).set(1.0);
            }
        });
        let counts = lines(&emf)
            .iter()
            .map(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len())
            .collect::<Vec<_>>();
        assert_eq!(counts, [100, 100, 50]);
    }
}
