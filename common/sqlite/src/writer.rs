use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;

/// A thread that owns the writing connection of a file. Jobs that wait while it works share one transaction and one
/// sync (group commit).
#[derive(Debug)]
pub(super) struct Writer<J> {
    jobs: Option<mpsc::Sender<J>>,
    thread: Option<JoinHandle<()>>,
}

/// The most jobs of one transaction. It bounds how long the first caller waits for the last.
const MAX_JOBS_PER_BATCH: usize = 4_096;

impl<J: Send + 'static> Writer<J> {
    /// Starts the thread. `apply` gets every batch in the order of submission and answers each job itself.
    pub(super) fn start(
        name: &str,
        mut connection: Connection,
        mut apply: impl FnMut(&mut Connection, Vec<J>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, incoming) = mpsc::channel::<J>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(first) = incoming.recv() {
                let mut batch = vec![first];
                batch.extend(incoming.try_iter().take(MAX_JOBS_PER_BATCH - 1));
                apply(&mut connection, batch);
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Submits a job. Returns `false` if the thread has ended.
    pub(super) fn submit(&self, job: J) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }
}

impl<J> Drop for Writer<J> {
    /// Finishes the submitted jobs.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported already.
            let _ = thread.join();
        }
    }
}
