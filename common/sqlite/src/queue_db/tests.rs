use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::pace::{FREE_MESSAGES, IDLE_WORKER_AFTER};
use super::*;
use crate::DataFolder;
use stockline_core::domain::Timestamp;
use stockline_core::ports::{
    Clock, CommandReceiver, CommandSender, Delivery, FixedClock, Handle, Pack, QueueDepth, QueueError,
};

const VISIBILITY: Duration = Duration::from_secs(30);
const NO_WAIT: Duration = Duration::ZERO;

/// By group: the next number to deliver, and whether a receiver has the group.
type GroupLocks = HashMap<Arc<str>, (usize, bool)>;

fn open_with(folder: &tempfile::TempDir, options: QueueOptions) -> SqliteQueue {
    let folder = DataFolder::open(folder.path()).unwrap();
    let clock = Arc::new(FixedClock::at("2026-01-31T08:00:00Z".parse::<Timestamp>().unwrap()));
    SqliteQueue::open(&folder, options, clock).unwrap()
}

fn open(folder: &tempfile::TempDir) -> SqliteQueue {
    open_with(folder, QueueOptions { visibility_timeout: VISIBILITY, ..QueueOptions::default() })
}

#[expect(clippy::disallowed_methods, reason = "stands for a sender's fresh id")]
fn fresh() -> Uuid {
    Uuid::new_v4()
}

fn pack(group: &str, body: &str) -> Pack {
    Pack { item_id: group.parse().unwrap(), dedup_id: fresh(), body: body.into() }
}

async fn send(queue: &SqliteQueue, group: &str, bodies: impl IntoIterator<Item = usize>) {
    for body in bodies {
        queue.send(vec![pack(group, &body.to_string())]).await[0].clone().unwrap();
    }
}

async fn receive(queue: &SqliteQueue) -> Vec<Delivery> {
    queue.receive(100, NO_WAIT, fresh()).await.unwrap()
}

fn bodies(deliveries: &[Delivery]) -> Vec<usize> {
    deliveries.iter().map(|delivery| delivery.body.parse().unwrap()).collect()
}

fn handles(deliveries: &[Delivery]) -> Vec<Handle> {
    deliveries.iter().map(|delivery| delivery.handle.clone()).collect()
}

async fn ack(queue: &SqliteQueue, deliveries: &[Delivery]) {
    assert!(queue.ack(&handles(deliveries)).await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_racing_receivers_see_each_group_in_order_and_one_receiver_at_a_time() {
    const GROUPS: usize = 20;
    const EACH: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let queue = Arc::new(open(&folder));
    let senders = (0..GROUPS).map(|group| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { send(&queue, &format!("g{group}"), 0..EACH).await })
    });
    let senders: Vec<_> = senders.collect();
    let held: Arc<Mutex<GroupLocks>> = Arc::default();
    let left = Arc::new(AtomicUsize::new(GROUPS * EACH));
    let receivers = (0..8).map(|_| {
        let (queue, held, left) = (Arc::clone(&queue), Arc::clone(&held), Arc::clone(&left));
        tokio::spawn(async move {
            while left.load(Ordering::SeqCst) > 0 {
                let deliveries = queue.receive(25, Duration::from_millis(20), fresh()).await.unwrap();
                for of_group in deliveries.chunk_by(|a, b| a.group == b.group) {
                    let mut held = held.lock().unwrap();
                    let (next, locked) = held.entry(Arc::clone(&of_group[0].group)).or_default();
                    assert!(of_group.len() <= 10 && !std::mem::replace(locked, true));
                    assert_eq!(bodies(of_group), (*next..*next + of_group.len()).collect::<Vec<_>>());
                    *next += of_group.len();
                }
                tokio::task::yield_now().await;
                for of_group in deliveries.chunk_by(|a, b| a.group == b.group) {
                    held.lock().unwrap().get_mut(&of_group[0].group).unwrap().1 = false;
                    ack(&queue, of_group).await;
                    left.fetch_sub(of_group.len(), Ordering::SeqCst);
                }
            }
        })
    });
    for task in senders.into_iter().chain(receivers.collect::<Vec<_>>()) {
        task.await.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap(), QueueDepth::default());
    drop(queue);
    assert!(receive(&open(&folder)).await.is_empty(), "what is acknowledged is gone from the file");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_locked_while_any_of_its_messages_is_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    send(&queue, "a", 0..12).await;
    send(&queue, "b", [100]).await;
    let first = receive(&queue).await;
    assert_eq!(bodies(&first), (0..10).chain([100]).collect::<Vec<_>>(), "ten of a group at most");
    ack(&queue, &first[1..]).await;
    assert!(receive(&queue).await.is_empty());
    send(&queue, "b", [101]).await;
    assert_eq!(bodies(&receive(&queue).await), [101], "other groups go on");
    ack(&queue, &first[..1]).await;
    assert_eq!(bodies(&receive(&queue).await), [10, 11]);
}

#[tokio::test(start_paused = true)]
async fn expired_messages_are_delivered_again_in_order_before_the_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    send(&queue, "a", 0..14).await;
    let first = receive(&queue).await;
    ack(&queue, &[first[0].clone(), first[5].clone()]).await;
    let started = Instant::now();
    let second = queue.receive(100, Duration::from_secs(60), fresh()).await.unwrap();
    assert!(second.is_empty(), "a receive waits 20 s at most");
    let second = queue.receive(100, Duration::from_secs(20), fresh()).await.unwrap();
    assert_eq!(started.elapsed(), VISIBILITY, "woken when the visibility ran out");
    assert_eq!(bodies(&second), [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    assert_eq!(second.iter().map(|delivery| delivery.receives).collect::<Vec<_>>(), [2, 2, 2, 2, 2, 2, 2, 2, 1, 1]);
    assert_eq!(second[0].message_id, first[1].message_id);
}

#[tokio::test(start_paused = true)]
async fn an_expired_handle_neither_acknowledges_nor_extends() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    send(&queue, "a", [1]).await;
    let first = receive(&queue).await;
    tokio::time::advance(VISIBILITY).await;
    let expired = handles(&first);
    for _ in 0..2 {
        assert!(matches!(queue.ack(&expired).await[0], Err(QueueError::HandleExpired)));
        let extended = queue.change_visibility(&[(expired[0].clone(), VISIBILITY)]).await;
        assert!(matches!(extended[0], Err(QueueError::HandleExpired)));
        // Once with the message visible, once with another receiver holding it.
        receive(&queue).await;
    }
    for foreign in ["", "x", "é", "00", "ffffffffffffffffffff"] {
        assert!(matches!(queue.ack(&[Handle(foreign.into())]).await[0], Err(QueueError::HandleExpired)));
    }
    assert_eq!(queue.depth().await.unwrap().in_flight, 1);
}

#[tokio::test(start_paused = true)]
async fn an_extended_delivery_stays_invisible_and_a_returned_one_is_visible_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    send(&queue, "a", [1, 2]).await;
    let first = receive(&queue).await;
    tokio::time::advance(VISIBILITY / 2).await;
    let longer: Vec<_> = handles(&first).into_iter().map(|handle| (handle, VISIBILITY)).collect();
    assert!(queue.change_visibility(&longer).await.iter().all(Result::is_ok));
    tokio::time::advance(VISIBILITY / 2).await;
    assert!(receive(&queue).await.is_empty());
    assert!(queue.change_visibility(&[(first[1].handle.clone(), NO_WAIT)]).await[0].is_ok());
    assert!(receive(&queue).await.is_empty(), "the first of the group is still in flight");
    assert!(queue.change_visibility(&[(first[0].handle.clone(), NO_WAIT)]).await[0].is_ok());
    assert_eq!(bodies(&receive(&queue).await), [1, 2]);
    let forever = (receive_one_of(&queue, "b").await.handle, Duration::MAX);
    assert!(queue.change_visibility(&[forever]).await[0].is_ok());
}

async fn receive_one_of(queue: &SqliteQueue, group: &str) -> Delivery {
    send(queue, group, [0]).await;
    receive(queue).await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_receive_repeated_under_its_attempt_returns_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    send(&queue, "a", 0..3).await;
    let attempt = fresh();
    let first = queue.receive(2, NO_WAIT, attempt).await.unwrap();
    let again = queue.receive(2, NO_WAIT, attempt).await.unwrap();
    assert_eq!(handles(&again), handles(&first));
    assert_eq!(again[0].receives, 1);
    assert!(receive(&queue).await.is_empty(), "another attempt gets nothing of them");
    ack(&queue, &first[..1]).await;
    assert_eq!(handles(&queue.receive(2, NO_WAIT, attempt).await.unwrap()), handles(&first[1..]));
    tokio::time::advance(VISIBILITY).await;
    let later = queue.receive(2, NO_WAIT, attempt).await.unwrap();
    assert_eq!((bodies(&later), later[0].receives), (vec![1, 2], 2));
}

#[tokio::test]
async fn after_a_restart_unacknowledged_messages_are_visible_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    send(&queue, "a", 0..5).await;
    send(&queue, "b", 100..102).await;
    let first = receive(&queue).await;
    ack(&queue, &[first[0].clone(), first[2].clone(), first[5].clone()]).await;
    drop(queue);
    let queue = open(&folder);
    assert_eq!(queue.depth().await.unwrap(), QueueDepth { visible: 4, in_flight: 0, oldest_age_ms: 0 });
    assert!(matches!(queue.ack(&handles(&first)).await[1], Err(QueueError::HandleExpired)), "of an earlier process");
    send(&queue, "a", [5]).await;
    let again = receive(&queue).await;
    assert_eq!(bodies(&again), [1, 3, 4, 5, 101]);
    assert_eq!(again[0].message_id, first[1].message_id);
}

#[tokio::test]
async fn a_message_that_kills_the_process_each_time_is_set_aside_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let options = QueueOptions { max_receive_count: 3, ..QueueOptions::default() };
    send(&open_with(&folder, options), "a", 0..2).await;
    for receives in 1..=3 {
        let queue = open_with(&folder, options);
        let deliveries = receive(&queue).await;
        assert_eq!(deliveries.iter().map(|d| (d.receives, d.set_aside)).collect::<Vec<_>>(), [(receives, false); 2]);
    }
    let queue = open_with(&folder, options);
    send(&queue, "a", [2]).await;
    let deliveries = receive(&queue).await;
    assert_eq!(bodies(&deliveries), [0, 1, 2]);
    assert_eq!(deliveries.iter().map(|d| d.set_aside).collect::<Vec<_>>(), [true, true, false]);
    assert!(receive(&queue).await.is_empty(), "its group is locked as any other");
    ack(&queue, &deliveries).await;
    drop(queue);
    assert!(receive(&open_with(&folder, options)).await.is_empty());
}

#[tokio::test]
async fn a_repeated_pack_is_queued_once_also_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    let pack = pack("a", "7");
    for result in queue.send(vec![pack.clone(), pack.clone()]).await {
        result.unwrap();
    }
    queue.send(vec![pack.clone()]).await[0].clone().unwrap();
    drop(queue);
    let queue = open(&folder);
    queue.send(vec![pack]).await[0].clone().unwrap();
    assert_eq!(bodies(&receive(&queue).await), [7]);
}

#[tokio::test]
async fn a_waiting_receiver_is_woken_by_a_send() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Arc::new(open(&folder));
    let waiting = Arc::clone(&queue);
    let receiver = tokio::spawn(async move { waiting.receive(1, Duration::from_secs(20), fresh()).await.unwrap() });
    tokio::task::yield_now().await;
    send(&queue, "a", [1]).await;
    assert_eq!(bodies(&receiver.await.unwrap()), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_receiver_is_woken_when_a_delivery_expires_earlier_than_it_knew() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Arc::new(open(&folder));
    send(&queue, "a", [1]).await;
    let first = receive(&queue).await.remove(0);
    let started = Instant::now();
    let waiting = Arc::clone(&queue);
    let receiver = tokio::spawn(async move { waiting.receive(1, Duration::from_secs(20), fresh()).await.unwrap() });
    tokio::task::yield_now().await;
    assert!(queue.change_visibility(&[(first.handle, Duration::from_secs(5))]).await[0].is_ok());
    assert_eq!(bodies(&receiver.await.unwrap()), [1]);
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_message_that_another_program_deleted_locks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    send(&open(&folder), "a", 0..3).await;
    let queue = open(&folder);
    let other = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    other.execute("DELETE FROM message WHERE n = 2", []).unwrap();
    let deliveries = receive(&queue).await;
    assert_eq!(bodies(&deliveries), [0, 2]);
    ack(&queue, &deliveries).await;
    assert_eq!(queue.depth().await.unwrap(), QueueDepth::default());
}

#[tokio::test]
async fn the_depth_counts_waiting_messages_and_their_age() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at(Timestamp::from_millis(1_000)));
    let data = DataFolder::open(folder.path()).unwrap();
    let queue = SqliteQueue::open(&data, QueueOptions::default(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    send(&queue, "a", 0..3).await;
    clock.advance_ms(5_000);
    send(&queue, "b", [9]).await;
    let first = queue.receive(2, NO_WAIT, fresh()).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), QueueDepth { visible: 2, in_flight: 2, oldest_age_ms: 5_000 });
    ack(&queue, &first).await;
    ack(&queue, &receive(&queue).await).await;
    assert_eq!(queue.depth().await.unwrap(), QueueDepth::default());
}

#[tokio::test]
async fn the_folder_stays_locked_while_its_queue_lives() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    assert!(DataFolder::open(folder.path()).is_err());
    let alerts = queue.alerts();
    drop(queue);
    assert!(DataFolder::open(folder.path()).is_err());
    drop(alerts);
    DataFolder::open(folder.path()).unwrap();
}

#[tokio::test]
async fn once_many_messages_wait_a_send_is_delayed_until_acknowledgements_earn_it() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder);
    let packs = |count: usize| (0..count).map(|n| pack(&format!("item-{n}"), "0")).collect::<Vec<_>>();
    let sent = |results: Vec<Result<(), QueueError>>| assert!(results.iter().all(Result::is_ok));
    // No worker runs yet.
    sent(queue.send(packs(FREE_MESSAGES + 300)).await);
    let waiting = receive(&queue).await;
    assert_eq!(waiting.len(), 100);
    for delivery in &waiting {
        ack(&queue, std::slice::from_ref(delivery)).await;
        let acked_at = Instant::now();
        let held_back = tokio::time::timeout(Duration::from_millis(20), queue.send(packs(150))).await.is_err();
        // If this machine paused for so long, the worker counts as stopped.
        if acked_at.elapsed() < IDLE_WORKER_AFTER {
            assert!(held_back);
            break;
        }
    }
    ack(&queue, &receive(&queue).await).await;
    ack(&queue, &receive(&queue).await).await;
    sent(queue.send(packs(150)).await);
}
