use super::super::Demand;
use crate::domain::Quantity;

/// The terms of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderTerms {
    /// Days from an order to its goods.
    pub lead_time_days: u16,
    /// Days from one order to the next.
    pub review_days: u16,
    /// The probability that the stock lasts, in tenths of a percent: 500 to 999.
    pub service_level_permille: u16,
}

impl Default for OrderTerms {
    fn default() -> Self {
        Self { lead_time_days: 7, review_days: 7, service_level_permille: 950 }
    }
}

/// Days that are looked ahead.
pub(super) const AHEAD_DAYS: i32 = 365;

impl OrderTerms {
    pub(super) fn service_level(self) -> f64 {
        f64::from(self.service_level_permille) / 1_000.0
    }

    /// Returns the stock that lead time and review period need.
    pub(super) fn target(self, demand: &Demand) -> Quantity {
        let days = f64::from(self.lead_time_days) + f64::from(self.review_days);
        units(demand.quantile(days / 7.0, self.service_level()))
    }

    /// Returns the days until the last day on which an order still comes in time; 0 is today.
    pub(super) fn days_left(self, demand: &Demand, on_hand: Quantity) -> i32 {
        let lasts = |days: i32| {
            let weeks = (f64::from(days) + f64::from(self.lead_time_days)) / 7.0;
            units(demand.quantile(weeks, self.service_level())) <= on_hand
        };
        first_day(|days| !lasts(days)).map_or(AHEAD_DAYS, |days| (days - 1).max(0))
    }
}

/// Returns the first day after which the stock is gone with this probability; `None` if it lasts a year.
pub(super) fn gone_after(demand: &Demand, on_hand: Quantity, probability: f64) -> Option<i32> {
    first_day(|days| units(demand.quantile(f64::from(days) / 7.0, probability)) >= on_hand)
}

/// Returns the first of the next days from which on `holds` is true.
fn first_day(holds: impl Fn(i32) -> bool) -> Option<i32> {
    let (mut low, mut high) = (0, AHEAD_DAYS);
    if !holds(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

fn units(whole: u64) -> Quantity {
    Quantity::from_raw(i64::try_from(whole).unwrap_or(i64::MAX).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_due_when_the_stock_no_longer_covers_the_lead_time() {
        let terms = OrderTerms::default();
        let demand = Demand { mean: 7.0, variance: 14.0, active_weeks: 26 };
        let target = terms.target(&demand);
        assert_eq!(target, units(demand.quantile(2.0, 0.95)));
        assert_eq!(terms.days_left(&demand, target), 7, "the target lasts the review period and then the lead time");
        assert_eq!(terms.days_left(&demand, units(3)), 0);
        assert_eq!(terms.days_left(&demand, units(1_000_000)), AHEAD_DAYS);
        let (early, late) = (gone_after(&demand, units(20), 0.9), gone_after(&demand, units(20), 0.1));
        assert!(early < Some(20) && Some(20) < late, "{early:?} {late:?}");
        assert_eq!(gone_after(&Demand { mean: 0.0, ..demand }, units(1), 0.9), None);
    }
}
