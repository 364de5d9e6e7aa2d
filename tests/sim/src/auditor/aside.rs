//! Items of which the queue set messages aside: beside what comes in order, they are decided whenever a worker has
//! them.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::super::run::Story;
use super::check::outcome_faults;
use super::level::{Entry, Item, Level};
use super::predict::{Decided, Predictor, Verdict};
use super::read::{Place, places};

/// By item and id: where each of its messages stands, and its try.
type Waiting = BTreeMap<(String, Uuid), Vec<(Place, Option<u64>)>>;

/// An item and its levels after a decision.
struct Moment {
    at_ms: u64,
    item: Option<Item>,
    levels: Vec<Level>,
}

impl Moment {
    fn level(&self, entry: &Entry) -> Option<&Level> {
        self.levels.iter().find(|level| level.location == entry.location)
    }
}

type Past = BTreeMap<String, Vec<Moment>>;

impl Predictor<'_> {
    /// Items of which the queue set messages aside: what was set aside takes its place when it is decided, all else
    /// keeps its order (P3).
    pub(super) fn decide_by_decision(&mut self, story: &Story, decided: &mut Decided, faults: &mut Vec<String>) {
        let (stored, mut waiting) = (self.stored, self.waiting(story));
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let begin = || vec![Moment { at_ms: 0, item: None, levels: Vec::new() }];
        let mut past = Past::new();
        for written in &story.table.log {
            let mut parts = written.key.0.splitn(3, '#');
            let (Some("CMD"), Some(item), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if !self.by_decision.contains(item) {
                continue;
            }
            if let Some(location) = written.key.1.strip_prefix("AT#") {
                self.look(item, location);
                past.entry(item.to_owned()).or_insert_with(begin).push(self.moment(item, written.at_ms));
                continue;
            }
            let Some(mut of_id) = waiting.remove(&(item.to_owned(), id.parse().unwrap())) else {
                continue;
            };
            if let (true, Some(at)) = (of_id.iter().all(|(_, in_order)| in_order.is_some()), of_id[0].1)
                && last.insert(item.to_owned(), at).is_some_and(|before| before > at)
            {
                faults.push(format!("P3: {item} {id} was decided after what was queued behind it"));
            }
            let record = &stored[&(item.to_owned(), of_id[0].0.id)].record;
            let index = of_id.iter().position(|(place, _)| place.is_of(record)).unwrap_or_default();
            let (place, _) = of_id.swap_remove(index);
            let verdict = self.decide_meanwhile(&place, record, &past);
            past.entry(place.item.clone()).or_insert_with(begin).push(self.moment(&place.item, written.at_ms));
            decided.insert((place.item.clone(), place.id), (verdict, place.command.ok()));
        }
        decided.extend(waiting.into_keys().map(|key| (key, (Verdict::Rejected("undecided"), None))));
    }

    /// What is set aside is decided beside what comes in order. A refusal writes nothing but itself, so it may stand on
    /// an older state; a movement is bound to its levels, and may be judged by an older record of the item. Both must
    /// be right for moments since the message was in a worker's hand.
    fn decide_meanwhile(&mut self, place: &Place, record: &Value, past: &Past) -> Verdict {
        let now = self.moment(&place.item, u64::MAX);
        let verdict = self.decide(place);
        let after = self.moment(&place.item, u64::MAX);
        if outcome_faults(record, &verdict, place.id).is_empty() || after.item != now.item {
            return verdict;
        }
        let past = past.get(&place.item).map(Vec::as_slice).unwrap_or_default();
        // The state at the receive is the last one before it.
        let since = past.partition_point(|moment| moment.at_ms < place.received_ms).saturating_sub(1);
        let past = &past[since..];
        for (index, levels) in past.iter().map(|moment| &moment.levels).chain([&now.levels]).enumerate() {
            let is_now = index == past.len();
            // Levels are read before the item: what a movement changes was then as it is now.
            for moment in past.iter().skip(if is_now { 0 } else { index }).chain([&now]) {
                self.restore(&place.item, moment.item.as_ref(), levels);
                let other = self.decide(place);
                let may = match &other {
                    Verdict::Applied { entries, .. } => {
                        is_now && entries.iter().all(|entry| moment.level(entry) == now.level(entry))
                    }
                    Verdict::Rejected(_) | Verdict::Dead(_) => true,
                };
                if may && outcome_faults(record, &other, place.id).is_empty() {
                    let levels = if is_now { self.levels_of(&place.item) } else { now.levels.clone() };
                    self.restore(&place.item, now.item.as_ref(), &levels);
                    return other;
                }
            }
        }
        self.restore(&place.item, after.item.as_ref(), &after.levels);
        verdict
    }

    fn levels_of(&self, item_id: &str) -> Vec<Level> {
        self.levels.iter().filter(|((of, _), _)| of == item_id).map(|(_, level)| level.clone()).collect()
    }

    fn moment(&self, item_id: &str, at_ms: u64) -> Moment {
        Moment { at_ms, item: self.items.get(item_id).cloned(), levels: self.levels_of(item_id) }
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

    /// The places of these items by id, and of which message they are where that kept its order.
    fn waiting(&self, story: &Story) -> Waiting {
        let mut waiting: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for sent in story.sent.iter().filter(|sent| self.by_decision.contains(&*sent.group)) {
            for place in places(sent) {
                let in_order = (!sent.set_aside).then_some(sent.id);
                waiting.entry((place.item.clone(), place.id)).or_default().push((place, in_order));
            }
        }
        waiting
    }
}
