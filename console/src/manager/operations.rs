//! Operations: whether the parts of this installation do their work, how busy they are, and what was set aside.

use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;
use stockline_core::domain::ItemId;

use crate::api::{CommandPage, CommandStatus, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::problem::Problem;
use crate::texts::fill;
use crate::upkeep::{Ended, LetterAct, Storage, Upkeep};
use crate::visit::{Places, Visit};

/// How long requests took, and how long commands took from their acceptance to their effect.
const REQUESTS: &str = "stockline_ingress_request_duration_seconds";
const SETTLED: &str = "stockline_worker_accept_to_applied_seconds";
/// Counters of what was accepted and of what was decided.
const ACCEPTED: &str = "stockline_ingress_commands_accepted_total";
const DECIDED: [&str; 3] =
    ["stockline_worker_applied_total", "stockline_worker_rejected_total", "stockline_worker_dead_lettered_total"];
/// How many of the items that move most are shown.
const HOT: usize = 5;
/// Commands that were set aside, on this page.
const LETTERS: usize = 50;

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

/// A command that was set aside.
#[derive(Debug)]
struct Letter {
    item_id: String,
    command_id: String,
    what: String,
    when: String,
    why: String,
    retry_label: String,
    discard_label: String,
}

/// An item that moves more than others.
#[derive(Debug)]
struct Hot {
    path: String,
    item_id: String,
    text: String,
}

#[derive(Template)]
#[template(path = "manager/operations.html")]
struct OperationsPage {
    frame: Frame,
    /// Why requests are not answered; empty if they are.
    unready: String,
    faults: Vec<PartFault>,
    is_outage: bool,
    figures: Vec<Figure>,
    letters: Vec<Letter>,
    may_decide: bool,
    hot: Vec<Hot>,
    told: Option<Ended>,
    version: &'static str,
}

/// Shows the page.
pub(crate) async fn operations(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    shown(&visit, &places, None).await
}

/// Returns the machine, for a Manager who is bound to no location. The API has accepted the person's token in this request:
/// it is asked for the locations.
fn machine<'a>(visit: &'a Visit, _checked: &Places) -> Option<&'a Arc<dyn Upkeep>> {
    let person = &visit.session.person;
    visit.app.config.upkeep.as_ref().filter(|_| person.is_manager && person.bound_to.is_empty())
}

async fn shown(visit: &Visit, places: &Places, told: Option<Ended>) -> Result<Response, Fault> {
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
    let aside: CommandPage = visit.api.get(&format!("/v1/commands?status=dead_lettered&limit={LETTERS}")).await?;
    let metrics = visit.app.config.metrics.as_ref().map(|metrics| metrics.text()).unwrap_or_default();
    let machine = machine(visit, places);
    let storage = match machine {
        Some(machine) => machine.storage().await,
        None => None,
    };
    let mut figures = figures(visit, &metrics);
    figures.extend(storage.into_iter().flat_map(|storage| stored(visit, places, &storage)));
    page(&OperationsPage {
        frame: visit.frame_at(visit.t.operations, Section::Operations, places),
        unready,
        faults: health.faults,
        is_outage: sum_of(&metrics, "stockline_worker_outage").is_some_and(|outage| outage > 0.0),
        figures,
        letters: aside.commands.iter().map(|command| Letter::of(visit, places, command)).collect(),
        may_decide: machine.is_some(),
        hot: hot(visit, places),
        told,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Tries a command that was set aside again, or gives it up.
pub(crate) async fn decide(visit: Visit, form: Form) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let act = match form.text("act") {
        "retry" => LetterAct::Retry,
        "discard" => LetterAct::Discard,
        _ => return Err(Fault::BadForm),
    };
    let machine = machine(&visit, &places).ok_or(Fault::Forbidden)?;
    let ended = machine.letter(act, form.text("item"), form.text("id")).await;
    shown(&visit, &places, Some(ended)).await
}

impl Letter {
    fn of(visit: &Visit, places: &Places, status: &CommandStatus) -> Self {
        let field = |field: &str| status.command.as_ref().and_then(|command| command[field].as_str());
        let kind = status.kind.as_deref().unwrap_or_default().replace('_', " ");
        let what = [kind.as_str(), field("quantity").unwrap_or_default(), &status.item_id];
        let what = what.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        Self {
            item_id: status.item_id.clone(),
            command_id: status.command_id.clone(),
            when: status.settled_at.as_deref().map_or(String::new(), |at| visit.locale.moment(at, places.zone())),
            why: status.dead_letter.as_ref().map_or(String::new(), |letter| letter.reason.clone()),
            retry_label: format!("{}: {what}", visit.t.letter_retry),
            discard_label: format!("{}: {what}", visit.t.letter_discard),
            what,
        }
    }
}

/// Finds the items that moved most among the latest movements; none where these are not known.
fn hot(visit: &Visit, places: &Places) -> Vec<Hot> {
    let Some(lately) = &visit.app.config.lately else { return Vec::new() };
    let latest = lately.moves(|at| visit.sees(at));
    let mut counts: Vec<(ItemId, usize)> = latest.by_item.into_iter().filter(|(_, count)| *count > 1).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let since = latest.since.map_or(String::new(), |since| visit.locale.moment(&since.to_string(), places.zone()));
    let number = |count: usize| visit.locale.number(&count.to_string());
    let hot = counts.into_iter().take(HOT).map(|(item_id, count)| Hot {
        path: format!("{}/console/items/{}", visit.app.config.base, segment(item_id.as_str())),
        item_id: item_id.to_string(),
        text: fill(visit.t.hot_moves, &[&number(count), &number(latest.movements), &since]),
    });
    hot.collect()
}

/// Writes bytes in the unit that suits them.
fn bytes(visit: &Visit, bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..1_000_000_000 => (bytes as f64 / 1e6, "MB"),
        _ => (bytes as f64 / 1e9, "GB"),
    };
    format!("{} {unit}", visit.locale.number(&format!("{value:.1}")))
}

fn stored(visit: &Visit, places: &Places, storage: &Storage) -> Vec<Figure> {
    let t = visit.t;
    let backup = storage.backup_at.as_deref().map(|at| visit.locale.moment(at, places.zone()));
    vec![
        Figure { name: t.disk_used, value: bytes(visit, storage.used_bytes) },
        Figure { name: t.disk_free, value: bytes(visit, storage.free_bytes) },
        Figure { name: t.last_backup, value: backup.unwrap_or_else(|| t.never.to_owned()) },
    ]
}

fn figures(visit: &Visit, metrics: &str) -> Vec<Figure> {
    let t = visit.t;
    let written = |value: f64, decimals: usize| visit.locale.number(&format!("{value:.decimals$}"));
    let gauge = |name: &'static str, metric: &str, decimals: usize| {
        sum_of(metrics, metric).map(|value| Figure { name, value: written(value, decimals) })
    };
    let within = |name: &'static str, histogram: &str, share: f64| {
        let seconds = quantile(metrics, histogram, share)?;
        Some(Figure { name, value: format!("{} ms", written(seconds * 1_000.0, 0)) })
    };
    let decided = DECIDED.iter().filter_map(|metric| sum_of(metrics, metric)).reduce(|sum, value| sum + value);
    let counters = sum_of(metrics, ACCEPTED).map(|accepted| [accepted, decided.unwrap_or(0.0)]);
    let rates = counters.and_then(|counters| visit.app.rates.of(visit.app.config.clock.now(), counters));
    let rate = |name: &'static str, at: usize| {
        counters.map(|_| Figure { name, value: rates.map_or("…".to_owned(), |rates| written(rates[at], 1)) })
    };
    [
        gauge(t.queue_waiting, "stockline_queue_visible", 0),
        gauge(t.queue_working, "stockline_queue_in_flight", 0),
        gauge(t.queue_age, "stockline_queue_oldest_age_seconds", 1),
        rate(t.rate_accepted, 0),
        rate(t.rate_decided, 1),
        within(t.settled_half, SETTLED, 0.5),
        within(t.settled_slow, SETTLED, 0.99),
        within(t.request_half, REQUESTS, 0.5),
        within(t.request_slow, REQUESTS, 0.99),
        gauge(t.mails_in_queue, "stockline_alerts_waiting", 0),
        gauge(t.mails_sent, "stockline_mails_sent_total", 0),
        gauge(t.mail_failures, "stockline_mail_failures_total", 0),
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
