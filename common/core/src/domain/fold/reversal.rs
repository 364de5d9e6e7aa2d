//! Taking a movement back: the opposite entries of all its legs (design.md §4, `reverse`).
//!
//! A reversal says that the movement never happened. So its entries occurred when those of the movement did, and where a
//! count has seen the stock since, they are late like every other movement from before a count.

use super::super::occurrence::Occurrence;
use super::super::{
    Action, CommandId, CommandKey, Effect, Item, Level, Quantity, Queued, Record, Rejection, RejectionCode, Reversal,
    Status,
};
use super::decision::{Applied, Decision, reject};
use super::draft::Draft;
use super::leg::{Change, Judged, Leg, Price};
use super::movements::{overflow, quantity};

impl Draft<'_> {
    /// Judges a reversal in the order of precedence, then takes back all legs of the movement or none.
    pub(super) fn reversal(&mut self, queued: &Queued, item: &Item, reverses: CommandId) -> Decision {
        let key = CommandKey { item_id: self.item_id.clone(), command_id: reverses };
        let loaded = self.loaded;
        let Some(record) = loaded.records.get(&key) else {
            let detail = format!("item {} has no command {reverses}; it may still be queued", self.item_id);
            return Err(Box::new(reject(RejectionCode::UnknownCommand, detail)));
        };
        if let Some(why) = not_reversible(record, queued) {
            let detail = format!("command {reverses} {why}");
            return Err(Box::new(reject(RejectionCode::NotReversible, detail)));
        }
        let legs = opposite_legs(record)?;
        self.precondition(queued, &legs)?;
        let mut judged = Vec::with_capacity(legs.len());
        for (leg, effect) in legs.iter().zip(record.outcome.effects.iter().rev()) {
            judged.push(judge(&self.level(leg.location_id).level, leg, effect)?);
        }
        let occurred_at = record.outcome.effects.first().map_or(queued.accepted_at, |effect| effect.occurred_at);
        let at = Occurrence::of(queued, self.rules).moved_to(occurred_at);
        let applied: Applied = self.apply_all(queued, item, &at, &legs, &judged)?;
        let entries = record.outcome.effects.iter().map(|effect| (effect.location_id.clone(), effect.seq)).collect();
        self.reversed.push(Reversal { command_id: reverses, reversed_by: queued.command.command_id, entries });
        Ok(applied)
    }
}

/// Says why a command can't be taken back by this one.
fn not_reversible(record: &Record, by: &Queued) -> Option<String> {
    let outcome = &record.outcome;
    let why = match (outcome.status, outcome.command.as_ref().map(|command| &command.action)) {
        (Status::Rejected, _) => "was rejected, so there is nothing to take back",
        (Status::DeadLettered, _) => "was set aside, so there is nothing to take back",
        (Status::Applied, Some(Action::Count { .. })) => "is a count, which says what is there; count again",
        (Status::Applied, Some(Action::Reverse { .. })) => "is a reversal; submit the movement again instead",
        (Status::Applied, Some(action)) if action.kind().is_movement() => {
            return match outcome.reversed_by {
                Some(other) => Some(format!("was reversed already, by command {other}")),
                None => not_allowed(record, by),
            };
        }
        (Status::Applied, _) => "moved no stock; change the catalogue back instead",
    };
    Some(why.to_owned())
}

/// Says why the submitter may not take this movement back, as the ingress has bounded it.
fn not_allowed(record: &Record, by: &Queued) -> Option<String> {
    let (outcome, reach) = (&record.outcome, by.reach.as_ref()?);
    if let Some(since) = reach.own_since {
        if outcome.submitted_by != by.submitted_by {
            return Some("was submitted by someone else; a manager may reverse it".into());
        }
        if outcome.accepted_at < since {
            return Some(format!("was accepted at {}, too long ago; a manager may reverse it", outcome.accepted_at));
        }
    }
    let at = outcome.command.as_ref().and_then(|command| command.action.locations().next());
    let is_within = |locations: &[_]| at.is_some_and(|at| locations.contains(at));
    let outside = reach.locations.as_ref().is_some_and(|locations| !is_within(locations));
    outside.then(|| "is of another location than those that this token acts at".into())
}

/// Returns the opposite legs, the giving side first.
fn opposite_legs(record: &Record) -> Result<Vec<Leg<'_>>, Box<Rejection>> {
    let outcome = &record.outcome;
    let action = outcome.command.as_ref().map(|command| &command.action);
    let mut legs = Vec::with_capacity(outcome.effects.len());
    for effect in outcome.effects.iter().rev() {
        let other = outcome.effects.iter().find(|other| other.location_id != effect.location_id);
        legs.push(Leg {
            location_id: &effect.location_id,
            kind: effect.kind,
            quantity: action.map(quantity).unwrap_or_default(),
            change: Change::By(effect.delta.checked_neg().ok_or_else(|| overflow(&effect.location_id))?),
            counterpart: other.map(|other| &other.location_id),
            price: Price::AsBefore(effect.cost),
            amount: action.and_then(Action::amount).and_then(|amount| amount.checked_neg()),
            reject_shortage: false,
        });
    }
    Ok(legs)
}

fn judge(level: &Level, leg: &Leg<'_>, effect: &Effect) -> Result<Judged, Box<Rejection>> {
    let late = effect.late || counted_since(level, effect);
    let delta = match leg.change {
        Change::By(delta) if !late => delta,
        Change::By(_) | Change::To(_) => Quantity::ZERO,
    };
    let after = level.on_hand.checked_add(delta).ok_or_else(|| overflow(leg.location_id))?;
    Ok(Judged { delta, after, late })
}

/// Returns whether a count has seen the stock after this entry. A count from before its place in the ledger was kept is
/// compared by its time.
fn counted_since(level: &Level, effect: &Effect) -> bool {
    if level.counted_seq == 0 {
        return level.counted_at.is_some_and(|counted_at| effect.occurred_at < counted_at);
    }
    // A late count keeps what occurred after it.
    effect.seq < level.counted_seq && level.counted_at.is_none_or(|counted_at| effect.occurred_at <= counted_at)
}
