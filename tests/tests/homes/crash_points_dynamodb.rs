//! Tests every crash point over DynamoDB on an in-process engine. Single faults hit each call of its API and each call
//! of the other ports; pairs of faults hit calls of the ports. `--nocapture` prints the faults that were played.

use std::sync::Arc;

use stockline_tests::contract::store::Shop;
use stockline_tests::contract::store::homes::Table;
use stockline_tests::crash_points::homes::Tables;
use stockline_tests::crash_points::script::{STOCK, TROUBLE};
use stockline_tests::crash_points::worker::{self, Place, Queue};
use stockline_tests::crash_points::{alerter, pairs};

/// One of this many pairs of faults is played. SQLite plays all of them.
const EVERY: usize = 4;

async fn wire() -> Place {
    Place::wire(Table::direct().await).await
}

async fn ports() -> Place {
    Place::ports(Shop::new(Box::new(Arc::new(Table::direct().await))).await).await
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(wire().await, &STOCK, Queue::Memory).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_in_trouble_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(wire().await, &TROUBLE, Queue::Memory).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_one_after_the_other_take_every_effect_once() {
    pairs::two_deaths_one_after_the_other_take_every_effect_once(ports().await, &STOCK, EVERY).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_one_after_the_other_in_trouble_take_every_effect_once() {
    pairs::two_deaths_one_after_the_other_take_every_effect_once(ports().await, &TROUBLE, EVERY).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_fault_soon_after_an_error_takes_every_effect_once() {
    pairs::a_second_fault_soon_after_an_error_takes_every_effect_once(ports().await, EVERY).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_give_back_at_shutdown_takes_every_effect_once() {
    worker::a_fault_of_the_give_back_at_shutdown_takes_every_effect_once(ports().await).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing() {
    let edges = ["answer the batch"];
    alerter::one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing(&Tables, &edges).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_openings_mails_each_once_but_where_its_mark_is_missing() {
    let edges = ["answer the batch"];
    alerter::one_fault_at_any_call_for_openings_mails_each_once_but_where_its_mark_is_missing(&Tables, &edges).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing() {
    alerter::one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing(&Tables).await;
}
