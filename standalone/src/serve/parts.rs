//! The parts of the process. They start one after the other and stop in the opposite order.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures_util::future::{join_all, select_all};
use stockline_service::on_termination;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One part.
#[derive(Debug)]
struct Part {
    name: &'static str,
    trigger: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A part that ended without a request.
#[derive(Debug)]
pub(crate) struct Died {
    pub(crate) part: &'static str,
    pub(crate) error: anyhow::Error,
}

/// The running parts, in the order of their start. They end with this value.
#[derive(Debug, Default)]
pub(crate) struct Parts(Vec<Part>);

impl Parts {
    /// Starts a part. It runs until its shutdown is requested.
    pub(crate) fn start<F>(&mut self, name: &'static str, begin: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        self.0.push(Part { name, trigger, task: tokio::spawn(begin(shutdown)) });
    }

    /// Waits for the first part that ends without a request. Safe to drop.
    pub(crate) async fn first_death(&mut self) -> Died {
        let (result, at, _) = select_all(self.0.iter_mut().map(|part| &mut part.task)).await;
        let error = match result {
            Ok(Ok(())) => anyhow!("it ended without a request"),
            Ok(Err(error)) => error,
            Err(error) => error.into(),
        };
        Died { part: self.0.remove(at).name, error }
    }

    /// Stops the parts one after the other: whatever a part hands on finds the next part running.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let ending = async {
            while let Some(mut part) = self.0.pop() {
                part.trigger.cancel();
                (&mut part.task).await.with_context(|| format!("{} failed while stopping", part.name))??;
            }
            Ok(())
        };
        tokio::select! {
            ended = ending => ended,
            _ = on_termination() => Err(anyhow!("stopped at once by a second signal; no accepted command is lost")),
        }
    }

    /// Stops all parts at the same time, and cuts off those that take longer than `within`. As after a crash, every
    /// accepted command is in the queue.
    pub(crate) async fn abandon(mut self, within: Duration) {
        for part in &self.0 {
            part.trigger.cancel();
        }
        let ending = join_all(self.0.iter_mut().map(|part| &mut part.task));
        if tokio::time::timeout(within, ending).await.is_ok() {
            return;
        }
        for part in &mut self.0 {
            part.task.abort();
            // One that has ended may have told so above, and must not be asked again.
            if !part.task.is_finished() {
                // It was cut off, or panicked and said so.
                let _ = (&mut part.task).await;
            }
        }
    }

    /// Returns handles that end the parts as a panic would.
    #[cfg(test)]
    pub(crate) fn abort_handles(&self) -> Vec<(&'static str, tokio::task::AbortHandle)> {
        self.0.iter().map(|part| (part.name, part.task.abort_handle())).collect()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_part_that_panics_is_named_and_the_others_are_cut_off_in_time() {
        let mut parts = Parts::default();
        parts.start("deaf", |_| std::future::pending());
        parts.start("sound", |shutdown| async move {
            shutdown.cancelled().await;
            Ok(())
        });
        parts.start("ill", |_| async { panic!("a defect") });
        let died = parts.first_death().await;
        assert_eq!(died.part, "ill");
        assert!(died.error.to_string().contains("panic"), "{}", died.error);
        parts.abandon(Duration::from_millis(50)).await;
    }
}
