//! Every crash point over DynamoDB on an engine in this process. `--nocapture` shows what was played.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_common::aws::DynamoOptions;
use stockline_common::ports::FixedClock;
use stockline_tests::contract::store::{Home, Ports, Shop, at};
use stockline_tests::dynoxide::Dynoxide;
use stockline_tests::faulty::in_real_time;
use stockline_tests::inject::Script;
use stockline_tests::points::alerter;
use stockline_tests::points::homes::Tables;
use stockline_tests::points::worker::{self, Queue};

#[derive(Debug)]
struct Engine(Dynoxide);

#[async_trait]
impl Home for Engine {
    async fn open(&self, late_count_entries_max: usize) -> Ports {
        // Settings are not kept: each look is a call.
        let options =
            DynamoOptions { late_count_entries_max, locations_kept: Duration::ZERO, ..DynamoOptions::default() };
        Ports::of(self.0.store(&Script::new(), options, Arc::new(FixedClock::at(at(0)))))
    }
}

async fn shop() -> Shop {
    Shop::new(Box::new(Engine(in_real_time(Dynoxide::start()).await))).await
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(shop().await, Queue::Memory).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_give_back_at_shutdown_takes_every_effect_once() {
    worker::a_fault_of_the_give_back_at_shutdown_takes_every_effect_once(shop().await).await;
}

async fn tables() -> Tables {
    Tables::new(in_real_time(Dynoxide::start()).await)
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing() {
    let (tables, edges) = (tables().await, ["answer the batch"]);
    alerter::one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing(&tables, &edges).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing() {
    alerter::one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing(&tables().await).await;
}
