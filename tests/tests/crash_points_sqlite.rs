//! Every crash point over SQLite: the standalone home. `--nocapture` shows what was played.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use stockline_common::sqlite::{OpenOptions, SqliteStore, StoreOptions};
use stockline_tests::contract::store::{Home, Ports, Shop};
use stockline_tests::points::alerter;
use stockline_tests::points::homes::Folders;
use stockline_tests::points::worker::{self, Queue};

#[derive(Debug)]
struct Folder(tempfile::TempDir);

#[async_trait]
impl Home for Folder {
    async fn open(&self, late_count_entries_max: usize) -> Ports {
        let options = StoreOptions { late_count_entries_max, ..StoreOptions::default() };
        Ports::of(SqliteStore::open(&self.0.path().join("stock.db"), options, &OpenOptions::default()).unwrap())
    }
}

async fn shop() -> Shop {
    Shop::new(Box::new(Folder(tempfile::tempdir().unwrap()))).await
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(shop().await, Queue::Memory).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_on_the_files_queue_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(shop().await, Queue::File).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_one_after_the_other_take_every_effect_once() {
    worker::two_deaths_one_after_the_other_take_every_effect_once(shop().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_fault_soon_after_an_error_takes_every_effect_once() {
    worker::a_second_fault_soon_after_an_error_takes_every_effect_once(shop().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_give_back_at_shutdown_takes_every_effect_once() {
    worker::a_fault_of_the_give_back_at_shutdown_takes_every_effect_once(shop().await).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing() {
    let edges = ["receive alerts", "acknowledge alerts", "give alerts back"];
    alerter::one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing(&Folders, &edges).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing() {
    alerter::one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing(&Folders).await;
}
