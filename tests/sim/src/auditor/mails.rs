//! P6, behind the topic: every alert is mailed, and once only but where the provider took the mail and the mark of it is
//! missing (ARCHITECTURE.md, walkthrough 3).

use std::collections::{BTreeMap, BTreeSet};

use super::super::mail::Posted;
use super::super::run::Story;
use super::level::Alert;
use super::read::{json, thousandths};

/// An alert: its item, its location, its number there.
pub(super) type Of = (String, String, u64);

/// How long a claim is another's: the lease that the function is given.
const LEASE_MS: u64 = 60_000;

/// When an alert's row said first that it was sent, and when it was claimed.
#[derive(Debug, Default)]
struct Row {
    sent_ms: Option<u64>,
    claimed_ms: Vec<u64>,
}

pub(super) fn check(story: &Story, wanted: &BTreeMap<Of, Alert>, faults: &mut Vec<String>) {
    if !story.alerts_drained {
        faults.push("P6: messages are left in the alert queue long after the last fault".to_owned());
        return;
    }
    let rows = rows(story);
    let mut mailed: BTreeMap<Of, Vec<&Posted>> = BTreeMap::new();
    for posted in &story.mails {
        for (of, on_hand) in alerts_in(&posted.text) {
            match wanted.get(&of) {
                Some(alert) if alert.on_hand == on_hand => mailed.entry(of).or_default().push(posted),
                wanted => faults.push(format!("P6: {of:?} was mailed with {on_hand} on hand, and is {wanted:?}")),
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
        faults.extend(row.and_then(|row| twice(of, posted, row)));
    }
}

/// Is the alert mailed again although it is known that it was mailed, or although nothing kept that from being known?
fn twice(of: &Of, posted: &[&Posted], row: &Row) -> Option<String> {
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

/// How many alerts came twice to the same address.
pub(crate) fn mailed_twice(story: &Story) -> u64 {
    let (mut once, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for posted in story.mails.iter().filter(|posted| posted.taken_ms.is_some()) {
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

/// The alerts that a mail tells of, and how much each says is on hand.
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

fn rows(story: &Story) -> BTreeMap<Of, Row> {
    let mut rows: BTreeMap<Of, Row> = BTreeMap::new();
    for written in story.table.log.iter().filter(|written| written.key.0.starts_with("ALERT#")) {
        let Some(row) = &written.row else { continue };
        let alert = json(row, "alert");
        let text = |name: &str| alert[name].as_str().unwrap().to_owned();
        let of = (text("item_id"), text("location_id"), alert["alert_no"].as_u64().unwrap());
        let kept = rows.entry(of).or_default();
        match row.contains_key("sent_at") {
            true => drop(kept.sent_ms.get_or_insert(written.at_ms)),
            false => kept.claimed_ms.push(written.at_ms),
        }
    }
    rows
}
