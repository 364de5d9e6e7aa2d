//! Barcodes and item ids belong to one item each. The catalogue records say to which: a claim is made what they say. If two
//! records name a barcode, it belongs to the item whose record changed last, because the other one has given it up since.

use std::collections::BTreeMap;

use stockline_core::domain::{Claim, Item, ItemId};
use stockline_core::ports::StoreError;

use super::super::DynamoStore;
use super::super::key::Key;
use super::super::row::{self, Row};
use super::scan::FoundOfItem;
use super::write::Change;
use super::{Made, Repair, RepairLine, RepairReport};

/// An item as it is after the repair, and its row.
type Stored = (Item, Option<Row>);

impl DynamoStore {
    /// Makes the claims of the touched items what their catalogue records say.
    pub(super) async fn repair_claims(
        &self,
        items: &BTreeMap<ItemId, FoundOfItem>,
        repair: Repair,
        made: &Made,
        report: &mut RepairReport,
    ) -> Result<(), StoreError> {
        for (item_id, found) in items {
            let item = self.mended_item(item_id, repair, made).await?;
            let mut strays = found.claims.clone();
            let former: Vec<_> = made.claims.get(item_id).into_iter().flatten().map(Key::claim).collect();
            let rows = self.get_many(former.clone(), true).await;
            for key in former {
                if let Some(row) = rows.row(&key)?.filter(|row| !strays.contains(row))
                    && row::holder(row)? == *item_id
                {
                    strays.push(row.clone());
                }
            }
            let mut steps = stray_claims(item.as_ref().map(|(item, _)| item), &strays);
            if let Some((item, row)) = item {
                steps.extend(self.missing_claims(item, row, repair, made).await?);
            }
            for (what, changes) in steps {
                let mut line = RepairLine { item_id: item_id.clone(), rows: Some(changes.len()), what: vec![what] };
                if repair.apply
                    && let Err(why) = self.write_changes(changes).await?
                {
                    line = RepairLine { rows: None, what: vec![why], ..line };
                }
                report.add(line);
            }
        }
        Ok(())
    }

    async fn mended_item(&self, item_id: &ItemId, repair: Repair, made: &Made) -> Result<Option<Stored>, StoreError> {
        let row = self.get(&Key::item(item_id), true).await?;
        let stored = row.as_ref().map(row::item).transpose()?;
        let planned = made.items.get(item_id).filter(|_| !repair.apply).cloned();
        Ok(planned.or(stored).map(|item| (item, row)))
    }

    async fn missing_claims(
        &self,
        item: Item,
        row: Option<Row>,
        repair: Repair,
        made: &Made,
    ) -> Result<Vec<(String, Vec<Change>)>, StoreError> {
        let wanted: Vec<_> = claims_of(&item).collect();
        let rows = self.get_many(wanted.iter().flatten().map(Key::claim), true).await;
        let mut steps = Vec::new();
        for spellings in &wanted {
            let Some(first) = spellings.first() else { continue };
            let mut held = None;
            for claim in spellings {
                if let Some(row) = rows.row(&Key::claim(claim))? {
                    held = Some((row::holder(row)?, Key::claim(claim), row.clone()));
                }
            }
            let (key, item_id) = (Key::claim(first), &item.item_id);
            match held {
                None => {
                    let claim = Change::put(row::of_holder(&key, item_id), None);
                    steps.push((format!("took {} again", key.pk), vec![claim]));
                }
                Some((holder, key, held)) if holder != *item_id => {
                    let other = self.mended_item(&holder, repair, made).await?;
                    let other =
                        other.filter(|(other, _)| claims_of(other).flatten().any(|claim| Key::claim(&claim) == key));
                    let take = Change::put(row::of_holder(&key, item_id), Some(held));
                    steps.push(match other {
                        Some((other, _)) if other.updated_at >= item.updated_at => {
                            let drop = without(&item, spellings, row.clone())?;
                            (format!("dropped {}, which item {holder} has", key.pk), vec![drop])
                        }
                        Some((other, other_row)) => {
                            let drop = without(&other, spellings, other_row)?;
                            (format!("took {} from item {holder}", key.pk), vec![take, drop])
                        }
                        None => (format!("took {} from item {holder}, which does not name it", key.pk), vec![take]),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(steps)
    }
}

/// Gives up the claims that the catalogue record does not name.
fn stray_claims(item: Option<&Item>, found: &[Row]) -> Vec<(String, Vec<Change>)> {
    let named: Vec<Key> = item.into_iter().flat_map(claims_of).flatten().map(|claim| Key::claim(&claim)).collect();
    let strays = found.iter().filter_map(|row| Some((Key::of(row)?, row)));
    let strays = strays.filter(|(key, _)| !named.contains(key));
    let what = |key: &Key| format!("gave up {}, which its catalogue record does not name", key.pk);
    strays.map(|(key, row)| (what(&key), vec![Change::delete(row.clone())])).collect()
}

/// Returns the claims of an item, each in all of its spellings.
pub(super) fn claims_of(item: &Item) -> impl Iterator<Item = Vec<Claim>> + '_ {
    let of_id = vec![Claim::ItemKey(item.item_id.folded())];
    let of_codes = item.catalogue.barcodes.iter().map(|barcode| Claim::of_barcode(&barcode.code).collect());
    [of_id].into_iter().chain(of_codes)
}

/// Takes a barcode out of a catalogue record.
fn without(item: &Item, spellings: &[Claim], was: Option<Row>) -> Result<Change, StoreError> {
    let mut item = item.clone();
    item.version += 1;
    item.catalogue.barcodes.retain(|barcode| !Claim::of_barcode(&barcode.code).any(|claim| spellings.contains(&claim)));
    Ok(Change::put(row::of_item(&item)?, was))
}
