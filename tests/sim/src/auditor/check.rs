//! What is stored and told, against what was predicted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stockline_core::domain::decode_entries;
use uuid::Uuid;

use super::super::run::Story;
use super::level::{Alert, Entry, Item, Level};
use super::mails;
use super::predict::{Predicted, Verdict};
use super::read::{Command, json as attribute, key, millis, places, thousandths};

/// More often no message may be received, whatever went wrong (P9): the queue itself sets aside at 1,000.
const RECEIVES_MAX: u32 = 60;

pub(crate) fn check(story: &Story, predicted: &Predicted, faults: &mut Vec<String>) {
    accepted(story, predicted, faults);
    in_order(story, faults);
    if story.drained {
        outcomes(predicted, faults);
        items(story, predicted, faults);
        levels(story, predicted, faults);
        marks(story, predicted, faults);
        alerts(story, predicted, faults);
    }
    let worst = story.sent.iter().map(|sent| sent.receives).max().unwrap_or_default();
    if worst > RECEIVES_MAX {
        faults.push(format!("P9: a message was received {worst} times"));
    }
}

/// P1: what was accepted is in the queue, and has an outcome.
fn accepted(story: &Story, predicted: &Predicted, faults: &mut Vec<String>) {
    for (item, id) in &story.told.accepted {
        if !predicted.outcomes.contains_key(&(item.clone(), *id)) {
            faults.push(format!("P1: {item} {id} was accepted and is not in the queue"));
        }
    }
}

/// P3, at the ingress: lines of one request and item are queued in their order.
fn in_order(story: &Story, faults: &mut Vec<String>) {
    let mut first: BTreeMap<(String, Uuid), usize> = BTreeMap::new();
    for (index, place) in story.sent.iter().flat_map(places).enumerate() {
        first.entry((place.item, place.id)).or_insert(index);
    }
    for request in &story.requests {
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

fn outcomes(predicted: &Predicted, faults: &mut Vec<String>) {
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
    for (item, id) in predicted.stored.keys().filter(|of| !predicted.outcomes.contains_key(of)) {
        faults.push(format!("{item} {id} has an outcome and was never queued"));
    }
}

/// Whatever is marked as replaced is so by what was to replace it; and of a command, all that were to replace it, under
/// whichever items, and all that were to replace those, at most one took effect (P2).
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
        faults.push(format!("P2: of {first:?} and what was to replace it, all of these took effect: {applied:?}"));
    }
    for (of, last) in predicted.stored.iter().filter_map(|(of, of_id)| Some((of, of_id.last()?))) {
        if let Some(by) = last.resubmitted_as.as_ref().filter(|by| replaces(by) != Some(of)) {
            faults.push(format!("{of:?} is marked as replaced by {by:?}, which does not replace it"));
        }
    }
}

/// How a stored outcome differs from a verdict.
pub(crate) fn outcome_faults(record: &Value, verdict: &Verdict, id: Uuid) -> Vec<String> {
    let found = record["rejection"]["code"].as_str().or(record["status"].as_str()).unwrap_or_default();
    let list = |name: &str| record[name].as_array().cloned().unwrap_or_default();
    let mut faults = Vec::new();
    match verdict {
        Verdict::Applied { .. } if found != "applied" => faults.push(format!("it must be applied, and is {found}")),
        Verdict::Applied { entries, alerts, .. } => {
            let effects: Vec<Entry> = list("effects").iter().map(|effect| entry(effect, id)).collect();
            if effects != *entries {
                faults.push(format!("its effects must be {entries:?}, and are {effects:?}"));
            }
            let raised: Vec<Alert> = list("alerts").iter().map(alert).collect();
            if raised != *alerts {
                faults.push(format!("its alerts must be {alerts:?}, and are {raised:?}"));
            }
        }
        Verdict::Rejected(code) if found != *code => faults.push(format!("it must be refused {code}, and is {found}")),
        Verdict::Dead(body) => {
            let kept = record["dead_letter"]["body"].as_str().unwrap_or_default();
            let read = |text: &str| serde_json::from_str::<Value>(text).ok();
            if found != "dead_lettered" || (kept != body && read(kept) != read(body)) {
                faults.push(format!("it must be set aside as {body}, and is {found} as {kept}"));
            }
        }
        Verdict::Rejected(_) => {}
    }
    faults
}

fn as_submitted(record: &Value, command: &Command, tell: &mut impl FnMut(String)) {
    let accepted = record["accepted_at"].as_str().map(millis);
    let settled = record["settled_at"].as_str().map(millis);
    if record["command"] != command.body || record["submitted_by"] != command.by.as_str() {
        tell(format!("it is not as the first of its id was submitted: {}", record["command"]));
    }
    if record["first_accepted_at"] != command.envelope["first_accepted_at"] {
        tell(format!("it says that it was first accepted at {}", record["first_accepted_at"]));
    }
    if record["resubmits"] != command.envelope["resubmits"] {
        tell(format!("it must replace {}, and says {}", command.envelope["resubmits"], record["resubmits"]));
    }
    if accepted != Some(command.accepted) || settled < accepted {
        tell(format!("accepted {accepted:?} and settled {settled:?} are not right"));
    }
}

fn entry(effect: &Value, id: Uuid) -> Entry {
    let kinds = ["receive", "sell", "return", "adjust", "count", "transfer_out", "transfer_in"];
    Entry {
        location: effect["location_id"].as_str().unwrap().to_owned(),
        seq: effect["seq"].as_u64().unwrap(),
        kind: kinds.into_iter().find(|kind| effect["kind"] == *kind).unwrap_or("unknown"),
        id: id.to_string(),
        delta: thousandths(effect["delta"].as_str().unwrap()),
        after: thousandths(effect["after"].as_str().unwrap()),
        occurred: millis(effect["occurred_at"].as_str().unwrap()),
        late: effect["late"] == true,
        ahead: effect["clock_ahead"] == true,
    }
}

/// An alert as it is stored and told.
pub(crate) fn alert(alert: &Value) -> Alert {
    let kinds = ["low", "out", "oversold"];
    Alert {
        location: alert["location_id"].as_str().unwrap().to_owned(),
        number: alert["alert_no"].as_u64().unwrap(),
        kind: kinds.into_iter().find(|kind| alert["kind"] == *kind).unwrap_or("unknown"),
        on_hand: thousandths(alert["on_hand"].as_str().unwrap()),
        threshold: alert["low_stock_threshold"].as_str().map(thousandths),
        seq: alert["seq"].as_u64().unwrap(),
    }
}

fn items(story: &Story, predicted: &Predicted, faults: &mut Vec<String>) {
    for (item, wanted) in &predicted.items {
        let row = story.table.get(&key(format!("ITEM#{item}"), "ITEM"));
        let found = row.map_or(Value::Null, |row| attribute(row, "item"));
        let threshold = found["low_stock_threshold"].as_str().map(thousandths);
        let archived_at = found["archived_at"].as_str().map(millis);
        let barcodes = found["barcodes"].as_array().map_or(0, Vec::len);
        let is = json!([found["decimals"], threshold, found["shortage_policy"] == "reject", archived_at, barcodes]);
        let Item { decimals, threshold, rejects, archived_at, barcodes, .. } = wanted;
        let must = json!([decimals, threshold, rejects, archived_at, barcodes.len()]);
        if is != must {
            faults.push(format!("{item} must be {must}, and is {is}"));
        }
    }
}

/// P4: each level is what its ledger says, and its ledger what was predicted.
fn levels(story: &Story, predicted: &Predicted, faults: &mut Vec<String>) {
    let rows = story.table.all().filter(|((_, sk), _)| sk.starts_with("LEVEL#"));
    let stored = rows.map(|((pk, sk), _)| (pk["ITEM#".len()..].to_owned(), sk["LEVEL#".len()..].to_owned()));
    let stored: BTreeSet<(String, String)> = stored.into_iter().collect();
    let expected: BTreeSet<(String, String)> = predicted.levels.keys().cloned().collect();
    for (item, location) in stored.symmetric_difference(&expected) {
        faults.push(format!("P4: the level of {item} at {location} is only stored, or only predicted"));
    }
    for ((item, location), level) in &predicted.levels {
        if let Some(row) = story.table.get(&key(format!("ITEM#{item}"), &format!("LEVEL#{location}"))) {
            let found = attribute(row, "level");
            let (wanted, is) = level_pair(level, &found);
            if is != wanted {
                faults.push(format!("P4: {item} at {location} must be {wanted}, and is {is}"));
            }
            ledger(story, (item, location), level, row.get("tail"), faults);
        }
    }
}

/// A level as predicted and as found in its row, as far as both say the same.
pub(crate) fn level_pair(level: &Level, found: &Value) -> (Value, Value) {
    let on_hand = found["on_hand"].as_str().map(thousandths);
    let counted_at = found["counted_at"].as_str().map(millis);
    let is = json!([on_hand, found["seq"], found["alert_no"], found["state"], counted_at]);
    (json!([level.on_hand, level.entries.len(), level.alerts, level.state(), level.counted_at]), is)
}

fn ledger(
    story: &Story,
    (item, location): (&str, &str),
    level: &Level,
    tail: Option<&aws_sdk_dynamodb::types::AttributeValue>,
    faults: &mut Vec<String>,
) {
    let pk = format!("LEDGER#{item}#{location}");
    let chunks = story.table.partition(&pk).filter_map(|(_, row)| row.get("entries"));
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
            found.push((read.seq, kind, read.command_id.to_string(), i128::from(read.delta.raw()), after, read.late));
        }
    }
    let wanted = level.entries.iter().map(|e| (e.seq, json!(e.kind), e.id.clone(), e.delta, e.after, e.late));
    let wanted: Vec<_> = wanted.collect();
    if found != wanted {
        let differs = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
        let (is, must) = (found.len(), wanted.len());
        faults.push(format!("P4: the ledger of {item} at {location} has {is} entries, must have {must}: {differs:?}"));
    }
}

/// Every level was re-judged for every change of a default threshold, and for nothing else; what that raised, each mark
/// tells, and only it.
fn marks(story: &Story, predicted: &Predicted, faults: &mut Vec<String>) {
    let mut found: BTreeMap<(String, String, String), Option<Alert>> = BTreeMap::new();
    for ((pk, sk), row) in story.table.all() {
        if let Some(location) = sk.strip_prefix("AT#") {
            let mut parts = pk.splitn(3, '#').skip(1).map(str::to_owned);
            let mark = attribute(row, "mark");
            let raised = mark.get("alert").filter(|alert| !alert.is_null()).map(alert);
            found.insert((parts.next().unwrap(), parts.next().unwrap(), location.to_owned()), raised);
        }
    }
    for of in predicted.looked.keys().filter(|of| !of.2.is_empty() && !found.contains_key(of)) {
        faults.push(format!("the level of {of:?} was not re-judged"));
    }
    // A change that is met again may judge a level before a later change does, which is stored already: then the alert of
    // that one is told by the mark of this one, once all the same.
    let raised_at = |marks: &BTreeMap<(String, String, String), Option<Alert>>, of: &(String, String, String)| {
        let same = marks.iter().filter(|(other, _)| other.0 == of.0 && other.2 == of.2);
        let mut raised: Vec<Alert> = same.filter_map(|(_, alert)| alert.clone()).collect();
        raised.sort_by_key(|alert| alert.number);
        raised
    };
    for (of, is) in &found {
        let is_of_change = predicted.looked.contains_key(&(of.0.clone(), of.1.clone(), String::new()));
        match predicted.looked.get(of) {
            Some(must) if must == is => {}
            // A change that is met again later judges also the levels that are new since: they raise nothing.
            None if is_of_change && is.is_none() => {}
            _ if is_of_change && raised_at(&found, of) == raised_at(&predicted.looked, of) => {}
            must => faults.push(format!("re-judging {of:?} must raise {must:?}, and raised {is:?}")),
        }
    }
}

/// P6: every alert was told, and none that is none.
fn alerts(story: &Story, predicted: &Predicted, faults: &mut Vec<String>) {
    let mut wanted: BTreeMap<(String, String, u64), Alert> = BTreeMap::new();
    for ((item, _), (verdict, _)) in &predicted.outcomes {
        if let Verdict::Applied { alerts, .. } = verdict {
            let of = |alert: &Alert| (item.clone(), alert.location.clone(), alert.number);
            wanted.extend(alerts.iter().map(|alert| (of(alert), alert.clone())));
        }
    }
    let looked = predicted.looked.iter().filter_map(|((item, ..), alert)| Some((item, alert.as_ref()?)));
    wanted.extend(looked.map(|(item, alert)| ((item.clone(), alert.location.clone(), alert.number), alert.clone())));
    let mut told = BTreeMap::new();
    for value in &story.topic {
        let read = alert(value);
        told.insert((value["item_id"].as_str().unwrap().to_owned(), read.location.clone(), read.number), read);
    }
    for (of, alert) in &wanted {
        match told.get(of) {
            None => faults.push(format!("P6: alert {of:?} was never told")),
            Some(found) if found != alert => {
                faults.push(format!("P6: alert {of:?} must say {alert:?}, and says {found:?}"));
            }
            Some(_) => {}
        }
    }
    for of in told.keys().filter(|of| !wanted.contains_key(of)) {
        faults.push(format!("P6: alert {of:?} was told, and is none"));
    }
    mails::check(story, &wanted, faults);
}
