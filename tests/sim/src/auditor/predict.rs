//! Predicts what must be stored and published, from the order of the messages in the queue.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::Evidence;
use super::super::queue::Sent;
use super::level::{Item, Level};
use super::predictor::{Decided, Hold, Predictor, Rejudged};
use super::read::{Outcomes, outcomes, places};

/// Everything that must be stored and published.
#[derive(Debug, Default)]
pub(crate) struct Predicted {
    pub(crate) outcomes: Decided,
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) levels: BTreeMap<(String, String), Level>,
    /// The alert of each re-judging by item, command and location. The empty location marks a command with re-judgings.
    pub(crate) rejudged: Rejudged,
    pub(crate) stored: Outcomes,
}

/// Predicts everything, item by item, in the order of the queue.
pub(crate) fn predict(evidence: &Evidence, faults: &mut Vec<String>) -> Predicted {
    let (stored, twice) = outcomes(&evidence.table);
    faults.extend(twice);
    let late = evidence.table.log.iter().find(|written| written.key == ("LOCATION".into(), "late".into()));
    let mut predictor = Predictor {
        stored: &stored,
        refused_until_ms: evidence.refused_until_ms,
        damaged: evidence.damaged.as_ref(),
        late_ms: late.map_or(u64::MAX, |written| written.at_ms),
        items: BTreeMap::new(),
        levels: BTreeMap::new(),
        barcodes: Vec::new(),
        taken: Vec::new(),
        rejudged: Rejudged::new(),
        by_decision: by_decision(evidence),
    };
    let mut decided = BTreeMap::new();
    for place in evidence.sent.iter().flat_map(places) {
        let key = (place.item.clone(), place.id);
        if decided.contains_key(&key) || predictor.by_decision.contains(&place.item) {
            continue;
        }
        let verdict = predictor.decide(&place);
        decided.insert(key, (verdict, place.command.ok()));
    }
    predictor.decide_by_decision(evidence, &mut decided, faults);
    predictor.judge_barcodes(faults);
    let Predictor { items, levels, rejudged, .. } = predictor;
    Predicted { outcomes: decided, items, levels, rejudged, stored }
}

/// Returns the items with a message that the queue set aside or a dead letter that was retried. Such messages take
/// their place when they are decided.
fn by_decision(evidence: &Evidence) -> BTreeSet<String> {
    let is_out_of_order = |sent: &&Sent| sent.set_aside || places(sent).iter().any(|place| place.retry > 0);
    evidence.sent.iter().filter(is_out_of_order).map(|sent| sent.group.to_string()).collect()
}

impl Predictor<'_> {
    /// Checks that no two items hold a barcode at once, and that a refused barcode was held by another item.
    fn judge_barcodes(&self, faults: &mut Vec<String>) {
        for (index, one) in self.barcodes.iter().enumerate() {
            let others = self.barcodes[..index].iter().filter(|other| other.item != one.item);
            let same = others.filter(|other| other.barcode == one.barcode);
            for other in same.filter(|other| other.from_ms < one.until_ms && one.from_ms < other.until_ms) {
                faults.push(format!("{} and {} both hold barcode {}", one.item, other.item, one.barcode));
            }
        }
        for (item, wanted, from, until) in &self.taken {
            let held = |hold: &Hold| hold.item != *item && wanted.contains(&hold.barcode);
            if !self.barcodes.iter().any(|hold| held(hold) && hold.from_ms <= *until && *from <= hold.until_ms) {
                faults.push(format!("{item} was refused barcodes {wanted:?} that no other item held"));
            }
        }
    }
}
