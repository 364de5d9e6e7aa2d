//! Operations: whether the parts of this installation do their work, and how busy they are.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::api::{CommandPage, Problem};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::visit::Visit;

/// How long requests took.
const REQUESTS: &str = "stockline_ingress_request_duration_seconds";

/// The answer of `/readyz`.
#[derive(Debug, Default, Deserialize)]
struct Health {
    #[serde(default)]
    faults: Vec<PartFault>,
}

#[derive(Debug, Deserialize)]
struct PartFault {
    part: String,
    why: String,
}

/// A figure with its meaning.
#[derive(Debug)]
struct Figure {
    name: &'static str,
    value: String,
}

#[derive(Template)]
#[template(path = "manager/operations.html")]
struct OperationsPage {
    frame: Frame,
    /// Why requests are not answered; empty if they are.
    unready: String,
    faults: Vec<PartFault>,
    figures: Vec<Figure>,
    set_aside: usize,
    version: &'static str,
}

/// Shows the page.
pub(crate) async fn operations(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    if !visit.session.person.is_manager {
        return Err(Fault::Forbidden);
    }
    let (health, unready) = match visit.api.get::<Health>("/readyz").await {
        Ok(health) => (health, String::new()),
        Err(Fault::Problem(problem)) => {
            let Problem { detail, .. } = *problem;
            (Health::default(), detail)
        }
        Err(fault) => return Err(fault),
    };
    let aside: CommandPage = visit.api.get("/v1/commands?status=dead_lettered&limit=100").await?;
    let metrics = visit.app.config.metrics.as_ref().map(|metrics| metrics.text()).unwrap_or_default();
    page(&OperationsPage {
        frame: visit.frame_at(visit.t.operations, Section::Operations, &places),
        unready,
        faults: health.faults,
        figures: figures(&visit, &metrics),
        set_aside: aside.commands.len(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn figures(visit: &Visit, metrics: &str) -> Vec<Figure> {
    let t = visit.t;
    let written = |value: f64, decimals: usize| visit.locale.number(&format!("{value:.decimals$}"));
    let gauge = |name: &'static str, metric: &str, decimals: usize| {
        sum_of(metrics, metric).map(|value| Figure { name, value: written(value, decimals) })
    };
    let within = |name: &'static str, share: f64| {
        let seconds = quantile(metrics, REQUESTS, share)?;
        Some(Figure { name, value: format!("{} ms", written(seconds * 1_000.0, 0)) })
    };
    [
        gauge(t.queue_waiting, "stockline_queue_visible", 0),
        gauge(t.queue_working, "stockline_queue_in_flight", 0),
        gauge(t.queue_age, "stockline_queue_oldest_age_seconds", 1),
        gauge(t.mails_in_queue, "stockline_alerts_waiting", 0),
        gauge(t.mails_sent, "stockline_mails_sent_total", 0),
        gauge(t.mail_failures, "stockline_mail_failures_total", 0),
        within(t.request_half, 0.5),
        within(t.request_slow, 0.99),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Reads the lines of a metric: its labels and its value.
fn lines_of<'a>(metrics: &'a str, metric: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    metrics.lines().filter_map(move |line| {
        let (name, value) = line.rsplit_once(' ')?;
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let value: f64 = value.parse().ok()?;
        (name == metric && value.is_finite()).then_some((labels, value))
    })
}

/// Returns the sum of a metric over its labels; `None` if there is no such metric.
fn sum_of(metrics: &str, metric: &str) -> Option<f64> {
    lines_of(metrics, metric).map(|(_, value)| value).reduce(|sum, value| sum + value)
}

/// Returns the bound of the bucket that a share of a histogram's values, over all labels, lies within.
fn quantile(metrics: &str, histogram: &str, share: f64) -> Option<f64> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for (labels, count) in lines_of(metrics, &format!("{histogram}_bucket")) {
        let (_, bound) = labels.split_once("le=\"")?;
        let bound: f64 = bound.split('"').next()?.parse().ok()?;
        match buckets.iter_mut().find(|(other, _)| other.total_cmp(&bound).is_eq()) {
            Some((_, sum)) => *sum += count,
            None => buckets.push((bound, count)),
        }
    }
    buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    buckets.into_iter().find(|(bound, count)| *count >= total * share && bound.is_finite()).map(|(bound, _)| bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_metrics() {
        let text = "# HELP a b\nqueue 3\nmails{to=\"x\"} 2\nmails{to=\"y z\"} 4\nn NaN\n";
        assert_eq!((sum_of(text, "queue"), sum_of(text, "mails")), (Some(3.0), Some(6.0)));
        assert_eq!((sum_of(text, "n"), sum_of(text, "none")), (None, None));
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket_over_all_labels() {
        let text = "d_bucket{r=\"a\",le=\"0.01\"} 40\nd_bucket{r=\"b\",le=\"0.01\"} 20\nd_bucket{r=\"a\",le=\"0.1\"} 50\n\
                    d_bucket{r=\"b\",le=\"0.1\"} 50\nd_bucket{r=\"a\",le=\"+Inf\"} 50\nd_bucket{r=\"b\",le=\"+Inf\"} 50\n";
        assert_eq!((quantile(text, "d", 0.5), quantile(text, "d", 0.99)), (Some(0.01), Some(0.1)));
        assert_eq!(quantile("", "d", 0.5), None);
    }
}
