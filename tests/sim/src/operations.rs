//! Operators handle commands that took no effect: they retry or discard a dead letter, or resubmit a refused command.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stockline_aws::dynamodb::{DynamoOptions, DynamoStore};
use stockline_core::domain::{Action, CommandKey, LocationId, Queued, Record, ShortagePolicy, Status};
use stockline_core::ports::{Clock, Queries};
use stockline_worker::dead_letters::{self, Retried};
use tokio::time::{Instant, sleep, sleep_until};

use super::auditor::read::record_of;
use super::connection::{SimWire, TABLE};
use super::queue::{Queue, QueueClient};
use super::scenario::{Act, Operation};
use super::submit::Shop;
use super::table::Table;
use super::world::{Process, SkewedClock, World};

const MONTH_MS: i64 = 30 * 24 * 3_600_000;

/// The number of tries of an operator.
const TRIES_MAX: u32 = 30;

/// The operators and the systems that they use.
#[derive(Debug, Clone)]
pub(crate) struct Operators {
    pub(crate) world: Arc<World>,
    pub(crate) table: Arc<Mutex<Table>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) shop: Shop,
}

impl Operators {
    /// Performs one operation, and repeats it if it fails or the process dies.
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

    /// Finds the command as a person would in a list.
    fn choose(&self, operation: &Operation) -> Option<CommandKey> {
        let table = self.table.lock().unwrap();
        let rows = table.all().filter(|((_, sk), _)| sk == "CMD");
        let mut found: Vec<Record> = rows.filter_map(|(_, row)| record_of(row)).collect();
        found.retain(|record| match (operation.act, record.outcome.status) {
            (_, Status::Applied) => false,
            (Act::Resubmit, _) => record.outcome.command.is_some(),
            (_, status) => status == Status::DeadLettered,
        });
        // Most of them are rejections, so dead letters are preferred. Someone who corrects an item picks any command.
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
                let queue = QueueClient { process: process.clone(), queue: self.queue.clone() };
                match dead_letters::retry(&store, &queue, state).await {
                    Ok(Retried::Queued(_)) => {
                        self.shop.log.lock().unwrap().retried += 1;
                        true
                    }
                    Ok(Retried::Refused(_)) => true,
                    Ok(Retried::Failed(_)) | Err(_) => false,
                }
            }
            Act::Discard => match dead_letters::discard(&store, state, clock.now()).await {
                Ok(done) => {
                    self.shop.log.lock().unwrap().discarded += u64::from(done);
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

    /// Resubmits as `POST …/resubmit` does: under an id derived from the old one, with the movement's time, and for the
    /// corrected item and location if there are any.
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
        if command.kind().is_movement() && command.action.reverses().is_none() {
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
            reach: None,
            trace: None,
        })
    }

    /// Returns whether a resubmission may be sent again. One that failed to replace its command is not, because that
    /// command does not name it.
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
        let mut log = self.shop.log.lock().unwrap();
        if accepted[0] {
            log.accepted.push(of);
            log.resubmitted += 1;
            log.corrected += u64::from(is_corrected);
            log.months_later += u64::from(is_old);
        }
        accepted[0]
    }
}

/// Returns the location of a command, if it has one.
const fn location_of(action: &mut Action) -> Option<&mut LocationId> {
    match action {
        Action::Sell { location_id, .. }
        | Action::Receive { location_id, .. }
        | Action::Return { location_id, .. }
        | Action::Adjust { location_id, .. }
        | Action::Count { location_id, .. }
        | Action::SetPlanning { location_id, .. }
        | Action::SetThreshold { location_id: Some(location_id), .. } => Some(location_id),
        _ => None,
    }
}

/// Returns the last moment of these operations.
pub(crate) fn over(operations: &[Operation], started: Instant) -> Instant {
    started + Duration::from_millis(operations.iter().map(|operation| operation.at_ms).max().unwrap_or_default())
}
