//! The value of the stock of one level, by moving average cost (design.md §11).

use super::{Cost, Entry, EntryKind, Money, Quantity};

/// The stock of one level with its value.
///
/// - The *value* is the sum of what each entry added: the cost that its goods moved at, and its *revaluation*. So
///   Σ (costs in − costs out + revaluations) = value, exactly and always. A level with nothing on hand has no value.
/// - The *average* is the cost of one unit, rounded to ten-thousandths. Only goods that come in at a cost of their own
///   change it.
/// - Goods leave at their share of the value: `value × quantity / on_hand`, rounded half to even. So the last unit takes
///   what rounding has left, and nothing is lost. What leaves below zero leaves at the average; the value is then
///   negative, because the shop owes it to itself.
/// - Goods that come in at a cost of their own (a receive that names one, a transfer, a reversal) add that cost, and the
///   average becomes `value / on_hand`.
/// - If nothing was on hand, or less, the incoming cost becomes the average of *all* that is on hand. So the entry
///   revalues what was sold below zero: `value = incoming cost × on_hand / quantity`. The same holds for stock without
///   a known cost.
/// - Goods that come in without a cost of their own (a receive that names none, a return, a count, an adjustment) come
///   in at the average.
/// - A level without an average takes the first cost that is known, else the catalogue's. Until then costs are unknown,
///   which is not zero: entries have none.
///
/// ```
/// use stockline_core::domain::{Basis, Valuation};
///
/// let none = Valuation::default();
/// let bought = none.moved("10".parse()?, Basis::UnitCost("0.3333".parse()?)).unwrap();
/// assert_eq!(bought.after.value.to_string(), "3.333");
/// let sold = bought.after.moved("-12".parse()?, Basis::Average).unwrap();
/// assert_eq!((sold.cost.unwrap().to_string(), sold.after.value.to_string()), ("-3.9996".into(), "-0.6666".into()));
/// let covered = sold.after.moved("5".parse()?, Basis::UnitCost("0.5".parse()?)).unwrap();
/// assert_eq!(covered.cost.unwrap().to_string(), "2.5");
/// assert_eq!(covered.revaluation.to_string(), "-0.3334", "the two that were sold before they came cost 0.1667 more each");
/// assert_eq!(covered.after.value.to_string(), "1.5", "three at 0.50");
/// # Ok::<(), stockline_core::domain::FixedError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Valuation {
    /// The balance.
    pub on_hand: Quantity,
    /// The value of the balance; negative below zero.
    pub value: Money,
    /// The average cost of one unit; `None` until a cost is known.
    pub average_cost: Option<Cost>,
}

/// What decides the cost of goods that move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The level's average.
    Average,
    /// The cost of one unit: the one of a receive, or the catalogue's for a level without an average.
    UnitCost(Cost),
    /// The cost of all goods that move, 0 or more: a transfer's, or that of a reversed entry. With the average that a
    /// transfer brings along.
    Total(Money, Option<Cost>),
}

/// What a movement does to the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// See [`Entry::cost`].
    pub cost: Option<Money>,
    /// See [`Entry::revaluation`].
    pub revaluation: Money,
    /// The level after it.
    pub after: Valuation,
}

/// Thousandths in one unit.
const UNIT: i128 = 1_000;

impl Valuation {
    /// Returns the cost of one unit, rounded half to even; `None` if nothing is on hand, or less.
    pub fn average_of(value: Money, on_hand: Quantity) -> Option<Cost> {
        if on_hand.is_positive() { average_of(value, on_hand) } else { None }
    }

    /// Moves goods: `delta` is positive into the level. Returns `None` if the balance or the value leaves the range of 64
    /// bits.
    pub fn moved(self, delta: Quantity, basis: Basis) -> Option<Moved> {
        let on_hand = self.on_hand.checked_add(delta)?;
        if delta.is_zero() || (self.average_cost.is_none() && basis == Basis::Average) {
            return Some(Moved { cost: None, revaluation: Money::ZERO, after: Self { on_hand, ..self } });
        }
        let (cost, value, average) = if delta.is_positive() {
            self.taken_in(delta, on_hand, basis)?
        } else {
            self.taken_out(delta.checked_neg()?, on_hand, basis)?
        };
        Some(Moved {
            cost: Some(cost),
            revaluation: value.checked_sub(self.value)?.checked_sub(cost)?,
            after: Self { on_hand, value, average_cost: Some(average) },
        })
    }

    /// Returns the cost, the value and the average of goods that come in.
    fn taken_in(self, quantity: Quantity, on_hand: Quantity, basis: Basis) -> Option<(Money, Money, Cost)> {
        let (cost, own) = match (basis, self.average_cost) {
            (Basis::Average, average) => (of_units(average?, quantity)?, None),
            (Basis::UnitCost(unit), _) => (of_units(unit, quantity)?, Some(unit)),
            (Basis::Total(total, unit), average) => (total, unit.or(average).or(average_of(total, quantity))),
        };
        if self.average_cost.is_none() || !self.on_hand.is_positive() {
            return Some((cost, share(cost, on_hand, quantity)?, own.or(self.average_cost)?));
        }
        let value = self.value.checked_add(cost)?;
        let average = if basis == Basis::Average { self.average_cost } else { average_of(value, on_hand) };
        Some((cost, value, average?))
    }

    /// Returns the cost (negative), the value and the average when goods leave.
    fn taken_out(self, quantity: Quantity, on_hand: Quantity, basis: Basis) -> Option<(Money, Money, Cost)> {
        let (average, before) = match (self.average_cost, basis) {
            (Some(average), _) => (average, self.value),
            (None, Basis::UnitCost(unit)) => (unit, of_units(unit, self.on_hand)?),
            (None, Basis::Total(total, unit)) => {
                let unit = unit.or(average_of(total, quantity))?;
                (unit, of_units(unit, self.on_hand)?)
            }
            (None, Basis::Average) => return None,
        };
        if let Basis::Total(total, _) = basis {
            let (value, average) = left_at(before.checked_sub(total)?, on_hand, average)?;
            return Some((total.checked_neg()?, value, average));
        }
        let cost = if !self.on_hand.is_positive() {
            of_units(average, quantity)?
        } else if on_hand.is_negative() {
            before.checked_add(of_units(average, on_hand.checked_neg()?)?)?
        } else {
            share(before, quantity, self.on_hand)?
        };
        Some((cost.checked_neg()?, before.checked_sub(cost)?, average))
    }

    /// Returns the level after an entry of its ledger.
    ///
    /// # Errors
    /// Says how the entry's costs differ from those that its predecessors make. Entries from before costs were kept have
    /// none, like those of a level whose costs are not known.
    pub fn replay(self, entry: &Entry) -> Result<Self, String> {
        let Some(moved) = self.moved(entry.delta, self.basis_of(entry)) else {
            return Err("its costs leave the range that is kept".into());
        };
        if (moved.cost, moved.revaluation) == (entry.cost, entry.revaluation) {
            return Ok(moved.after);
        }
        let text = |cost: Option<Money>| cost.map_or_else(|| "none".to_owned(), |cost| cost.to_string());
        Err(format!(
            "its cost is {} and its revaluation {}, its predecessors make them {} and {}",
            text(entry.cost),
            entry.revaluation,
            text(moved.cost),
            moved.revaluation
        ))
    }

    /// Returns what decided the cost of an entry.
    fn basis_of(self, entry: &Entry) -> Basis {
        match (entry.cost, entry.unit_cost) {
            (Some(cost), None) if entry.reverses.is_some() => Basis::Total(absolute(cost), None),
            (Some(cost), unit @ Some(_)) if entry.reverses.is_none() && entry.kind == EntryKind::TransferIn => {
                Basis::Total(cost, unit)
            }
            (Some(_), Some(unit)) if self.average_cost.is_none() || entry.is_receipt() => Basis::UnitCost(unit),
            _ => Basis::Average,
        }
    }
}

/// Returns the amount of a cost without its direction.
pub(super) const fn absolute(cost: Money) -> Money {
    Money::from_raw(cost.raw().saturating_abs())
}

/// Returns the value and the average of what stays when goods left at a cost of their own. Where that leaves less than
/// nothing, what stays keeps the average.
fn left_at(left: Money, on_hand: Quantity, average: Cost) -> Option<(Money, Cost)> {
    if on_hand.is_positive() && !left.is_negative() {
        return Some((left, average_of(left, on_hand)?));
    }
    Some((of_units(average, on_hand)?, average))
}

/// Returns the cost of a quantity.
fn of_units(unit: Cost, quantity: Quantity) -> Option<Money> {
    divided(i128::from(unit.raw()) * i128::from(quantity.raw()), UNIT)
}

/// Returns the cost of one unit.
fn average_of(value: Money, quantity: Quantity) -> Option<Cost> {
    divided(i128::from(value.raw()) * UNIT, quantity.raw().into())
}

/// Returns the part of a value that `part` of `whole` has.
fn share(value: Money, part: Quantity, whole: Quantity) -> Option<Money> {
    divided(i128::from(value.raw()) * i128::from(part.raw()), whole.raw().into())
}

/// Divides by a positive number, and rounds half to even.
fn divided(dividend: i128, divisor: i128) -> Option<Money> {
    let (quotient, rest) = (dividend.checked_div_euclid(divisor)?, dividend.checked_rem_euclid(divisor)?);
    let up = match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(quotient + i128::from(up)).ok().map(Money::from_raw)
}
