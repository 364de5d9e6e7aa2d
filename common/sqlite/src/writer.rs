use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::watch;

/// A thread that owns the writing connection of a file. Jobs that wait while it works share one transaction and one
/// sync (group commit).
#[derive(Debug)]
pub(super) struct Writer<J> {
    jobs: Option<mpsc::Sender<J>>,
    thread: Option<JoinHandle<()>>,
    /// Why the thread has ended by itself.
    panicked: watch::Receiver<Option<String>>,
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
        let (panicked, watched) = watch::channel(None);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A panic drops everything that the closure owns: the waiting jobs, whose callers get an error, and the
            // connection, which rolls back. Nothing of it is used again.
            let work = AssertUnwindSafe(move || {
                while let Ok(first) = incoming.recv() {
                    let mut batch = vec![first];
                    batch.extend(incoming.try_iter().take(MAX_JOBS_PER_BATCH - 1));
                    apply(&mut connection, batch);
                }
            });
            if let Err(panic) = catch_unwind(work) {
                panicked.send_replace(Some(text_of(panic.as_ref())));
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), panicked: watched })
    }

    /// Returns a receiver that learns why the thread has ended by itself, which only a panic makes it do. A writer without
    /// a thread refuses every job: whoever opened the file must open it anew.
    pub(super) fn panicked(&self) -> watch::Receiver<Option<String>> {
        self.panicked.clone()
    }

    /// Submits a job. Returns `false` if the thread has ended.
    pub(super) fn submit(&self, job: J) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }
}

/// Waits until a writer's thread has ended by itself and returns why; waits for ever if it is closed in order.
pub(super) async fn stopped(mut panicked: watch::Receiver<Option<String>>) -> String {
    let why = panicked.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without text").to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_that_panics_says_why_and_one_that_is_closed_says_nothing() {
        let start = || {
            Writer::start("test-writer", Connection::open_in_memory().unwrap(), |_, jobs: Vec<u32>| {
                assert!(jobs.iter().all(|job| *job < 13), "job 13");
            })
            .unwrap()
        };
        let writer = start();
        let stopped = stopped(writer.panicked());
        assert!(writer.submit(1) && writer.submit(13));
        assert_eq!(stopped.await, "job 13");
        while writer.submit(2) {
            tokio::task::yield_now().await;
        }
        let closed = start();
        let mut panicked = closed.panicked();
        drop(closed);
        assert!(panicked.changed().await.is_err() && panicked.borrow().is_none());
    }
}
