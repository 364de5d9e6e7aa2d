//! The decision on a command, and the rejections that several kinds of command share.

use super::super::{Alert, Effect, Item, LocationId, Quantity, Rejection, RejectionCode};

/// The decision on one command.
pub(super) type Decision = Result<Applied, Box<Rejection>>;

/// The effects of an applied command.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) effects: Vec<Effect>,
    pub(super) alerts: Vec<Alert>,
    /// Whether the default threshold changed.
    pub(super) ends_fold: bool,
}

/// Makes a rejection with a code and a text only.
pub(super) fn reject(code: RejectionCode, detail: impl Into<String>) -> Rejection {
    Rejection {
        code,
        detail: detail.into(),
        found: None,
        available: None,
        held_by: None,
        location_id: None,
        dismissed_at: None,
        dismissed_because: None,
        dismissed_by: None,
    }
}

/// Describes a quantity with more decimals than its item allows.
pub(super) fn fractional(item: &Item, field: &str, quantity: Quantity) -> String {
    let (id, decimals) = (&item.item_id, item.catalogue.decimals);
    format!("{field} {quantity} has more decimals than the {decimals} of item {id}")
}

pub(super) fn unknown_item(item_id: &str) -> Rejection {
    reject(
        RejectionCode::UnknownItem,
        format!("item {item_id} is not registered; a manager registers it with register_item"),
    )
}

pub(super) fn unknown_location(location: &LocationId) -> Rejection {
    let detail =
        format!("location {location} is not registered; a manager registers it with PUT /v1/locations/{location}");
    Rejection { location_id: Some(location.clone()), ..reject(RejectionCode::UnknownLocation, detail) }
}
