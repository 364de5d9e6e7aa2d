use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::domain::MAX_PACK_BYTES;
use stockline_core::ports::{CommandSender, Pack, QueueError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::actor::{SEND_DEADLINE, SEND_TIMEOUT};
use super::item_backlog::MAX_LINGER;
use super::*;
use crate::error::IngressError;

/// The result of a scripted send for one pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ok,
    /// The pack is queued, but the answer is lost.
    Lost,
    /// The pack is not queued.
    Fail,
    /// There is never an answer.
    Hang,
    Panic,
}

/// A queue that fails on demand (a real one can't) and holds each send until it is let go.
#[derive(Debug)]
struct Scripted {
    script: Mutex<VecDeque<Answer>>,
    by_default: Answer,
    sent: Mutex<Vec<Pack>>,
    gate: Semaphore,
    most: usize,
    flight: Duration,
}

impl Scripted {
    fn new(script: &[Answer], by_default: Answer) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.iter().copied().collect()),
            by_default,
            sent: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            most: 10,
            flight: Duration::ZERO,
        })
    }

    fn gated(by_default: Answer) -> Arc<Self> {
        let mut queue = Arc::into_inner(Self::new(&[], by_default)).unwrap();
        queue.gate = Semaphore::new(0);
        Arc::new(queue)
    }

    /// Returns every send so far: item, dedup id, commands.
    fn sends(&self) -> Vec<(String, Uuid, Vec<String>)> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|pack| (pack.item_id.to_string(), pack.dedup_id, commands(&pack.body))).collect()
    }

    fn commands_of(&self, item: &str) -> Vec<String> {
        self.sends().into_iter().filter(|(of, ..)| of == item).flat_map(|(.., commands)| commands).collect()
    }
}

fn commands(body: &str) -> Vec<String> {
    let message: serde_json::Value = serde_json::from_str(body).unwrap();
    message["commands"].as_array().unwrap().iter().map(|command| command.as_str().unwrap().to_owned()).collect()
}

#[async_trait]
impl CommandSender for Scripted {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        assert!(packs.len() <= self.most);
        let answers: Vec<_> = {
            let mut script = self.script.lock().unwrap();
            self.sent.lock().unwrap().extend(packs.iter().cloned());
            packs.iter().map(|_| script.pop_front().unwrap_or(self.by_default)).collect()
        };
        self.gate.acquire().await.unwrap().forget();
        tokio::time::sleep(self.flight).await;
        if answers.contains(&Answer::Hang) {
            std::future::pending::<()>().await;
        }
        assert!(!answers.contains(&Answer::Panic), "scripted");
        let result = |answer: Answer| match answer {
            Answer::Ok => Ok(()),
            _ => Err(QueueError::Unavailable("scripted".into())),
        };
        answers.into_iter().map(result).collect()
    }

    fn max_batch(&self) -> usize {
        self.most
    }
}

/// An envelope is any JSON here: its name.
fn line(item: &str, name: &str) -> Line {
    Line { item_id: item.parse().unwrap(), envelope: format!("\"{name}\"") }
}

fn start(queue: &Arc<Scripted>) -> (Packer, PackerTask) {
    Packer::start(Arc::clone(queue) as Arc<dyn CommandSender>, 1_000)
}

/// A request in the background, already with the task.
async fn submitted(packer: &Packer, lines: Vec<Line>) -> JoinHandle<Submitted> {
    let packer = packer.clone();
    let request = tokio::spawn(async move { packer.submit(lines).await });
    settle().await;
    request
}

/// Lets every task run that can (the clock stands still, so no task waits in real time).
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_items_command_is_sent_at_once() {
    let queue = Scripted::new(&[], Answer::Ok);
    let (packer, _task) = start(&queue);
    let began = Instant::now();
    assert_eq!(packer.submit(vec![line("a", "1")]).await, Submitted::Lines(vec![true]));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_packed_by_item_in_order_and_sent_in_one_call() {
    let queue = Scripted::new(&[], Answer::Ok);
    let (packer, _task) = start(&queue);
    let lines = vec![line("a", "1"), line("b", "2"), line("a", "3"), line("b", "4")];
    assert_eq!(packer.submit(lines).await, Submitted::Lines(vec![true; 4]));
    let sends: Vec<_> = queue.sends().into_iter().map(|(item, _, commands)| (item, commands.join(","))).collect();
    assert_eq!(sends, [("a".to_owned(), "1,3".to_owned()), ("b".into(), "2,4".into())]);
}

#[tokio::test(start_paused = true)]
async fn commands_that_arrive_while_a_pack_is_in_flight_fill_the_next() {
    let queue = Scripted::gated(Answer::Ok);
    let (packer, _task) = start(&queue);
    let mut requests = Vec::new();
    for name in ["1", "2", "3", "4"] {
        requests.push(submitted(&packer, vec![line("a", name)]).await);
    }
    assert_eq!(queue.sends().len(), 1, "one pack of an item is in flight");
    queue.gate.add_permits(10);
    for request in requests {
        assert_eq!(request.await.unwrap(), Submitted::Lines(vec![true]));
    }
    let packs: Vec<_> = queue.sends().into_iter().map(|(.., commands)| commands.join(",")).collect();
    assert_eq!(packs, ["1", "2,3,4"]);
}

#[tokio::test(start_paused = true)]
async fn no_request_is_answered_before_the_queue_acknowledged() {
    let queue = Scripted::gated(Answer::Ok);
    let (packer, _task) = start(&queue);
    let request = submitted(&packer, vec![line("a", "1")]).await;
    assert!(!request.is_finished() && queue.sends().len() == 1);
    queue.gate.add_permits(1);
    assert_eq!(request.await.unwrap(), Submitted::Lines(vec![true]));
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_cut_at_the_bounds_of_a_message_and_keeps_its_order() {
    let queue = Scripted::new(&[], Answer::Ok);
    let (packer, _task) = start(&queue);
    let names: Vec<String> = (0..250).map(|n| n.to_string()).collect();
    let lines = names.iter().map(|name| line("a", name)).collect();
    assert_eq!(packer.submit(lines).await, Submitted::Lines(vec![true; 250]));
    assert_eq!(queue.commands_of("a"), names);
    let sizes: Vec<_> = queue.sends().iter().map(|(.., commands)| commands.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);

    let long: Vec<String> = (0..30).map(|n| format!("{n}{}", "x".repeat(5_000))).collect();
    let lines = long.iter().map(|name| line("b", name)).collect();
    assert_eq!(packer.submit(lines).await, Submitted::Lines(vec![true; 30]));
    assert_eq!(queue.commands_of("b"), long);
    assert!(queue.sent.lock().unwrap().iter().all(|pack| pack.body.len() <= MAX_PACK_BYTES));
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_pack_goes_again_under_its_id_before_anything_later_of_its_item() {
    let queue = Scripted::new(&[Answer::Lost, Answer::Hang, Answer::Panic], Answer::Ok);
    let (packer, _task) = start(&queue);
    let first = submitted(&packer, vec![line("a", "1")]).await;
    let second = submitted(&packer, vec![line("a", "2")]).await;
    assert_eq!(first.await.unwrap(), Submitted::Lines(vec![true]));
    assert_eq!(second.await.unwrap(), Submitted::Lines(vec![true]));
    let sends = queue.sends();
    assert_eq!(queue.commands_of("a"), ["1", "1", "1", "1", "2"]);
    assert!(sends[..4].iter().all(|(_, id, _)| *id == sends[0].1), "retries of one send share its id");
    assert_ne!(sends[4].1, sends[0].1);
}

#[tokio::test(start_paused = true)]
async fn other_items_continue_while_one_fails() {
    let queue = Scripted::new(&[Answer::Fail, Answer::Ok], Answer::Fail);
    let (packer, _task) = start(&queue);
    let answered = packer.submit(vec![line("a", "1"), line("b", "2")]).await;
    assert_eq!(answered, Submitted::Lines(vec![false, true]));
}

#[tokio::test(start_paused = true)]
async fn when_a_line_fails_the_later_ones_of_its_item_in_the_request_fail_unsent() {
    let queue = Scripted::new(&[], Answer::Fail);
    let (packer, _task) = start(&queue);
    let first = (0..150).map(|n| line("a", &format!("first{n}"))).collect();
    let first = submitted(&packer, first).await;
    let second = submitted(&packer, vec![line("a", "second")]).await;
    assert_eq!(first.await.unwrap(), Submitted::Lines(vec![false; 150]));
    queue.script.lock().unwrap().push_back(Answer::Ok);
    assert_eq!(second.await.unwrap(), Submitted::Lines(vec![true]), "another request's line is tried on its own");
    let sent = queue.commands_of("a");
    assert!(!sent.contains(&"first100".to_owned()), "the lines after the failed pack were never sent");
    assert_eq!(sent.last().unwrap(), "second");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waited_too_long_fails_unsent() {
    let queue = Scripted::new(&[], Answer::Hang);
    let (packer, _task) = start(&queue);
    let began = Instant::now();
    let mut requests = Vec::new();
    for n in 0..5 {
        requests.push(submitted(&packer, vec![line("a", &n.to_string())]).await);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), Submitted::Lines(vec![false]));
    }
    assert!(began.elapsed() < TURN_DEADLINE + SEND_DEADLINE + SEND_TIMEOUT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_the_bound_is_refused_whole_until_there_is_room_again() {
    let queue = Scripted::gated(Answer::Ok);
    let (packer, _task) = Packer::start(Arc::clone(&queue) as Arc<dyn CommandSender>, 3);
    let first = submitted(&packer, vec![line("a", "1"), line("b", "2")]).await;
    assert_eq!(packer.submit(vec![line("c", "3"), line("d", "4")]).await, Submitted::Overloaded);
    queue.gate.add_permits(10);
    assert_eq!(first.await.unwrap(), Submitted::Lines(vec![true, true]));
    assert_eq!(packer.submit(vec![line("c", "3"), line("d", "4")]).await, Submitted::Lines(vec![true, true]));
    assert_eq!(packer.buffered.load(Ordering::Acquire), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_sends_the_waiting_commands_and_accepts_no_more() {
    let queue = Scripted::gated(Answer::Ok);
    let (packer, task) = Packer::start(Arc::clone(&queue) as Arc<dyn CommandSender>, 100);
    let first = submitted(&packer, vec![line("a", "1")]).await;
    let second = submitted(&packer, vec![line("a", "2")]).await;
    let drained = tokio::spawn(task.drain(Duration::from_secs(10)));
    settle().await;
    assert_eq!(packer.submit(vec![line("b", "3")]).await, Submitted::Lines(vec![false]));
    queue.gate.add_permits(10);
    drained.await.unwrap();
    assert_eq!(first.await.unwrap(), Submitted::Lines(vec![true]));
    assert_eq!(second.await.unwrap(), Submitted::Lines(vec![true]));
}

#[tokio::test(start_paused = true)]
async fn under_a_steady_stream_packs_fill_and_none_waits_longer_than_its_flight_and_the_linger() {
    const FLIGHT: Duration = Duration::from_millis(5);
    let mut queue = Arc::into_inner(Scripted::new(&[], Answer::Ok)).unwrap();
    queue.flight = FLIGHT;
    let queue = Arc::new(queue);
    let (packer, _task) = start(&queue);
    let mut requests = Vec::new();
    for n in 0..1_000 {
        let packer = packer.clone();
        requests.push(tokio::spawn(async move {
            let began = Instant::now();
            assert_eq!(packer.submit(vec![line("a", &n.to_string())]).await, Submitted::Lines(vec![true]));
            began.elapsed()
        }));
        tokio::time::advance(Duration::from_micros(500)).await;
        settle().await;
    }
    for request in requests {
        assert!(request.await.unwrap() <= 2 * FLIGHT + MAX_LINGER + Duration::from_millis(5));
    }
    let sends = queue.sends();
    assert_eq!(queue.commands_of("a").len(), 1_000);
    let last = &sends[sends.len() / 2..sends.len() - 1];
    assert!(
        last.iter().all(|(.., commands)| commands.len() >= 40),
        "packs of a busy item grow past one flight's worth"
    );
}

#[tokio::test(start_paused = true)]
async fn without_its_packer_the_ingress_stops_and_says_why() {
    let queue = Scripted::new(&[], Answer::Ok);
    let (faults, shutdown) = (Arc::new(Faults::default()), CancellationToken::new());
    let (packer, mut packing) = Packer::start_watched(queue, 1, Duration::ZERO, Arc::clone(&faults));
    packing.kill();
    let served = crate::with_packer(shutdown.cancelled(), &mut packing, &faults, shutdown.clone()).await;
    assert!(matches!(served, Err(IngressError::Stopped("the packer"))), "{served:?}");
    assert!(faults.is_down() && faults.text().starts_with("packer: "), "{}", faults.text());
    assert!(!packer.is_running());
    packing.drain(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_is_a_fault_until_it_takes_a_pack() {
    let queue = Scripted::new(&[Answer::Fail; 30], Answer::Ok);
    let faults = Arc::new(Faults::default());
    let (packer, _packing) = Packer::start_watched(queue, 100, Duration::ZERO, Arc::clone(&faults));
    while packer.submit(vec![line("cola", "1")]).await != Submitted::Lines(vec![true]) {
        assert!(faults.text().starts_with("queue: ") && !faults.is_down(), "{}", faults.text());
    }
    assert_eq!(faults.text(), "");
}

/// Returns a packer whose packs wait up to 100 ms for each other.
fn lingering(queue: &Arc<Scripted>) -> (Packer, PackerTask) {
    let queue = Arc::clone(queue) as Arc<dyn CommandSender>;
    Packer::start_watched(queue, 1_000, Duration::from_millis(100), Arc::default())
}

#[tokio::test(start_paused = true)]
async fn packs_of_different_items_wait_for_each_other_and_share_a_call() {
    let queue = Arc::new(Calls::default());
    let sender = Arc::clone(&queue) as Arc<dyn CommandSender>;
    let (packer, _task) = Packer::start_watched(sender, 1_000, Duration::from_millis(100), Arc::default());
    let began = Instant::now();
    let mut requests = Vec::new();
    for n in 0..5 {
        requests.push(submitted(&packer, vec![line(&format!("item-{n}"), "1")]).await);
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), Submitted::Lines(vec![true]));
    }
    assert_eq!(*queue.0.lock().unwrap(), [5]);
    assert!(began.elapsed() <= Duration::from_millis(101), "{:?}", began.elapsed());
    // As many as fill a call don't wait.
    let began = Instant::now();
    let lines = (0..10).map(|n| line(&format!("item-{n}"), "2")).collect();
    assert_eq!(packer.submit(lines).await, Submitted::Lines(vec![true; 10]));
    assert_eq!((began.elapsed(), queue.0.lock().unwrap().clone()), (Duration::ZERO, vec![5, 10]));
}

#[tokio::test(start_paused = true)]
async fn what_lingers_is_sent_when_the_task_is_drained() {
    let queue = Scripted::new(&[], Answer::Ok);
    let (packer, task) = lingering(&queue);
    let request = submitted(&packer, vec![line("a", "1")]).await;
    assert_eq!(queue.sends().len(), 0);
    let began = Instant::now();
    task.drain(Duration::from_secs(1)).await;
    assert_eq!(request.await.unwrap(), Submitted::Lines(vec![true]));
    assert!(began.elapsed() < Duration::from_millis(100));
}

/// Counts the packs of each call.
#[derive(Debug, Default)]
struct Calls(Mutex<Vec<usize>>);

#[async_trait]
impl CommandSender for Calls {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        self.0.lock().unwrap().push(packs.len());
        vec![Ok(()); packs.len()]
    }

    fn max_batch(&self) -> usize {
        10
    }
}
