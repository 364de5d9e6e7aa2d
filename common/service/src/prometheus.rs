//! Reads the Prometheus text that the recorder renders. Not a general parser: it knows what that one writes.

use std::collections::BTreeMap;

/// Names and values, sorted by name.
pub(super) type Labels = Vec<(String, String)>;

/// A metric's name and labels.
pub(super) type Key = (String, Labels);

/// One metric with one set of labels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) sample: Sample,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sample {
    Counter(f64),
    Gauge(f64),
    /// Each bucket's upper bound and its own count, not that of those below it; rising.
    Histogram {
        sum: f64,
        buckets: Vec<(f64, f64)>,
    },
}

/// All series, in the order of their names and labels. What can't be read is left out, and so are summaries: every
/// histogram of ours has buckets.
pub(super) fn parse(text: &str) -> Vec<Series> {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found: BTreeMap<Key, Sample> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            kinds.extend(rest.split_once(' '));
        } else if !line.starts_with('#')
            && let Some((name, labels, value)) = sample_line(line)
        {
            add(&mut found, &kinds, name, labels, value);
        }
    }
    let series = found.into_iter().map(|((name, labels), sample)| Series { name, labels, sample });
    series.map(own_counts).collect()
}

fn add(found: &mut BTreeMap<Key, Sample>, kinds: &BTreeMap<&str, &str>, name: &str, mut labels: Labels, value: f64) {
    match kinds.get(name) {
        Some(&"counter") => {
            found.insert((name.to_owned(), labels), Sample::Counter(value));
            return;
        }
        Some(&"gauge") => {
            found.insert((name.to_owned(), labels), Sample::Gauge(value));
            return;
        }
        _ => {}
    }
    let Some((family, part)) = name.rsplit_once('_').filter(|(family, _)| kinds.get(family) == Some(&"histogram"))
    else {
        return;
    };
    let bound = labels.iter().position(|(name, _)| name == "le").map(|at| labels.remove(at).1);
    let new = || Sample::Histogram { sum: 0.0, buckets: Vec::new() };
    let entry = found.entry((family.to_owned(), labels)).or_insert_with(new);
    let Sample::Histogram { sum, buckets } = entry else {
        return;
    };
    match (part, bound.and_then(|bound| bound.parse().ok())) {
        ("sum", _) => *sum = value,
        ("bucket", Some(bound)) => buckets.push((bound, value)),
        _ => {}
    }
}

/// Buckets as rendered count everything up to their bound.
fn own_counts(mut series: Series) -> Series {
    if let Sample::Histogram { buckets, .. } = &mut series.sample {
        buckets.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut below = 0.0;
        for (_, count) in buckets {
            let up_to = *count;
            *count = up_to - below;
            below = up_to;
        }
    }
    series
}

/// `name{label="value",…} 1`
fn sample_line(line: &str) -> Option<(&str, Labels, f64)> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    Some((name, labels, rest.trim().parse().ok()?))
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            labels.sort_unstable();
            return Some((labels, after));
        }
        let (name, value) = rest.split_once("=\"")?;
        let (value, after) = quoted(value)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// A text up to its closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_whatever_stands_in_them() {
        let text = "# TYPE a_total counter\na_total{b=\"x, {y}=\\\"z\\\" \\\\\",a=\"1\"} 7\n";
        let labels = [("a", "1"), ("b", "x, {y}=\"z\" \\")].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        assert_eq!(parse(text), [Series { name: "a_total".into(), labels, sample: Sample::Counter(7.0) }]);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        let text = "# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 1\nb 2\n# TYPE c gauge\nc\nc{x=\"1} 3\nc nonsense\n";
        assert_eq!(parse(text), []);
    }
}
