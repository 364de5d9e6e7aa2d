//! Tests every crash point over SQLite, the standalone home. `--nocapture` prints the faults that were played.

use stockline_tests::contract::store::Shop;
use stockline_tests::contract::store::homes::Folder;
use stockline_tests::crash_points::homes::Folders;
use stockline_tests::crash_points::script::{STOCK, TROUBLE};
use stockline_tests::crash_points::worker::{self, Place, Queue};
use stockline_tests::crash_points::{alerter, pairs};

async fn place() -> Place {
    Place::ports(Shop::new(Box::new(Folder::new())).await).await
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(place().await, &STOCK, Queue::Memory).await;
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(place().await, &TROUBLE, Queue::Memory).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_of_a_worker_on_the_files_queue_takes_every_effect_once() {
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(place().await, &STOCK, Queue::File).await;
    worker::one_fault_at_any_call_of_a_worker_takes_every_effect_once(place().await, &TROUBLE, Queue::File).await;
}

#[tokio::test(start_paused = true)]
async fn two_deaths_one_after_the_other_take_every_effect_once() {
    pairs::two_deaths_one_after_the_other_take_every_effect_once(place().await, &STOCK, 1).await;
    pairs::two_deaths_one_after_the_other_take_every_effect_once(place().await, &TROUBLE, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_fault_soon_after_an_error_takes_every_effect_once() {
    pairs::a_second_fault_soon_after_an_error_takes_every_effect_once(place().await, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_give_back_at_shutdown_takes_every_effect_once() {
    worker::a_fault_of_the_give_back_at_shutdown_takes_every_effect_once(place().await).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing() {
    let edges = ["receive alerts", "acknowledge alerts", "give alerts back"];
    alerter::one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing(&Folders, &edges).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_openings_mails_each_once_but_where_its_mark_is_missing() {
    let edges = ["receive alerts", "acknowledge alerts", "give alerts back"];
    alerter::one_fault_at_any_call_for_openings_mails_each_once_but_where_its_mark_is_missing(&Folders, &edges).await;
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing() {
    alerter::one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing(&Folders).await;
}
