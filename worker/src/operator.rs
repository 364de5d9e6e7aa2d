//! What an operator orders about one dead letter, and what is said back: the same in both homes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stockline_core::domain::{CommandId, CommandKey, ItemId};
use stockline_core::ports::{Clock, CommandSender, Queries, Store};

use crate::dead_letters::{self, Retried};

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Queue a dead letter again.
    Retry,
    /// Mark a dead letter as never to be applied.
    Discard,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub op: Op,
    /// The dead letter's item.
    pub item_id: ItemId,
    /// Its id.
    pub command_id: CommandId,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Done,
    /// It is refused, and would be again.
    Refused,
    /// Queue or store did not answer; ordering it again is safe.
    Unavailable,
}

/// Carries out orders.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Reads the dead letter.
    pub queries: Arc<dyn Queries>,
    /// Marks it.
    pub store: Arc<dyn Store>,
    /// Queues it.
    pub sender: Arc<dyn CommandSender>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Operator {
    /// Does it; how it ended, and what to tell the operator.
    pub async fn carry_out(&self, order: &Order) -> (Ended, String) {
        let command = CommandKey { item_id: order.item_id.clone(), command_id: order.command_id };
        let result = match order.op {
            Op::Retry => {
                dead_letters::retry(&*self.queries, &*self.sender, &command).await.map(|retried| match retried {
                    Retried::Queued(n) => (Ended::Done, format!("queued again, as retry {n}")),
                    Retried::Refused(refusal) => (Ended::Refused, refusal.to_string()),
                    Retried::Failed(error) => (Ended::Unavailable, error.to_string()),
                })
            }
            Op::Discard => dead_letters::discard(&*self.store, &command, self.clock.now()).await.map(|done| {
                if done {
                    (Ended::Done, "discarded; it is kept and will not be applied".to_owned())
                } else {
                    let text = "there is no dead letter of this item and id that waits for a decision";
                    (Ended::Refused, text.to_owned())
                }
            }),
        };
        result.unwrap_or_else(|error| (Ended::Unavailable, error.to_string()))
    }
}
