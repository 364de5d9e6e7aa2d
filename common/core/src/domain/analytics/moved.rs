use super::super::{CommandId, Entry, EntryKind, Money, Quantity, Reason, Timestamp};

/// What the figures need of a ledger entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    pub(in crate::domain) occurred_at: Timestamp,
    pub(in crate::domain) kind: EntryKind,
    pub(in crate::domain) quantity: Quantity,
    pub(in crate::domain) delta: Quantity,
    pub(in crate::domain) late: bool,
    pub(in crate::domain) reason: Option<Reason>,
    pub(in crate::domain) command_id: CommandId,
    /// The entry that it takes back.
    pub(in crate::domain) reverses: Option<CommandId>,
    pub(in crate::domain) amount: Option<Money>,
    pub(in crate::domain) cost: Option<Money>,
    pub(in crate::domain) revaluation: Money,
}

impl Moved {
    /// Returns what the figures need of an entry.
    pub const fn of(entry: &Entry) -> Self {
        Self {
            occurred_at: entry.occurred_at,
            kind: entry.kind,
            quantity: entry.quantity,
            delta: entry.delta,
            late: entry.late,
            reason: entry.reason,
            command_id: entry.command_id,
            reverses: entry.reverses,
            amount: entry.amount,
            cost: entry.cost,
            revaluation: entry.revaluation,
        }
    }

    /// Returns the change of the value of the stock.
    pub(super) fn value(&self) -> i64 {
        self.cost.map_or(0, Money::raw).saturating_add(self.revaluation.raw())
    }
}
