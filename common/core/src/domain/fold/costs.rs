//! The costs that the legs of a movement move at (design.md §11).

use super::super::valuation::absolute;
use super::super::{Basis, Cost, EntryKind, Item, Money, Quantity, Rejection, RejectionCode, Valuation};
use super::decision::reject;
use super::draft::Draft;
use super::leg::{Judged, Leg, Price};

/// A judged leg with its costs.
pub(super) struct Priced {
    pub(super) unit_cost: Option<Cost>,
    pub(super) cost: Option<Money>,
    pub(super) revaluation: Money,
    pub(super) after: Valuation,
}

/// What goods of a transfer bring along: their cost, and the average that they left at.
type Carried = (Money, Cost);

impl Draft<'_> {
    /// Finds the costs of all legs, the giving side's first.
    pub(super) fn price(
        &mut self,
        item: &Item,
        legs: &[Leg<'_>],
        judged: &[Judged],
    ) -> Result<Vec<Priced>, Box<Rejection>> {
        let mut carried: Option<Carried> = None;
        let mut priced = Vec::with_capacity(legs.len());
        for (leg, judged) in legs.iter().zip(judged) {
            let stock = self.level(leg.location_id).level.valuation();
            let overflow = || {
                let detail =
                    format!("the value of the stock at {} would leave the range that is kept", leg.location_id);
                let rejection = reject(RejectionCode::QuantityOverflow, detail);
                Box::new(Rejection { location_id: Some(leg.location_id.clone()), ..rejection })
            };
            let (basis, unit_cost) = basis(stock, leg.price, carried, item.catalogue.unit_cost);
            if leg.kind == EntryKind::TransferOut && matches!(leg.price, Price::Average) {
                carried = carried_off(stock, leg.quantity, basis).ok_or_else(overflow)?;
            }
            let moved = stock.moved(judged.delta, basis).ok_or_else(overflow)?;
            priced.push(Priced {
                unit_cost: named(leg).or(unit_cost.filter(|_| moved.cost.is_some())),
                cost: moved.cost,
                revaluation: moved.revaluation,
                after: moved.after,
            });
        }
        Ok(priced)
    }
}

/// Returns what decides the cost of a leg, and the cost of one unit that its entry names: a cost of its own, else the
/// level's average, else the catalogue's cost.
fn basis(
    stock: Valuation,
    price: Price,
    carried: Option<Carried>,
    of_catalogue: Option<Cost>,
) -> (Basis, Option<Cost>) {
    match price {
        Price::Named(Some(unit)) => return (Basis::UnitCost(unit), None),
        Price::AsBefore(Some(cost)) => return (Basis::Total(absolute(cost), None), None),
        Price::Carried => {
            if let Some((total, unit)) = carried {
                return (Basis::Total(total, Some(unit)), Some(unit));
            }
        }
        Price::Average | Price::Named(None) | Price::AsBefore(None) => {}
    }
    match (stock.average_cost, of_catalogue) {
        (None, Some(unit)) => (Basis::UnitCost(unit), Some(unit)),
        // The entry that is taken back had no cost: this one says that it moves at the average.
        (average, _) if matches!(price, Price::AsBefore(_)) => (Basis::Average, average),
        _ => (Basis::Average, None),
    }
}

const fn named(leg: &Leg<'_>) -> Option<Cost> {
    match leg.price {
        Price::Named(unit) => unit,
        Price::Average | Price::Carried | Price::AsBefore(_) => None,
    }
}

/// Returns what a transfer takes along: the cost of the goods at the giving side, even where a count has seen them leave.
/// The outer `None` is an overflow, the inner an unknown cost.
fn carried_off(stock: Valuation, quantity: Quantity, basis: Basis) -> Option<Option<Carried>> {
    let moved = stock.moved(quantity.checked_neg()?, basis)?;
    Some(moved.cost.map(absolute).zip(moved.after.average_cost))
}
