//! Tests the AWS stand-in itself: the other tests rely on these properties.

use std::process::Command;
use std::time::{Duration, Instant};

use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_tests::process::PATIENCE;
use stockline_tests::sdk::clients;

#[tokio::test]
async fn a_server_answers_and_forgets_on_reset() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let sqs = clients(&server).sqs;
    sqs.create_queue().queue_name("q").send().await.unwrap();
    assert_eq!(sqs.list_queues().send().await.unwrap().queue_urls().len(), 1);
    server.reset().await;
    assert!(sqs.list_queues().send().await.unwrap().queue_urls().is_empty());
    assert!(server.ses_messages().await.is_empty());
}

#[tokio::test]
async fn servers_share_nothing() {
    if !aws_tests() {
        return;
    }
    let (one, other) = tokio::join!(Ministack::start(), Ministack::start());
    clients(&one).sqs.create_queue().queue_name("q").send().await.unwrap();
    assert!(clients(&other).sqs.list_queues().send().await.unwrap().queue_urls().is_empty());
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let url = server.url.clone();
    drop(server);
    assert!(reqwest::get(format!("{url}/_ministack/health")).await.unwrap_err().is_connect());
}

/// Starts a server and aborts without dropping it. The next test runs this one in its own process.
#[tokio::test]
async fn a_process_that_ends_abruptly() {
    #[expect(clippy::disallowed_methods, reason = "the test that runs this one tells it so")]
    let Ok(told) = std::env::var("STOCKLINE_TEST_ABRUPT_END") else { return };
    let server = Ministack::start().await;
    std::fs::write(told, &server.url).unwrap();
    std::process::abort();
}

#[tokio::test]
async fn no_server_outlives_its_test_process() {
    if !aws_tests() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("url");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws_stand_in::a_process_that_ends_abruptly"])
        .env("STOCKLINE_TEST_ABRUPT_END", &told)
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    let health = format!("{}/_ministack/health", std::fs::read_to_string(told).unwrap());
    let deadline = Instant::now() + PATIENCE;
    while reqwest::get(&health).await.is_ok() {
        assert!(Instant::now() < deadline, "the server lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
