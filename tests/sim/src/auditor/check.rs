//! Checks the stored and published data against the prediction.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stockline_core::domain::decode_entries;
use uuid::Uuid;

use super::super::evidence::Evidence;
use super::compare::{alert, as_submitted, level_pair, outcome_faults};
use super::level::{Alert, Item, Level, PLANNING};
use super::mails;
use super::predict::Predicted;
use super::predictor::{Verdict, significant};
use super::read::{id_of, in_key, json as attribute, key, millis, places, thousandths};

/// No message may be received more often than this, whatever the faults (P9). The queue sets aside after 1,000.
const RECEIVES_MAX: u32 = 60;

pub(crate) fn check(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    accepted(evidence, predicted, faults);
    in_order(evidence, faults);
    if evidence.drained {
        outcomes(evidence, predicted, faults);
        items(evidence, predicted, faults);
        levels(evidence, predicted, faults);
        marks(evidence, predicted, faults);
        alerts(evidence, predicted, faults);
    }
    let worst = evidence.sent.iter().map(|sent| sent.receives).max().unwrap_or_default();
    if worst > RECEIVES_MAX {
        faults.push(format!("P9: a message was received {worst} times"));
    }
}

/// P1: every accepted command is in the queue and has an outcome.
fn accepted(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    for (item, id) in &evidence.till_log.accepted {
        if !predicted.outcomes.contains_key(&(item.clone(), *id)) {
            faults.push(format!("P1: {item} {id} was accepted, but is not in the queue"));
        }
    }
}

/// P3, at the ingress: the lines of one request for one item are queued in their order.
fn in_order(evidence: &Evidence, faults: &mut Vec<String>) {
    let mut first: BTreeMap<(String, Uuid), usize> = BTreeMap::new();
    for (index, place) in evidence.sent.iter().flat_map(places).enumerate() {
        first.entry((place.item, place.id)).or_insert(index);
    }
    for request in &evidence.requests {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &request.lines {
            let Some(at) = first.get(&(line.item.clone(), line.id)) else {
                continue;
            };
            if last.insert(&line.item, *at).is_some_and(|before| before > *at) {
                faults.push(format!("P3: {} {} overtook the line before it", line.item, line.id));
            }
        }
    }
}

fn outcomes(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    for ((item, id), (verdict, command)) in &predicted.outcomes {
        let Some(stored) = predicted.stored.get(&(item.clone(), *id)).and_then(|of_id| of_id.last()) else {
            faults.push(format!("P1: {item} {id} has no outcome"));
            continue;
        };
        let record = &stored.record;
        let mut tell = |what: String| faults.push(format!("{item} {id}: {what}"));
        outcome_faults(record, verdict, *id).into_iter().for_each(&mut tell);
        if let Some(command) = command {
            as_submitted(record, command, &mut tell);
            if let Some(old) = &command.resubmits {
                let of_old = predicted.outcomes.get(old).and_then(|(_, of_old)| of_old.as_ref());
                if of_old.is_none_or(|of_old| of_old.first_accepted != command.first_accepted) {
                    tell(format!("{} is not when {old:?} was first accepted", command.first_accepted));
                }
                let comes_too_late =
                    *verdict == Verdict::Rejected("precondition_failed") && record["rejection"]["found"].is_null();
                let marks = !comes_too_late && !matches!(verdict, Verdict::Dead(_));
                let mark = predicted.stored.get(old).and_then(|of_old| of_old.last()?.resubmitted_as.as_ref());
                if marks != mark.is_some_and(|by| by == &(item.clone(), *id)) {
                    tell(format!("marking {old:?} as replaced by it must be {marks}, and it is marked {mark:?}"));
                }
            }
        }
    }
    replaced(predicted, faults);
    pairs(evidence, predicted, faults);
    for (item, id) in predicted.stored.keys().filter(|of| !predicted.outcomes.contains_key(of)) {
        faults.push(format!("{item} {id} has an outcome, but was never queued"));
    }
}

/// A command that is marked as replaced was replaced by its own resubmission. Of a command and all its direct and
/// indirect resubmissions, under whichever items, at most one took effect (P2).
fn replaced(predicted: &Predicted, faults: &mut Vec<String>) {
    let is_applied =
        |of| predicted.stored.get(of).and_then(|of_id| of_id.last()).is_some_and(|last| last.is("applied"));
    let replaces = |by| predicted.outcomes.get(by).and_then(|(_, command)| command.as_ref()?.resubmits.as_ref());
    let mut in_effect: BTreeMap<&(String, Uuid), Vec<&(String, Uuid)>> = BTreeMap::new();
    for of in predicted.outcomes.keys().filter(|of| is_applied(of)) {
        let first = std::iter::successors(Some(of), |by| replaces(by)).last().unwrap();
        in_effect.entry(first).or_default().push(of);
    }
    for (first, applied) in in_effect.iter().filter(|(_, applied)| applied.len() > 1) {
        faults.push(format!("P2: of {first:?} and its resubmissions more than one took effect: {applied:?}"));
    }
    for (of, last) in predicted.stored.iter().filter_map(|(of, of_id)| Some((of, of_id.last()?))) {
        if let Some(by) = last.resubmitted_as.as_ref().filter(|by| replaces(by) != Some(of)) {
            faults.push(format!("{of:?} is marked as replaced by {by:?}, which is not its resubmission"));
        }
    }
}

/// A movement that was taken back names the one applied reversal that names it, and so does a mark on each of its entries.
fn pairs(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    let mut marks = BTreeSet::new();
    for ((item, id), last) in predicted.stored.iter().filter_map(|(of, of_id)| Some((of, of_id.last()?))) {
        let target = last.record["command"]["reverses"].as_str().and_then(|target| target.parse().ok());
        if let (true, Some(target)) = (last.is("applied"), target) {
            let marked = predicted.stored.get(&(item.clone(), target)).and_then(|of_id| of_id.last()?.reversed_by);
            if marked != Some(*id) {
                faults.push(format!("P2: {item} {id} took {target} back, which is marked as taken back by {marked:?}"));
            }
        }
        if let Some(by) = last.reversed_by {
            let reversal = predicted.stored.get(&(item.clone(), by)).and_then(|of_id| of_id.last());
            let names = reversal.is_some_and(|reversal| {
                reversal.is("applied") && reversal.record["command"]["reverses"] == json!(id.to_string())
            });
            if !names {
                faults.push(format!("{item} {id} is marked as taken back by {by}, which did not"));
            }
            for effect in last.record["effects"].as_array().into_iter().flatten() {
                let (location, seq) = (effect["location_id"].as_str().unwrap(), effect["seq"].as_u64().unwrap());
                let place = key(format!("REVERSED#{}#{location}", in_key(item)), &format!("{seq:020}"));
                let found = evidence.table.get(&place).and_then(|row| row["reversed_by"].as_s().ok());
                if found != Some(&by.to_string()) {
                    faults.push(format!("{item} {id}: its entry {seq} at {location} is marked by {found:?}, not {by}"));
                }
                marks.insert(place);
            }
        }
    }
    let rows = evidence.table.all().filter(|((pk, _), _)| pk.starts_with("REVERSED#"));
    for (place, _) in rows.filter(|(place, _)| !marks.contains(*place)) {
        faults.push(format!("{place:?} marks an entry that was not taken back"));
    }
}

/// Reads a stored barcode, with the quantity of one scan.
fn pack(stored: &Value) -> (String, i128) {
    match stored.as_str() {
        Some(code) => (significant(code), 1_000),
        None => {
            let text = |name: &str| stored[name].as_str().unwrap_or_default();
            (significant(text("code")), thousandths(text("quantity")))
        }
    }
}

fn items(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    for (item, wanted) in &predicted.items {
        let row = evidence.table.get(&key(format!("ITEM#{item}"), "ITEM"));
        let found = row.map_or(Value::Null, |row| attribute(row, "item"));
        let threshold = found["low_stock_threshold"].as_str().map(thousandths);
        let archived_at = found["archived_at"].as_str().map(millis);
        let packs: Vec<(String, i128)> = found["barcodes"].as_array().into_iter().flatten().map(pack).collect();
        let planning: BTreeMap<&str, &Value> =
            PLANNING.iter().filter_map(|name| Some((*name, found.get(*name)?))).collect();
        let overrides = found.get("overrides").cloned().unwrap_or_else(|| json!({}));
        let is = json!([
            found["decimals"],
            threshold,
            found["shortage_policy"] == "reject",
            archived_at,
            packs,
            planning,
            overrides
        ]);
        let Item { decimals, threshold, rejects, archived_at, packs, planning, overrides, .. } = wanted;
        let must = json!([decimals, threshold, rejects, archived_at, packs, planning, overrides]);
        if is != must {
            faults.push(format!("{item} must be {must}, and is {is}"));
        }
    }
}

/// P4: each level equals the fold of its ledger, and the ledger equals the prediction.
fn levels(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    let rows = evidence.table.all().filter(|((_, sk), _)| sk.starts_with("LEVEL#"));
    let stored = rows.map(|((pk, sk), _)| (pk["ITEM#".len()..].to_owned(), sk["LEVEL#".len()..].to_owned()));
    let stored: BTreeSet<(String, String)> = stored.into_iter().collect();
    let expected: BTreeSet<(String, String)> = predicted.levels.keys().cloned().collect();
    for (item, location) in stored.symmetric_difference(&expected) {
        faults.push(format!("P4: the level of {item} at {location} is only stored, or only predicted"));
    }
    for ((item, location), level) in &predicted.levels {
        if let Some(row) = evidence.table.get(&key(format!("ITEM#{item}"), &format!("LEVEL#{location}"))) {
            let found = attribute(row, "level");
            let (wanted, is) = level_pair(level, &found);
            if is != wanted {
                faults.push(format!("P4: {item} at {location} must be {wanted}, and is {is}"));
            }
            ledger(evidence, (item, location), level, row.get("tail"), faults);
        }
    }
}

fn ledger(
    evidence: &Evidence,
    (item, location): (&str, &str),
    level: &Level,
    tail: Option<&aws_sdk_dynamodb::types::AttributeValue>,
    faults: &mut Vec<String>,
) {
    let pk = format!("LEDGER#{}#{location}", in_key(item));
    let chunks = evidence.table.partition(&pk).filter_map(|(_, row)| row.get("entries"));
    let mut found = Vec::new();
    let mut last_recorded = 0;
    for bytes in chunks.chain(tail) {
        for read in decode_entries(bytes.as_b().unwrap().as_ref()).unwrap() {
            if read.recorded_at.as_millis() < last_recorded {
                faults.push(format!("P4: {item} at {location}: entry {} was recorded before the one before", read.seq));
            }
            last_recorded = read.recorded_at.as_millis();
            let kind = serde_json::to_value(read.kind).unwrap();
            let after = i128::from(read.after.raw());
            let cost = (read.cost.map(|cost| i128::from(cost.raw())), i128::from(read.revaluation.raw()));
            let delta = i128::from(read.delta.raw());
            found.push((read.seq, kind, read.command_id.to_string(), delta, after, read.late, cost));
        }
    }
    let wanted = level.entries.iter().map(|e| (e.seq, json!(e.kind), e.id.clone(), e.delta, e.after, e.late, e.cost));
    let wanted: Vec<_> = wanted.collect();
    let costs: i128 = found.iter().map(|entry| entry.6.0.unwrap_or(0) + entry.6.1).sum();
    if costs != level.book.value {
        faults.push(format!("{item} at {location}: its costs make {costs}, its value is {}", level.book.value));
    }
    if found != wanted {
        let differs = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
        let (is, must) = (found.len(), wanted.len());
        faults.push(format!("P4: the ledger of {item} at {location} has {is} entries, must have {must}: {differs:?}"));
    }
}

/// Every change of a default threshold re-judged every level, and nothing else did. The mark of a re-judging holds
/// exactly the alert that it raised.
fn marks(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    let mut found: BTreeMap<(String, String, String), Option<Alert>> = BTreeMap::new();
    for ((pk, sk), row) in evidence.table.all() {
        if let Some(location) = sk.strip_prefix("AT#") {
            let mut parts = pk.splitn(3, '#').skip(1).map(id_of);
            let mark = attribute(row, "mark");
            let raised = mark.get("alert").filter(|alert| !alert.is_null()).map(alert);
            found.insert((parts.next().unwrap(), parts.next().unwrap(), location.to_owned()), raised);
        }
    }
    for of in predicted.rejudged.keys().filter(|of| !of.2.is_empty() && !found.contains_key(of)) {
        faults.push(format!("the level of {of:?} was not re-judged"));
    }
    // A repeated change may re-judge a level after a later change is stored, but before that change re-judges it. Then
    // the mark of the repeated change holds the alert of the later one, still only once.
    let raised_at = |marks: &BTreeMap<(String, String, String), Option<Alert>>, of: &(String, String, String)| {
        let same = marks.iter().filter(|(other, _)| other.0 == of.0 && other.2 == of.2);
        let mut raised: Vec<Alert> = same.filter_map(|(_, alert)| alert.clone()).collect();
        raised.sort_by_key(|alert| alert.number);
        raised
    };
    for (of, is) in &found {
        let is_of_change = predicted.rejudged.contains_key(&(of.0.clone(), of.1.clone(), String::new()));
        match predicted.rejudged.get(of) {
            Some(must) if must == is => {}
            // A repeated change also re-judges levels created since; they raise nothing.
            None if is_of_change && is.is_none() => {}
            _ if is_of_change && raised_at(&found, of) == raised_at(&predicted.rejudged, of) => {}
            must => faults.push(format!("re-judging {of:?} must raise {must:?}, and raised {is:?}")),
        }
    }
}

/// P6: every alert was published, and nothing else was.
fn alerts(evidence: &Evidence, predicted: &Predicted, faults: &mut Vec<String>) {
    let mut wanted: BTreeMap<(String, String, u64), Alert> = BTreeMap::new();
    for ((item, _), (verdict, _)) in &predicted.outcomes {
        if let Verdict::Applied { alerts, .. } = verdict {
            let of = |alert: &Alert| (item.clone(), alert.location.clone(), alert.number);
            wanted.extend(alerts.iter().map(|alert| (of(alert), alert.clone())));
        }
    }
    let rejudged = predicted.rejudged.iter().filter_map(|((item, ..), alert)| Some((item, alert.as_ref()?)));
    wanted.extend(rejudged.map(|(item, alert)| ((item.clone(), alert.location.clone(), alert.number), alert.clone())));
    let mut published = BTreeMap::new();
    for value in &evidence.topic {
        let read = alert(value);
        published.insert((value["item_id"].as_str().unwrap().to_owned(), read.location.clone(), read.number), read);
    }
    for (of, alert) in &wanted {
        match published.get(of) {
            None => faults.push(format!("P6: alert {of:?} was never published")),
            Some(found) if found != alert => {
                faults.push(format!("P6: alert {of:?} must say {alert:?}, and says {found:?}"));
            }
            Some(_) => {}
        }
    }
    for of in published.keys().filter(|of| !wanted.contains_key(of)) {
        faults.push(format!("P6: alert {of:?} was published, but is not an alert"));
    }
    mails::check(evidence, &wanted, faults);
}
