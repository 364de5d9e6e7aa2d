//! The writer's thread: it writes all waiting jobs in one transaction with one sync.
//!
//! ```text
//!  waiting jobs ──► one transaction: check and write each commit ──all settled──► commit, sync, answer all
//!                      ▲     │ a commit failed after it wrote                └─ the disk failed: answer all with the error
//!                      └─────┘ roll back, settle that commit with its fault, start again without it
//! ```

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::commit::{self, Prepared, WriterState};
use super::fault::Fault;
use super::write;
use stockline_core::ports::{CommitOutcome, StoreError};

/// The result of a commit.
pub(super) type Settled = Result<CommitOutcome, StoreError>;

/// One caller's work for the writer.
pub(super) enum Job {
    /// Commits, each whole or not at all, settled in order.
    Commits { prepared: Vec<Result<Prepared, String>>, answer: oneshot::Sender<Vec<Settled>> },
    /// A small write of another kind.
    Task(Box<dyn Task>),
    /// The store is closing, so leave one self-contained file.
    Close,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Commits { .. } => "Commits",
            Self::Task(_) => "Task",
            Self::Close => "Close",
        })
    }
}

/// A small write with an answer, which follows once the write is durable or has failed.
pub(super) trait Task: Send {
    fn run(&mut self, connection: &Connection, state: &mut WriterState) -> Result<(), Fault>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A task made of a function.
pub(super) struct Call<T, F> {
    pub(super) write: F,
    pub(super) value: Option<Result<T, StoreError>>,
    pub(super) answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&Connection, &mut WriterState) -> Result<T, Fault> + Send> Task for Call<T, F> {
    fn run(&mut self, connection: &Connection, state: &mut WriterState) -> Result<(), Fault> {
        self.value = Some(Ok((self.write)(connection, state)?));
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let value = match (committed, self.value) {
            (Ok(()), Some(value)) => value,
            (Ok(()), None) => Err(StoreError::Unavailable("the write was not run".into())),
            (Err(error), _) => Err(error),
        };
        // A caller that has gone needs no answer.
        let _ = self.answer.send(value);
    }
}

/// One caller's commits with their results.
struct CommitCall {
    prepared: Vec<Result<Prepared, String>>,
    settled: Vec<Option<Settled>>,
    answer: oneshot::Sender<Vec<Settled>>,
}

/// Why the transaction can't continue.
enum Stop {
    /// This commit must be left out, and the others run again.
    LeaveOut { call: usize, commit: usize, settled: Settled },
    /// A fault of the disk, such as no space, which fails all commits.
    All(Fault),
    /// The index of records is damaged. Once it is made anew, all run again.
    Index(String),
}

impl Stop {
    fn of(fault: Fault) -> Self {
        match fault {
            Fault::Index(what) => Self::Index(what),
            fault => Self::All(fault),
        }
    }
}

/// Runs all waiting jobs.
pub(super) fn apply(connection: &mut Connection, state: &mut WriterState, jobs: Vec<Job>) {
    let (mut calls, mut tasks, mut close) = (Vec::new(), Vec::new(), false);
    for job in jobs {
        match job {
            Job::Commits { prepared, answer } => {
                let settled = prepared.iter().map(|_| None).collect();
                calls.push(CommitCall { prepared, settled, answer });
            }
            Job::Task(task) => tasks.push((task, Ok(()))),
            Job::Close => close = true,
        }
    }
    if !(calls.is_empty() && tasks.is_empty()) {
        let committed = run(connection, state, &mut calls, &mut tasks);
        answer(calls, tasks, &committed);
    }
    if close && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log of stock.db can't be carried over; the next start reads it");
    }
}

type Tasks = Vec<(Box<dyn Task>, Result<(), StoreError>)>;

fn run(
    connection: &mut Connection,
    state: &mut WriterState,
    calls: &mut [CommitCall],
    tasks: &mut Tasks,
) -> Result<(), StoreError> {
    let left_out: usize = calls.iter().map(|call| call.prepared.len()).sum();
    let mut healed = false;
    // Each attempt but the last leaves one commit out, or makes the index anew.
    for _ in 0..=left_out + 1 {
        match transaction(connection, state, calls, tasks) {
            Ok(()) => return Ok(()),
            Err(Stop::All(fault)) => {
                state.rolled_back();
                return Err(fault.into());
            }
            Err(Stop::Index(what)) if healed => {
                state.rolled_back();
                return Err(Fault::Index(what).into());
            }
            Err(Stop::Index(what)) => {
                state.rolled_back();
                state.keys.heal(connection, &what)?;
                healed = true;
                for settled in calls.iter_mut().flat_map(|call| &mut call.settled) {
                    if !matches!(settled, Some(Ok(CommitOutcome::Refused(_)) | Err(_))) {
                        *settled = None;
                    }
                }
            }
            Err(Stop::LeaveOut { call, commit, settled }) => {
                state.rolled_back();
                for call in calls.iter_mut() {
                    for (settled, prepared) in call.settled.iter_mut().zip(&call.prepared) {
                        if prepared.is_ok() && !matches!(settled, Some(Ok(CommitOutcome::Refused(_)) | Err(_))) {
                            *settled = None;
                        }
                    }
                }
                calls[call].settled[commit] = Some(settled);
            }
        }
    }
    Err(StoreError::Unavailable("the transaction could not be completed".into()))
}

fn transaction(
    connection: &mut Connection,
    state: &mut WriterState,
    calls: &mut [CommitCall],
    tasks: &mut Tasks,
) -> Result<(), Stop> {
    let all = |error: rusqlite::Error| Stop::All(error.into());
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(all)?;
    for (call_at, call) in calls.iter_mut().enumerate() {
        for (commit_at, prepared) in call.prepared.iter().enumerate() {
            if call.settled[commit_at].is_some() {
                continue;
            }
            let settled = match prepared {
                Ok(prepared) => match one(&transaction, state, prepared) {
                    Ok(outcome) => Ok(outcome),
                    Err((fault, wrote)) => {
                        let settled = if fault.is_refusal() {
                            Ok(CommitOutcome::Refused(StoreError::from(fault).to_string()))
                        } else if fault.is_of_one_row() {
                            Err(fault.into())
                        } else {
                            return Err(Stop::of(fault));
                        };
                        if wrote {
                            return Err(Stop::LeaveOut { call: call_at, commit: commit_at, settled });
                        }
                        settled
                    }
                },
                Err(text) => Ok(CommitOutcome::Refused(text.clone())),
            };
            call.settled[commit_at] = Some(settled);
        }
    }
    for (task, result) in tasks.iter_mut() {
        *result = savepoint(&transaction, state, task.as_mut()).map_err(Stop::of)?;
    }
    state.keys.write(&transaction).map_err(Stop::of)?;
    transaction.commit().map_err(all)?;
    state.keys.committed();
    if std::mem::take(&mut state.rows_changed) {
        state.hot.clear();
    }
    for call in calls.iter() {
        for (prepared, settled) in call.prepared.iter().zip(&call.settled) {
            let Ok(prepared) = prepared else { continue };
            match settled {
                Some(Ok(CommitOutcome::Committed)) => state.hot.committed(prepared),
                _ => state.hot.forget(&prepared.commit.item_id),
            }
        }
    }
    Ok(())
}

/// Checks and writes one commit. A fault says whether the commit may have written already.
fn one(connection: &Connection, state: &mut WriterState, prepared: &Prepared) -> Result<CommitOutcome, (Fault, bool)> {
    match commit::check(connection, state, prepared) {
        Ok(Ok(checked)) => write::write(connection, state, prepared, checked)
            .map(|()| CommitOutcome::Committed)
            .map_err(|fault| (fault, true)),
        Ok(Err(outcome)) => Ok(outcome),
        Err(fault) => Err((fault, false)),
    }
}

/// Runs a task in its own savepoint, so that only a fault of the disk fails the transaction.
fn savepoint(
    connection: &Connection,
    state: &mut WriterState,
    task: &mut dyn Task,
) -> Result<Result<(), StoreError>, Fault> {
    connection.execute_batch("SAVEPOINT task")?;
    let result = match task.run(connection, state) {
        Ok(()) => Ok(()),
        Err(fault) if fault.is_refusal() || fault.is_of_one_row() => {
            connection.execute_batch("ROLLBACK TO task")?;
            state.items.forget();
            state.locations.forget();
            Err(fault.into())
        }
        Err(fault) => return Err(fault),
    };
    connection.execute_batch("RELEASE task")?;
    Ok(result)
}

fn answer(calls: Vec<CommitCall>, tasks: Tasks, committed: &Result<(), StoreError>) {
    for call in calls {
        let settled = call
            .settled
            .into_iter()
            .map(|settled| match (committed, settled) {
                (Ok(()), Some(settled)) => settled,
                (Ok(()), None) => Err(StoreError::Unavailable("the commit was not reached".into())),
                (Err(error), _) => Err(error.clone()),
            })
            .collect();
        // A caller that has gone needs no answer.
        let _ = call.answer.send(settled);
    }
    for (task, result) in tasks {
        task.answer(committed.clone().and(result));
    }
}
