use super::super::occurrence::Occurrence;
use super::super::{
    Action, Alert, Effect, Entry, EntryKind, Item, LocationId, Quantity, Queued, Rejection, RejectionCode,
    ShortagePolicy, Timestamp,
};
use super::costs::Priced;
use super::decision::{Applied, Decision, fractional, reject, unknown_item, unknown_location};
use super::draft::{Draft, DraftLevel};
use super::leg::{Change, Judged, Leg, Price};

impl Draft<'_> {
    /// Judges a movement in the order of precedence of design.md §4, then applies all of its legs or none.
    pub(super) fn movement(&mut self, queued: &Queued) -> Decision {
        let Some(item) = self.item.clone() else {
            return Err(Box::new(unknown_item(self.item_id.as_str())));
        };
        if let Action::Reverse { reverses } = queued.command.action {
            return self.reversal(queued, &item, reverses);
        }
        let at = Occurrence::of(queued, self.rules);
        self.admit(queued, &item, &at)?;
        let legs = legs(queued, &item)?;
        let mut judged = Vec::with_capacity(legs.len());
        self.precondition(queued, &legs)?;
        for leg in &legs {
            judged.push(judge(self.level(leg.location_id), leg, &at)?);
        }
        self.apply_all(queued, &item, &at, &legs, &judged)
    }

    /// Applies judged legs, unless the value of a level would leave its range.
    pub(super) fn apply_all(
        &mut self,
        queued: &Queued,
        item: &Item,
        at: &Occurrence,
        legs: &[Leg<'_>],
        judged: &[Judged],
    ) -> Decision {
        let priced = self.price(item, legs, judged)?;
        let mut applied = Applied::default();
        let recorded_at = self.recorded_at(queued, legs);
        for ((leg, judged), priced) in legs.iter().zip(judged).zip(&priced) {
            self.apply(queued, item, at, (leg, judged, priced), recorded_at, &mut applied);
        }
        Ok(applied)
    }

    /// Returns the commit time, never before acceptance or the last entry of a level. Both legs of a transfer share it,
    /// so that no moment of the past shows half of the transfer.
    fn recorded_at(&mut self, queued: &Queued, legs: &[Leg<'_>]) -> Timestamp {
        let earliest = self.now.max(queued.accepted_at);
        legs.iter().fold(earliest, |latest, leg| latest.max(self.level(leg.location_id).level.updated_at))
    }

    /// Checks everything that has precedence over the balance.
    fn admit(&self, queued: &Queued, item: &Item, at: &Occurrence) -> Result<(), Box<Rejection>> {
        let refuse = |code, detail: String| Err(Box::new(reject(code, detail)));
        if let Some(archived_at) = item.archived_at
            && (!at.explicit || at.occurred_at > archived_at || !at.can_follow(archived_at))
        {
            return refuse(
                RejectionCode::ItemArchived,
                format!("item {} is archived since {archived_at}", item.item_id),
            );
        }
        for location in queued.command.action.locations() {
            if !self.loaded.locations.contains_key(location) {
                return Err(Box::new(unknown_location(location)));
            }
        }
        for location in queued.command.action.locations() {
            if self.loaded.locations.get(location).is_some_and(|settings| settings.closed) {
                let rejection = reject(RejectionCode::LocationClosed, format!("location {location} is closed"));
                return Err(Box::new(Rejection { location_id: Some(location.clone()), ..rejection }));
            }
        }
        let quantity = quantity(&queued.command.action);
        let decimals = item.catalogue.decimals;
        if !quantity.fits_decimals(decimals) {
            return refuse(RejectionCode::FractionalQuantity, fractional(item, "quantity", quantity));
        }
        let age_ms = at.age_ms(queued);
        if at.explicit && age_ms > self.rules.max_age_ms {
            let days = self.rules.max_age_ms / 86_400_000;
            let detail = format!("occurred at {}, more than {days} days before it was accepted", at.occurred_at);
            return refuse(RejectionCode::OccurredAtOutOfRange, detail);
        }
        if let Action::Count { .. } = &queued.command.action
            && at.explicit
            && age_ms > self.rules.late_count_max_age_ms
        {
            let hours = self.rules.late_count_max_age_ms / 3_600_000;
            let detail =
                format!("counted at {}, more than {hours} hours before it was accepted; count again", at.occurred_at);
            return refuse(RejectionCode::CountTooLate, detail);
        }
        if let Action::Count { location_id, .. } = &queued.command.action
            && at.explicit
            && self.loaded.levels.get(location_id).is_some_and(|loaded| !loaded.reaches_back_to(at.occurred_at))
        {
            let detail = "too many movements were recorded since it was counted; count again".to_owned();
            return refuse(RejectionCode::CountTooLate, detail);
        }
        Ok(())
    }

    /// Checks `expected_on_hand` against the first leg, which is the giving side of a transfer.
    pub(super) fn precondition(&mut self, queued: &Queued, legs: &[Leg<'_>]) -> Result<(), Box<Rejection>> {
        let (Some(expected), Some(leg)) = (queued.command.details.expected_on_hand, legs.first()) else {
            return Ok(());
        };
        let found = self.level(leg.location_id).level.on_hand;
        if found == expected {
            return Ok(());
        }
        let detail = format!("expected {expected} on hand at {}, found {found}", leg.location_id);
        let rejection = reject(RejectionCode::PreconditionFailed, detail);
        Err(Box::new(Rejection { found: Some(found), location_id: Some(leg.location_id.clone()), ..rejection }))
    }

    fn apply(
        &mut self,
        queued: &Queued,
        item: &Item,
        at: &Occurrence,
        (leg, judged, priced): (&Leg<'_>, &Judged, &Priced),
        recorded_at: Timestamp,
        applied: &mut Applied,
    ) {
        let details = &queued.command.details;
        let draft = self.level(leg.location_id);
        draft.level.enter_epoch(item);
        let is_first = draft.level.seq == 0;
        let entry = Entry {
            seq: draft.level.seq + 1,
            kind: leg.kind,
            command_id: queued.command.command_id,
            quantity: leg.quantity,
            delta: judged.delta,
            after: judged.after,
            occurred_at: at.occurred_at,
            recorded_at,
            late: judged.late,
            clock_ahead: at.clock_ahead,
            submitted_by: queued.submitted_by.clone(),
            counterpart: leg.counterpart.cloned(),
            unit_cost: priced.unit_cost,
            amount: leg.amount,
            cost: priced.cost,
            revaluation: priced.revaluation,
            reverses: queued.command.action.reverses(),
            reason: details.reason,
            note: details.note.clone(),
            reference: details.reference.clone(),
            device_id: details.device_id.clone(),
            operator: details.operator.clone(),
        };
        applied.effects.push(Effect {
            location_id: leg.location_id.clone(),
            seq: entry.seq,
            kind: entry.kind,
            delta: entry.delta,
            after: entry.after,
            occurred_at: entry.occurred_at,
            recorded_at,
            late: entry.late,
            clock_ahead: entry.clock_ahead,
            unit_cost: entry.unit_cost.filter(|_| !matches!(leg.price, Price::Named(Some(_)))),
            cost: entry.cost,
            revaluation: entry.revaluation,
            // The command of a reversal has neither.
            quantity: entry.reverses.map(|_| entry.quantity),
            amount: entry.amount.filter(|_| entry.reverses.is_some()),
        });
        draft.append(entry, priced.after);
        if matches!(leg.change, Change::To(_)) && !judged.late {
            draft.level.counted_at = Some(at.occurred_at);
            draft.level.counted_seq = draft.level.seq;
        } else if draft.level.counted_at.is_some_and(|counted_at| !at.can_follow(counted_at)) {
            // The clock of the count or of this command was wrong. Until the next count only queue order decides.
            draft.level.counted_at = None;
        }
        let alert = draft.level.judge(item, recorded_at, queued.command.command_id);
        // A first entry that takes stock is no opening stock.
        let opening = is_first && !draft.level.on_hand.is_negative();
        applied.alerts.extend(alert.map(|alert| Alert { opening, ..alert }));
    }
}

/// Returns the legs of a movement, the giving side first.
fn legs<'q>(queued: &'q Queued, item: &Item) -> Result<Vec<Leg<'q>>, Box<Rejection>> {
    let overflow = || Box::new(reject(RejectionCode::QuantityOverflow, "the quantity can't be negated"));
    let single = |location_id, kind, change| Leg {
        location_id,
        kind,
        quantity: quantity(&queued.command.action),
        change,
        counterpart: None,
        price: Price::Average,
        amount: queued.command.action.amount(),
        reject_shortage: false,
    };
    let policy = item.catalogue.shortage_policy;
    Ok(match &queued.command.action {
        Action::Receive { location_id, quantity, unit_cost } => {
            vec![Leg {
                price: Price::Named(*unit_cost),
                ..single(location_id, EntryKind::Receive, Change::By(*quantity))
            }]
        }
        Action::Sell { location_id, quantity, on_shortage, .. } => {
            let taken = quantity.checked_neg().ok_or_else(overflow)?;
            let reject_shortage = on_shortage.unwrap_or(policy) == ShortagePolicy::Reject;
            vec![Leg { reject_shortage, ..single(location_id, EntryKind::Sell, Change::By(taken)) }]
        }
        Action::Return { location_id, quantity, .. } => {
            vec![single(location_id, EntryKind::Return, Change::By(*quantity))]
        }
        Action::Adjust { location_id, quantity } => {
            vec![single(location_id, EntryKind::Adjust, Change::By(*quantity))]
        }
        Action::Count { location_id, counted } => vec![single(location_id, EntryKind::Count, Change::To(*counted))],
        Action::Transfer { from_location_id: from, to_location_id: to, quantity } => {
            let taken = quantity.checked_neg().ok_or_else(overflow)?;
            let reject_shortage = policy == ShortagePolicy::Reject;
            let out = single(from, EntryKind::TransferOut, Change::By(taken));
            let into = single(to, EntryKind::TransferIn, Change::By(*quantity));
            vec![
                Leg { counterpart: Some(to), reject_shortage, ..out },
                Leg { counterpart: Some(from), price: Price::Carried, ..into },
            ]
        }
        Action::RegisterItem(_)
        | Action::UpdateItem(_)
        | Action::ArchiveItem
        | Action::RestoreItem
        | Action::SetThreshold { .. }
        | Action::SetPlanning { .. }
        | Action::Reverse { .. } => Vec::new(),
    })
}

/// Judges one leg against the balance.
fn judge(draft: &DraftLevel, leg: &Leg<'_>, at: &Occurrence) -> Result<Judged, Box<Rejection>> {
    let level = &draft.level;
    let on_hand = level.on_hand;
    let overflow = || overflow(leg.location_id);
    let counted_at = level.counted_at.filter(|counted_at| at.can_follow(*counted_at));
    let late = at.explicit
        && counted_at.is_some_and(|counted_at| match leg.change {
            Change::By(_) => at.occurred_at <= counted_at,
            Change::To(_) => at.occurred_at < counted_at,
        });
    if late {
        return Ok(Judged { delta: Quantity::ZERO, after: on_hand, late });
    }
    let after = match leg.change {
        Change::By(delta) => {
            let after = on_hand.checked_add(delta);
            // A sum below the range is a shortage too, and `insufficient_stock` has precedence over
            // `quantity_overflow`.
            if leg.reject_shortage && delta.is_negative() && after.is_none_or(Quantity::is_negative) {
                return Err(Box::new(insufficient(leg.location_id, on_hand, delta)));
            }
            after.ok_or_else(overflow)?
        }
        Change::To(counted) if at.explicit => {
            moved_since(draft, at).and_then(|moved| counted.checked_add(moved)).ok_or_else(overflow)?
        }
        Change::To(counted) => counted,
    };
    let delta = after.checked_sub(on_hand).ok_or_else(overflow)?;
    Ok(Judged { delta, after, late })
}

/// Returns the sum of the movements after a count was taken, which a late count keeps. It has seen the movements that a
/// wrong clock put behind its own acceptance, because the queue put them before it.
fn moved_since(draft: &DraftLevel, at: &Occurrence) -> Option<Quantity> {
    let entries = draft.history.iter().chain(&draft.level.tail);
    entries
        .filter(|entry| entry.occurred_at > at.occurred_at && at.can_follow(entry.occurred_at))
        .try_fold(Quantity::ZERO, |sum, entry| sum.checked_add(entry.delta))
}

/// Refuses a balance beyond 64 bits.
pub(super) fn overflow(location_id: &LocationId) -> Box<Rejection> {
    let detail = format!("the balance at {location_id} would leave the range that is kept");
    let rejection = reject(RejectionCode::QuantityOverflow, detail);
    Box::new(Rejection { location_id: Some(location_id.clone()), ..rejection })
}

/// Returns the quantity that a command moves or counts.
pub(super) fn quantity(action: &Action) -> Quantity {
    match action {
        Action::Receive { quantity, .. }
        | Action::Sell { quantity, .. }
        | Action::Return { quantity, .. }
        | Action::Adjust { quantity, .. }
        | Action::Transfer { quantity, .. } => *quantity,
        Action::Count { counted, .. } => *counted,
        Action::RegisterItem(_)
        | Action::UpdateItem(_)
        | Action::ArchiveItem
        | Action::RestoreItem
        | Action::SetThreshold { .. }
        | Action::SetPlanning { .. }
        | Action::Reverse { .. } => Quantity::ZERO,
    }
}

fn insufficient(location_id: &LocationId, on_hand: Quantity, delta: Quantity) -> Rejection {
    let available = on_hand.max(Quantity::ZERO);
    let wanted = delta.checked_neg().unwrap_or(delta);
    let detail = format!("{wanted} wanted at {location_id}, {available} available");
    Rejection {
        available: Some(available),
        location_id: Some(location_id.clone()),
        ..reject(RejectionCode::InsufficientStock, detail)
    }
}
