//! The contract of a command queue, over [`CommandSender`] and [`CommandReceiver`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stockline_core::ports::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};
use uuid::Uuid;

use crate::process::PATIENCE;

pub mod holding;
pub mod order;
pub mod sending;

/// The shortest visibility timeout that every adapter supports.
pub const SHORT: Duration = Duration::from_secs(2);

/// A visibility timeout that is longer than any test takes.
pub const LONG: Duration = Duration::from_secs(600);

/// The wait of a receive that returns at once.
pub const NO_WAIT: Duration = Duration::ZERO;

/// Differences between the queues of the homes. Each is within the contract, or is a known fault of a stand-in.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// The queue refuses an expired handle even before it delivers the message again.
    pub refuses_expired: bool,
    /// The queue remembers the attempt of a receive.
    pub remembers_attempts: bool,
}

/// An empty queue that belongs to one test.
#[derive(Debug, Clone)]
pub struct Queue {
    /// The end of the ingress.
    pub sender: Arc<dyn CommandSender>,
    /// The worker's end.
    pub receiver: Arc<dyn CommandReceiver>,
    /// Its differences from other queues.
    pub capabilities: Capabilities,
}

/// Opens queues of one adapter.
#[async_trait]
pub trait Home: Send + Sync + std::fmt::Debug {
    /// Opens a queue with this visibility timeout. It sets aside a message that was delivered more often than
    /// `max_receives`.
    async fn open(&self, visibility: Duration, max_receives: u32) -> Queue;
}

/// A `max_receives` that no test reaches.
pub const NEVER_SET_ASIDE: u32 = 1_000;

#[expect(clippy::disallowed_methods, reason = "stands for a caller's fresh id")]
pub(crate) fn fresh() -> Uuid {
    Uuid::new_v4()
}

pub(crate) fn pack(group: &str, body: &str) -> Pack {
    Pack { item_id: group.parse().unwrap(), dedup_id: fresh(), body: body.into() }
}

pub(crate) fn bodies(deliveries: &[Delivery]) -> Vec<usize> {
    deliveries.iter().map(|delivery| delivery.body.parse().unwrap()).collect()
}

pub(crate) fn handles(deliveries: &[Delivery]) -> Vec<Handle> {
    deliveries.iter().map(|delivery| delivery.handle.clone()).collect()
}

pub(crate) fn is_expired(result: &Result<(), QueueError>) -> bool {
    matches!(result, Err(QueueError::HandleExpired))
}

impl Queue {
    /// Sends packs of one group, each in its own call.
    pub(crate) async fn send(&self, group: &str, bodies: impl IntoIterator<Item = usize>) {
        for body in bodies {
            self.sender.send(vec![pack(group, &body.to_string())]).await.remove(0).unwrap();
        }
    }

    /// Receives without waiting.
    pub(crate) async fn receive(&self, max: usize) -> Vec<Delivery> {
        self.receiver.receive(max, NO_WAIT, fresh()).await.unwrap()
    }

    /// Waits until at least one message arrives.
    pub(crate) async fn receive_some(&self, max: usize) -> Vec<Delivery> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let deliveries = self.receiver.receive(max, Duration::from_secs(1), fresh()).await.unwrap();
            if !deliveries.is_empty() {
                return deliveries;
            }
            assert!(Instant::now() < deadline, "nothing came");
        }
    }

    pub(crate) async fn ack(&self, deliveries: &[Delivery]) {
        for result in self.receiver.ack(&handles(deliveries)).await {
            result.unwrap();
        }
    }

    pub(crate) async fn hold(&self, deliveries: &[Delivery], held_for: Duration) -> Vec<Result<(), QueueError>> {
        let wanted: Vec<_> = handles(deliveries).into_iter().map(|handle| (handle, held_for)).collect();
        self.receiver.change_visibility(&wanted).await
    }

    pub(crate) async fn give_back(&self, deliveries: &[Delivery]) {
        for result in self.hold(deliveries, NO_WAIT).await {
            result.unwrap();
        }
    }

    /// Waits until the queue reports these numbers of visible and in-flight messages.
    pub(crate) async fn until_depth(&self, visible: u64, in_flight: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let depth = self.receiver.depth().await.unwrap();
            if (depth.visible, depth.in_flight) == (visible, in_flight) {
                return;
            }
            assert!(Instant::now() < deadline, "{visible} and {in_flight} were awaited, there are {depth:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn assert_empty(&self) {
        assert!(self.receive(10).await.is_empty());
        assert_eq!(self.receiver.depth().await.unwrap(), QueueDepth::default());
    }
}

/// Makes a test of each claim of the contract. The argument is an async expression of an `Option<impl Home>`. `None`
/// leaves the test out.
#[macro_export]
macro_rules! queue_contract {
    ($home:expr) => {
        $crate::queue_contract! { @claims $home;
            order: eight_racing_receivers_see_each_group_in_order_and_never_two_of_them_one_group
                a_group_is_locked_while_any_of_its_messages_is_in_flight
                what_is_not_acknowledged_in_time_comes_again_in_order_before_the_later_ones
                what_is_given_back_comes_at_once_in_its_place
                what_was_delivered_too_often_is_set_aside_in_order_and_the_queue_flows_on;
            holding: a_handle_of_an_earlier_delivery_neither_acknowledges_nor_extends
                a_handle_whose_time_has_run_out_neither_acknowledges_nor_extends
                a_handle_that_nobody_gave_out_is_refused_beside_good_ones
                an_extended_delivery_is_held_longer
                a_receive_asked_again_under_its_attempt_answers_the_same
                many_handles_are_answered_each_by_itself_in_input_order;
            sending: a_pack_sent_again_is_queued_once
                packs_of_one_call_are_all_durable_and_each_answered
                the_largest_packs_pass_together
                a_message_names_its_item_whatever_the_carrier_allows
                any_text_comes_back_as_the_same_json
                a_receiver_that_waits_is_woken_by_a_send
                a_receive_gives_no_more_than_it_was_asked_for
                the_depth_counts_what_waits_and_what_is_held;
        }
    };
    (@claims $home:expr; $($group:ident: $($claim:ident)+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if let Some(home) = $home.await {
                    $crate::contract::queue::$group::$claim(&home).await;
                }
            }
        )+)+
    };
}
