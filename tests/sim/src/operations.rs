//! What people do with commands that took no effect: try a dead letter again, discard it, submit a refused command
//! anew.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockline_aws::dynamodb::{DynamoOptions, DynamoStore};
use stockline_core::domain::{Action, CommandKey, LocationId, Queued, Record, ShortagePolicy, Status};
use stockline_core::ports::{Clock, Queries};
use stockline_worker::dead_letters::{self, Retried};
use tokio::time::{Instant, sleep, sleep_until};

use super::queue::{Queue, QueueEnd};
use super::submit::Shop;
use super::table::Table;
use super::wire::{SimWire, TABLE};
use super::world::{Process, SkewedClock, World};

const MONTH_MS: i64 = 30 * 24 * 3_600_000;

/// So often somebody tries.
const TRIES_MAX: u32 = 30;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// A dead letter is queued again.
    Retry,
    /// A dead letter is given up.
    Discard,
    /// A command that took no effect is queued anew under another id.
    Resubmit,
}

/// When what is done, with the how-manieth command that took no effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) at_ms: u64,
    pub(crate) act: Act,
    pub(crate) nth: usize,
    /// The corrected item of a command that is resubmitted; `None`: it keeps its own.
    #[serde(default)]
    pub(crate) item: Option<String>,
    /// Its corrected location, where it has one.
    #[serde(default)]
    pub(crate) location: Option<String>,
}

/// Where it is done.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    pub(crate) world: Arc<World>,
    pub(crate) table: Arc<Mutex<Table>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) shop: Shop,
}

impl Office {
    /// Does one thing, and again where it failed or the process died.
    pub(crate) async fn perform(self, operation: Operation) {
        sleep_until(self.world.started + Duration::from_millis(operation.at_ms)).await;
        let Some(state) = self.choose(&operation) else {
            return;
        };
        for generation in 0..TRIES_MAX {
            let process = Process::new(format!("operator-{:?}.{generation}", operation.act), &self.world);
            let done = tokio::select! {
                biased;
                () = process.died.notified() => false,
                done = self.act(&process, &operation, &state) => done,
            };
            if done {
                return;
            }
            let pause = self.world.rng().between(500, 20_000);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// As somebody finds it in a list.
    fn choose(&self, operation: &Operation) -> Option<CommandKey> {
        let table = self.table.lock().unwrap();
        let texts = table.all().filter(|((_, sk), _)| sk == "CMD").filter_map(|(_, row)| row["record"].as_s().ok());
        let mut found: Vec<Record> = texts.filter_map(|text| Record::from_json(text).ok()).collect();
        found.retain(|record| match (operation.act, record.outcome.status) {
            (_, Status::Applied) => false,
            (Act::Resubmit, _) => record.outcome.command.is_some(),
            (_, status) => status == Status::DeadLettered,
        });
        // Most of them are refusals: dead letters are taken more often than they are met. Who corrects an item
        // takes any.
        found.sort_by_key(|record| record.outcome.status != Status::DeadLettered);
        let among = if operation.item.is_some() { found.len() } else { found.len().min(6) };
        let nth = operation.nth % among.max(1);
        let outcome = &found.get(nth)?.outcome;
        Some(CommandKey { item_id: outcome.item_id.clone(), command_id: outcome.command_id })
    }

    async fn act(&self, process: &Arc<Process>, operation: &Operation, state: &CommandKey) -> bool {
        let wire = SimWire::new(process.clone(), self.table.clone());
        let clock = Arc::new(SkewedClock { world: self.world.clone(), skew_ms: Arc::default() });
        let store = DynamoStore::over(Arc::new(wire), TABLE.into(), DynamoOptions::default(), clock.clone());
        match operation.act {
            Act::Retry => {
                let queue = QueueEnd { process: process.clone(), queue: self.queue.clone() };
                match dead_letters::retry(&store, &queue, state).await {
                    Ok(Retried::Queued(_)) => {
                        self.shop.told.lock().unwrap().retried += 1;
                        true
                    }
                    Ok(Retried::Refused(_)) => true,
                    Ok(Retried::Failed(_)) | Err(_) => false,
                }
            }
            Act::Discard => match dead_letters::discard(&store, state, clock.now()).await {
                Ok(done) => {
                    self.shop.told.lock().unwrap().discarded += u64::from(done);
                    true
                }
                Err(_) => false,
            },
            Act::Resubmit => match store.records(std::slice::from_ref(state)).await {
                Ok(found) => {
                    let old = found.into_iter().flatten().next();
                    match old.as_ref().and_then(|old| self.anew(old, operation)) {
                        Some(queued) => self.submit(queued).await,
                        None => true,
                    }
                }
                Err(_) => false,
            },
        }
    }

    /// As `POST …/resubmit` does it: under an id made of the old one, a movement with the time at which it occurred, and
    /// for this item and location where there are such.
    fn anew(&self, old: &Record, operation: &Operation) -> Option<Queued> {
        let outcome = &old.outcome;
        let discarded = outcome.dead_letter.as_ref().is_some_and(|letter| letter.discarded_at.is_some());
        if outcome.status == Status::Applied || old.resubmitted_as.is_some() || discarded || !self.took_its_place(old) {
            return None;
        }
        let mut command = outcome.command.clone()?;
        command.command_id = outcome.command_id.of_resubmission(&outcome.item_id);
        if let Some(item) = &operation.item {
            command.item_id = item.parse().unwrap();
        }
        if let (Some(corrected), Some(location_id)) = (&operation.location, location_of(&mut command.action)) {
            *location_id = corrected.parse().unwrap();
        }
        if let Action::Sell { on_shortage, .. } = &mut command.action {
            *on_shortage = Some(ShortagePolicy::Allow);
        }
        let behind_ms = command.details.sent_at.take().map_or(0, |sent_at| outcome.accepted_at.millis_since(sent_at));
        if command.kind().is_movement() {
            let occurred = command.details.occurred_at.map(|at| at.plus_millis(behind_ms).min(outcome.accepted_at));
            command.details.occurred_at = occurred.or(Some(outcome.accepted_at));
        }
        let (resubmits, first_accepted_at) = (Some(old.reference()), Some(old.first_accepted_at()));
        let accepted_at = SkewedClock { world: self.world.clone(), skew_ms: Arc::default() }.now();
        Some(Queued {
            command,
            accepted_at,
            submitted_by: "manager".into(),
            retry: 0,
            resubmits,
            first_accepted_at,
            trace: None,
        })
    }

    /// What was to replace another command and did not is not sent again: that one is not marked with it.
    fn took_its_place(&self, old: &Record) -> bool {
        let me = old.reference();
        let table = self.table.lock().unwrap();
        let mut marks = table.all().filter_map(|(_, row)| row.get("resubmitted_as")?.as_s().ok());
        old.resubmits.is_none() || marks.any(|by| serde_json::from_str::<CommandKey>(by).unwrap() == me)
    }

    async fn submit(&self, queued: Queued) -> bool {
        let index = self.world.rng().below(self.shop.ingresses.len() as u64) as usize;
        let of = (queued.command.item_id.to_string(), queued.command.command_id.0);
        let is_corrected = queued.resubmits.as_ref().is_some_and(|old| old.item_id != queued.command.item_id);
        let is_old = queued.first_accepted_at.is_some_and(|first| queued.accepted_at.millis_since(first) > MONTH_MS);
        let Some(accepted) = self.shop.ingresses[index].queue(vec![queued]).await else {
            return false;
        };
        let mut told = self.shop.told.lock().unwrap();
        if accepted[0] {
            told.accepted.push(of);
            told.resubmitted += 1;
            told.corrected += u64::from(is_corrected);
            told.months_later += u64::from(is_old);
        }
        accepted[0]
    }
}

/// The location of a command that has one.
const fn location_of(action: &mut Action) -> Option<&mut LocationId> {
    match action {
        Action::Sell { location_id, .. }
        | Action::Receive { location_id, .. }
        | Action::Return { location_id, .. }
        | Action::Adjust { location_id, .. }
        | Action::Count { location_id, .. }
        | Action::SetThreshold { location_id: Some(location_id), .. } => Some(location_id),
        _ => None,
    }
}

/// The last moment of these.
pub(crate) fn over(operations: &[Operation], started: Instant) -> Instant {
    started + Duration::from_millis(operations.iter().map(|operation| operation.at_ms).max().unwrap_or_default())
}
