//! The value of a level's stock, as design.md §11 defines it, in fractions.

/// A fraction; the divisor is above zero.
#[derive(Clone, Copy)]
struct Ratio(i128, i128);

impl Ratio {
    /// Returns the nearest whole number; of two equally near ones the even one.
    fn nearest(self) -> i128 {
        let (below, rest) = (self.0.div_euclid(self.1), self.0.rem_euclid(self.1));
        match (2 * rest).cmp(&self.1) {
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Greater => below + 1,
            std::cmp::Ordering::Equal => below + below.rem_euclid(2),
        }
    }
}

/// A cost that a movement brings along.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Price {
    /// For one unit.
    Unit(i128),
    /// For all, with the average that it left at.
    All(i128, i128),
}

/// The cost of a movement, positive into the level, and the change of the value of what did not move.
pub(crate) type Cost = (Option<i128>, i128);

/// Thousandths of the unit, and ten-thousandths of money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) units: i128,
    pub(crate) value: i128,
    pub(crate) average: Option<i128>,
}

impl Book {
    /// Moves goods. `catalogue` is the catalogue's cost, which a level without an average takes.
    pub(crate) fn post(&mut self, delta: i128, own: Option<Price>, catalogue: Option<i128>) -> Cost {
        let before = *self;
        let first = catalogue.filter(|_| before.average.is_none()).map(Price::Unit);
        let price = own.or(first);
        self.units += delta;
        if delta == 0 || (price.is_none() && before.average.is_none()) {
            return (None, 0);
        }
        let cost = if delta > 0 { self.take_in(before, delta, price) } else { -self.give(before, -delta, price) };
        (Some(cost), self.value - before.value - cost)
    }

    /// Posts the opposite of an entry that moved at a cost.
    pub(crate) fn post_back(&mut self, delta: i128, cost: Option<i128>, catalogue: Option<i128>) -> Cost {
        let (Some(cost), Some(average), false) = (cost.map(i128::abs), self.average, delta == 0) else {
            return self.post(delta, None, catalogue);
        };
        let before = *self;
        self.units += delta;
        if delta > 0 && before.units <= 0 {
            self.value = Ratio(cost * self.units, delta).nearest();
        } else {
            self.value += cost * delta.signum();
            if self.units > 0 && self.value >= 0 {
                self.average = Some(Ratio(self.value * 1_000, self.units).nearest());
            } else {
                // What is left is not worth less than nothing.
                self.value = of(average, self.units);
            }
        }
        let cost = cost * delta.signum();
        (Some(cost), self.value - before.value - cost)
    }

    fn take_in(&mut self, before: Self, delta: i128, price: Option<Price>) -> i128 {
        let (cost, unit) = match price {
            Some(Price::Unit(unit)) => (of(unit, delta), Some(unit)),
            Some(Price::All(cost, unit)) => (cost, Some(unit)),
            None => (of(before.average.unwrap(), delta), None),
        };
        if before.average.is_none() || before.units <= 0 {
            self.value = Ratio(cost * self.units, delta).nearest();
            self.average = unit.or(before.average);
        } else {
            self.value += cost;
            self.average = match unit {
                Some(_) => Some(Ratio(self.value * 1_000, self.units).nearest()),
                None => before.average,
            };
        }
        cost
    }

    fn give(&mut self, before: Self, quantity: i128, price: Option<Price>) -> i128 {
        if let (None, Some(Price::Unit(unit))) = (before.average, price) {
            self.average = Some(unit);
            self.value = of(unit, before.units);
        }
        let below_zero = quantity - quantity.min(before.units.max(0));
        let from_stock = match quantity - below_zero {
            0 => 0,
            there => Ratio(self.value * there, before.units).nearest(),
        };
        let cost = from_stock + of(self.average.unwrap(), below_zero);
        self.value -= cost;
        cost
    }
}

fn of(unit: i128, units: i128) -> i128 {
    Ratio(unit * units, 1_000).nearest()
}
