use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::door::Door;
use super::memory::Memory;
use super::plan::{Errand, Plan, opening};

/// The pause of a till before a retry.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
/// After this time a till gives up, which is a fault. It is longer than any pause of a server.
const GIVE_UP: Duration = Duration::from_secs(180);

/// Running tills, each in its own task.
#[derive(Debug)]
pub struct Tills {
    open: watch::Sender<bool>,
    working: Vec<JoinHandle<()>>,
}

impl Tills {
    /// Starts this many tills, each with its own plan.
    pub fn open(door: &Door, memory: &Arc<Memory>, seed: u64, count: usize, items: &[String]) -> Self {
        let (open, _) = watch::channel(true);
        let till = |number| {
            let (door, memory, open) = (door.clone(), Arc::clone(memory), open.subscribe());
            let mut plan = Plan::new(seed, number, items);
            tokio::spawn(async move {
                while *open.borrow() {
                    deliver(&door, &memory, &plan.next()).await;
                    // The till waits for its next customer.
                    tokio::time::sleep(plan.pause()).await;
                }
            })
        };
        let working = (0..count).map(till).collect();
        Self { open, working }
    }

    /// Starts no new errands, and waits until the last one of each till is accepted.
    pub async fn close(self) {
        self.open.send_replace(false);
        for till in self.working {
            till.await.unwrap();
        }
    }
}

/// The most commands of one request that opens the shop.
const OPENING_BATCH: usize = 90;

/// Creates the second location, and registers and receives the goods.
pub async fn open_shop(door: &Door, memory: &Memory, seed: u64, goods: &[String]) {
    let back = json!({"name": "Back room"});
    let (status, answer) = door.send("PUT", "/v1/locations/back", Some(&back)).await.unwrap();
    assert!(matches!(status, 200 | 201), "{answer}");
    for commands in opening(seed, goods).chunks(OPENING_BATCH) {
        deliver(door, memory, &Errand::Batch(commands.to_vec())).await;
    }
    door.settle(memory).await;
}

/// Sends a request, and repeats it unchanged until it is accepted, as every client must do.
async fn deliver(door: &Door, memory: &Memory, errand: &Errand) {
    let deadline = Instant::now() + GIVE_UP;
    while !is_accepted(door, memory, errand).await {
        memory.unanswered();
        if Instant::now() > deadline {
            return memory.fault(format!("not accepted within {} s: {errand:?}", GIVE_UP.as_secs()));
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn is_accepted(door: &Door, memory: &Memory, errand: &Errand) -> bool {
    let (path, body) = match errand {
        Errand::One(command) => ("/v1/commands", command.clone()),
        Errand::Waited(command) => ("/v1/commands", command.clone()),
        Errand::Batch(commands) => ("/v1/commands/batch", json!({"commands": commands})),
    };
    let answer = match errand {
        Errand::Waited(_) => door.send_and_wait(path, &body).await,
        _ => door.send("POST", path, Some(&body)).await,
    };
    match (errand, answer) {
        (Errand::One(command) | Errand::Waited(command), Ok((202, answer))) => {
            memory.accepted(command, answer["status_url"].as_str().unwrap_or_default());
            true
        }
        (Errand::Waited(command), Ok((200, outcome))) => {
            memory.settled(command, &outcome);
            true
        }
        (Errand::Batch(commands), Ok((202, answer))) => all_queued(memory, commands, &answer),
        (_, Ok((429 | 502..=504, _)) | Err(_)) => false,
        (_, Ok((status, answer))) => {
            memory.fault(format!("{errand:?} is answered {status} {answer}"));
            true
        }
    }
}

/// Remembers the lines that were queued, and reports whether all were.
fn all_queued(memory: &Memory, commands: &[Value], answer: &Value) -> bool {
    let lines = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut queued = 0;
    for (command, line) in commands.iter().zip(lines).filter(|(_, line)| line["status"] == "queued") {
        memory.accepted(command, line["status_url"].as_str().unwrap_or_default());
        queued += 1;
    }
    queued == commands.len()
}
