//! Judges items with messages that the queue set aside. Such messages are decided when a worker receives them, beside
//! the messages in order (design.md §2, P3).
//!
//! So two workers may process one item, and the order is that of the store's transactions. A transaction's conditions
//! bind the rows that it writes to the versions that it read. Rows that it only read (the item, the levels behind a
//! rejection) may be older. They are not older than the receive, and the item is not older than the levels, which are
//! read first.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::super::evidence::Evidence;
use super::super::table::Written;
use super::compare::{alert, level_pair, outcome_faults};
use super::level::{Alert, Item, Level};
use super::predictor::{Decided, Predictor, Verdict};
use super::read::{Outcomes, Place, id_of, json, places, record};

/// The places of each command by item and id, with the message if it kept its order.
type Waiting = BTreeMap<(String, Uuid), Vec<(Place, Option<u64>)>>;

/// The state of an item and its levels after a transaction.
struct Moment {
    at_ms: u64,
    item: Option<Item>,
    levels: Vec<Level>,
}

impl Moment {
    const fn first() -> Self {
        Self { at_ms: 0, item: None, levels: Vec::new() }
    }

    fn level(&self, location: &str) -> Option<&Level> {
        self.levels.iter().find(|level| level.location == location)
    }
}

/// The writes of one transaction to one item.
struct Fold {
    at_ms: u64,
    item_id: String,
    /// The outcomes, in order.
    outcomes: Vec<(Uuid, Value)>,
    /// A re-judged level, and the alert that this raised.
    judged: Option<(String, String, Option<Alert>)>,
    /// The written levels.
    levels: BTreeMap<String, Value>,
    writes_item: bool,
}

impl Fold {
    /// Returns the writes, or `None` if nothing was decided.
    fn of(transaction: &[Written], stored: &Outcomes) -> Option<Self> {
        let (mut outcomes, mut judged) = (Vec::new(), None);
        let mut item_id = None;
        for written in transaction.iter().filter(|written| written.key.0.starts_with("CMD#")) {
            let mut parts = written.key.0.splitn(3, '#').skip(1);
            let (item, id) = (id_of(parts.next()?), parts.next()?);
            let row = written.row.as_ref()?;
            match written.key.1.strip_prefix("AT#") {
                Some(location) => {
                    item_id = Some(item);
                    let mark = json(row, "mark");
                    let raised = mark.get("alert").filter(|alert| !alert.is_null()).map(alert);
                    judged = Some((id.to_owned(), location.to_owned(), raised));
                }
                None => {
                    let key = (item, id.parse().ok()?);
                    let of_id = stored.get(&key)?;
                    // A mark may belong to another item.
                    if of_id.iter().any(|stored| stored.transaction == written.transaction && !stored.is_mark) {
                        item_id = Some(key.0);
                        outcomes.push((key.1, record(row)));
                    }
                }
            }
        }
        let rows = || transaction.iter().filter(|written| written.key.0.starts_with("ITEM#"));
        let level = |written: &Written| {
            let location = written.key.1.strip_prefix("LEVEL#")?.to_owned();
            Some((location, json(written.row.as_ref()?, "level")))
        };
        Some(Self {
            at_ms: transaction[0].at_ms,
            item_id: item_id?,
            outcomes,
            judged,
            levels: rows().filter_map(level).collect(),
            writes_item: rows().any(|written| written.key.1 == "ITEM"),
        })
    }
}

impl Fold {
    fn wrote(&self, level: &Level) -> bool {
        self.levels.get(&level.location).is_some_and(|row| {
            let (must, is) = level_pair(level, row);
            must == is
        })
    }
}

impl Predictor<'_> {
    /// Decides these items. A message that was set aside takes its place when it is decided; all others keep their
    /// order.
    pub(super) fn decide_by_decision(&mut self, evidence: &Evidence, decided: &mut Decided, faults: &mut Vec<String>) {
        let mut waiting = self.waiting(evidence);
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut past: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
        for transaction in evidence.table.log.chunk_by(|one, next| one.transaction == next.transaction) {
            let Some(fold) = Fold::of(transaction, self.stored).filter(|fold| self.by_decision.contains(&fold.item_id))
            else {
                continue;
            };
            let past = past.entry(fold.item_id.clone()).or_insert_with(|| vec![Moment::first()]);
            if let Some((id, location, raised)) = &fold.judged {
                let raises = self.look_meanwhile(&fold, location, raised.as_ref(), past);
                let of = |location: &str| (fold.item_id.clone(), id.clone(), location.to_owned());
                if self.rejudged.contains_key(&of("")) {
                    self.rejudged.insert(of(location), raises);
                }
            } else {
                let mut folded = Vec::new();
                for (id, record) in &fold.outcomes {
                    let Some(of_id) = waiting.get_mut(&(fold.item_id.clone(), *id)).filter(|of_id| !of_id.is_empty())
                    else {
                        continue;
                    };
                    if let (true, Some(at)) = (of_id.iter().all(|(_, in_order)| in_order.is_some()), of_id[0].1)
                        && last.insert(fold.item_id.clone(), at).is_some_and(|before| before > at)
                    {
                        let item_id = &fold.item_id;
                        faults.push(format!("P3: {item_id} {id} was decided after a later message of its item"));
                    }
                    let retry = record["retry"].as_u64().unwrap_or_default();
                    let is_of = |(place, _): &(Place, Option<u64>)| place.is_of(record) && place.retry == retry;
                    let index = of_id.iter().position(is_of).unwrap_or_default();
                    // The first of equal ones: it existed before the others.
                    folded.push((of_id.remove(index).0, record));
                }
                for (verdict, (place, _)) in self.decide_meanwhile(&fold, &folded, past).into_iter().zip(folded) {
                    decided.insert((place.item.clone(), place.id), (verdict, place.command.ok()));
                }
            }
            past.push(self.moment(&fold));
        }
        for key in waiting.into_keys() {
            decided.entry(key).or_insert((Verdict::Rejected("undecided"), None));
        }
    }

    /// Finds a state that the fold may have read and that explains the stored outcomes; otherwise uses the latest one.
    fn decide_meanwhile(&mut self, fold: &Fold, folded: &[(Place, &Value)], past: &[Moment]) -> Vec<Verdict> {
        let received_ms = folded.iter().map(|(place, _)| place.received_ms).max().unwrap_or_default();
        // The state at the receive is the last one before the receive.
        let since = past.partition_point(|moment| moment.at_ms < received_ms).saturating_sub(1);
        for levels in (since..past.len()).rev() {
            for item in (levels..past.len()).rev().filter(|item| !fold.writes_item || *item + 1 == past.len()) {
                if let Some(verdicts) =
                    self.fold(fold, folded, (&past[levels], &past[item], past.last().unwrap()), true)
                {
                    return verdicts;
                }
            }
        }
        let now = past.last().unwrap();
        self.fold(fold, folded, (now, now, now), false).unwrap()
    }

    /// Decides the commands of a fold from the state that it read. If the result differs from the stored one, returns
    /// `None` and changes nothing.
    fn fold(
        &mut self,
        fold: &Fold,
        folded: &[(Place, &Value)],
        (levels, item, now): (&Moment, &Moment, &Moment),
        only_as_stored: bool,
    ) -> Option<Vec<Verdict>> {
        let (barcodes, taken) = (self.barcodes.clone(), self.taken.len());
        let written = fold.levels.keys().filter_map(|location| now.level(location));
        let unwritten = levels.levels.iter().filter(|level| !fold.levels.contains_key(&level.location));
        let read: Vec<Level> = unwritten.chain(written).cloned().collect();
        self.restore(&fold.item_id, item.item.as_ref(), &read);
        // Re-judging does not reach a new level, so the level must be judged by the current threshold of the item.
        let is_new = fold.levels.keys().any(|location| now.level(location).is_none());
        let thresholds = |moment: &Moment| moment.item.as_ref().map(|item| item.thresholds);
        let may_be = !is_new || fold.writes_item || thresholds(item) == thresholds(now);
        let mut verdicts = Vec::new();
        for (place, record) in folded {
            let verdict = self.decide(place);
            if only_as_stored && !outcome_faults(record, &verdict, place.id).is_empty() {
                break;
            }
            verdicts.push(verdict);
        }
        let (item_after, after) = (self.items.get(&fold.item_id).cloned(), self.levels_of(&fold.item_id));
        let (changed, unchanged): (Vec<_>, Vec<_>) =
            after.into_iter().partition(|level| fold.levels.contains_key(&level.location));
        let is_bound = unchanged.iter().all(|level| levels.level(&level.location) == Some(level))
            && changed.iter().all(|level| fold.wrote(level))
            && (fold.writes_item || item_after == item.item);
        if only_as_stored && (verdicts.len() < folded.len() || !is_bound || !may_be) {
            self.barcodes = barcodes;
            self.taken.truncate(taken);
            self.rejudged.retain(|(of, id, _), _| {
                *of != fold.item_id || !folded.iter().any(|(place, _)| place.id.to_string() == *id)
            });
            self.restore(&fold.item_id, now.item.as_ref(), &now.levels);
            return None;
        }
        if only_as_stored {
            let kept = now.levels.iter().filter(|level| !fold.levels.contains_key(&level.location)).cloned();
            let item = if fold.writes_item { item_after } else { now.item.clone() };
            self.restore(&fold.item_id, item.as_ref(), &kept.chain(changed).collect::<Vec<_>>());
        }
        Some(verdicts)
    }

    /// Re-judges a level by the current threshold of the item. If the level is unchanged, the item may be older.
    fn look_meanwhile(
        &mut self,
        fold: &Fold,
        location: &str,
        raised: Option<&Alert>,
        past: &[Moment],
    ) -> Option<Alert> {
        let now = past.last().unwrap();
        let thresholds = now.item.as_ref().map(|item| item.thresholds);
        let items =
            past.iter().rev().take_while(|moment| moment.item.as_ref().map(|item| item.thresholds) == thresholds);
        let mut raises = None;
        for moment in items.chain([now]) {
            self.restore(&fold.item_id, moment.item.as_ref(), &now.levels);
            raises = self.look_at(&fold.item_id, location);
            let level = self.levels.get(&(fold.item_id.clone(), location.to_owned()));
            if raises.as_ref() == raised && level.is_some_and(|level| fold.wrote(level)) {
                break;
            }
        }
        let levels = self.levels_of(&fold.item_id);
        self.restore(&fold.item_id, now.item.as_ref(), &levels);
        raises
    }

    fn levels_of(&self, item_id: &str) -> Vec<Level> {
        self.levels.iter().filter(|((of, _), _)| of == item_id).map(|(_, level)| level.clone()).collect()
    }

    fn moment(&self, fold: &Fold) -> Moment {
        let item = self.items.get(&fold.item_id).cloned();
        Moment { at_ms: fold.at_ms, item, levels: self.levels_of(&fold.item_id) }
    }

    fn restore(&mut self, item_id: &str, item: Option<&Item>, levels: &[Level]) {
        match item {
            Some(item) => drop(self.items.insert(item_id.to_owned(), item.clone())),
            None => drop(self.items.remove(item_id)),
        }
        self.levels.retain(|(of, _), _| of != item_id);
        let levels = levels.iter().map(|level| ((item_id.to_owned(), level.location.clone()), level.clone()));
        self.levels.extend(levels);
    }

    /// Returns the places of these items by id, with the message if it kept its order.
    fn waiting(&self, evidence: &Evidence) -> Waiting {
        let mut waiting: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for sent in evidence.sent.iter().filter(|sent| self.by_decision.contains(&*sent.group)) {
            for place in places(sent) {
                let in_order = (!sent.set_aside && place.retry == 0).then_some(sent.id);
                waiting.entry((place.item.clone(), place.id)).or_default().push((place, in_order));
            }
        }
        waiting
    }
}
