use serde::{Deserialize, Serialize};

use super::{Percent, Quantity};

/// The longest lead time, in days.
pub const MAX_LEAD_TIME_DAYS: u16 = 365;

/// The lowest service level.
pub const MIN_SERVICE_LEVEL: Percent = Percent::from_raw(500);

/// The highest service level. No stock meets all demand.
pub const MAX_SERVICE_LEVEL: Percent = Percent::from_raw(999);

/// The most locations of one item with a planning of their own: the record of an item has to stay small, because every fold
/// of the item reads it.
pub const MAX_OVERRIDES: usize = 200;

/// How an item is ordered: of the item, or instead of that for one location. Nothing that is unset decides anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planning {
    /// Who delivers it, a text of at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<String>,
    /// Days from an order to its goods, at most [`MAX_LEAD_TIME_DAYS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time_days: Option<u16>,
    /// The quantity whose multiples can be ordered, above zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_multiple: Option<Quantity>,
    /// The least quantity of an order, zero or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_minimum: Option<Quantity>,
    /// The probability that the stock lasts until the goods of the next order, from [`MIN_SERVICE_LEVEL`] to
    /// [`MAX_SERVICE_LEVEL`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<Percent>,
}

impl Planning {
    /// Returns whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the quantities with the names of their fields.
    pub fn quantities(&self) -> impl Iterator<Item = (&'static str, Quantity)> {
        let named = [("order_multiple", self.order_multiple), ("order_minimum", self.order_minimum)];
        named.into_iter().filter_map(|(name, quantity)| Some((name, quantity?)))
    }
}

/// A change of some fields. An outer `None` keeps the field; an inner `None` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanningPatch {
    /// See [`Planning::supplier`].
    pub supplier: Option<Option<String>>,
    /// See [`Planning::lead_time_days`].
    pub lead_time_days: Option<Option<u16>>,
    /// See [`Planning::order_multiple`].
    pub order_multiple: Option<Option<Quantity>>,
    /// See [`Planning::order_minimum`].
    pub order_minimum: Option<Option<Quantity>>,
    /// See [`Planning::service_level`].
    pub service_level: Option<Option<Percent>>,
}

impl PlanningPatch {
    /// Returns whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what the change leaves as it is.
    #[must_use]
    pub fn kept_of(&self, planning: &Planning) -> Planning {
        fn kept<T: Clone>(patch: &Option<Option<T>>, now: &Option<T>) -> Option<T> {
            if patch.is_none() { now.clone() } else { None }
        }
        Planning {
            supplier: kept(&self.supplier, &planning.supplier),
            lead_time_days: kept(&self.lead_time_days, &planning.lead_time_days),
            order_multiple: kept(&self.order_multiple, &planning.order_multiple),
            order_minimum: kept(&self.order_minimum, &planning.order_minimum),
            service_level: kept(&self.service_level, &planning.service_level),
        }
    }

    /// Returns the planning with the change.
    #[must_use]
    pub fn applied_to(&self, planning: &Planning) -> Planning {
        fn changed<T: Clone>(patch: &Option<Option<T>>, now: &Option<T>) -> Option<T> {
            patch.as_ref().unwrap_or(now).clone()
        }
        Planning {
            supplier: changed(&self.supplier, &planning.supplier),
            lead_time_days: changed(&self.lead_time_days, &planning.lead_time_days),
            order_multiple: changed(&self.order_multiple, &planning.order_multiple),
            order_minimum: changed(&self.order_minimum, &planning.order_minimum),
            service_level: changed(&self.service_level, &planning.service_level),
        }
    }
}
