//! An operator's orders about one dead letter, and their answers: the same in both homes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stockline_core::domain::{CommandId, CommandKey, ItemId};
use stockline_core::ports::{Clock, CommandSender, Queries, Store};

use crate::dead_letters::{self, Retried};

/// What an operator can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Queue a dead letter again.
    Retry,
    /// Mark a dead letter as never to be applied.
    Discard,
}

/// An operator's order about one dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub op: Op,
    /// The command's item.
    pub item_id: ItemId,
    /// The command's id.
    pub command_id: CommandId,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Done,
    /// It is refused, and ordering it again won't help.
    Refused,
    /// The queue or the store did not answer. Ordering it again is safe.
    Unavailable,
}

/// Carries out an operator's orders.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Reads dead letters.
    pub queries: Arc<dyn Queries>,
    /// Marks dead letters.
    pub store: Arc<dyn Store>,
    /// Queues retries.
    pub sender: Arc<dyn CommandSender>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Operator {
    /// Carries out the order. Returns how it ended, and the answer for the operator.
    pub async fn carry_out(&self, order: &Order) -> (Ended, String) {
        let key = CommandKey { item_id: order.item_id.clone(), command_id: order.command_id };
        let result = match order.op {
            Op::Retry => dead_letters::retry(&*self.queries, &*self.sender, &key).await.map(|retried| match retried {
                Retried::Queued(n) => (Ended::Done, format!("queued again, as retry {n}")),
                Retried::Refused(refusal) => (Ended::Refused, refusal.to_string()),
                Retried::Failed(error) => (Ended::Unavailable, error.to_string()),
            }),
            Op::Discard => dead_letters::discard(&*self.store, &key, self.clock.now()).await.map(|done| {
                if done {
                    (Ended::Done, "discarded; it is kept and will never be applied".to_owned())
                } else {
                    let text = "no dead letter with this item and id waits for a decision";
                    (Ended::Refused, text.to_owned())
                }
            }),
        };
        result.unwrap_or_else(|error| (Ended::Unavailable, error.to_string()))
    }
}
