//! The legs of a movement, before and after they are judged.

use super::super::{Cost, EntryKind, LocationId, Money, Quantity};

/// One leg of a movement: its effect on one level.
pub(super) struct Leg<'q> {
    pub(super) location_id: &'q LocationId,
    pub(super) kind: EntryKind,
    /// The quantity as submitted.
    pub(super) quantity: Quantity,
    pub(super) change: Change,
    pub(super) counterpart: Option<&'q LocationId>,
    pub(super) price: Price,
    /// The amount of a sale or a return; negative where it is taken back.
    pub(super) amount: Option<Money>,
    /// Whether to refuse the leg if it takes more than there is.
    pub(super) reject_shortage: bool,
}

/// What decides the cost of a leg.
#[derive(Clone, Copy)]
pub(super) enum Price {
    /// The average of the level.
    Average,
    /// The cost of one unit that a receive names, else the average.
    Named(Option<Cost>),
    /// The cost that the giving leg brings, else the average.
    Carried,
    /// The cost of the entry that is taken back, else the average.
    AsBefore(Option<Money>),
}

/// The change of the balance that a leg asks for.
#[derive(Clone, Copy)]
pub(super) enum Change {
    By(Quantity),
    To(Quantity),
}

/// The judged effect of a leg.
pub(super) struct Judged {
    pub(super) delta: Quantity,
    pub(super) after: Quantity,
    pub(super) late: bool,
}
