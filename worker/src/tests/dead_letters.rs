use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::domain::{CommandKey, Status};
use stockline_core::ports::{Clock, CommandSender, Pack, QueueError};
use uuid::Uuid;

use super::{noted, sell, stocked};
use crate::dead_letters::{Refusal, Retried, discard, list, retry, retry_all};
use crate::testing::World;

#[derive(Debug)]
struct Sender {
    world: Arc<World>,
    fail: bool,
    calls: Mutex<Vec<usize>>,
}

#[async_trait]
impl CommandSender for Sender {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        self.calls.lock().unwrap().push(packs.len());
        let send = |pack: Pack| {
            if self.fail {
                return Err(QueueError::Unavailable("as planned".into()));
            }
            self.world.queue.put(pack.item_id.as_str(), &pack.body);
            Ok(())
        };
        packs.into_iter().map(send).collect()
    }

    fn max_batch(&self) -> usize {
        10
    }
}

fn sender(world: &Arc<World>) -> Sender {
    Sender { world: world.clone(), fail: false, calls: Mutex::default() }
}

fn key(n: u128) -> CommandKey {
    crate::testing::key("cola", n)
}

/// Returns a world in which the store refused commands 3 and 4, and command 99 can't be decoded.
async fn with_dead_letters() -> Arc<World> {
    let world = World::new();
    stocked(&world, "cola");
    world.faults().refused_note = Some("huge".into());
    world.send(&[noted(sell(3, "cola", "main", 1), "huge"), noted(sell(4, "cola", "main", 2), "huge")]);
    let garbage = format!(r#"{{"v":1,"commands":[{{"command":{{"command_id":"{}"}}}}]}}"#, Uuid::from_u128(99));
    world.queue.put("cola", &garbage);
    world.work().await;
    world.faults().refused_note = None;
    world
}

#[tokio::test(start_paused = true)]
async fn a_retried_dead_letter_is_applied_once() {
    let world = with_dead_letters().await;
    let (reader, sender) = (&world.store, sender(&world));
    assert_eq!(list(reader, false, None, 10).await.unwrap().entries.len(), 3);
    for _ in 0..2 {
        assert!(matches!(retry(reader, &sender, &key(3)).await.unwrap(), Retried::Queued(1)));
    }
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "9");
    let record = world.record("cola", 3).unwrap();
    assert_eq!((record.outcome.status, record.retry), (Status::Applied, 1));
    let again = retry(reader, &sender, &key(3)).await.unwrap();
    assert!(matches!(again, Retried::Refused(Refusal::Decided)), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_the_mark_of_a_retry_leaves_a_dead_letter_alone() {
    let world = with_dead_letters().await;
    world.send(&[sell(3, "cola", "main", 1)]);
    world.work().await;
    assert_eq!(world.record("cola", 3).unwrap().outcome.status, Status::DeadLettered);
    assert_eq!(world.on_hand("cola", "main"), "10");
}

#[tokio::test(start_paused = true)]
async fn all_are_retried_but_what_cant_be() {
    let world = with_dead_letters().await;
    let (reader, sender) = (&world.store, sender(&world));
    assert!(discard(reader, &key(4), world.clock.now()).await.unwrap());
    assert!(!discard(reader, &key(4), world.clock.now()).await.unwrap());
    assert!(matches!(retry(reader, &sender, &key(4)).await.unwrap(), Retried::Refused(Refusal::Discarded)));
    assert!(matches!(retry(reader, &sender, &key(77)).await.unwrap(), Retried::Refused(Refusal::Unknown)));
    let lines = retry_all(reader, &sender).await.unwrap();
    let of = |n| lines.iter().find(|line| line.command_id == key(n).command_id).map(|line| &line.retried);
    assert!(matches!(of(3), Some(Retried::Queued(1))), "{lines:?}");
    assert!(matches!(of(99), Some(Retried::Refused(Refusal::Undecodable))), "{lines:?}");
    assert!(of(4).is_none(), "discarded is final: {lines:?}");
    assert_eq!(list(reader, true, None, 10).await.unwrap().entries.len(), 3);
    world.work().await;
    assert_eq!(world.on_hand("cola", "main"), "9");
}

#[tokio::test(start_paused = true)]
async fn retries_of_one_item_go_one_pack_a_call_and_stop_at_the_first_failure() {
    let world = with_dead_letters().await;
    let reader = &world.store;
    let good = sender(&world);
    retry_all(reader, &good).await.unwrap();
    assert_eq!(*good.calls.lock().unwrap(), [1, 1]);
    let bad = Sender { fail: true, ..sender(&world) };
    let lines = retry_all(reader, &bad).await.unwrap();
    assert_eq!(*bad.calls.lock().unwrap(), [1]);
    assert_eq!(lines.iter().filter(|line| matches!(line.retried, Retried::Failed(_))).count(), 2);
}
