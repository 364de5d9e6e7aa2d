use super::super::Demand;
use crate::domain::{Item, LocationId, Percent, Planning, Quantity};

/// What a question says of all orders. What is `None` comes from the location, else from the item, else from the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderTerms {
    /// Days from an order to its goods.
    pub lead_time_days: Option<u16>,
    /// Days from one order to the next.
    pub review_days: u16,
    /// The probability that the stock lasts, from [`crate::domain::MIN_SERVICE_LEVEL`] to
    /// [`crate::domain::MAX_SERVICE_LEVEL`].
    pub service_level: Option<Percent>,
}

impl Default for OrderTerms {
    fn default() -> Self {
        Self { lead_time_days: None, review_days: 7, service_level: None }
    }
}

const LEAD_TIME_DAYS: u16 = 7;
const SERVICE_LEVEL: Percent = Percent::from_raw(950);
const ONE: Quantity = Quantity::from_raw(1_000);

/// Where a term comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The question.
    Asked,
    /// The location's own planning.
    Location,
    /// The item's planning.
    Item,
    /// Nobody has set it.
    Default,
}

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Location => "location",
            Self::Item => "item",
            Self::Default => "default",
        }
    }
}

/// A value with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term<T> {
    pub(super) value: T,
    pub(super) from: Source,
}

/// The terms of the orders of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LevelTerms {
    pub(super) supplier: Term<Option<String>>,
    pub(super) lead_time_days: Term<u16>,
    pub(super) review_days: u16,
    pub(super) multiple: Term<Quantity>,
    pub(super) minimum: Term<Quantity>,
    pub(super) service_level: Term<Percent>,
}

impl LevelTerms {
    /// Returns the terms of an item at a location: as asked, else the location's own, else the item's, else the default.
    pub(super) fn of(asked: &OrderTerms, item: &Item, location_id: &LocationId) -> Self {
        let (own, general) = (item.overrides.get(location_id), &item.catalogue.planning);
        fn term<T>(
            asked: Option<T>,
            own: Option<&Planning>,
            general: &Planning,
            field: impl Fn(&Planning) -> Option<T>,
            default: T,
        ) -> Term<T> {
            let found = asked.map(|value| (value, Source::Asked));
            let found = found.or_else(|| own.and_then(&field).map(|value| (value, Source::Location)));
            let found = found.or_else(|| field(general).map(|value| (value, Source::Item)));
            let (value, from) = found.unwrap_or((default, Source::Default));
            Term { value, from }
        }
        Self {
            supplier: term(None, own, general, |planning| planning.supplier.clone().map(Some), None),
            lead_time_days: term(
                asked.lead_time_days,
                own,
                general,
                |planning| planning.lead_time_days,
                LEAD_TIME_DAYS,
            ),
            review_days: asked.review_days,
            multiple: term(None, own, general, |planning| planning.order_multiple, ONE),
            minimum: term(None, own, general, |planning| planning.order_minimum, Quantity::ZERO),
            service_level: term(asked.service_level, own, general, |planning| planning.service_level, SERVICE_LEVEL),
        }
    }

    /// Returns the days that an order must last: until the goods of the next one come.
    pub(super) fn days_ahead(&self) -> i64 {
        i64::from(self.lead_time_days.value) + i64::from(self.review_days)
    }

    fn probability(&self) -> f64 {
        self.service_level.value.raw() as f64 / 1_000.0
    }

    /// Returns the stock that lead time and review period need.
    pub(super) fn target(&self, demand: &Demand) -> Quantity {
        units(demand.quantile(self.days_ahead() as f64 / 7.0, self.probability()))
    }

    /// Returns the order for what is missing: nothing, or at least the minimum, in whole multiples.
    pub(super) fn order(&self, missing: Quantity) -> Quantity {
        if !missing.is_positive() {
            return Quantity::ZERO;
        }
        let multiple = self.multiple.value.raw().max(1);
        let least = missing.max(self.minimum.value).raw();
        let multiples = least / multiple + i64::from(least % multiple != 0);
        Quantity::from_raw(multiples.saturating_mul(multiple))
    }

    /// Returns the days until the last day on which an order still comes in time; 0 is today.
    pub(super) fn days_left(&self, demand: &Demand, on_hand: Quantity) -> i32 {
        let lasts = |days: i32| {
            let weeks = (f64::from(days) + f64::from(self.lead_time_days.value)) / 7.0;
            units(demand.quantile(weeks, self.probability())) <= on_hand
        };
        first_day(|days| !lasts(days)).map_or(AHEAD_DAYS, |days| (days - 1).max(0))
    }
}

/// Days that are looked ahead.
pub(super) const AHEAD_DAYS: i32 = 365;

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

    /// The terms of an item that nobody has planned, with a change.
    fn terms(change: impl FnOnce(&mut LevelTerms)) -> LevelTerms {
        let from = Source::Default;
        let mut terms = LevelTerms {
            supplier: Term { value: None, from },
            lead_time_days: Term { value: LEAD_TIME_DAYS, from },
            review_days: 7,
            multiple: Term { value: ONE, from },
            minimum: Term { value: Quantity::ZERO, from },
            service_level: Term { value: SERVICE_LEVEL, from },
        };
        change(&mut terms);
        terms
    }

    #[test]
    fn an_order_is_whole_multiples_and_at_least_the_minimum() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        for (missing, multiple, minimum, order) in [
            ("27", "1", "0", "27"),
            ("26.001", "1", "0", "27"),
            ("27", "12", "0", "36"),
            ("36", "12", "0", "36"),
            ("1", "12", "30", "36"),
            ("31", "12", "30", "36"),
            ("37", "12", "30", "48"),
            ("0.3", "0.25", "0", "0.5"),
            ("0", "12", "30", "0"),
            ("-5", "12", "30", "0"),
        ] {
            let terms = terms(|terms| {
                (terms.multiple.value, terms.minimum.value) = (quantity(multiple), quantity(minimum));
            });
            assert_eq!(terms.order(quantity(missing)), quantity(order), "{missing} in {multiple}, at least {minimum}");
        }
        let most = Quantity::from_raw(i64::MAX);
        assert_eq!(terms(|terms| terms.multiple.value = quantity("7")).order(most), most, "never an overflow");
    }

    #[test]
    fn an_order_is_due_when_the_stock_no_longer_covers_the_lead_time() {
        let terms = terms(|_| {});
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
