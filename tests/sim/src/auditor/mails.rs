//! P6, after the topic: every alert is mailed. It may be mailed twice only if the provider took the first mail and its
//! mark is missing (ARCHITECTURE.md, walkthrough 3). An opening is mailed some minutes after an alerter first had it, so
//! that the openings of a location can be one mail.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::Evidence;
use super::super::mail::SentMail;
use super::super::world::EPOCH_MS;
use super::level::Alert;
use super::read::{id_of, json, thousandths};

/// The id of an alert: item, location, number.
pub(super) type Of = (String, String, u64);

/// The lease of a claim, as the function is configured.
const LEASE_MS: u64 = 60_000;

/// How long the mail of openings waits after the last of them.
const QUIET_MS: u64 = 3 * 60_000;

/// How long it waits at most, after the first of them.
const WAIT_MAX_MS: u64 = 10 * 60_000;

/// When the row of an alert was first marked as sent, and when it was claimed.
#[derive(Debug, Default)]
struct Row {
    /// When the first alerter noted it, if it is an opening.
    gathered_ms: Option<u64>,
    sent_ms: Option<u64>,
    claimed_ms: Vec<u64>,
    /// Whether a recipient is still missing.
    is_partial: bool,
}

pub(super) fn check(evidence: &Evidence, wanted: &BTreeMap<Of, Alert>, faults: &mut Vec<String>) {
    if !evidence.alerts_drained {
        faults.push("P6: the alert queue still holds messages long after the last fault".to_owned());
        return;
    }
    let rows = rows(evidence);
    let mut mailed: BTreeMap<Of, Vec<&SentMail>> = BTreeMap::new();
    for posted in &evidence.mails {
        faults.extend(too_early(posted, &rows, wanted));
        for (of, on_hand) in alerts_in(&posted.text) {
            match wanted.get(&of) {
                Some(alert) if alert.on_hand == on_hand => mailed.entry(of).or_default().push(posted),
                wanted => faults.push(format!("P6: {of:?} was mailed with {on_hand} on hand, but is {wanted:?}")),
            }
        }
    }
    for of in wanted.keys() {
        let posted = mailed.get(of).map(Vec::as_slice).unwrap_or_default();
        if posted.iter().all(|posted| posted.taken_ms.is_none()) {
            faults.push(format!("P6: alert {of:?} was never mailed"));
        }
        let row = rows.get(of);
        if row.is_none_or(|row| row.sent_ms.is_none()) {
            faults.push(format!("P6: alert {of:?} is not marked as sent"));
        }
        if row.is_some_and(|row| row.is_partial) {
            faults.push(format!("P6: alert {of:?} is still missing to a recipient"));
        }
        faults.extend(row.and_then(|row| twice(of, posted, row)));
    }
}

/// Returns a fault if a mail of openings did not wait for others, or has other alerts too.
fn too_early(posted: &SentMail, rows: &BTreeMap<Of, Row>, wanted: &BTreeMap<Of, Alert>) -> Option<String> {
    let alerts: Vec<Of> = alerts_in(&posted.text).into_iter().map(|(of, _)| of).collect();
    let openings = alerts.iter().filter(|of| wanted.get(*of).is_some_and(|alert| alert.opening));
    let gathered: Vec<u64> = openings.filter_map(|of| rows.get(of)?.gathered_ms).collect();
    let last = gathered.iter().max()?;
    if gathered.len() < alerts.len() {
        return Some(format!("openings were mailed with other alerts: {alerts:?}"));
    }
    // The first one that waits at the location, also if this process could not claim it.
    let waits = |row: &Row| row.sent_ms.is_none_or(|sent| posted.asked_ms <= sent);
    let of_location = rows.iter().filter(|(of, row)| of.1 == alerts[0].1 && waits(row));
    let first = of_location.filter_map(|(_, row)| row.gathered_ms).min()?;
    let due = (last + QUIET_MS).min(first + WAIT_MAX_MS);
    (posted.asked_ms < due).then(|| format!("openings {alerts:?} were mailed at {} instead of {due}", posted.asked_ms))
}

/// Returns a fault if the alert was mailed again although its mark existed, or although nothing prevented the mark.
fn twice(of: &Of, posted: &[&SentMail], row: &Row) -> Option<String> {
    for (index, next) in posted.iter().enumerate() {
        for before in &posted[..index] {
            if before.taken_ms.is_none() || before.to.iter().all(|address| !next.to.contains(address)) {
                continue;
            }
            let again = |why: &str| {
                let (by, asked) = (&before.by.name, before.asked_ms);
                Some(format!(
                    "P6: alert {of:?}, mailed by {by} at {asked}, was mailed again at {}: {why}",
                    next.asked_ms
                ))
            };
            let same = before.by.name == next.by.name;
            if same && before.answered {
                return again("by a process that knew");
            }
            let claimed_ms = row.claimed_ms.iter().rev().find(|at| **at <= next.asked_ms);
            if claimed_ms.is_none_or(|claimed| row.sent_ms.is_some_and(|sent| sent < *claimed)) {
                return again("it was marked");
            }
            if !before.by.had_trouble(before.asked_ms..=(before.asked_ms + LEASE_MS).min(next.asked_ms)) {
                return again("nothing kept the first from being marked");
            }
        }
    }
    None
}

/// Returns how many mails had several openings.
pub(crate) fn opened_together(evidence: &Evidence) -> u64 {
    let taken = evidence.mails.iter().filter(|posted| posted.taken_ms.is_some());
    taken.filter(|posted| posted.text.contains(" items open low at ")).count() as u64
}

/// Returns how many alerts reached an address twice.
pub(crate) fn mailed_twice(evidence: &Evidence) -> u64 {
    let (mut once, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for posted in evidence.mails.iter().filter(|posted| posted.taken_ms.is_some()) {
        for (of, _) in alerts_in(&posted.text) {
            for address in &posted.to {
                if !once.insert((of.clone(), address)) {
                    twice.insert(of.clone());
                }
            }
        }
    }
    twice.len() as u64
}

/// Returns the alerts in a mail, with the quantity on hand that each shows.
fn alerts_in(text: &str) -> BTreeSet<(Of, i128)> {
    let value = |line: &'_ str, label: &str| line.strip_prefix(label).map(|rest| rest.trim().to_owned());
    let mut on_hand = None;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(amount) = value(line, "On hand ") {
            on_hand = amount.split(' ').next().map(thousandths);
        } else if let Some(id) = value(line, "Alert ") {
            let mut parts = id.rsplitn(3, ':');
            let number = parts.next().unwrap().parse().unwrap();
            let location = id_of(parts.next().unwrap());
            found.insert(((id_of(parts.next().unwrap()), location, number), on_hand.take().unwrap()));
        }
    }
    found
}

fn rows(evidence: &Evidence) -> BTreeMap<Of, Row> {
    let mut rows: BTreeMap<Of, Row> = BTreeMap::new();
    for written in evidence.table.log.iter().filter(|written| written.key.0.starts_with("ALERT#")) {
        let Some(row) = &written.row else { continue };
        let alert = json(row, "alert");
        let text = |name: &str| alert[name].as_str().unwrap().to_owned();
        let of = (text("item_id"), text("location_id"), alert["alert_no"].as_u64().unwrap());
        let kept = rows.entry(of).or_default();
        if let Some(gathered) = row.get("gathered_at").and_then(|at| at.as_n().ok()?.parse::<i64>().ok()) {
            kept.gathered_ms.get_or_insert(u64::try_from(gathered - EPOCH_MS).unwrap());
        }
        kept.is_partial = row.contains_key("missing");
        match row.contains_key("sent_at") {
            true => drop(kept.sent_ms.get_or_insert(written.at_ms)),
            false => kept.claimed_ms.push(written.at_ms),
        }
    }
    rows
}
