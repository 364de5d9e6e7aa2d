use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    Action, Barcode, Catalogue, CataloguePatch, Claim, Item, LocationId, MAX_OVERRIDES, Planning, PlanningPatch,
    Quantity, Queued, Rejection, RejectionCode,
};
use super::decision::{Applied, Decision, fractional, reject, unknown_item, unknown_location};
use super::draft::Draft;

impl Draft<'_> {
    /// Judges and applies a command on the catalogue or a threshold.
    pub(super) fn catalogue_command(&mut self, queued: &Queued) -> Decision {
        if let Action::RegisterItem(catalogue) = &queued.command.action {
            return self.register(queued, catalogue);
        }
        let Some(item) = self.item.clone() else {
            return Err(Box::new(unknown_item(self.item_id.as_str())));
        };
        match &queued.command.action {
            Action::UpdateItem(patch) => self.update(queued, item, patch),
            Action::ArchiveItem => {
                let archived_at = item.archived_at.or(Some(queued.accepted_at));
                Ok(self.change(queued, Item { archived_at, ..item }))
            }
            Action::RestoreItem => {
                let alert_epoch = item.alert_epoch + u64::from(item.is_archived());
                Ok(self.change(queued, Item { archived_at: None, alert_epoch, ..item }))
            }
            Action::SetThreshold { location_id: Some(location_id), low_stock_threshold } => {
                self.set_level_threshold(queued, &item, location_id, *low_stock_threshold)
            }
            Action::SetThreshold { location_id: None, low_stock_threshold } => {
                self.check_threshold(&item, *low_stock_threshold)?;
                let mut item = item;
                let changed = set_default_threshold(&mut item, *low_stock_threshold);
                Ok(Applied { ends_fold: changed, ..self.change(queued, item) })
            }
            Action::SetPlanning { location_id, planning } => self.set_planning(queued, item, location_id, planning),
            _ => Ok(Applied::default()),
        }
    }

    /// Writes the changed record with its next version.
    fn change(&mut self, queued: &Queued, item: Item) -> Applied {
        let updated_at = self.now.max(queued.accepted_at).max(item.updated_at);
        self.put_item(Item { version: item.version + 1, updated_at, ..item });
        Applied::default()
    }

    fn register(&mut self, queued: &Queued, catalogue: &Catalogue) -> Decision {
        let item_id = self.item_id.clone();
        let key = Claim::ItemKey(item_id.folded());
        let exists = |held_by| {
            let detail = format!("item {held_by} is registered already (ids that differ only in case are one)");
            Rejection { held_by: Some(held_by), ..reject(RejectionCode::ItemExists, detail) }
        };
        if self.item.is_some() {
            return Err(Box::new(exists(item_id)));
        }
        if let Some(holder) = self.holder(&key).filter(|holder| **holder != item_id) {
            return Err(Box::new(exists(holder.clone())));
        }
        self.check_barcodes(&catalogue.barcodes)?;
        let at = self.now.max(queued.accepted_at);
        let item = Item {
            item_id,
            catalogue: Catalogue { barcodes: held(&catalogue.barcodes), ..catalogue.clone() },
            overrides: BTreeMap::new(),
            archived_at: None,
            version: 1,
            threshold_version: 1,
            alert_epoch: 1,
            created_at: at,
            updated_at: at,
        };
        self.check_threshold(&item, catalogue.low_stock_threshold)?;
        check_packs(&item)?;
        check_planning(&item, &item.catalogue.planning)?;
        let changes = self.claim_changes(&queued.command.action);
        self.claims.extend(changes);
        self.put_item(item);
        Ok(Applied::default())
    }

    /// Returns the claims that a command takes (`true`) or gives up (`false`) if it is applied to the present item.
    pub(super) fn claim_changes(&self, action: &Action) -> Vec<(Claim, bool)> {
        let change = |held| move |barcode: Barcode| (Claim::Barcode(barcode.code), held);
        match (action, &self.item) {
            (Action::RegisterItem(catalogue), None) => {
                let key = Claim::ItemKey(self.item_id.folded());
                held(&catalogue.barcodes).into_iter().map(change(true)).chain([(key, true)]).collect()
            }
            (Action::UpdateItem(CataloguePatch { barcodes: Some(new), .. }), Some(item)) => {
                let (old, new) = (item.catalogue.barcodes.clone(), held(new));
                let (is_old, is_new) = (of_codes(&old), of_codes(&new));
                let given_up = old.into_iter().filter(|barcode| !is_new(barcode)).map(change(false));
                given_up.chain(new.into_iter().filter(|barcode| !is_old(barcode)).map(change(true))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn update(&mut self, queued: &Queued, item: Item, patch: &CataloguePatch) -> Decision {
        if let Some(barcodes) = &patch.barcodes {
            self.check_barcodes(barcodes)?;
        }
        let mut item = item;
        let ends_fold = self.patch(&mut item, patch)?;
        let changes = self.claim_changes(&queued.command.action);
        self.claims.extend(changes);
        Ok(Applied { ends_fold, ..self.change(queued, item) })
    }

    /// Applies a patch to the record. Returns whether the default threshold changed.
    fn patch(&self, item: &mut Item, patch: &CataloguePatch) -> Result<bool, Box<Rejection>> {
        let lower = patch.decimals.filter(|decimals| *decimals < item.catalogue.decimals);
        if let Some(decimals) = lower {
            self.check_decimals_unused(item, patch, decimals)?;
        }
        let catalogue = &mut item.catalogue;
        if let Some(name) = &patch.name {
            catalogue.name.clone_from(name);
        }
        if let Some(unit) = &patch.unit {
            catalogue.unit.clone_from(unit);
        }
        if let Some(decimals) = patch.decimals {
            catalogue.decimals = decimals;
        }
        if let Some(barcodes) = &patch.barcodes {
            catalogue.barcodes = held(barcodes);
        }
        if let Some(category) = &patch.category {
            catalogue.category.clone_from(category);
        }
        if let Some(policy) = patch.shortage_policy {
            catalogue.shortage_policy = policy;
        }
        if let Some(unit_cost) = patch.unit_cost {
            catalogue.unit_cost = unit_cost;
        }
        catalogue.planning = patch.planning.applied_to(&catalogue.planning);
        if let Some(threshold) = patch.low_stock_threshold {
            self.check_threshold(item, threshold)?;
        }
        check_packs(item)?;
        check_planning(item, &item.catalogue.planning)?;
        Ok(patch.low_stock_threshold.is_some_and(|threshold| set_default_threshold(item, threshold)))
    }

    fn set_level_threshold(
        &mut self,
        queued: &Queued,
        item: &Item,
        location_id: &LocationId,
        threshold: Option<Quantity>,
    ) -> Decision {
        if !self.loaded.locations.contains_key(location_id) {
            return Err(Box::new(unknown_location(location_id)));
        }
        self.check_threshold(item, threshold)?;
        let at = self.now.max(queued.accepted_at);
        let draft = self.level(location_id);
        draft.level.enter_epoch(item);
        draft.touch(at);
        draft.level.low_stock_threshold = threshold;
        let raised_at = draft.level.updated_at;
        let alerts = draft.level.judge(item, raised_at, queued.command.command_id).into_iter().collect();
        Ok(Applied { alerts, ..Applied::default() })
    }

    /// Sets what a location has instead of the item's planning. A location that keeps nothing of its own leaves the record.
    fn set_planning(
        &mut self,
        queued: &Queued,
        item: Item,
        location_id: &LocationId,
        patch: &PlanningPatch,
    ) -> Decision {
        if !self.loaded.locations.contains_key(location_id) {
            return Err(Box::new(unknown_location(location_id)));
        }
        let mut item = item;
        let own = item.overrides.remove(location_id).unwrap_or_default();
        let planning = patch.applied_to(&own);
        if !planning.is_empty() && item.overrides.len() >= MAX_OVERRIDES {
            let detail = format!(
                "{MAX_OVERRIDES} locations have a planning of their own for item {}, which is the most; clear one, or set the \
                 item's with update_item",
                item.item_id
            );
            let rejection = reject(RejectionCode::TooManyOverrides, detail);
            return Err(Box::new(Rejection { location_id: Some(location_id.clone()), ..rejection }));
        }
        check_planning(&item, &planning)?;
        if !planning.is_empty() {
            item.overrides.insert(location_id.clone(), planning);
        }
        Ok(self.change(queued, item))
    }

    fn check_barcodes(&self, barcodes: &[Barcode]) -> Result<(), Box<Rejection>> {
        for Barcode { code, .. } in barcodes {
            let held = Claim::of_barcode(code).find_map(|claim| self.holder(&claim).filter(|h| *h != self.item_id));
            if let Some(holder) = held {
                let detail = format!("barcode {code} belongs to item {holder}");
                let rejection = reject(RejectionCode::BarcodeTaken, detail);
                return Err(Box::new(Rejection { held_by: Some(holder.clone()), ..rejection }));
            }
        }
        Ok(())
    }

    /// Refuses fewer decimals while a balance or a threshold needs more.
    fn check_decimals_unused(&self, item: &Item, patch: &CataloguePatch, decimals: u8) -> Result<(), Box<Rejection>> {
        let catalogue = &item.catalogue;
        let refuse = |what: String| {
            let detail = format!("{what} needs more than {decimals} decimals");
            Err(Box::new(reject(RejectionCode::DecimalsInUse, detail)))
        };
        for level in self.balances() {
            if !level.on_hand.fits_decimals(decimals) {
                return refuse(format!("the balance {} at {}", level.on_hand, level.location_id));
            }
            if let Some(threshold) = level.low_stock_threshold.filter(|t| !t.fits_decimals(decimals)) {
                return refuse(format!("the threshold {threshold} at {}", level.location_id));
            }
        }
        let kept = if patch.barcodes.is_some() { &[][..] } else { &catalogue.barcodes };
        if let Some(Barcode { code, quantity }) = kept.iter().find(|pack| !pack.quantity.fits_decimals(decimals)) {
            return refuse(format!("the quantity {quantity} of barcode {code}"));
        }
        let kept = patch.planning.kept_of(&catalogue.planning);
        if let Some((field, quantity)) = kept.quantities().find(|(_, quantity)| !quantity.fits_decimals(decimals)) {
            return refuse(format!("the {field} {quantity}"));
        }
        for (location_id, planning) in &item.overrides {
            if let Some((field, quantity)) =
                planning.quantities().find(|(_, quantity)| !quantity.fits_decimals(decimals))
            {
                return refuse(format!("the {field} {quantity} at {location_id}"));
            }
        }
        let default = patch.low_stock_threshold.is_none().then_some(catalogue.low_stock_threshold).flatten();
        match default.filter(|threshold| !threshold.fits_decimals(decimals)) {
            Some(threshold) => refuse(format!("the default threshold {threshold}")),
            None => Ok(()),
        }
    }

    fn check_threshold(&self, item: &Item, threshold: Option<Quantity>) -> Result<(), Box<Rejection>> {
        match threshold.filter(|threshold| !threshold.fits_decimals(item.catalogue.decimals)) {
            Some(threshold) => {
                let detail = fractional(item, "low_stock_threshold", threshold);
                Err(Box::new(reject(RejectionCode::FractionalQuantity, detail)))
            }
            None => Ok(()),
        }
    }
}

/// Returns barcodes in the form in which an item holds them.
fn held(barcodes: &[Barcode]) -> Vec<Barcode> {
    barcodes.iter().map(Barcode::held).collect()
}

/// Returns whether a barcode is one of these, whatever its quantity.
fn of_codes(barcodes: &[Barcode]) -> impl Fn(&Barcode) -> bool + use<> {
    let codes: BTreeSet<String> = barcodes.iter().map(|barcode| barcode.code.clone()).collect();
    move |barcode| codes.contains(&barcode.code)
}

/// Refuses a quantity of a barcode that the item's decimals can't write.
fn check_packs(item: &Item) -> Result<(), Box<Rejection>> {
    let Catalogue { barcodes, decimals, .. } = &item.catalogue;
    match barcodes.iter().find(|barcode| !barcode.quantity.fits_decimals(*decimals)) {
        Some(Barcode { code, quantity }) => {
            let detail = fractional(item, &format!("the quantity of barcode {code}"), *quantity);
            Err(Box::new(reject(RejectionCode::FractionalQuantity, detail)))
        }
        None => Ok(()),
    }
}

/// Refuses a quantity of an order that the item's decimals can't write.
fn check_planning(item: &Item, planning: &Planning) -> Result<(), Box<Rejection>> {
    match planning.quantities().find(|(_, quantity)| !quantity.fits_decimals(item.catalogue.decimals)) {
        Some((field, quantity)) => {
            Err(Box::new(reject(RejectionCode::FractionalQuantity, fractional(item, field, quantity))))
        }
        None => Ok(()),
    }
}

/// Sets the default threshold. Returns whether it changed.
fn set_default_threshold(item: &mut Item, threshold: Option<Quantity>) -> bool {
    if item.catalogue.low_stock_threshold == threshold {
        return false;
    }
    item.catalogue.low_stock_threshold = threshold;
    item.threshold_version += 1;
    true
}
