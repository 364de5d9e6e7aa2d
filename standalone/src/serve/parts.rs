//! The parts of the process. They start one after the other and stop in the opposite order.

use anyhow::{Context as _, anyhow};
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

/// The running parts, in the order of their start.
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

    /// Waits until a signal arrives or a part fails, then stops the parts one after the other: whatever a part hands on
    /// finds the next part running.
    pub(crate) async fn run_until(mut self, signal: impl Future<Output = std::io::Result<()>>) -> anyhow::Result<()> {
        let failed = tokio::select! {
            signal = signal => { signal.context("can't wait for signals")?; None }
            failed = first_ended(&mut self.0) => Some(failed),
        };
        let (ended, failure) = match failed {
            Some((name, error)) => (Some(name), Err(error.context(format!("{name} stopped unexpectedly")))),
            None => (None, Ok(())),
        };
        tracing::info!("stopping");
        let ending = async {
            while let Some(part) = self.0.pop() {
                part.trigger.cancel();
                if Some(part.name) != ended {
                    part.task.await.with_context(|| format!("{} failed while stopping", part.name))??;
                }
            }
            anyhow::Ok(())
        };
        tokio::select! {
            ended = ending => failure.and(ended),
            _ = on_termination() => Err(anyhow!("stopped at once by a second signal; no accepted command is lost")),
        }
    }
}

/// Waits for the first part that ends without a request.
async fn first_ended(parts: &mut [Part]) -> (&'static str, anyhow::Error) {
    let waiting = parts.iter_mut().map(|part| {
        let name = part.name;
        Box::pin(async move { (name, (&mut part.task).await) })
    });
    let ((name, result), _, _) = futures_util::future::select_all(waiting).await;
    let error = match result {
        Ok(Ok(())) => anyhow!("it ended without a request"),
        Ok(Err(error)) => error,
        Err(panic) => panic.into(),
    };
    (name, error)
}
