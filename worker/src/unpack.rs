//! From deliveries to the work of each item.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{ItemId, MessageError, Slot, Timestamp, set_message_aside};
use stockline_core::ports::{Delivery, Handle};
use uuid::Uuid;

use crate::item_work::ItemWork;
use crate::leases::return_pause;
use crate::outage_breaker::LaterVersion;
use crate::worker::{Worker, YIELD_COMMANDS};

/// Decodes deliveries command by command and sorts them by item, in order.
///
/// It also returns the messages that must go back to the queue: those of a later version, and those behind them in the
/// same group.
pub(crate) async fn unpack(
    worker: &Worker,
    deliveries: Vec<Delivery>,
) -> (VecDeque<ItemWork>, Vec<(Handle, Duration)>) {
    let now = worker.adapters.clock.now();
    let mut items: Vec<ItemWork> = Vec::new();
    let mut by_group: HashMap<Arc<str>, usize> = HashMap::with_capacity(deliveries.len());
    let mut blocked = HashSet::new();
    let mut returned = Vec::new();
    let mut since_yield = 0;
    for delivery in deliveries {
        let index = *by_group.entry(delivery.group.clone()).or_insert_with(|| {
            items.push(ItemWork::new(item_of_group(&delivery.group)));
            items.len() - 1
        });
        let work = &mut items[index];
        if !blocked.contains(&index) {
            match decode(worker, &work.item_id, &delivery, now) {
                Ok(slots) => {
                    count_undecodable(worker, &delivery, &work.item_id, &slots);
                    since_yield += slots.len();
                    work.add(delivery, slots);
                    if since_yield >= YIELD_COMMANDS {
                        since_yield = 0;
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                Err(MessageError::Newer(version)) => {
                    worker.breaker.later_version_met(&LaterVersion::Message(version));
                    blocked.insert(index);
                }
            }
        }
        returned.push((delivery.handle, return_pause(delivery.receives)));
    }
    items.retain(|work| !work.is_done());
    (items.into(), returned)
}

/// Returns the item under which dead letters of a group are recorded: the group itself, or, where it is no item id,
/// `not-an-item-` and the UUIDv5 (of the OID namespace) of the group's text, without hyphens.
pub(crate) fn item_of_group(group: &str) -> ItemId {
    group.parse().unwrap_or_else(|_| {
        let made = format!("not-an-item-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, group.as_bytes()).simple());
        #[expect(clippy::expect_used, reason = "44 letters, digits and hyphens are an item id; a test checks it")]
        made.parse().expect("an item id")
    })
}

/// Calls [`decode_message`](stockline_core::domain::decode_message). If that panics, the whole message becomes one
/// dead letter.
fn decode(worker: &Worker, item_id: &ItemId, delivery: &Delivery, now: Timestamp) -> Result<Vec<Slot>, MessageError> {
    let (decode, message_id, body) = (worker.decode, &*delivery.message_id, &*delivery.body);
    catch_unwind(|| decode(item_id, message_id, body, now)).unwrap_or_else(|_| {
        let reason = "decoding the message panicked: this is a defect, please report it";
        Ok(vec![set_message_aside(item_id, message_id, body, reason, now)])
    })
}

fn count_undecodable(worker: &Worker, delivery: &Delivery, item_id: &ItemId, slots: &[Slot]) {
    let undecodable = slots.iter().filter(|slot| matches!(slot, Slot::Dead(_))).count();
    if undecodable > 0 {
        worker.meters.undecodable.increment(undecodable as u64);
        let message_id = &delivery.message_id;
        tracing::warn!(%item_id, %message_id, undecodable, "undecodable commands are dead-lettered");
    }
}
