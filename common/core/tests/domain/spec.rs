//! Commands in plain numbers, which tests write for the fold and for the model.

use stockline_core::domain::{
    Action, Barcode, Catalogue, CataloguePatch, Command, CommandId, DeadLetter, ItemId, MovementDetails, Planning,
    PlanningPatch, Quantity, Queued, Reason, Record, ShortagePolicy, Slot, Timestamp,
};
use uuid::Uuid;

/// The first command of every test is accepted around here, in milliseconds.
pub const T0: i64 = 1_700_000_000_000;

/// Quantities are in thousandths, times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Register {
        decimals: u8,
        threshold: Option<i64>,
        reject: bool,
    },
    Update {
        decimals: Option<u8>,
        threshold: Option<Option<i64>>,
        reject: Option<bool>,
    },
    Barcodes(Vec<&'static str>),
    Archive,
    Restore,
    Threshold {
        at: Option<&'static str>,
        value: Option<i64>,
    },
    /// Sets the order multiple of a location.
    Multiple {
        at: &'static str,
        value: Option<i64>,
    },
    Receive {
        at: &'static str,
        quantity: i64,
    },
    Sell {
        at: &'static str,
        quantity: i64,
        reject: Option<bool>,
    },
    Return {
        at: &'static str,
        quantity: i64,
    },
    Adjust {
        at: &'static str,
        quantity: i64,
    },
    Count {
        at: &'static str,
        counted: i64,
    },
    Transfer {
        from: &'static str,
        to: &'static str,
        quantity: i64,
    },
    /// Takes the command with this number back.
    Reverse(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub id: u32,
    pub act: Act,
    pub accepted: i64,
    pub occurred: Option<i64>,
    pub sent: Option<i64>,
    pub expect: Option<i64>,
    pub retry: u32,
    /// Whether it arrives undecodable.
    pub dead: bool,
}

pub fn item_id() -> ItemId {
    "cola".parse().unwrap()
}

pub fn command_id(id: u32) -> CommandId {
    CommandId(Uuid::from_u128(u128::from(id) + 1))
}

fn policy(reject: bool) -> ShortagePolicy {
    if reject { ShortagePolicy::Reject } else { ShortagePolicy::Allow }
}

pub fn catalogue(decimals: u8, threshold: Option<i64>, reject: bool) -> Catalogue {
    Catalogue {
        name: "Cola".into(),
        unit: "bottle".into(),
        decimals,
        barcodes: Vec::new(),
        category: None,
        low_stock_threshold: threshold.map(Quantity::from_raw),
        shortage_policy: policy(reject),
        unit_cost: None,
        planning: Planning::default(),
    }
}

fn action(act: &Act) -> Action {
    let place = |at: &str| at.parse().unwrap();
    let amount = Quantity::from_raw;
    match act.clone() {
        Act::Register { decimals, threshold, reject } => Action::RegisterItem(catalogue(decimals, threshold, reject)),
        Act::Update { decimals, threshold, reject } => Action::UpdateItem(CataloguePatch {
            decimals,
            low_stock_threshold: threshold.map(|value| value.map(amount)),
            shortage_policy: reject.map(policy),
            ..CataloguePatch::default()
        }),
        Act::Barcodes(codes) => Action::UpdateItem(CataloguePatch {
            barcodes: Some(codes.iter().map(|code| Barcode::single(*code)).collect()),
            ..CataloguePatch::default()
        }),
        Act::Archive => Action::ArchiveItem,
        Act::Restore => Action::RestoreItem,
        Act::Threshold { at, value } => {
            Action::SetThreshold { location_id: at.map(place), low_stock_threshold: value.map(amount) }
        }
        Act::Multiple { at, value } => Action::SetPlanning {
            location_id: place(at),
            planning: PlanningPatch { order_multiple: Some(value.map(amount)), ..PlanningPatch::default() },
        },
        Act::Receive { at, quantity } => {
            Action::Receive { location_id: place(at), quantity: amount(quantity), unit_cost: None }
        }
        Act::Sell { at, quantity, reject } => Action::Sell {
            location_id: place(at),
            quantity: amount(quantity),
            on_shortage: reject.map(policy),
            amount: None,
        },
        Act::Return { at, quantity } => {
            Action::Return { location_id: place(at), quantity: amount(quantity), amount: None }
        }
        Act::Adjust { at, quantity } => Action::Adjust { location_id: place(at), quantity: amount(quantity) },
        Act::Count { at, counted } => Action::Count { location_id: place(at), counted: amount(counted) },
        Act::Transfer { from, to, quantity } => {
            Action::Transfer { from_location_id: place(from), to_location_id: place(to), quantity: amount(quantity) }
        }
        Act::Reverse(id) => Action::Reverse { reverses: command_id(id) },
    }
}

impl Spec {
    pub fn queued(&self) -> Queued {
        let action = action(&self.act);
        let reason = matches!(action, Action::Adjust { .. }).then_some(Reason::Correction);
        let details = MovementDetails {
            occurred_at: self.occurred.map(Timestamp::from_millis),
            sent_at: self.sent.map(Timestamp::from_millis),
            expected_on_hand: self.expect.map(Quantity::from_raw),
            reason,
            ..MovementDetails::default()
        };
        Queued {
            command: Command { command_id: command_id(self.id), item_id: item_id(), action, details },
            accepted_at: Timestamp::from_millis(self.accepted),
            submitted_by: "till-1".into(),
            retry: self.retry,
            resubmits: None,
            first_accepted_at: None,
            reach: None,
            trace: None,
        }
    }

    pub fn act_is_reversal(&self) -> bool {
        matches!(self.act, Act::Reverse(_))
    }

    pub fn slot(&self) -> Slot {
        let queued = self.queued();
        if !self.dead {
            return Slot::Command(Box::new(queued));
        }
        let letter = DeadLetter { reason: "undecodable".into(), body: "{".into(), discarded_at: None };
        let accepted_at = queued.accepted_at;
        Slot::Dead(Box::new(Record::dead_letter(Some(&queued), letter, (item_id(), command_id(self.id)), accepted_at)))
    }
}
