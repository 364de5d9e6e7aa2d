//! Takes the store down for three hours, on a clock that the test advances (P9).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stockline_aws::DynamoOptions;
use stockline_aws::DynamoStore;
use stockline_core::domain::{CommandKey, Status};
use stockline_core::ports::{Clock, FixedClock, Queries};
use stockline_core::testing::MemoryQueue;
use stockline_sqlite::{OpenOptions, SqliteStore, StoreOptions};
use stockline_tests::contract::store::{Ports, at, id, item_id, queued};
use stockline_tests::faulty::{Faulty, Plan, Point};
use stockline_tests::in_process::{RunningIngress, RunningWorker, worker_config};
use stockline_tests::inject::{Fault, Script, sdk_config};
use stockline_worker::{Adapters, Condition};

const WORKERS: usize = 3;
const MINUTES: u128 = 180;

/// Once its pauses have grown, a worker probes an outage at most every 10 seconds on average.
const PROBES_MAX: usize = MINUTES as usize * 6 + 60;

/// The first receive of each worker, before it notices the outage, and the trials after it.
const RECEIVES_MAX: u32 = 2 * WORKERS as u32;

/// The longest pause between probes (20 s with its jitter) and one probe, after the end of the outage.
const READY_WITHIN: Duration = Duration::from_secs(60);

fn start(plan: &Arc<Plan>, queue: &Arc<MemoryQueue>, ports: &Ports, clock: &Arc<FixedClock>) -> RunningWorker {
    let faulty = Faulty::new(plan, queue.clone(), &ports.store);
    let clock: Arc<dyn Clock> = clock.clone();
    let adapters = Adapters { queue: faulty.clone(), store: faulty.clone(), alerts: faulty, clock };
    let config = stockline_worker::Config { receive_wait: Duration::from_secs(20), ..worker_config() };
    RunningWorker::start(config, adapters)
}

/// Returns the store of the ingress: every call fails.
fn store_that_is_out(clock: &Arc<FixedClock>) -> Arc<dyn Queries> {
    let script = Script::new();
    script.always("*", Fault::DropBefore);
    let client = aws_sdk_dynamodb::Client::new(&sdk_config("http://127.0.0.1:9", &script));
    Arc::new(DynamoStore::new(client, "stockline".into(), DynamoOptions::default(), clock.clone()))
}

#[tokio::test(start_paused = true)]
async fn three_hours_without_the_store_lose_nothing_burn_nothing_and_end_without_a_stampede() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stock.db");
    let ports = Ports::of(SqliteStore::open(&path, StoreOptions::default(), &OpenOptions::default()).unwrap());
    let clock = Arc::new(FixedClock::at(at(0)));
    let queue = Arc::new(MemoryQueue::new(Duration::from_secs(60)));
    queue.put_commands(&[
        queued(id(1_000), "register_item", "cola", r#","name":"Cola""#, at(0)),
        queued(id(1_001), "receive", "cola", r#","quantity":1000"#, at(0)),
    ]);
    let plans: Vec<_> = (0..WORKERS).map(|_| Plan::none()).collect();
    let workers: Vec<_> = plans.iter().map(|plan| start(plan, &queue, &ports, &clock)).collect();
    queue.drained().await;

    let calls = |point| plans.iter().map(|plan| plan.count(point)).collect::<Vec<_>>();
    let (loads, commits) = (calls(Point::Load), calls(Point::Commit));
    let set_down = |down| {
        for plan in &plans {
            plan.set_down(Point::Load, down);
            plan.set_down(Point::Commit, down);
        }
    };
    set_down(true);
    let ingress = RunningIngress::start(queue.clone(), store_that_is_out(&clock), clock.clone()).await;
    for minute in 0..MINUTES {
        // Sales of many items give every worker some messages.
        let item = if minute % 2 == 0 { "cola".to_owned() } else { format!("tea-{minute}") };
        let sale = json!({ "type": "sell", "command_id": id(minute), "item_id": item, "quantity": "1" });
        let accepted = ingress.post("/v1/commands", &sale).await;
        assert_eq!(accepted.status, 202, "minute {minute}: {accepted:?}");
        let status = ingress.get(accepted.body["status_url"].as_str().unwrap()).await;
        assert_eq!(status.status, 503, "minute {minute}: {status:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        clock.advance_ms(60_000);
    }

    assert!(workers.iter().any(|worker| worker.health.condition() == Condition::Outage));
    for (worker, (before, after)) in loads.iter().zip(calls(Point::Load)).enumerate() {
        assert!(after - before <= PROBES_MAX, "worker {worker} called the store {} times", after - before);
    }
    assert_eq!(calls(Point::Commit), commits, "none was tried");
    let left = queue.receives();
    assert_eq!(left.len() as u128, MINUTES, "everything waits");
    assert!(left.iter().all(|receives| *receives <= RECEIVES_MAX), "receives were burnt: {left:?}");

    let loads = calls(Point::Load);
    set_down(false);
    queue.drained().await;
    let after: usize = calls(Point::Load).iter().zip(&loads).map(|(after, before)| after - before).sum();
    assert!(after <= MINUTES as usize + 4 * WORKERS, "{after} loads for {MINUTES} messages");
    for worker in workers {
        // If other workers took its messages, a worker may still pause before its next probe.
        let mut condition = worker.health.subscribe();
        let ready = condition.wait_for(|condition| *condition == Condition::Ready);
        tokio::time::timeout(READY_WITHIN, ready).await.expect("a worker is ready again").unwrap();
        worker.stop().await;
    }
    for minute in 0..MINUTES {
        let item = if minute % 2 == 0 { "cola".to_owned() } else { format!("tea-{minute}") };
        let state = CommandKey { item_id: item_id(&item), command_id: id(minute) };
        let record = ports.queries.records(&[state]).await.unwrap().remove(0).unwrap();
        let expected = if minute % 2 == 0 { Status::Applied } else { Status::Rejected };
        assert_eq!(record.outcome.status, expected, "{:?}", record.outcome.dead_letter);
    }
    let cola = ports.queries.item(&item_id("cola")).await.unwrap().unwrap();
    assert_eq!(cola.levels[0].on_hand.to_string(), "910");
}
