use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT (Ctrl-C). From the first poll on, SIGHUP does not end the process: a closed terminal stops no
/// shop, and a reload is an order ([`Hangups`]).
///
/// # Errors
/// If the process can't install signal handlers.
pub async fn on_termination() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The handler stays for the life of the process.
    drop(signal(SignalKind::hangup())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Tells of each SIGHUP: an operator asks to read changed files now.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the process can't install signal handlers.
    pub fn begin() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one. Safe to drop.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // The runtime delivers no signals any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    #[tokio::test]
    async fn a_hangup_is_told_and_ends_nothing() {
        let mut hangups = Hangups::begin().unwrap();
        let ended = tokio::spawn(on_termination());
        // The runtime has one thread: the task installs its handlers now.
        tokio::task::yield_now().await;
        send("-HUP");
        hangups.next().await;
        tokio::task::yield_now().await;
        assert!(!ended.is_finished(), "the process goes on");
        send("-TERM");
        ended.await.unwrap().unwrap();
    }
}
