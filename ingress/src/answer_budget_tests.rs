use axum::http::StatusCode;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;

use super::*;
use crate::answer;

fn budget(answers_bytes: usize) -> AnswerBudget {
    AnswerBudget::new(&Limits { answers_bytes, concurrent_requests: 16, ..Limits::default() })
}

fn free_units(part: &Part) -> usize {
    part.free.available_permits()
}

/// Returns an answer of `bytes`, quotes included.
fn answer_of(bytes: usize) -> Response {
    answer::json(StatusCode::OK, &"x".repeat(bytes - 2)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn lists_wait_for_each_other_and_small_answers_for_none_of_them() {
    let budget = budget(4 * 100 * ENTRY_BYTES);
    let (first, second) = (budget.list(150).await.unwrap(), budget.list(50).await.unwrap());
    let begun = Instant::now();
    assert!(budget.list(1).await.is_none());
    assert_eq!(begun.elapsed(), WAIT);
    assert!(budget.count(answer_of(100)).await.is_some());
    assert!(budget.item().await.is_some() && budget.outcomes(100).await.is_some());
    assert_eq!(begun.elapsed(), WAIT, "they do not wait");
    let finish = async {
        tokio::time::sleep(WAIT / 2).await;
        drop(second);
    };
    assert!(tokio::join!(budget.list(1), finish).0.is_some());
    drop(first);
    assert!(budget.list(usize::MAX).await.is_some(), "one larger than the part takes all of it");
}

#[tokio::test(start_paused = true)]
async fn more_than_an_eighth_of_the_requests_do_not_wait_and_those_that_do_press_others() {
    let budget = budget(4 * ENTRY_BYTES);
    let mut pressed = budget.pressure().subscribe();
    let _all = budget.list(usize::MAX).await.unwrap();
    let begun = Instant::now();
    let wait = || async { (budget.list(1).await.is_none(), begun.elapsed()) };
    let waited = tokio::join!(wait(), wait(), wait());
    assert_eq!(waited, ((true, WAIT), (true, WAIT), (true, Duration::ZERO)));
    assert!(pressed.changed().now_or_never().is_some(), "slow clients are closed for them");
}

#[tokio::test]
async fn an_answer_frees_its_bytes_piece_by_piece_as_they_are_sent() {
    const BYTES: usize = 200 * 1024;
    let budget = budget(4 * 1024 * 1024);
    let all = free_units(&budget.others);
    let response = budget.count(answer_of(BYTES)).await.unwrap();
    let response = budget.count(response).await.unwrap();
    assert_eq!(all - free_units(&budget.others), units(BYTES) as usize, "it is counted once");
    let mut body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(BYTES as u64));
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(all - free_units(&budget.others), units(BYTES) as usize, "it is in a buffer of the connection");
    let slice = first.slice(10..20);
    drop(first);
    assert_eq!(all - free_units(&budget.others), units(BYTES) as usize, "a part of it is");
    drop(slice);
    assert_eq!(all - free_units(&budget.others), units(BYTES) as usize - 64);
    drop(body);
    assert_eq!(free_units(&budget.others), all, "the connection ended");
}

#[tokio::test]
async fn a_room_fits_itself_to_the_answer() {
    let budget = budget(4 * 1024 * 1024);
    let all = free_units(&budget.lists);
    let mut room = budget.list(10).await.unwrap();
    assert!(room.fit(20 * ENTRY_BYTES));
    assert_eq!(all - free_units(&budget.lists), units(20 * ENTRY_BYTES) as usize);
    assert!(room.fit(1));
    assert_eq!(all - free_units(&budget.lists), 1);
    let others = budget.list(usize::MAX).now_or_never();
    assert!(others.is_none(), "not all is free");
    let _most = budget.list(all / 8 - 1).await.unwrap();
    assert!(!room.fit(20 * ENTRY_BYTES), "an answer without room is dropped");
}

#[tokio::test]
async fn the_levels_of_an_item_are_learned_from_answers() {
    let budget = budget(64 * 1024 * 1024);
    let (lists, others) = (free_units(&budget.lists), free_units(&budget.others));
    drop((budget.items(10).await.unwrap(), budget.item().await.unwrap()));
    budget.learn(10, 10 * 100 * 1024);
    budget.learn(10, 10);
    budget.learn(0, 10);
    let _rooms = (budget.items(10).await.unwrap(), budget.item().await.unwrap());
    assert_eq!(lists - free_units(&budget.lists), BUILDING * 10 * 100);
    assert_eq!(others - free_units(&budget.others), BUILDING * 100);
}
