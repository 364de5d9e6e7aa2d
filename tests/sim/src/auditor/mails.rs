//! P6, after the topic: every alert is mailed. It may be mailed twice only if the provider took the first mail and its
//! mark is missing (ARCHITECTURE.md, walkthrough 3).

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::Evidence;
use super::super::mail::SentMail;
use super::level::Alert;
use super::read::{json, thousandths};

/// The id of an alert: item, location, number.
pub(super) type Of = (String, String, u64);

/// The lease of a claim, as the function is configured.
const LEASE_MS: u64 = 60_000;

/// When the row of an alert was first marked as sent, and when it was claimed.
#[derive(Debug, Default)]
struct Row {
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
            let location = parts.next().unwrap().to_owned();
            found.insert(((parts.next().unwrap().to_owned(), location, number), on_hand.take().unwrap()));
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
        kept.is_partial = row.contains_key("missing");
        match row.contains_key("sent_at") {
            true => drop(kept.sent_ms.get_or_insert(written.at_ms)),
            false => kept.claimed_ms.push(written.at_ms),
        }
    }
    rows
}
