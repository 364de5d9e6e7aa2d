//! Applies an import: its commands go through the queue as everybody's do, batch after batch, and their outcomes are
//! awaited.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use stockline_core::domain::{Command, CommandKey, LocationSettings, Record, Status, Timestamp};
use stockline_core::ports::LocationPut;
use stockline_import::{Plan, Step};
use tokio::time::Instant;

use super::judge::plan;
use super::{Import, ImportStatus, Progress, RefusedStep, State};
use crate::accept::{self, Line, Replaced};
use crate::access::Caller;
use crate::app::App;
use crate::problem::{Problem, codes};

/// Batches whose outcomes are awaited at once.
const BATCHES_IN_FLIGHT: usize = 16;
/// How long an import goes on without any progress.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause before commands that did not reach the queue are sent again.
const RESEND_PAUSE: Duration = Duration::from_millis(200);
/// How often a command that an earlier run was refused is sent under a further id.
const FURTHER_IDS_MAX: u8 = 8;

/// A command of a line.
#[derive(Debug, Clone)]
struct Work {
    index: usize,
    line: u32,
    command: Command,
    /// How often its id was refused before.
    further_ids: u8,
}

/// Why an import stops before its end. The text says what to do.
#[derive(Debug)]
struct Stopped(String);

/// Begins to apply an import. It is judged again first, because the store may have changed since.
///
/// # Errors
/// `import_faulty` if the headings have faults, or lines have and `skip_faulty` is not set; the store's errors.
pub(crate) async fn apply(
    app: &Arc<App>,
    caller: &Caller,
    import: Arc<Import>,
    skip_faulty: bool,
) -> Result<Arc<Import>, Problem> {
    if import.is_applying() {
        return Ok(import);
    }
    let busy = || Problem::new(codes::OVERLOADED, "other imports are being applied; apply this one later");
    let place = Arc::clone(&app.imports.applying).try_acquire_owned().map_err(|_| busy())?;
    let _turn = app.imports.judging.acquire().await.map_err(|_| busy())?;
    let (import, plan) = plan(app, caller, import).await?;
    let planned = State::planned(&plan);
    {
        let mut state = import.state();
        if state.status == ImportStatus::Applying {
            drop(state);
            return Ok(import);
        }
        *state = planned;
        if state.file_faulty || (state.totals.faulty > 0 && !skip_faulty) {
            return Err(Problem::new(codes::IMPORT_FAULTY, faulty(&state)));
        }
        state.status = ImportStatus::Applying;
    }
    let (app, caller, applied) = (Arc::clone(app), caller.clone(), Arc::clone(&import));
    tokio::spawn(async move {
        let _place = place;
        let run = Run { app: &app, caller: &caller, import: &applied, started: app.clock.now() };
        let ended = AssertUnwindSafe(run.all(plan)).catch_unwind().await;
        let ended = ended.unwrap_or_else(|_| {
            Err(Stopped("the import failed because of a fault of the server, which was logged".into()))
        });
        let mut state = applied.state();
        (state.status, state.why) = match ended {
            Ok(()) => (ImportStatus::Applied, None),
            Err(Stopped(why)) => (ImportStatus::Stopped, Some(why)),
        };
    });
    Ok(import)
}

fn faulty(state: &State) -> String {
    let lines = state.totals.faulty;
    if state.file_faulty {
        return "columns of the file have faults; nothing was applied".into();
    }
    format!("{lines} line(s) have faults, and nothing was applied; correct them, or apply the others with faulty=skip")
}

struct Run<'a> {
    app: &'a App,
    caller: &'a Caller,
    import: &'a Import,
    /// A command that was accepted before is of an earlier run.
    started: Timestamp,
}

impl Run<'_> {
    async fn all(&self, plan: Plan) -> Result<(), Stopped> {
        let mut commands = VecDeque::new();
        for line in plan.lines {
            for step in line.steps {
                match step {
                    Step::Location(settings) => self.put(line.index, line.line, &settings).await?,
                    Step::Command(command) => {
                        commands.push_back(Work {
                            index: line.index,
                            line: line.line,
                            command: *command,
                            further_ids: 0,
                        });
                    }
                }
            }
        }
        self.commands(commands).await
    }

    async fn put(&self, index: usize, line: u32, settings: &LocationSettings) -> Result<(), Stopped> {
        let again = |error| Stopped(format!("{error}; import the file again, it goes on where it was"));
        let put = self.app.queries.put_location(settings).await.map_err(again)?;
        let mut state = self.import.state();
        match put {
            LocationPut::Taken(other) => {
                state.progress.refused += 1;
                let detail = format!("{other} is registered, and differs only by case");
                state.refused.push(RefusedStep { index, line, code: codes::LOCATION_EXISTS.code.to_owned(), detail });
            }
            _ => state.progress.applied += 1,
        }
        Ok(())
    }

    /// Sends the commands in order, and awaits their outcomes beside.
    async fn commands(&self, mut commands: VecDeque<Work>) -> Result<(), Stopped> {
        let most = self.app.limits.batch_commands.max(1);
        let mut in_flight = FuturesUnordered::new();
        loop {
            if self.app.draining.load(Ordering::Acquire) {
                return Err(Stopped("the server is stopping; import the file again, it goes on where it was".into()));
            }
            while in_flight.len() < BATCHES_IN_FLIGHT && !commands.is_empty() {
                let batch: Vec<Work> = commands.drain(..commands.len().min(most)).collect();
                self.send(&batch).await?;
                in_flight.push(self.settle(batch));
            }
            match in_flight.next().await {
                Some(again) => commands.extend(again?),
                None if commands.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    /// Sends a batch until each of its commands is durable in the queue.
    async fn send(&self, batch: &[Work]) -> Result<(), Stopped> {
        let mut waiting: Vec<Command> = batch.iter().map(|work| work.command.clone()).collect();
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(lines) = accept::queue(self.app, self.caller, waiting.clone(), &Replaced::new()).await {
                let before = waiting.len();
                let mut failed = lines.iter().map(|line| matches!(line, Line::Failed(_)));
                waiting.retain(|_| failed.next().unwrap_or(true));
                if waiting.is_empty() {
                    return Ok(());
                }
                if waiting.len() < before {
                    deadline = Instant::now() + PATIENCE;
                }
            }
            if Instant::now() > deadline {
                return Err(Stopped(
                    "the queue does not accept commands; import the file again later, it goes on where it was".into(),
                ));
            }
            tokio::time::sleep(RESEND_PAUSE).await;
        }
    }

    /// Waits until each command of a batch has its outcome. Returns those to send again under a further id.
    async fn settle(&self, batch: Vec<Work>) -> Result<Vec<Work>, Stopped> {
        let (mut waiting, mut again) = (batch, Vec::new());
        let mut deadline = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            let keys = waiting.iter().map(|work| key_of(&work.command)).collect();
            let found = match self.app.waiting.outcomes(keys, self.app.limits.wait_s.max(1)).await {
                Some(found) => found,
                None => {
                    // Too many requests wait; others go first.
                    tokio::time::sleep(RESEND_PAUSE).await;
                    vec![None; waiting.len()]
                }
            };
            let before = waiting.len();
            let mut left = Vec::new();
            for (work, record) in waiting.into_iter().zip(found) {
                match record {
                    Some(record) => again.extend(self.count(work, &record)),
                    None => left.push(work),
                }
            }
            waiting = left;
            if waiting.len() < before {
                deadline = Instant::now() + PATIENCE;
            } else if Instant::now() > deadline {
                return Err(Stopped(
                    "commands are accepted but not applied; import the file again later, it goes on where it was"
                        .into(),
                ));
            }
        }
        Ok(again)
    }

    /// Counts an outcome. A refusal of an earlier run is final for its id, so the command gets a further one.
    fn count(&self, mut work: Work, record: &Record) -> Option<Work> {
        let outcome = &record.outcome;
        let earlier = outcome.accepted_at < self.started;
        if outcome.status == Status::Rejected && earlier && work.further_ids < FURTHER_IDS_MAX {
            work.command.command_id = work.command.command_id.of_resubmission(&work.command.item_id);
            work.further_ids += 1;
            return Some(work);
        }
        let mut state = self.import.state();
        let Progress { applied, already_applied, refused, .. } = &mut state.progress;
        if outcome.status == Status::Applied {
            *(if earlier { already_applied } else { applied }) += 1;
            return None;
        }
        *refused += 1;
        let (code, detail) = match (&outcome.rejection, &outcome.dead_letter) {
            (Some(rejection), _) => (rejection.code.as_str().to_owned(), rejection.detail.clone()),
            (None, letter) => {
                let why = letter.as_ref().map(|letter| letter.reason.clone()).unwrap_or_default();
                ("dead_lettered".to_owned(), why)
            }
        };
        state.refused.push(RefusedStep { index: work.index, line: work.line, code, detail });
        None
    }
}

fn key_of(command: &Command) -> CommandKey {
    CommandKey { item_id: command.item_id.clone(), command_id: command.command_id }
}
